//! Arbitrary bytes as a request body over HTTP or gRPC, with and without framing and compression, in protobuf or JSON,
//! up to the request to a destination. A request is valid if prost accepts it. The first byte chooses the form.
#![no_main]

use std::borrow::Cow;

use ccrun::otlp::arbitrary::arbitrary;
use ccrun::otlp::{
    Malformed, Pattern, Redact, Rules, Signal, Stamp, Switch, Withheld, frame, gunzip, gzip, json_to_protobuf,
    protobuf_to_json, rewrite, unframe, validate,
};
use ccrun::usage::extract;
use libfuzzer_sys::fuzz_target;
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use prost::Message;

const LIMIT: usize = 1 << 20;

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, body)) = bytes.split_first() else { return };
    let signal = Signal::ALL[usize::from(first % 3)];
    let [is_grpc, is_compressed, is_json, is_arbitrary] = [3, 6, 12, 24].map(|weight| first / weight % 2 == 1);
    let Some(body) = message(body, is_grpc, is_compressed) else { return };
    let body = if is_arbitrary {
        let body = arbitrary(signal, &body, false);
        assert_eq!(validate(signal, &body), Ok(()), "prost accepts what the validation accepts");
        Cow::Owned(body)
    } else if is_json && !is_grpc {
        let Ok(body) = json_to_protobuf(signal, &body, LIMIT) else { return };
        assert!(validate(signal, &body).is_ok(), "converted JSON is valid");
        Cow::Owned(body)
    } else {
        body
    };
    let verdict = validate(signal, &body);
    // prost skips groups, which OTLP does not have.
    assert!(verdict == Err(Malformed::WireType(3)) || verdict.is_ok() == is_decoded(signal, &body), "{verdict:?}");
    if verdict.is_err() {
        return;
    }
    drop(extract(signal, &body, 0));
    let stamp = Stamp { replace: [("team.id".to_owned(), "platform".to_owned())].into(), ..Stamp::default() };
    let rules = Rules::new(vec![Pattern::new("*")], stamp, Withheld::of(&Switch::ALL), Redact::default());
    let Ok(rewritten) = rewrite(signal, &body, &rules) else { return };
    let rewritten = rewritten.body;
    assert!(validate(signal, &rewritten).is_ok(), "a rewritten request is valid");
    drop(extract(signal, &rewritten, 0));
    drop(protobuf_to_json(signal, &rewritten, LIMIT));
    let framed = frame(&gzip(&rewritten).unwrap(), true).unwrap();
    assert_eq!(message(&framed, true, true).unwrap(), rewritten);
});

fn is_decoded(signal: Signal, body: &[u8]) -> bool {
    match signal {
        Signal::Traces => ExportTraceServiceRequest::decode(body).is_ok(),
        Signal::Metrics => ExportMetricsServiceRequest::decode(body).is_ok(),
        Signal::Logs => ExportLogsServiceRequest::decode(body).is_ok(),
    }
}

fn message(body: &[u8], is_grpc: bool, is_compressed: bool) -> Option<Cow<'_, [u8]>> {
    let (message, is_compressed) = if is_grpc { unframe(body).ok()? } else { (body, is_compressed) };
    if is_compressed { gunzip(message, LIMIT).ok().map(Cow::Owned) } else { Some(Cow::Borrowed(message)) }
}
