//! The environment of a program that exports by itself, without a collector: endpoint and headers in the form that its
//! exporter reads. What cannot be expressed is an error, because it would be lost silently.

use std::collections::BTreeMap;

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};

use super::{Changes, MAXIMUM_VALUE, SAID, exporter_variable, identity, leftovers};
use crate::otlp::Signal;
use crate::profile::{Destination, Profile, Protocol, Temporality};

/// Variables for certificates that Claude Code reads over HTTP. gRPC has its own.
const HTTP_CERTIFICATES: [&str; 3] = ["NODE_EXTRA_CA_CERTS", "CLAUDE_CODE_CLIENT_CERT", "CLAUDE_CODE_CLIENT_KEY"];

/// The same over gRPC.
const GRPC_CERTIFICATES: [&str; 3] =
    ["OTEL_EXPORTER_OTLP_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "OTEL_EXPORTER_OTLP_CLIENT_KEY"];

/// Telemetry on, sent straight to the profile's one destination with these headers. Without a destination it is off.
///
/// Errors continue the text `without a collector, `.
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
    // Cumulative over this process only; totals over all sessions need the collector.
    let temporality = match destination.temporality {
        Temporality::Delta => "delta",
        Temporality::Cumulative => "cumulative",
    };
    put("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", temporality.to_owned());
    put("OTEL_EXPORTER_OTLP_PROTOCOL", destination.protocol.name().to_owned());
    put("OTEL_EXPORTER_OTLP_ENDPOINT", destination.endpoint.clone());
    for signal in destination.signals.iter().filter(|signal| signal.is_path_of(&destination.endpoint)) {
        // The general variable gets `/v1/<signal>` appended; this one does not.
        put(&format!("OTEL_EXPORTER_OTLP_{}_ENDPOINT", signal.name().to_uppercase()), destination.endpoint.clone());
    }
    put("OTEL_EXPORTER_OTLP_COMPRESSION", if destination.gzip { "gzip" } else { "none" }.to_owned());
    put("OTEL_EXPORTER_OTLP_TIMEOUT", destination.timeout.as_millis().to_string());
    if !headers.is_empty() {
        put("OTEL_EXPORTER_OTLP_HEADERS", header_list(headers, destination.protocol)?);
    }
    set.extend(certificates(destination));
    set.extend(identity::of_a_program(profile.resource.clone(), inherited, usize::MAX));
    let mut removed = leftovers(inherited, &set);
    removed.insert(super::SESSION.to_owned());
    Ok(Changes { set, removed })
}

/// The only destination of a profile for use without a collector, if it has one.
pub fn only_destination(profile: &Profile) -> Result<Option<&Destination>, String> {
    match profile.destinations.as_slice() {
        [] => Ok(None),
        [only] => Ok(Some(only)),
        several => {
            let names: Vec<_> = several.iter().map(|destination| format!("`{}`", destination.name)).collect();
            Err(format!(
                "a program exports to only one destination, and this profile has {}: the others would get nothing",
                names.join(", ")
            ))
        }
    }
}

/// Checks for features that only a collector has.
fn check(profile: &Profile, destination: &Destination, inherited: &BTreeMap<String, String>) -> Result<(), String> {
    if !profile.redact.drop.is_empty() || !profile.redact.hash.is_empty() {
        return Err("nothing is redacted: the attributes in `[redact]` would be sent unchanged".to_owned());
    }
    if profile.collector.accept.is_some() {
        return Err("no program is filtered out: `collector.accept` would have no effect".to_owned());
    }
    if let Some(name) = &destination.tls.server_name {
        return Err(format!(
            "a program checks the certificate against the endpoint's name: `tls.server_name` ({name}) would have no effect"
        ));
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
        Err(format!("the destination's certificates need `{name}`, which is already set to another file"))
    })
}

fn certificates(destination: &Destination) -> BTreeMap<String, String> {
    let names = if destination.protocol == Protocol::Grpc { GRPC_CERTIFICATES } else { HTTP_CERTIFICATES };
    let tls = &destination.tls;
    let pairs = names.into_iter().zip([&tls.ca, &tls.cert, &tls.key]);
    pairs.filter_map(|(name, file)| Some((name.to_owned(), file.as_ref()?.display().to_string()))).collect()
}

/// Headers in the form that Claude Code reads. Over HTTP it splits the list at commas and each entry at its first `=`,
/// trims the parts and uses them unchanged. Over gRPC it percent-decodes the values.
fn header_list(headers: &BTreeMap<String, String>, protocol: Protocol) -> Result<String, String> {
    let entry = |(name, value): (&String, &String)| {
        if protocol == Protocol::Grpc {
            return Ok(format!("{name}={}", utf8_percent_encode(value, NON_ALPHANUMERIC)));
        }
        if value.contains(',') || value.trim() != value {
            return Err(format!(
                "the header `{name}` cannot be passed: over HTTP, a value in the environment must not contain a comma or \
                 begin or end with a space"
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
    fn headers_are_encoded_for_the_client() {
        let plain = headers(&[("authorization", "Bearer a b=c%20"), ("x-key", "1")]);
        let over_http = header_list(&plain, Protocol::HttpProtobuf).unwrap();
        assert_eq!(over_http, "authorization=Bearer a b=c%20,x-key=1");
        let over_grpc = header_list(&headers(&[("x-key", "a, b=%é")]), Protocol::Grpc).unwrap();
        assert_eq!(over_grpc, "x-key=a%2C%20b%3D%25%C3%A9");
        for bad in ["a,b", " a", "a "] {
            let error = header_list(&headers(&[("x-key", bad)]), Protocol::HttpJson).unwrap_err();
            assert!(error.starts_with("the header `x-key` cannot be passed") && !error.contains("a,b"), "{error}");
        }
    }
}
