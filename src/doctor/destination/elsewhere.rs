//! Searches for the endpoint that the profile may have meant: another protocol, scheme, path or port on the same host.
//! It sends an empty request without credentials, which are only for the profile's own endpoint.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use bytes::Bytes;
use hyper::Uri;
use hyper::header::HeaderMap;
use tokio::task::JoinSet;

use super::cause::Cause;
use super::reply::read;
use crate::client::{FailureKind, Proxies};
use crate::forward::Transport;
use crate::otlp::Signal;
use crate::profile::{Destination, Protocol};

/// Path prefixes before `/v1/SIGNAL`: those of Grafana, Prometheus, Dynatrace, `VictoriaMetrics` and Langfuse, and the
/// common one.
const PREFIXES: [&str; 7] =
    ["/otlp", "/api/v1/otlp", "/api/v2/otlp", "/opentelemetry", "/insert/opentelemetry", "/api/public/otel", ""];

/// A path that does not exist. A server that accepts it accepts every path, so its answers prove nothing.
const NOWHERE: &str = "/ccrun-doctor-asks-for-nothing";

/// An endpoint that answers, as a profile would name it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) struct OtherEndpoint {
    /// The value for `endpoint`.
    pub endpoint: String,
    /// The value for `protocol`.
    pub protocol: Protocol,
}

/// Searches for an endpoint that answers in place of a failing destination. Each candidate gets `patience`; all are
/// tried at once.
pub(super) async fn find(
    destination: &Destination,
    cause: Cause,
    proxies: &Proxies,
    patience: Duration,
) -> Option<OtherEndpoint> {
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
            let nowhere = vec![OtherEndpoint { endpoint: on(&endpoint, NOWHERE), protocol: other.protocol }];
            let proves_nothing = first(&quick, proxies, nowhere).await.is_some();
            Some(other).filter(|_| !proves_nothing)
        }
        _ => None,
    }
}

/// OTLP's two ports are usually neighbours.
fn other_port(endpoint: &Uri) -> Option<Vec<OtherEndpoint>> {
    let (port, protocol) = match endpoint.port_u16()? {
        4317 => (4318, Protocol::HttpProtobuf),
        4318 => (4317, Protocol::Grpc),
        _ => return None,
    };
    let (scheme, host) = (endpoint.scheme_str()?, endpoint.host()?);
    Some(vec![OtherEndpoint { endpoint: format!("{scheme}://{host}:{port}"), protocol }])
}

fn other_languages(endpoint: &Uri, protocol: Protocol) -> Vec<OtherEndpoint> {
    let same = endpoint.to_string().trim_end_matches('/').to_owned();
    let other_scheme = match same.split_once("://") {
        Some(("https", rest)) => format!("http://{rest}"),
        Some((_, rest)) => format!("https://{rest}"),
        None => return Vec::new(),
    };
    let other = if protocol == Protocol::Grpc { Protocol::HttpProtobuf } else { Protocol::Grpc };
    let all = [(&same, other), (&other_scheme, protocol), (&other_scheme, other)];
    all.map(|(endpoint, protocol)| OtherEndpoint { endpoint: endpoint.clone(), protocol }).into()
}

fn other_paths(endpoint: &Uri, protocol: Protocol) -> Vec<OtherEndpoint> {
    let path = endpoint.path().trim_end_matches('/');
    let protocol = if protocol == Protocol::Grpc { Protocol::HttpProtobuf } else { protocol };
    // The part of the path that was appended twice.
    let cut = path
        .strip_suffix("/v1")
        .or_else(|| Signal::ALL.into_iter().find_map(|signal| path.strip_suffix(signal.http_path())));
    let longer = PREFIXES.iter().map(|prefix| format!("{path}{prefix}"));
    let instead = PREFIXES.iter().map(|prefix| (*prefix).to_owned());
    let paths = cut.map(str::to_owned).into_iter().chain(longer).chain(instead);
    let mut found: Vec<OtherEndpoint> = Vec::new();
    for other in
        paths.filter(|other| other != path).map(|path| OtherEndpoint { endpoint: on(endpoint, &path), protocol })
    {
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

/// The first candidate that answers like an OTLP endpoint.
async fn first(destination: &Destination, proxies: &Proxies, candidates: Vec<OtherEndpoint>) -> Option<OtherEndpoint> {
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
    // Stop waiting when no better candidate can still answer.
    while unheard.first().is_some_and(|first| *first < best)
        && let Some(Ok((number, is_otlp))) = asking.join_next().await
    {
        unheard.remove(&number);
        best = if is_otlp { best.min(number) } else { best };
    }
    candidates.into_iter().nth(best)
}

/// Whether the answer is from an OTLP endpoint, possibly one whose TLS must be checked first.
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

    fn endpoints(found: Vec<OtherEndpoint>) -> Vec<(String, &'static str)> {
        found.into_iter().map(|other| (other.endpoint, other.protocol.name())).collect()
    }

    #[test]
    fn the_other_otlp_port_is_tried() {
        let port = |endpoint: &str| other_port(&endpoint.parse().unwrap()).map(endpoints);
        assert_eq!(port("http://h:4317").unwrap(), [("http://h:4318".to_owned(), "http/protobuf")]);
        assert_eq!(port("http://[::1]:4318/x").unwrap(), [("http://[::1]:4317".to_owned(), "grpc")]);
        assert_eq!(port("http://h:443"), None);
        assert_eq!(port("https://h"), None);
    }

    #[test]
    fn the_other_protocol_is_tried_before_the_other_scheme() {
        let found = endpoints(other_languages(&"http://h:4317/".parse().unwrap(), Protocol::HttpProtobuf));
        let expected = [("http://h:4317", "grpc"), ("https://h:4317", "http/protobuf"), ("https://h:4317", "grpc")];
        assert_eq!(found, expected.map(|(endpoint, protocol)| (endpoint.to_owned(), protocol)));
    }

    #[test]
    fn a_path_is_extended_shortened_or_replaced() {
        let paths = |endpoint: &str| endpoints(other_paths(&endpoint.parse().unwrap(), Protocol::HttpProtobuf));
        let of_grafana = paths("https://g.example");
        assert_eq!(of_grafana[0].0, "https://g.example/otlp");
        assert!(of_grafana.iter().all(|(endpoint, _)| endpoint != "https://g.example"));
        assert_eq!(paths("http://h:1/v1")[0].0, "http://h:1");
        assert_eq!(paths("http://h:1/otlp/v1/logs")[0].0, "http://h:1/otlp");
        assert!(paths("http://h:1/otlp").contains(&("http://h:1/api/v1/otlp".to_owned(), "http/protobuf")));
    }
}
