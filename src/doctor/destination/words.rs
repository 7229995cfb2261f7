//! The findings on a destination: the cause first, then the fix in the terms of the profile. Pure.

use hyper::Uri;

use super::ask::{Probe, ProbeCredentials};
use super::cause::Cause;
use super::elsewhere::OtherEndpoint;
use super::record::MARK;
use super::reply::Reply;
use crate::client::{FailureKind as Kind, is_this_machine};
use crate::doctor::Finding;
use crate::otlp::Signal;
use crate::profile::{Destination, Protocol};
use crate::secret::Source;
use crate::terminal::printable::printable;

/// All findings on a destination, combined where all signals have the same cause.
pub(super) fn findings(probe: &Probe) -> Vec<Finding> {
    let mut groups: Vec<(Vec<Signal>, &Reply)> = Vec::new();
    for (signal, reply) in &probe.replies {
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
            let of = format!("`{}`{which}", printable(&probe.destination.name));
            finding(probe, &of, &signals, reply)
        })
        .collect()
}

/// The finding on the answer to some signals. `of` names the destination and signals.
fn finding(probe: &Probe, of: &str, signals: &[Signal], reply: &Reply) -> Finding {
    let is_reached = matches!(reply.cause, Cause::Accepted | Cause::Remarked | Cause::Credentials);
    match &probe.credentials {
        ProbeCredentials::AskedAtLaunch(command) if is_reached => {
            let summary = format!("{of}: {} is reachable; its credentials were not tested", probe.way);
            return Finding::ok(summary).detail(format!("{command} is interactive and runs only at a launch"));
        }
        ProbeCredentials::Missing(reason) if is_reached => {
            // Missing credentials are reported under `credentials`.
            let finding = Finding::ok(format!("{of}: {} is reachable; nothing was sent", probe.way));
            return finding.detail(format!("its credentials are unavailable: {reason}"));
        }
        _ => {}
    }
    if reply.cause == Cause::Accepted {
        return accepted(probe, of, signals);
    }
    let summary = format!("{of}: {}", cause(probe, signals, reply));
    let mut finding = match reply.cause {
        Cause::Remarked | Cause::Throttled => Finding::warning(summary),
        _ => Finding::failed(summary),
    };
    if let Some(origin) = &probe.origin {
        finding = finding.detail(format!("its endpoint `{}` is from {origin}", endpoint(probe)));
    }
    finding.fix(fix(probe, signals, reply))
}

/// It accepted everything. Some backends accept data and drop it, for example with a wrong key. If the destination
/// needs credentials, only its own interface can confirm that the record arrived.
fn accepted(probe: &Probe, of: &str, signals: &[Signal]) -> Finding {
    let mark = format!("{MARK} = {}", probe.mark);
    let at = probe.destination.verify.as_ref().map(|verify| format!(" at {}", printable(verify))).unwrap_or_default();
    let finding = if has_secrets(&probe.destination) {
        let look = format!("check that it arrived: look for {mark}{at}");
        Finding::sent(format!("{of}: {} accepted it; {look}", probe.way))
    } else {
        Finding::ok(format!("{of}: {} accepted it; it is {mark}{at}", probe.way))
    };
    finding.detail(format!("sent {} with the service name `ccrun`", names(signals)))
}

/// The cause in words.
fn cause(probe: &Probe, signals: &[Signal], reply: &Reply) -> String {
    let (way, reason, endpoint) = (&probe.way, &reply.reason, endpoint(probe));
    match reply.cause {
        Cause::Failed(Kind::Unreached) if probe.leads_home => {
            format!("the name in `{endpoint}` resolves to this machine, where nothing listens: {reason}")
        }
        Cause::Credentials if !has_secrets(&probe.destination) => {
            format!("{way} requires credentials, and the profile has none for it: {reason}")
        }
        Cause::Credentials => format!("{way} does not accept the credentials: {reason}"),
        Cause::Path => format!("there is no OTLP endpoint at `{endpoint}`: {reason}"),
        Cause::Method => format!("`{endpoint}` accepts no POST, so it is not an OTLP endpoint: {reason}"),
        Cause::Encoding => {
            let gzip = if probe.destination.gzip { " with gzip" } else { "" };
            format!("{way} does not support {}{gzip}: {reason}", probe.destination.protocol.name())
        }
        Cause::Size => format!("{way} rejects even one small record as too large: {reason}"),
        Cause::Redirect => format!("`{endpoint}` redirects: {reason}"),
        Cause::Page => format!("`{endpoint}` answers with a web page instead of OTLP: {reason}"),
        Cause::WantsTls => format!("{way} requires TLS, but the endpoint is plain text: {reason}"),
        Cause::Temporality => format!("{way} rejects delta temporality, which it is sent: {reason}"),
        Cause::Signal => format!("{way} does not support {} over gRPC: {reason}", names(signals)),
        Cause::Throttled => format!("{way} throttles requests: {reason}"),
        Cause::Fault => format!("{way} is failing: {reason}"),
        Cause::Refused => format!("{way} rejects the record: {reason}"),
        Cause::Rejected => {
            let said = if reason.is_empty() { "without a reason".to_owned() } else { reason.clone() };
            format!("{way} answered success but rejected the record: {said}")
        }
        Cause::Remarked => format!("{way} accepted it, and says: {reason}"),
        Cause::Accepted | Cause::Failed(_) | Cause::Other => reason.clone(),
    }
}

/// The fix.
fn fix(probe: &Probe, signals: &[Signal], reply: &Reply) -> String {
    let destination = &probe.destination;
    if let Some(other) = &probe.elsewhere {
        return set(destination, other);
    }
    match reply.cause {
        Cause::Failed(kind) => fix_of_failure(probe, kind),
        Cause::Credentials if !has_secrets(destination) => {
            format!("set its key in `[destination.{}.headers]`, as its documentation says", destination.name)
        }
        Cause::Credentials => credentials_fix(destination),
        Cause::Path | Cause::Method => {
            "set `endpoint` to the OTLP endpoint of its documentation: part of the path may be missing \
             (Grafana's ends in `/otlp`, Prometheus' in `/api/v1/otlp`), or the receiver may be disabled"
                .to_owned()
        }
        Cause::Encoding if destination.protocol == Protocol::HttpJson => {
            "set `protocol = \"http/protobuf\"`".to_owned()
        }
        Cause::Encoding if destination.gzip => {
            "set `compression = \"none\"`; if that does not help, `protocol = \"http/json\"`".to_owned()
        }
        Cause::Encoding => "set `protocol = \"http/json\"`, or a protocol that its documentation lists".to_owned(),
        Cause::Size => "raise the size limit of the server or its proxy: no smaller request is possible".to_owned(),
        Cause::Redirect => redirect_fix(probe, reply.target.as_deref()),
        Cause::Page => {
            "set `endpoint` to the OTLP port and path, not the web interface; if the page is a login of this \
             network, log in or ask for an exception"
                .to_owned()
        }
        Cause::WantsTls => "start `endpoint` with `https://`".to_owned(),
        Cause::Temporality => format!("set `temporality = \"cumulative\"` in `[destination.{}]`", destination.name),
        Cause::Signal => {
            format!("remove {} from the destination's `signals`, or send them to another destination", names(signals))
        }
        Cause::Throttled => "wait: the data is sent later; if this persists, raise its quota".to_owned(),
        Cause::Fault => "ask the operator of that server; data waits on disk and is sent later".to_owned(),
        Cause::Refused | Cause::Rejected | Cause::Remarked => {
            "follow its message; its documentation lists its limits".to_owned()
        }
        Cause::Accepted | Cause::Other => "follow the message; `ccrun queue status` shows what waits".to_owned(),
    }
}

fn fix_of_failure(probe: &Probe, kind: Kind) -> String {
    let destination = &probe.destination;
    let fix = match kind {
        Kind::Name => "correct the host in `endpoint`; if it is right, check the network, DNS and VPN",
        Kind::Unreached if probe.leads_home => "remove the name from /etc/hosts, or from this network's DNS filter",
        Kind::Unreached if is_here(destination) => {
            "start the server there, or correct the port in `endpoint` (usually 4317 for gRPC and 4318 for HTTP)"
        }
        Kind::Unreached => {
            "correct host and port in `endpoint` (usually 4317 for gRPC and 4318 for HTTP); if they are right, a firewall \
             blocks them, a VPN is down, or this network needs a proxy (HTTPS_PROXY)"
        }
        Kind::Silent => {
            "check that the port is right and what listens there; a session waits longer, up to the destination's \
             `timeout`"
        }
        Kind::Closed => "check that the port accepts OTLP with the protocol and scheme of `endpoint`",
        Kind::Language => "set `protocol` and the scheme of `endpoint` to what the server expects",
        Kind::Expired => "ask its operator to renew the certificate; also check this machine's clock",
        Kind::OtherName => {
            return format!(
                "use the certificate's name in `endpoint`, or set `server_name` in \
                 `[destination.{}.tls]` to it",
                destination.name
            );
        }
        Kind::UnknownAuthority => {
            return format!(
                "get the authority's certificate (PEM) from its operator or your company, and set \
                 `ca` in `[destination.{}.tls]` to its file",
                destination.name
            );
        }
        Kind::Certificate => "ask its operator to install a valid certificate",
        Kind::Identity => {
            return format!(
                "set `cert` and `key` in `[destination.{}.tls]` to a client certificate that it accepts",
                destination.name
            );
        }
        Kind::Proxy => "correct the proxy variable, or add this host to NO_PROXY if it needs no proxy",
        Kind::Other => "check the network between this machine and the server",
    };
    fix.to_owned()
}

/// What the profile should say instead.
fn set(destination: &Destination, other: &OtherEndpoint) -> String {
    let mut lines = Vec::new();
    if other.endpoint != destination.endpoint.trim_end_matches('/') {
        lines.push(format!("`endpoint = \"{}\"`", printable(&other.endpoint)));
    }
    if other.protocol != destination.protocol {
        lines.push(format!("`protocol = \"{}\"`", other.protocol.name()));
    }
    format!("set {}: this endpoint answers", lines.join(" and "))
}

fn credentials_fix(destination: &Destination) -> String {
    let sources = |(header, sources): (&String, &Vec<Source>)| {
        let names: Vec<_> = sources.iter().map(|source| printable(&source.to_string())).collect();
        format!("`{}` from {}", printable(header), names.join(", or "))
    };
    let headers = destination.headers.iter().filter(is_secret).map(sources);
    let helper = destination.headers_helper.as_ref().and_then(|helper| helper.argv.first());
    let all: Vec<_> = headers.chain(helper.map(|argv| format!("the output of `{}`", printable(argv)))).collect();
    format!(
        "check {}: the key must be of this account and region, not expired, and allowed to write",
        if all.is_empty() { "the client certificate".to_owned() } else { all.join("; ") }
    )
}

fn redirect_fix(probe: &Probe, target: Option<&str>) -> String {
    let target = target.map(|target| target.split(['?', '#']).next().unwrap_or_default()).unwrap_or_default();
    let lower = target.to_ascii_lowercase();
    if ["login", "signin", "sign-in", "sso", "saml", "oauth", "auth"].iter().any(|word| lower.contains(word)) {
        return "it is behind a login page: ask its operator for access with a key, or for an exception for OTLP"
            .to_owned();
    }
    let secure = endpoint(probe).replacen("http://", "https://", 1);
    if lower.starts_with("https://") && secure != endpoint(probe) {
        return format!("set `endpoint = \"{secure}\"`: it accepts only TLS");
    }
    "set `endpoint` to the final address: redirects are not followed, because they would pass on the key".to_owned()
}

/// Whether the destination is on this machine.
fn is_here(destination: &Destination) -> bool {
    destination.endpoint.parse::<Uri>().is_ok_and(|endpoint| is_this_machine(endpoint.host().unwrap_or_default()))
}

fn endpoint(probe: &Probe) -> String {
    printable(&probe.destination.endpoint)
}

/// Whether the destination authenticates clients by a secret.
fn has_secrets(destination: &Destination) -> bool {
    destination.headers_helper.is_some()
        || destination.tls.cert.is_some()
        || destination.headers.iter().any(|header| is_secret(&header))
}

/// Whether a header authenticates: its value comes from outside the profile, or its name is one that usually carries a
/// secret.
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
