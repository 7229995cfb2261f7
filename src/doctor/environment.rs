//! What the environment, or a settings file of Claude Code's, says of telemetry and should not.
//!
//! A launch by `ccrun` says everything anew. What is found here is what somebody meant and will not get, what breaks a
//! Claude Code that `ccrun` does not start, and what breaks other programs on the way to a collector.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use hyper::Uri;

use super::names::{self, Named};
use super::{Check, Finding, Group, Subject};
use crate::environment;
use crate::profile::{INHERITED, is_this_machine};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "environment.typo", group: Group::Environment, look: typo },
    Check { id: "environment.stray", group: Group::Environment, look: stray },
    Check { id: "environment.protocol", group: Group::Environment, look: protocol },
    Check { id: "environment.port", group: Group::Environment, look: port },
    Check { id: "environment.console", group: Group::Environment, look: console },
    Check { id: "environment.proxy", group: Group::Environment, look: proxy },
    Check { id: "environment.stale", group: Group::Environment, look: stale },
    Check { id: "environment.clean", group: Group::Environment, look: clean },
];

/// How long a connection to this machine may take.
const CONNECT: Duration = Duration::from_millis(300);

/// What a protocol may be called.
const PROTOCOLS: [&str; 3] = ["grpc", "http/json", "http/protobuf"];

/// All variables that have a value, wherever they are named.
fn all(subject: &Subject) -> Vec<Named> {
    let named = names::around(subject).into_iter().chain(names::of_settings(subject));
    named.filter(|named| !named.value.trim().is_empty()).collect()
}

fn typo(subject: &Subject) -> Vec<Finding> {
    let mistyped = |named: Named| {
        let meant = names::meant(&named.name)?;
        let finding = Finding::warning(format!("{} in {} means nothing to anybody", named.name, named.place));
        Some(finding.fix(format!("did you mean {meant}?")))
    };
    all(subject).into_iter().filter_map(mistyped).collect()
}

/// Whether a variable says where telemetry goes, or that it goes nowhere.
fn directs(name: &str) -> bool {
    let is_otlp = name.starts_with("OTEL_EXPORTER_OTLP_");
    let parts = ["_ENDPOINT", "_HEADERS"];
    (is_otlp && parts.iter().any(|part| name.ends_with(part))) || name == "OTEL_SDK_DISABLED"
}

/// Somebody has set up telemetry, and chose a profile that says otherwise.
fn stray(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning().filter(|profile| profile.name != INHERITED) else { return Vec::new() };
    let names: Vec<_> =
        names::around(subject).into_iter().map(|named| named.name).filter(|name| directs(name)).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let (names, profile) = (names.join(", "), &profile.name);
    let what =
        format!("{names} in the environment: the profile `{profile}` says where telemetry goes, and that is not heard");
    vec![Finding::warning(what).fix("unset it; or `ccrun profile new NAME --from-env` makes a profile of it")]
}

fn protocol(subject: &Subject) -> Vec<Finding> {
    let is_protocol = |name: &str| name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with("PROTOCOL");
    let wrong =
        all(subject).into_iter().filter(|named| is_protocol(&named.name) && !PROTOCOLS.contains(&named.value.trim()));
    let finding = |Named { name, value, place }: Named| {
        let what = format!("{name} in {place} is `{value}`, which is no protocol");
        let finding = Finding::warning(format!("{what}: a Claude Code that ccrun does not start sends nothing"));
        finding.fix("say `http/protobuf` (port 4318, usually) or `grpc` (4317), or leave it to the profile")
    };
    wrong.map(finding).collect()
}

/// By custom 4317 is gRPC's port and 4318 that of HTTP.
fn port(subject: &Subject) -> Vec<Finding> {
    let named = all(subject);
    let mut found = Vec::new();
    for signal in names::scopes() {
        let endpoint_name = names::variable(signal, "ENDPOINT");
        for endpoint in named.iter().filter(|named| named.name == endpoint_name) {
            // What stands beside it counts before what stands elsewhere.
            let of_scope = |scope| {
                let name = names::variable(scope, "PROTOCOL");
                let mut all = named.iter().filter(move |named| named.name == name);
                all.clone().find(|named| same_file(&named.place, &endpoint.place)).or_else(|| all.next())
            };
            let Some(protocol) = of_scope(signal).or_else(|| of_scope(None)) else { continue };
            if let Some((spoken, custom, other)) = crossed(&endpoint.value, protocol.value.trim()) {
                let what = format!(
                    "{endpoint_name} in {} is spoken to as {spoken}, and its port is {custom}'s",
                    endpoint.place
                );
                let finding = Finding::warning(what).detail(format!("{} in {} says so", protocol.name, protocol.place));
                found.push(finding.fix(format!("port {other}, or the other protocol")));
            }
        }
    }
    found
}

/// What is spoken, whose port that is, and the port that belongs to what is spoken; nothing where they agree.
pub(super) fn crossed(endpoint: &str, protocol: &str) -> Option<(&'static str, &'static str, u16)> {
    let port = endpoint.trim().parse::<Uri>().ok()?.port_u16()?;
    match (port, protocol) {
        (4317, "http/protobuf" | "http/json") => Some(("HTTP", "gRPC", 4318)),
        (4318, "grpc") => Some(("gRPC", "HTTP", 4317)),
        _ => None,
    }
}

/// Whether two places are in one file.
fn same_file(one: &str, other: &str) -> bool {
    let file = |place: &str| place.rsplit_once(':').map_or(place, |(file, _)| file).to_owned();
    file(one) == file(other)
}

fn console(subject: &Subject) -> Vec<Finding> {
    let is_console = |named: &Named| {
        let is_exporter =
            ["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"].contains(&&*named.name);
        is_exporter && named.value.split(',').any(|exporter| exporter.trim() == "console")
    };
    let finding = |Named { name, place, .. }: Named| {
        let what = format!("{name} in {place} has the `console` exporter, which writes over Claude Code's screen");
        Finding::warning(what).fix("`otlp` instead, or leave it to the profile")
    };
    all(subject).into_iter().filter(is_console).map(finding).collect()
}

/// Claude Code itself takes no proxy for this machine; what else speaks OTLP may.
fn proxy(subject: &Subject) -> Vec<Finding> {
    let value = |name: &str| subject.setting.variable(name);
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let Some(name) = proxies.into_iter().find(|name| value(name).is_some()) else { return Vec::new() };
    let exempt = ["NO_PROXY", "no_proxy"].into_iter().filter_map(value).collect::<Vec<_>>().join(",");
    let covers = |entry: &str| entry == "*" || entry.starts_with("127.") || entry == "127";
    if exempt.split([',', ' ']).any(|entry| covers(entry.trim())) {
        return Vec::new();
    }
    let what = format!("{name} would catch what is sent to 127.0.0.1, which NO_PROXY does not except");
    let finding =
        Finding::warning(what).detail("Claude Code passes by it; other programs hand the proxy their telemetry");
    vec![finding.fix("NO_PROXY=localhost,127.0.0.1,::1, with what is there already")]
}

/// An endpoint on this machine at which nobody listens: a session's that has ended, or a collector's that is down.
fn stale(subject: &Subject) -> Vec<Finding> {
    let is_ours = environment::is_of_a_session(&subject.setting.variables);
    let named: Vec<_> = if is_ours {
        let value = subject.setting.variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").cloned().unwrap_or_default();
        let (name, place) = ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "the environment".to_owned());
        vec![Named { name, value, place }]
    } else {
        let is_endpoint =
            |named: &Named| named.name.starts_with("OTEL_EXPORTER_OTLP_") && named.name.ends_with("ENDPOINT");
        all(subject).into_iter().filter(is_endpoint).collect()
    };
    named.into_iter().filter_map(|named| unheard(&named, is_ours)).collect()
}

fn unheard(named: &Named, is_ours: bool) -> Option<Finding> {
    let url = named.value.trim().parse::<Uri>().ok().filter(|url| url.host().is_some_and(is_this_machine))?;
    let (host, port) = (url.host()?.trim_matches(['[', ']']), url.port_u16()?);
    let mut addresses = (host, port).to_socket_addrs().ok()?;
    if addresses.any(|address| TcpStream::connect_timeout(&address, CONNECT).is_ok()) {
        return None;
    }
    let Named { name, place, .. } = named;
    let finding = if is_ours {
        Finding::warning(format!(
            "{name} in {place} is that of a session of ccrun's which has ended: what uses it is lost"
        ))
        .fix("open a new terminal, or unset OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and CCRUN_SESSION")
    } else {
        Finding::warning(format!("nobody listens at {host}:{port}, which {name} in {place} names"))
            .fix("start what should listen there, or take the variable out and leave it to the profile")
    };
    Some(finding)
}

/// Where there is nothing to say, that is said.
fn clean(subject: &Subject) -> Vec<Finding> {
    let others = [typo, stray, protocol, port, console, proxy];
    if others.iter().any(|look| !look(subject).is_empty()) {
        return Vec::new();
    }
    vec![Finding::ok("nothing in the environment stands in the way")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ports_and_protocols_cross() {
        assert_eq!(crossed("http://h:4317", "http/protobuf"), Some(("HTTP", "gRPC", 4318)));
        assert_eq!(crossed("http://h:4318/", "grpc"), Some(("gRPC", "HTTP", 4317)));
        for (endpoint, protocol) in [("http://h:4318", "http/json"), ("http://h:4317", "grpc"), ("https://h", "grpc")] {
            assert_eq!(crossed(endpoint, protocol), None);
        }
    }
}
