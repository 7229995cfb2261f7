//! Proxies, as required in company networks, and which one to use for a server, if any.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;

use hyper::Uri;
use hyper::header::HeaderValue;
use hyper::http::uri::Scheme;
use hyper_util::client::proxy::matcher::{Intercept, Matcher};
use thiserror::Error;

/// The proxy settings in the launcher's environment, read as curl and Go read them: upper case takes precedence over
/// lower case, and an empty variable counts as unset.
#[derive(Clone, Default)]
pub struct Proxies {
    /// For `http://`: the variable's name and its value.
    http: Option<(String, String)>,
    /// For `https://`.
    https: Option<(String, String)>,
    /// The hosts to reach directly.
    exempt: String,
}

/// Shows only the names of variables, because their values may contain passwords.
impl fmt::Debug for Proxies {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names = [&self.http, &self.https].map(|named| named.as_ref().map(|(name, _)| name));
        formatter.debug_struct("Proxies").field("from", &names).field("exempt", &self.exempt).finish()
    }
}

/// The proxy for a server.
#[derive(Clone, Debug)]
pub(super) struct Proxy {
    /// Scheme, host and port, nothing else.
    pub(super) url: Uri,
    /// The value of `Proxy-Authorization`; marked as sensitive.
    pub(super) credentials: Option<HeaderValue>,
    /// The variable that names it.
    pub(super) variable: String,
}

/// Why the proxy in a variable is unusable. Does not contain the variable's value.
#[derive(Clone, Debug, Error)]
pub(super) enum UnusableProxy {
    #[error(
        "{0} is not the URL of a proxy: write http://HOST:PORT, or http://USER:PASSWORD@HOST:PORT with every character \
         of the two that is neither a letter nor a digit percent-encoded"
    )]
    Malformed(String),
    #[error("{0} names a SOCKS proxy, which ccrun does not speak: name one of http, or this host in NO_PROXY")]
    Socks(String),
}

impl Proxies {
    /// The proxies that these variables name: `HTTPS_PROXY`, `HTTP_PROXY`, `ALL_PROXY` for either, and `NO_PROXY`.
    pub fn named_by(variables: &BTreeMap<String, String>) -> Self {
        let named = |name: &str| {
            let names = [name.to_owned(), name.to_ascii_lowercase()];
            names.into_iter().find_map(|name| {
                let value = variables.get(&name).map(|value| value.trim()).filter(|value| !value.is_empty())?;
                Some((name, value.to_owned()))
            })
        };
        Self {
            http: named("HTTP_PROXY").or_else(|| named("ALL_PROXY")),
            https: named("HTTPS_PROXY").or_else(|| named("ALL_PROXY")),
            exempt: named("NO_PROXY").map(|(_, hosts)| hosts).unwrap_or_default(),
        }
    }

    /// The proxy for the server of a URL. This machine itself never has one.
    pub(super) fn before(&self, server: &Uri) -> Result<Option<Proxy>, UnusableProxy> {
        let named = if server.scheme() == Some(&Scheme::HTTPS) { &self.https } else { &self.http };
        let Some((variable, value)) = named.clone() else { return Ok(None) };
        if is_this_machine(server.host().unwrap_or_default()) || self.exempts(server) {
            return Ok(None);
        }
        match Matcher::builder().all(value).build().intercept(server) {
            Some(found) if is_socks(&found) => Err(UnusableProxy::Socks(variable)),
            Some(found) if is_host_and_port(found.uri()) => {
                Ok(Some(Proxy { url: found.uri().clone(), credentials: found.basic_auth().cloned(), variable }))
            }
            _ => Err(UnusableProxy::Malformed(variable)),
        }
    }

    fn exempts(&self, server: &Uri) -> bool {
        let default = if server.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
        let port = server.port_u16().unwrap_or(default);
        let hosts: Vec<_> = self.exempt.split(',').filter_map(|entry| host_at(entry.trim(), port)).collect();
        // The matcher's own `*` does not match addresses.
        let all = hosts.contains(&"*");
        // The matcher only tells which servers use a proxy, so it is given an arbitrary one.
        let matcher = Matcher::builder().all("http://proxy.invalid").no(hosts.join(",")).build();
        all || matcher.intercept(server).is_none()
    }
}

/// Its host and port, and the variable that names it.
impl fmt::Display for Proxy {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let host = self.url.authority().map_or("", |authority| authority.as_str());
        write!(formatter, "the proxy {host} ({})", self.variable)
    }
}

/// Whether a URL has a host and a port, and nothing else. If a password contains an unescaped `@`, its remainder would
/// precede the host.
fn is_host_and_port(url: &Uri) -> bool {
    url.authority().is_some_and(|authority| {
        let is_host_alone = authority.as_str() == authority.host();
        !authority.as_str().contains('@') && (is_host_alone || authority.port_u16().is_some_and(|port| port > 0))
    })
}

fn is_socks(found: &Intercept) -> bool {
    found.uri().scheme_str().is_some_and(|scheme| scheme.starts_with("socks"))
}

/// The host of an entry in `NO_PROXY`, in the form for the matcher, unless the entry is for another port.
fn host_at(entry: &str, port: u16) -> Option<&str> {
    let (host, own) = match entry.rsplit_once(':') {
        // An IPv6 address contains colons itself, and has a port only after brackets.
        Some((host, own)) if !host.contains(':') || host.ends_with(']') => (host, Some(own)),
        _ => (entry, None),
    };
    let host = host.trim_matches(['[', ']']);
    let host = host.strip_prefix('*').filter(|rest| rest.starts_with('.')).unwrap_or(host);
    own.is_none_or(|own| own.parse() == Ok(port)).then_some(host)
}

/// Whether a URL's host is this machine: `localhost` or a loopback address.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn proxies(variables: &[(&str, &str)]) -> Proxies {
        Proxies::named_by(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
    }

    fn proxy(variables: &[(&str, &str)], server: &str) -> String {
        match proxies(variables).before(&server.parse().unwrap()) {
            Ok(None) => "none".to_owned(),
            Ok(Some(proxy)) => format!("{} by {}", proxy.url, proxy.variable),
            Err(error) => error.to_string(),
        }
    }

    #[test]
    fn variables_apply_by_scheme_and_upper_case_takes_precedence() {
        let all = [("HTTPS_PROXY", "http://s:1"), ("http_proxy", "h:2"), ("ALL_PROXY", "https://a:3")];
        assert_eq!(proxy(&all, "https://host"), "http://s:1/ by HTTPS_PROXY");
        assert_eq!(proxy(&all, "http://host"), "http://h:2/ by http_proxy");
        assert_eq!(proxy(&all[2..], "http://host"), "https://a:3/ by ALL_PROXY");
        assert_eq!(proxy(&[("https_proxy", "l"), ("HTTPS_PROXY", " u ")], "https://host"), "http://u/ by HTTPS_PROXY");
        assert_eq!(proxy(&[("https_proxy", "l"), ("HTTPS_PROXY", "")], "https://host"), "http://l/ by https_proxy");
        assert_eq!(proxy(&[("HTTP_PROXY", "h")], "https://host"), "none");
    }

    #[test]
    fn loopback_and_exempt_hosts_are_reached_directly() {
        let cases = [
            ("", "https://localhost:4317", true),
            ("", "http://127.0.0.2:4318", true),
            ("", "http://[::1]:4318", true),
            ("", "https://localhost.example", false),
            ("corp.example", "https://corp.example", true),
            ("corp.example", "https://OTLP.corp.example:4317", true),
            ("corp.example", "https://notcorp.example", false),
            (".corp.example", "https://otlp.corp.example", true),
            ("*.corp.example", "https://otlp.corp.example", true),
            ("a, corp.example:4317 ,b", "https://corp.example:4317", true),
            ("corp.example:443", "https://corp.example", true),
            ("corp.example:80", "http://corp.example", true),
            ("corp.example:4317", "https://corp.example", false),
            ("10.1.2.3", "http://10.1.2.3:4318", true),
            ("10.0.0.0/8", "http://10.1.2.3:4318", true),
            ("10.0.0.0/8", "http://11.1.2.3:4318", false),
            ("10.1.2.3:4318", "http://10.1.2.3:4318", true),
            ("fd00::1", "http://[fd00::1]:4318", true),
            ("fd00::/8", "http://[fd00::1]:4318", true),
            ("[fd00::1]:4318", "http://[fd00::1]:4318", true),
            ("[fd00::1]:4317", "http://[fd00::1]:4318", false),
            ("*", "https://anybody", true),
            ("*", "https://10.1.2.3", true),
        ];
        for (exempt, server, expected) in cases {
            let found = proxy(&[("ALL_PROXY", "proxy:3128"), ("no_proxy", exempt)], server);
            assert_eq!(found == "none", expected, "{exempt} {server} {found}");
        }
    }

    #[test]
    fn credentials_are_decoded_and_never_shown() {
        let variables = [("ALL_PROXY", "http://Aladdin:open%20sesame@proxy:3128")];
        let found = proxies(&variables).before(&"http://host".parse().unwrap()).unwrap().unwrap();
        // The example of RFC 7617.
        assert_eq!(found.credentials.as_ref().unwrap(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(found.to_string(), "the proxy proxy:3128 (ALL_PROXY)");
        let shown = format!("{found:?} {:?}", proxies(&variables));
        assert!(!shown.contains("sesame") && !shown.contains("QWxh") && !shown.contains("Aladdin"), "{shown}");
    }

    #[test]
    fn an_invalid_proxy_is_an_error() {
        for value in ["ftp://proxy", "http://user:se@same@proxy:1", "http://user:se same@proxy", "http://proxy:x"] {
            let found = proxy(&[("HTTPS_PROXY", value)], "https://host");
            assert!(found.starts_with("HTTPS_PROXY is not the URL of a proxy") && !found.contains("same"), "{found}");
        }
        let found = proxy(&[("ALL_PROXY", "socks5://user:sesame@proxy")], "https://host");
        assert!(found.starts_with("ALL_PROXY names a SOCKS proxy") && !found.contains("sesame"), "{found}");
    }
}
