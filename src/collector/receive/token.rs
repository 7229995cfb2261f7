//! The session's token, which keeps other users out.

use hyper::HeaderMap;
use subtle::ConstantTimeEq;

use crate::environment::TOKEN_HEADER;

/// The path after the token, if the path begins with the session's token, or the whole path if a header contains it, as
/// for clients whose endpoint has no path (`OTEL_EXPORTER_OTLP_HEADERS`). Compared in constant time.
pub(super) fn authorized<'a>(path: &'a str, headers: &HeaderMap, token: &str) -> Option<&'a str> {
    let is_token = |given: &[u8]| bool::from(given.ct_eq(token.as_bytes()));
    let (first, rest) = path.strip_prefix('/').and_then(|path| path.split_once('/')).unzip();
    if first.is_some_and(|first| is_token(first.as_bytes())) {
        return rest.map(|rest| &path[path.len() - rest.len() - 1..]);
    }
    headers.get(TOKEN_HEADER).is_some_and(|given| is_token(given.as_bytes())).then_some(path)
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderValue;

    use super::*;

    #[test]
    fn the_token_is_in_the_path_or_a_header() {
        let none = HeaderMap::new();
        let bringing = |token| HeaderMap::from_iter([(TOKEN_HEADER.parse().unwrap(), HeaderValue::from_static(token))]);
        assert_eq!(authorized("/secret/v1/logs", &none, "secret"), Some("/v1/logs"));
        assert_eq!(authorized("/v1/logs", &bringing("secret"), "secret"), Some("/v1/logs"));
        assert_eq!(authorized("/secret/v1/logs", &bringing("wrong"), "secret"), Some("/v1/logs"));
        assert_eq!(authorized("/v1/logs", &bringing("wrong"), "secret"), None);
        for path in ["/v1/logs", "/", "", "/secret", "/secretx/v1/logs", "/SECRET/v1/logs", "//secret/v1/logs"] {
            assert_eq!(authorized(path, &none, "secret"), None, "{path}");
        }
    }
}
