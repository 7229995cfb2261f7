//! What is said of a destination: the cause first, in the profile's own words for what to change. Pure.

use hyper::Uri;

use super::ask::{Asked, Given, Reply};
use super::cause::Cause;
use super::elsewhere::Elsewhere;
use super::record::MARK;
use crate::client::FailureKind as Kind;
use crate::credential::Source;
use crate::doctor::Finding;
use crate::otlp::Signal;
use crate::printable::printable;
use crate::profile::{Destination, Protocol, is_this_machine};

/// All that is to be said of a destination: once where its answers to all signals come from the same.
pub(super) fn findings(asked: &Asked) -> Vec<Finding> {
    let mut groups: Vec<(Vec<Signal>, &Reply)> = Vec::new();
    for (signal, reply) in &asked.replies {
        match groups.iter_mut().find(|(_, known)| known.cause == reply.cause && known.reason == reply.reason) {
            Some((signals, _)) => signals.push(*signal),
            None => groups.push((vec![*signal], reply)),
        }
    }
    let is_all = groups.len() == 1;
    groups
        .into_iter()
        .map(|(signals, reply)| {
            let which = if is_all { String::new() } else { format!(", {}", names(&signals)) };
            let of = format!("`{}`{which}", printable(&asked.destination.name));
            finding(asked, &of, &signals, reply)
        })
        .collect()
}

/// What is said of the answer to some signals. `of` names destination and signals.
fn finding(asked: &Asked, of: &str, signals: &[Signal], reply: &Reply) -> Finding {
    let is_reached = matches!(reply.cause, Cause::Accepted | Cause::Remarked | Cause::Credentials);
    match &asked.credentials {
        Given::AskedAtLaunch(command) if is_reached => {
            let summary = format!("{of}: {} is reached; its credentials were not tried", asked.way);
            return Finding::ok(summary).detail(format!("{command} talks to you, and is asked at a launch alone"));
        }
        Given::Missing(reason) if is_reached => {
            // That they are missing is told of under `credentials`.
            let finding = Finding::ok(format!("{of}: {} is reached; nothing was sent", asked.way));
            return finding.detail(format!("its credentials are not to be had: {reason}"));
        }
        _ => {}
    }
    if reply.cause == Cause::Accepted {
        return accepted(asked, of, signals);
    }
    let summary = format!("{of}: {}", cause(asked, signals, reply));
    let mut finding = match reply.cause {
        Cause::Remarked | Cause::Throttled => Finding::warning(summary),
        _ => Finding::failed(summary),
    };
    if let Some(origin) = &asked.origin {
        finding = finding.detail(format!("its endpoint `{}` is from {origin}", endpoint(asked)));
    }
    finding.fix(fix(asked, signals, reply))
}

/// That it took everything. A backend may take it and drop it, as some do with a wrong key: where credentials decide,
/// only whoever looks there knows.
fn accepted(asked: &Asked, of: &str, signals: &[Signal]) -> Finding {
    let mark = format!("{MARK} = {}", asked.mark);
    let at = asked.destination.verify.as_ref().map(|verify| format!(" at {}", printable(verify))).unwrap_or_default();
    let finding = if has_secrets(&asked.destination) {
        let look = format!("whether it arrived is seen there: look for {mark}{at}");
        Finding::sent(format!("{of}: {} accepted it; {look}", asked.way))
    } else {
        Finding::ok(format!("{of}: {} accepted it; it is {mark}{at}", asked.way))
    };
    finding.detail(format!("sent were {}, of the service `ccrun`", names(signals)))
}

/// Why it is as it is.
fn cause(asked: &Asked, signals: &[Signal], reply: &Reply) -> String {
    let (way, reason, endpoint) = (&asked.way, &reply.reason, endpoint(asked));
    match reply.cause {
        Cause::Failed(Kind::Unreached) if asked.leads_home => {
            format!("the name in `{endpoint}` leads to this machine alone, where nothing listens: {reason}")
        }
        Cause::Credentials if !has_secrets(&asked.destination) => {
            format!("{way} wants credentials, and the profile has none for it: {reason}")
        }
        Cause::Credentials => format!("{way} does not accept the credentials: {reason}"),
        Cause::Path => format!("there is nothing that takes OTLP at `{endpoint}`: {reason}"),
        Cause::Method => format!("what is at `{endpoint}` takes no POST, so it is not OTLP's: {reason}"),
        Cause::Encoding => {
            let gzip = if asked.destination.gzip { " with gzip" } else { "" };
            format!("{way} does not take {}{gzip}: {reason}", asked.destination.protocol.name())
        }
        Cause::Size => format!("{way} finds even one small record too large: {reason}"),
        Cause::Redirect => format!("`{endpoint}` leads elsewhere: {reason}"),
        Cause::Page => format!("a page for people answers at `{endpoint}`, not OTLP: {reason}"),
        Cause::WantsTls => format!("{way} wants TLS, and is spoken to in plain text: {reason}"),
        Cause::Temporality => format!("{way} takes no deltas, which is what it is sent: {reason}"),
        Cause::Signal => format!("{way} does not take {} over gRPC: {reason}", names(signals)),
        Cause::Throttled => format!("{way} asks to be sent less: {reason}"),
        Cause::Fault => format!("{way} has trouble of its own: {reason}"),
        Cause::Refused => format!("{way} refuses what it is sent: {reason}"),
        Cause::Rejected => {
            let said = if reason.is_empty() { "without saying why".to_owned() } else { reason.clone() };
            format!("{way} answered that all is well, and rejected the record: {said}")
        }
        Cause::Remarked => format!("{way} accepted it, and says: {reason}"),
        Cause::Accepted | Cause::Failed(_) | Cause::Other => reason.clone(),
    }
}

/// What to do about it.
fn fix(asked: &Asked, signals: &[Signal], reply: &Reply) -> String {
    let destination = &asked.destination;
    if let Some(other) = &asked.elsewhere {
        return set(destination, other);
    }
    match reply.cause {
        Cause::Failed(kind) => fix_of_failure(asked, kind),
        Cause::Credentials if !has_secrets(destination) => {
            format!("give it a key in `[destination.{}.headers]`, as its documentation says", destination.name)
        }
        Cause::Credentials => credentials_fix(destination),
        Cause::Path | Cause::Method => {
            "set `endpoint` to what its documentation calls the OTLP endpoint: a part of the path may be missing \
             (Grafana's ends in `/otlp`, Prometheus' in `/api/v1/otlp`), or the receiver may be switched off"
                .to_owned()
        }
        Cause::Encoding if destination.protocol == Protocol::HttpJson => "set `protocol = \"http/protobuf\"`".to_owned(),
        Cause::Encoding if destination.gzip => {
            "set `compression = \"none\"`; if that does not help, `protocol = \"http/json\"`".to_owned()
        }
        Cause::Encoding => "set `protocol = \"http/json\"`, or ask its documentation which it takes".to_owned(),
        Cause::Size => "raise the limit of the server, or of the proxy before it: nothing smaller is ever sent".to_owned(),
        Cause::Redirect => redirect_fix(asked, reply.target.as_deref()),
        Cause::Page => {
            "set `endpoint` to the port and path that take OTLP, not to its web interface; if the page is a login of this \
             network, log in or ask for an exception"
                .to_owned()
        }
        Cause::WantsTls => "let `endpoint` begin with `https://`".to_owned(),
        Cause::Temporality => format!("set `temporality = \"cumulative\"` in `[destination.{}]`", destination.name),
        Cause::Signal => format!("leave {} out of the destination's `signals`, or send them elsewhere", names(signals)),
        Cause::Throttled => "nothing, if it passes: what waits goes out later; else its quota is too small".to_owned(),
        Cause::Fault => "whoever runs it has to mend it; what is received waits on disk, and goes out then".to_owned(),
        Cause::Refused | Cause::Rejected | Cause::Remarked => {
            "do as its message says; its documentation has the limits of what it takes".to_owned()
        }
        Cause::Accepted | Cause::Other => "do as the message says; `ccrun queue status` shows what waits".to_owned(),
    }
}

fn fix_of_failure(asked: &Asked, kind: Kind) -> String {
    let destination = &asked.destination;
    let fix = match kind {
        Kind::Name => "correct the host in `endpoint`; if it is right, look after the network, its DNS or the VPN",
        Kind::Unreached if asked.leads_home => {
            "take the name out of /etc/hosts, or out of the filter of names that this network has"
        }
        Kind::Unreached if is_here(destination) => {
            "start what should listen there, or correct the port in `endpoint` (usually 4317 is gRPC's and 4318 HTTP's)"
        }
        Kind::Unreached => {
            "correct host and port in `endpoint` (usually 4317 is gRPC's and 4318 HTTP's); if they are right, a firewall \
             is in between, a VPN is down, or this network wants a proxy, which HTTPS_PROXY names"
        }
        Kind::Silent => {
            "look whether that is the right port, and what is behind it; a session waits longer, up to the destination's \
             `timeout`"
        }
        Kind::Closed => "look whether that port takes OTLP, in the protocol and with the scheme of `endpoint`",
        Kind::Language => "set `protocol` and the scheme of `endpoint` to what is spoken there",
        Kind::Expired => "whoever runs it has to renew the certificate; look at this machine's clock, too",
        Kind::OtherName => {
            return format!(
                "let `endpoint` have the name that the certificate is for, or set `server_name` in \
                 `[destination.{}.tls]` to it",
                destination.name
            );
        }
        Kind::UnknownAuthority => {
            return format!(
                "get the authority's certificate (PEM) from whoever runs it or from your company, and name its file as \
                 `ca` in `[destination.{}.tls]`",
                destination.name
            );
        }
        Kind::Certificate => "whoever runs it has to give it a certificate that can be checked",
        Kind::Identity => {
            return format!(
                "name a certificate that is good there, and its key, as `cert` and `key` in `[destination.{}.tls]`",
                destination.name
            );
        }
        Kind::Proxy => {
            "correct the variable that names the proxy, or name this host in NO_PROXY if it is reached without one"
        }
        Kind::Other => "look after the network between here and there",
    };
    fix.to_owned()
}

/// What the profile should say instead.
fn set(destination: &Destination, other: &Elsewhere) -> String {
    let mut lines = Vec::new();
    if other.endpoint != destination.endpoint.trim_end_matches('/') {
        lines.push(format!("`endpoint = \"{}\"`", printable(&other.endpoint)));
    }
    if other.protocol != destination.protocol {
        lines.push(format!("`protocol = \"{}\"`", other.protocol.name()));
    }
    format!("set {}: that answers", lines.join(" and "))
}

fn credentials_fix(destination: &Destination) -> String {
    let sources = |(header, sources): (&String, &Vec<Source>)| {
        let names: Vec<_> = sources.iter().map(|source| printable(&source.to_string())).collect();
        format!("`{}` from {}", printable(header), names.join(", or "))
    };
    let headers = destination.headers.iter().filter(is_secret).map(sources);
    let helper = destination.headers_helper.as_ref().and_then(|helper| helper.argv.first());
    let all: Vec<_> = headers.chain(helper.map(|argv| format!("what `{}` prints", printable(argv)))).collect();
    format!(
        "check {}: is it a key of this account and region, not expired, and allowed to write?",
        if all.is_empty() { "the client certificate".to_owned() } else { all.join("; ") }
    )
}

fn redirect_fix(asked: &Asked, target: Option<&str>) -> String {
    let target = target.map(|target| target.split(['?', '#']).next().unwrap_or_default()).unwrap_or_default();
    let lower = target.to_ascii_lowercase();
    if ["login", "signin", "sign-in", "sso", "saml", "oauth", "auth"].iter().any(|word| lower.contains(word)) {
        return "a login for people stands before it: ask for a way in with a key, or for an exception for OTLP"
            .to_owned();
    }
    let secure = endpoint(asked).replacen("http://", "https://", 1);
    if lower.starts_with("https://") && secure != endpoint(asked) {
        return format!("set `endpoint = \"{secure}\"`: it takes TLS alone");
    }
    "set `endpoint` to the address at which that ends: redirects are never followed, for they would take the key along"
        .to_owned()
}

/// Whether it is on this machine.
fn is_here(destination: &Destination) -> bool {
    destination.endpoint.parse::<Uri>().is_ok_and(|endpoint| is_this_machine(endpoint.host().unwrap_or_default()))
}

fn endpoint(asked: &Asked) -> String {
    printable(&asked.destination.endpoint)
}

/// Whether it decides by something secret whom to listen to.
fn has_secrets(destination: &Destination) -> bool {
    destination.headers_helper.is_some()
        || destination.tls.cert.is_some()
        || destination.headers.iter().any(|header| is_secret(&header))
}

/// Whether a header is one that decides: from anywhere but the profile itself, or named like one that people write there
/// in spite of all advice.
fn is_secret((header, sources): &(&String, &Vec<Source>)) -> bool {
    let is_named = ["auth", "key", "token", "secret", "dsn"].iter().any(|word| header.contains(word));
    is_named || sources.iter().any(|source| !matches!(source, Source::Literal(_)))
}

fn names(signals: &[Signal]) -> String {
    let names: Vec<_> = signals.iter().map(|signal| signal.name()).collect();
    match names.split_last() {
        Some((last, [])) => (*last).to_owned(),
        Some((last, others)) => format!("{} and {last}", others.join(", ")),
        None => "nothing".to_owned(),
    }
}
