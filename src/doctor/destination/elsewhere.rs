//! What the profile may have meant: what answers at the same host to another protocol, scheme, path or port. Asked with
//! an empty request, and without credentials: they are for the profile's endpoint alone.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderMap;
use tokio::task::JoinSet;

use super::ask::read;
use super::cause::Cause;
use crate::client::{FailureKind, Proxies};
use crate::forward::Transport;
use crate::otlp::Signal;
use crate::profile::{Destination, Protocol};

/// What stands between a host and `/v1/SIGNAL`: Grafana's, Prometheus', Dynatrace's, those of `VictoriaMetrics`,
/// Langfuse's, and what most have.
const PREFIXES: [&str; 7] =
    ["/otlp", "/api/v1/otlp", "/api/v2/otlp", "/opentelemetry", "/insert/opentelemetry", "/api/public/otel", ""];

/// A path that nobody has: who answers there answers everywhere, and proves nothing by it.
const NOWHERE: &str = "/ccrun-doctor-asks-for-nothing";

/// What answers, in the words of a profile.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct Elsewhere {
    /// As `endpoint` would say it.
    pub endpoint: String,
    /// As `protocol` would.
    pub protocol: Protocol,
}

/// Finds what answers in the place of a destination that is in trouble. Each candidate has `patience`; all are asked at
/// once.
pub(super) async fn find(
    destination: &Destination,
    cause: Cause,
    proxies: &Proxies,
    patience: Duration,
) -> Option<Elsewhere> {
    let quick =
        Destination { headers: BTreeMap::new(), headers_helper: None, timeout: patience, ..destination.clone() };
    let endpoint: Uri = destination.endpoint.parse().ok()?;
    match cause {
        Cause::Failed(FailureKind::Unreached) => first(&quick, proxies, other_port(&endpoint)?).await,
        Cause::Failed(FailureKind::Language | FailureKind::Closed | FailureKind::Silent) | Cause::WantsTls => {
            first(&quick, proxies, other_languages(&endpoint, destination.protocol)).await
        }
        Cause::Path | Cause::Method | Cause::Page | Cause::Signal => {
            let other = first(&quick, proxies, other_paths(&endpoint, destination.protocol)).await?;
            let nowhere = vec![Elsewhere { endpoint: on(&endpoint, NOWHERE), protocol: other.protocol }];
            let proves_nothing = first(&quick, proxies, nowhere).await.is_some();
            Some(other).filter(|_| !proves_nothing)
        }
        _ => None,
    }
}

/// OTLP's two ports stand beside each other on most machines that have one.
fn other_port(endpoint: &Uri) -> Option<Vec<Elsewhere>> {
    let (port, protocol) = match endpoint.port_u16()? {
        4317 => (4318, Protocol::HttpProtobuf),
        4318 => (4317, Protocol::Grpc),
        _ => return None,
    };
    let (scheme, host) = (endpoint.scheme_str()?, endpoint.host()?);
    Some(vec![Elsewhere { endpoint: format!("{scheme}://{host}:{port}"), protocol }])
}

fn other_languages(endpoint: &Uri, protocol: Protocol) -> Vec<Elsewhere> {
    let same = endpoint.to_string().trim_end_matches('/').to_owned();
    let other_scheme = match same.split_once("://") {
        Some(("https", rest)) => format!("http://{rest}"),
        Some((_, rest)) => format!("https://{rest}"),
        None => return Vec::new(),
    };
    let other = if protocol == Protocol::Grpc { Protocol::HttpProtobuf } else { Protocol::Grpc };
    let all = [(&same, other), (&other_scheme, protocol), (&other_scheme, other)];
    all.map(|(endpoint, protocol)| Elsewhere { endpoint: endpoint.clone(), protocol }).into()
}

fn other_paths(endpoint: &Uri, protocol: Protocol) -> Vec<Elsewhere> {
    let path = endpoint.path().trim_end_matches('/');
    let protocol = if protocol == Protocol::Grpc { Protocol::HttpProtobuf } else { protocol };
    // What `/v1/SIGNAL` is put behind once more.
    let cut = path
        .strip_suffix("/v1")
        .or_else(|| Signal::ALL.into_iter().find_map(|signal| path.strip_suffix(signal.http_path())));
    let longer = PREFIXES.iter().map(|prefix| format!("{path}{prefix}"));
    let instead = PREFIXES.iter().map(|prefix| (*prefix).to_owned());
    let paths = cut.map(str::to_owned).into_iter().chain(longer).chain(instead);
    let mut found: Vec<Elsewhere> = Vec::new();
    for other in paths.filter(|other| other != path).map(|path| Elsewhere { endpoint: on(endpoint, &path), protocol }) {
        if !found.contains(&other) {
            found.push(other);
        }
    }
    found
}

/// The same scheme, host and port with another path.
fn on(endpoint: &Uri, path: &str) -> String {
    let authority = endpoint.authority().map_or("", |authority| authority.as_str());
    format!("{}://{authority}{path}", endpoint.scheme_str().unwrap_or("https"))
}

/// The first of some that answers as OTLP does.
async fn first(destination: &Destination, proxies: &Proxies, candidates: Vec<Elsewhere>) -> Option<Elsewhere> {
    let signal = destination.signals.first().copied().unwrap_or(Signal::Logs);
    let mut asking = JoinSet::new();
    let mut unheard: BTreeSet<_> = (0..candidates.len()).collect();
    for (number, candidate) in candidates.iter().enumerate() {
        let (endpoint, protocol) = (candidate.endpoint.clone(), candidate.protocol);
        let transport = Transport::new(&Destination { endpoint, protocol, ..destination.clone() });
        let Ok(transport) = transport.map(|transport| transport.through(proxies)) else { continue };
        asking.spawn(async move {
            let reply = read(transport.ask(signal, Bytes::new(), &HeaderMap::new()).await);
            (number, is_otlp(reply.cause))
        });
    }
    let mut best = candidates.len();
    // No longer than until nobody who comes before the best can answer any more.
    while unheard.first().is_some_and(|first| *first < best)
        && let Some(Ok((number, is_otlp))) = asking.join_next().await
    {
        unheard.remove(&number);
        best = if is_otlp { best.min(number) } else { best };
    }
    candidates.into_iter().nth(best)
}

/// Whether an answer is one of somebody who takes OTLP, be it from others, or of somebody whose TLS wants a look first.
fn is_otlp(cause: Cause) -> bool {
    use FailureKind as Kind;
    matches!(
        cause,
        Cause::Accepted
            | Cause::Remarked
            | Cause::Rejected
            | Cause::Credentials
            | Cause::Refused
            | Cause::Temporality
            | Cause::Throttled
            | Cause::Failed(
                Kind::Expired | Kind::OtherName | Kind::UnknownAuthority | Kind::Certificate | Kind::Identity
            )
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn endpoints(found: Vec<Elsewhere>) -> Vec<(String, &'static str)> {
        found.into_iter().map(|other| (other.endpoint, other.protocol.name())).collect()
    }

    #[test]
    fn the_other_of_the_two_ports_is_asked() {
        let port = |endpoint: &str| other_port(&endpoint.parse().unwrap()).map(endpoints);
        assert_eq!(port("http://h:4317").unwrap(), [("http://h:4318".to_owned(), "http/protobuf")]);
        assert_eq!(port("http://[::1]:4318/x").unwrap(), [("http://[::1]:4317".to_owned(), "grpc")]);
        assert_eq!(port("http://h:443"), None);
        assert_eq!(port("https://h"), None);
    }

    #[test]
    fn the_other_protocol_is_asked_before_the_other_scheme() {
        let found = endpoints(other_languages(&"http://h:4317/".parse().unwrap(), Protocol::HttpProtobuf));
        let expected = [("http://h:4317", "grpc"), ("https://h:4317", "http/protobuf"), ("https://h:4317", "grpc")];
        assert_eq!(found, expected.map(|(endpoint, protocol)| (endpoint.to_owned(), protocol)));
    }

    #[test]
    fn a_path_is_made_longer_or_shorter_or_another() {
        let paths = |endpoint: &str| endpoints(other_paths(&endpoint.parse().unwrap(), Protocol::HttpProtobuf));
        let of_grafana = paths("https://g.example");
        assert_eq!(of_grafana[0].0, "https://g.example/otlp");
        assert!(of_grafana.iter().all(|(endpoint, _)| endpoint != "https://g.example"));
        assert_eq!(paths("http://h:1/v1")[0].0, "http://h:1");
        assert_eq!(paths("http://h:1/otlp/v1/logs")[0].0, "http://h:1/otlp");
        assert!(paths("http://h:1/otlp").contains(&("http://h:1/api/v1/otlp".to_owned(), "http/protobuf")));
    }
}
