//! What URLs of servers must be like, and whether what goes there goes in the clear.

use std::net::IpAddr;

use hyper::Uri;

/// Whether a URL is plain text to another machine.
pub(super) fn in_the_clear(url: &str) -> bool {
    let uri = url.parse::<Uri>().unwrap_or_default();
    uri.scheme_str() == Some("http") && !is_this_machine(uri.host().unwrap_or_default())
}

/// Whether a URL's host is this machine: `localhost` or an address of loopback.
pub fn is_this_machine(host: &str) -> bool {
    let host = host.trim_matches(['[', ']']);
    host.eq_ignore_ascii_case("localhost") || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
}

pub(in crate::profile) fn check_endpoint(endpoint: &str) -> Result<(), &'static str> {
    if endpoint.parse::<Uri>().is_ok_and(|uri| names_user(&uri)) {
        return Err("user information does not belong in a URL; write a header");
    }
    let uri = check_url(endpoint)?;
    if uri.query().is_some() || endpoint.contains('#') {
        return Err("a query or a fragment does not belong there");
    }
    Ok(())
}

/// Whether a URL names a server, and nothing of who asks.
pub(super) fn check_url(url: &str) -> Result<Uri, &'static str> {
    let uri = url.parse::<Uri>().map_err(|_| "it is no URL")?;
    if !matches!(uri.scheme_str(), Some("http" | "https")) {
        return Err("it begins neither with http:// nor with https://");
    }
    let authority = uri.authority().ok_or("it has no host")?;
    if names_user(&uri) {
        return Err("user information does not belong in a URL");
    }
    if authority.host().is_empty() {
        return Err("it has no host");
    }
    if authority.as_str().len() > authority.host().len() && authority.port_u16().is_none_or(|port| port == 0) {
        return Err("its port is no number from 1 to 65535");
    }
    Ok(uri)
}

fn names_user(url: &Uri) -> bool {
    url.authority().is_some_and(|authority| authority.as_str().contains('@'))
}
