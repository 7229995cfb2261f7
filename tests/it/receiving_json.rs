//! OTLP/HTTP in JSON from the client's side (OTLP specification, *JSON Protobuf Encoding*). The cases of the encoding
//! are tested with the parser.

use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use serde_json::Value;

use crate::receiving::{request, status};
use crate::support::backend::{Backend, Export, Received};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox};
use crate::support::session::Session;

const JSON: &str = "content-type: application/json\r\n";

/// A request of log records with these ids in their bodies.
fn logs(ids: &[String]) -> String {
    let records: Vec<_> = ids.iter().map(|id| format!(r#"{{"body":{{"stringValue":"{id}"}}}}"#)).collect();
    format!(r#"{{"resourceLogs":[{{"scopeLogs":[{{"logRecords":[{}]}}]}}]}}"#, records.join(","))
}

fn body(answer: &str) -> &str {
    answer.split_once("\r\n\r\n").map_or("", |(_, body)| body)
}

#[test]
fn json_is_answered_in_json_and_an_empty_request_succeeds() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    for signal in ["/v1/traces", "/v1/metrics", "/v1/logs"] {
        for headers in [JSON, "Content-Type: Application/JSON; charset=utf-8\r\n"] {
            for json in ["{}", "", r#"{"resourceLogs":[],"resourceSpans":null,"new":1}"#] {
                let answer = request(&session, "POST", signal, headers, json.as_bytes());
                assert_eq!((status(&answer), body(&answer)), ("200", "{}"), "{json}: {answer}");
                assert!(answer.contains("content-type: application/json\r\n"), "{answer}");
            }
        }
    }
}

#[test]
fn a_json_error_has_a_position_and_repeats_nothing() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    let wrong = r#"{"resourceLogs":[{},{"scopeLogs":"SECRET"}]}"#;
    let bomb = ccrun::otlp::gzip(&vec![b' '; 65 << 20]).unwrap();
    let swelling = format!(
        r#"{{"resourceMetrics":[{{"scopeMetrics":[{{"metrics":[{{"histogram":{{"dataPoints":[{{"bucketCounts":[{}1]}}]}}}}]}}]}}]}}"#,
        "1,".repeat(9 << 20)
    );
    let (gzip, brotli) = (format!("{JSON}content-encoding: gzip\r\n"), format!("{JSON}content-encoding: br\r\n"));
    let place = "not an OTLP request: expected a list, at line 1, column 41, in resourceLogs[1].scopeLogs";
    let cases = [
        ("POST", "/v1/logs", JSON, wrong.as_bytes(), ("400", 3, place)),
        ("POST", "/v1/logs", JSON, &b"{"[..], ("400", 3, "not an OTLP request: EOF while parsing an object")),
        ("POST", "/v1/profiles", JSON, &b"{}"[..], ("404", 12, "no such signal")),
        ("GET", "/v1/logs", JSON, &b""[..], ("405", 12, "only POST")),
        ("POST", "/v1/logs", &brotli, &b"{}"[..], ("415", 12, "compressed, but not with gzip")),
        ("POST", "/v1/logs", &gzip, &bomb[..], ("413", 8, "larger than 64 MiB")),
        ("POST", "/v1/metrics", JSON, swelling.as_bytes(), ("413", 8, "larger than 64 MiB")),
    ];
    for (method, path, headers, sent, (expected, code, message)) in cases {
        let answer = request(&session, method, path, headers, sent);
        assert_eq!(status(&answer), expected, "{answer}");
        assert!(answer.contains("content-type: application/json\r\n") && !answer.contains("SECRET"), "{answer}");
        let explained: Value = serde_json::from_str(body(&answer)).unwrap();
        assert_eq!(explained["code"], code, "{answer}");
        assert!(explained["message"].as_str().unwrap().starts_with(message), "{answer}");
    }
}

#[test]
fn a_json_sender_reaches_destinations_of_every_protocol() {
    let (sandbox, backends) = (Sandbox::new(), [(); 3].map(|()| Backend::start()));
    let destinations = backends.iter().zip(["http/protobuf", "http/json", "grpc"]).enumerate();
    let destinations = destinations.map(|(number, (backend, protocol))| {
        format!("[destination.d{number}]\nendpoint = \"{}\"\nprotocol = \"{protocol}\"\n", backend.endpoint())
    });
    sandbox.profile("mine", destinations.collect::<String>());
    let session = Session::start(&sandbox, &["-p", "mine", "-r", "team.id=platform"]);
    // The second request is large enough for a separate thread. The third is compressed.
    let (small, large, compressed) = (ids("small", 3), ids("large", 10_000), ids("compressed", 100));
    let gzip = format!("{JSON}content-encoding: gzip\r\n");
    let zipped = ccrun::otlp::gzip(logs(&compressed).as_bytes()).unwrap();
    for (headers, sent) in [(JSON, logs(&small).into_bytes()), (JSON, logs(&large).into_bytes()), (&gzip, zipped)] {
        let answer = request(&session, "POST", "/v1/logs", headers, &sent);
        assert_eq!((status(&answer), body(&answer)), ("200", "{}"), "{answer}");
    }
    let mut all = [small, large, compressed].concat();
    all.sort();
    for backend in &backends {
        let received = backend.wait_for(|received| ids_of(received).len() >= all.len(), DEADLINE);
        assert_eq!(ids_of(&received), all);
        assert!(received.iter().all(is_stamped), "every request has the profile's attributes");
    }
    session.end();
    sandbox.wait_for_end();
    assert_eq!(sandbox.queue(), Vec::<Value>::new());
}

fn is_stamped(received: &Received) -> bool {
    let Some(Export::Logs(request)) = &received.export else { return false };
    let resources = request.resource_logs.iter().filter_map(|logs| logs.resource.as_ref());
    resources.flat_map(|resource| &resource.attributes).any(|attribute| {
        let value = attribute.value.as_ref().and_then(|value| value.value.as_ref());
        attribute.key == "team.id" && value == Some(&Any::StringValue("platform".to_owned()))
    })
}
