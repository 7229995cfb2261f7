//! The environment of a program that exports by itself, without a collector: endpoint and headers as its exporter reads
//! them. What cannot be said that way is an error, for it would be lost in silence.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Changes, MAXIMUM_VALUE, SAID, exporter_variable, leftovers, resource};
use crate::otlp::Signal;
use crate::profile::{Destination, Profile, Protocol, Temporality};

/// Variables that Claude Code takes certificates from over http; over gRPC they have names of their own.
const HTTP_CERTIFICATES: [&str; 3] = ["NODE_EXTRA_CA_CERTS", "CLAUDE_CODE_CLIENT_CERT", "CLAUDE_CODE_CLIENT_KEY"];

/// The same over gRPC.
const GRPC_CERTIFICATES: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// Telemetry on, straight to the profile's one destination with these headers. Without a destination it is off.
///
/// Errors go on from `without a collector `.
pub fn direct(
    profile: &Profile,
    headers: &BTreeMap<String, String>,
    inherited: &BTreeMap<String, String>,
) -> Result<Changes, String> {
    let Some(destination) = only_destination(profile)? else { return Ok(super::off(inherited)) };
    check(profile, destination, inherited)?;
    let mut set = BTreeMap::from([("CLAUDE_CODE_ENABLE_TELEMETRY".to_owned(), super::flag(true))]);
    let mut put = |name: &str, value: String| drop(set.insert(name.to_owned(), value));
    for (name, _, value) in SAID {
        put(name, value(profile));
    }
    for signal in Signal::ALL.into_iter().filter(|signal| !destination.signals.contains(signal)) {
        put(&exporter_variable(signal), "none".to_owned());
    }
    // Totals of this one process: those of all sessions are the collector's.
    let temporality = match destination.temporality {
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    };
    put("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality.to_owned());
    put("OTEL_EXPORTER_OTLP_PROTOCOL", destination.protocol.name().to_owned());
    put("OTEL_EXPORTER_OTLP_ENDPOINT", destination.endpoint.clone());
    for signal in destination.signals.iter().filter(|signal| signal.is_path_of(&destination.endpoint)) {
        // The general one gets `/v1/<signal>` appended, this one not.
        put(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name().to_uppercase()), destination.endpoint.clone());
    }
    put("OTEL_EXPORTER_OTLP_COMPRESSION", if destination.gzip { "gzip" } else { "none" }.to_owned());
    put("OTEL_EXPORTER_OTLP_TIMEOUT", destination.timeout.as_millis().to_string());
    if !headers.is_empty() {
        put("OTEL_EXPORTER_OTLP_HEADERS", header_list(headers, destination.protocol)?);
    }
    set.extend(certificates(destination));
    set.extend(resource(profile, inherited));
    let mut removed = leftovers(inherited, &set);
    removed.insert(super::SESSION.to_owned());
    Ok(Changes { set, removed })
}

/// The one destination of a profile that does without a collector, if it has any.
pub fn only_destination(profile: &Profile) -> Result<Option<&Destination>, String> {
    match profile.destinations.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => {
            let names: Vec<_> = several.iter().map(|destination| format!("`{}`", destination.name)).collect();
            Err(format!(
                "a program exports to one destination, and this profile has {}: what is for the others would be lost",
                names.join(", ")
            ))
        }
    }
}

/// What only a collector does.
fn check(profile: &Profile, destination: &Destination, inherited: &BTreeMap<String, String>) -> Result<(), String> {
    if !profile.redact.drop.is_empty() || !profile.redact.hash.is_empty() {
        return Err("nothing is redacted: what `[redact]` names would be sent as it is".to_owned());
    }
    if profile.collector.accept.is_some() {
        return Err("nobody chooses who is heard: `collector.accept` would do nothing".to_owned());
    }
    if let Some(name) = &destination.tls.server_name {
        return Err(format!("a program checks the endpoint's own name: `tls.server_name` ({name}) would do nothing"));
    }
    let too_long = profile.resource.iter().find(|(_, value)| value.chars().count() > MAXIMUM_VALUE);
    if let Some((key, _)) = too_long {
        return Err(format!(
            "the resource attribute `{key}` would be lost: it has more than {MAXIMUM_VALUE} characters"
        ));
    }
    let other = certificates(destination)
        .into_iter()
        .find(|(name, path)| inherited.get(name).is_some_and(|inherited| !inherited.is_empty() && inherited != path));
    other.map_or(Ok(()), |(name, _)| {
        Err(format!("the destination's certificates go into `{name}`, which is set to another file already"))
    })
}

fn certificates(destination: &Destination) -> BTreeMap<String, String> {
    let names = if destination.protocol == Protocol::Grpc { GRPC_CERTIFICATES } else { HTTP_CERTIFICATES };
    let tls = &destination.tls;
    let pairs = names.into_iter().zip([&tls.ca, &tls.cert, &tls.key]);
    pairs.filter_map(|(name, file)| Some((name.to_owned(), file.as_ref()?.display().to_string()))).collect()
}

/// Headers as Claude Code reads them: over http the list is split at commas and each entry at its first `=`, trimmed
/// and taken as it is; over gRPC values are percent-decoded.
fn header_list(headers: &BTreeMap<String, String>, protocol: Protocol) -> Result<String, String> {
    let entry = |(name, value): (&String, &String)| {
        if protocol == Protocol::Grpc {
            return Ok(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        if value.contains(',') || value.trim() != value {
            return Err(format!(
                "the header `{name}` cannot be carried: over http a value in the environment holds no comma, and no \
                 space at its ends"
            ));
        }
        Ok(format!("{name}={value}"))
    };
    headers.iter().map(entry).collect::<Result<Vec<_>, _>>().map(|entries| entries.join(","))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn headers(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    #[test]
    fn headers_are_written_as_the_client_reads_them() {
        let plain = headers(&[("authorization", "Bearer a b=c%20"), ("x-key", "1")]);
        let over_http = header_list(&plain, Protocol::HttpProtobuf).unwrap();
        assert_eq!(over_http, "authorization=Bearer a b=c%20,x-key=1");
        let over_grpc = header_list(&headers(&[("x-key", "a, b=%é")]), Protocol::Grpc).unwrap();
        assert_eq!(over_grpc, "x-key=a%2C%20b%3D%25%C3%A9");
        for bad in ["a,b", " a", "a "] {
            let error = header_list(&headers(&[("x-key", bad)]), Protocol::HttpJson).unwrap_err();
            assert!(error.starts_with("the header `x-key` cannot be carried") && !error.contains("a,b"), "{error}");
        }
    }
}
