//! Checks telemetry variables in the environment and in Claude Code's settings files.
//!
//! A launch by `ccrun` sets every variable explicitly. These findings are about settings that have no effect, that
//! break a Claude Code which `ccrun` does not start, or that keep other programs from reaching a collector.

use std::net::{TcpStream, ToSocketAddrs};
use std::time::Duration;

use hyper::Uri;

use super::names::{self, Named, Place};
use super::{Check, Finding, Group, Subject};
use crate::client::is_this_machine;
use crate::environment;
use crate::profile::INHERITED;

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

/// Time limit for a connection to this machine.
const CONNECT: Duration = Duration::from_millis(300);

/// The valid protocol names.
const PROTOCOLS: [&str; 3] = ["grpc", "http/json", "http/protobuf"];

/// All variables that have a value, from all places.
fn all(subject: &Subject) -> Vec<Named> {
    let named = names::around(subject).into_iter().chain(names::of_settings(subject));
    named.filter(|named| !named.value.trim().is_empty()).collect()
}

fn typo(subject: &Subject) -> Vec<Finding> {
    let mistyped = |named: Named| {
        let meant = names::meant(&named.name)?;
        let finding = Finding::warning(format!("{} in {} is not a known variable", named.name, named.place));
        Some(finding.fix(format!("did you mean {meant}?")))
    };
    all(subject).into_iter().filter_map(mistyped).collect()
}

/// Whether a variable sets where telemetry goes, or that it goes nowhere.
fn directs(name: &str) -> bool {
    let is_otlp = name.starts_with("OTEL_EXPORTER_OTLP_");
    let parts = ["_ENDPOINT", "_HEADERS"];
    (is_otlp && parts.iter().any(|part| name.ends_with(part))) || name == "OTEL_SDK_DISABLED"
}

/// Telemetry is configured by hand, but the chosen profile overrides it.
fn stray(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning().filter(|profile| profile.name != INHERITED) else { return Vec::new() };
    let names: Vec<_> =
        names::around(subject).into_iter().map(|named| named.name).filter(|name| directs(name)).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let (names, profile) = (names.join(", "), &profile.name);
    let what =
        format!("{names} in the environment has no effect: the profile `{profile}` decides where telemetry goes");
    vec![Finding::warning(what).fix("unset it, or turn it into a profile with `ccrun profile new NAME --from-env`")]
}

fn protocol(subject: &Subject) -> Vec<Finding> {
    let is_protocol = |name: &str| name.starts_with("OTEL_EXPORTER_OTLP_") && name.ends_with("PROTOCOL");
    let wrong =
        all(subject).into_iter().filter(|named| is_protocol(&named.name) && !PROTOCOLS.contains(&named.value.trim()));
    let finding = |Named { name, value, place }: Named| {
        let what = format!("{name} in {place} is `{value}`, which is not a protocol");
        let finding = Finding::warning(format!("{what}: without ccrun, Claude Code sends nothing"));
        finding.fix("set it to `http/protobuf` (usually port 4318) or `grpc` (4317), or leave it to the profile")
    };
    wrong.map(finding).collect()
}

/// By convention, 4317 is the port of gRPC and 4318 that of HTTP.
fn port(subject: &Subject) -> Vec<Finding> {
    let named = all(subject);
    let mut found = Vec::new();
    for signal in names::scopes() {
        let endpoint_name = names::variable(signal, "ENDPOINT");
        for endpoint in named.iter().filter(|named| named.name == endpoint_name) {
            // A variable in the same place takes precedence.
            let of_scope = |scope| {
                let name = names::variable(scope, "PROTOCOL");
                let mut all = named.iter().filter(move |named| named.name == name);
                all.clone().find(|named| named.place.is_beside(&endpoint.place)).or_else(|| all.next())
            };
            let Some(protocol) = of_scope(signal).or_else(|| of_scope(None)) else { continue };
            if let Some((spoken, custom, other)) = crossed(&endpoint.value, protocol.value.trim()) {
                let what = format!(
                    "{endpoint_name} in {} is used with {spoken}, but its port is usually {custom}'s",
                    endpoint.place
                );
                let finding = Finding::warning(what)
                    .detail(format!("the protocol is set by {} in {}", protocol.name, protocol.place));
                found.push(finding.fix(format!("use port {other}, or the other protocol")));
            }
        }
    }
    found
}

/// The protocol in use, the protocol whose port it is, and the usual port of the protocol in use. `None` if they agree.
pub(super) fn crossed(endpoint: &str, protocol: &str) -> Option<(&'static str, &'static str, u16)> {
    let port = endpoint.trim().parse::<Uri>().ok()?.port_u16()?;
    match (port, protocol) {
        (4317, "http/protobuf" | "http/json") => Some(("HTTP", "gRPC", 4318)),
        (4318, "grpc") => Some(("gRPC", "HTTP", 4317)),
        _ => None,
    }
}

fn console(subject: &Subject) -> Vec<Finding> {
    let is_console = |named: &Named| {
        let is_exporter =
            ["OTEL_METRICS_EXPORTER", "OTEL_LOGS_EXPORTER", "OTEL_TRACES_EXPORTER"].contains(&&*named.name);
        is_exporter && named.value.split(',').any(|exporter| exporter.trim() == "console")
    };
    let finding = |Named { name, place, .. }: Named| {
        let what = format!("{name} in {place} selects the `console` exporter, which writes over Claude Code's screen");
        Finding::warning(what).fix("use `otlp`, or leave it to the profile")
    };
    all(subject).into_iter().filter(is_console).map(finding).collect()
}

/// Claude Code never uses a proxy for this machine, but other OTLP programs may.
fn proxy(subject: &Subject) -> Vec<Finding> {
    let value = |name: &str| subject.workspace.variable(name);
    let proxies = ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
    let Some(name) = proxies.into_iter().find(|name| value(name).is_some()) else { return Vec::new() };
    let exempt = ["NO_PROXY", "no_proxy"].into_iter().filter_map(value).collect::<Vec<_>>().join(",");
    let covers = |entry: &str| entry == "*" || entry.starts_with("127.") || entry == "127";
    if exempt.split([',', ' ']).any(|entry| covers(entry.trim())) {
        return Vec::new();
    }
    let what = format!("{name} also applies to 127.0.0.1, because NO_PROXY does not exclude it");
    let finding =
        Finding::warning(what).detail("Claude Code ignores it here; other programs send their telemetry to the proxy");
    vec![finding.fix("add localhost,127.0.0.1,::1 to NO_PROXY")]
}

/// An endpoint on this machine where nothing listens: that of an ended session, or a collector that is down.
fn stale(subject: &Subject) -> Vec<Finding> {
    let is_ours = environment::is_of_a_session(&subject.workspace.variables);
    let named: Vec<_> = if is_ours {
        let value = subject.workspace.variables.get("OTEL_EXPORTER_OTLP_ENDPOINT").cloned().unwrap_or_default();
        let (name, place) = ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), Place::Environment);
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
            "{name} in {place} is the endpoint of a ccrun session that has ended: what is sent there is lost"
        ))
        .fix("open a new terminal, or unset OTEL_EXPORTER_OTLP_ENDPOINT, OTEL_EXPORTER_OTLP_HEADERS and CCRUN_SESSION")
    } else {
        Finding::warning(format!("nothing listens at {host}:{port}, the value of {name} in {place}"))
            .fix("start the server there, or remove the variable and leave it to the profile")
    };
    Some(finding)
}

/// Reports that there is nothing to report.
fn clean(subject: &Subject) -> Vec<Finding> {
    let others = [typo, stray, protocol, port, console, proxy];
    if others.iter().any(|look| !look(subject).is_empty()) {
        return Vec::new();
    }
    vec![Finding::ok("no variable in the environment interferes")]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn swapped_ports_and_protocols_are_found() {
        assert_eq!(crossed("http://h:4317", "http/protobuf"), Some(("HTTP", "gRPC", 4318)));
        assert_eq!(crossed("http://h:4318/", "grpc"), Some(("gRPC", "HTTP", 4317)));
        for (endpoint, protocol) in [("http://h:4318", "http/json"), ("http://h:4317", "grpc"), ("https://h", "grpc")] {
            assert_eq!(crossed(endpoint, protocol), None);
        }
    }
}
