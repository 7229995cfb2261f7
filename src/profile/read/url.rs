//! Checks the URLs of servers, and whether a request to one is sent in plain text.

use hyper::Uri;
use percent_encoding::{CONTROLS, utf8_percent_encode};

use crate::client::is_this_machine;

/// Whether a URL means plain text to another machine.
pub(super) fn in_the_clear(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    uri.scheme_str() == Some("http") && !is_this_machine(uri.host().unwrap_or_default())
}

/// A URL as sent: non-ASCII characters in its path are escaped as RFC 3986 requires, since some servers insist on it.
pub(super) fn escaped(url: &str) -> String {
    utf8_percent_encode(url, CONTROLS).to_string()
}

pub(in crate::profile) fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    if endpoint.parse::<Uri>().is_ok_and(|uri| names_user(&uri)) {
        return Err("a URL must not contain user information; use a header");
    }
    let uri = check_url(endpoint)?;
    if uri.query().is_some() || endpoint.contains('#') {
        return Err("it must not have a query or a fragment");
    }
    Ok(())
}

/// Whether a URL names a server and contains no credentials.
pub(super) fn check_url(url: &str) -> Result<Uri, &'static str> {
    let uri = url.parse::<Uri>().map_err(|_| "it is not a URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it must begin with http:// or https://");
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if names_user(&uri) {
        return Err("a URL must not contain user information");
    }
    if authority.host().is_empty() {
        return Err("it has no host");
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is not a number from 1 to 65535");
    }
    Ok(uri)
}

fn names_user(url: &Uri) -> bool {
    url.authority().is_some_and(|authority| authority.as_str().contains('@'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_may_contain_any_script() {
        assert_eq!(check_endpoint("https://h/Überwachung/日"), Ok(()));
        assert_eq!(escaped("https://h/Überwachung/日%20"), "https://h/%C3%9Cberwachung/%E6%97%A5%20");
        assert_eq!(escaped("https://h:4318/a/b"), "https://h:4318/a/b");
        assert!(check_endpoint("https://überwachung/").is_err(), "host names are not encoded");
    }
}
