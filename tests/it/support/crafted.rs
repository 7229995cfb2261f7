//! Requests of OTLP in JSON, as Claude Code writes them, at times that a test chooses.

use ccrun::otlp::Signal;
use serde_json::{Map, Value, json};

use super::server::post;
use super::session::Session;

/// Milliseconds of a minute.
pub const MINUTE: i64 = 60_000;

/// `Delta` and `Cumulative` in OTLP.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Temporality {
    Delta = 1,
    Cumulative = 2,
}

/// A sum's points: the attributes, and of each point its start, its time and its value.
pub type Series = (&'static str, Value, Vec<(i64, i64, f64)>);

/// An event of a session at a time in Unix milliseconds, with its number and more attributes.
pub fn event(session: &str, name: &str, at: i64, number: usize, own: Value) -> Value {
    let Value::Object(own) = own else { panic!("no attributes: {own}") };
    let mut all = shared(session);
    all.extend([("event.name".to_owned(), json!(name)), ("event.sequence".to_owned(), json!(number))]);
    all.extend(own);
    json!({
        "timeUnixNano": nanoseconds(at), "body": {"stringValue": format!("claude_code.{name}")},
        "attributes": attributes(&all),
    })
}

/// A request of events.
pub fn logs(records: &[Value]) -> Value {
    let scope = json!({"name": "com.anthropic.claude_code.events", "version": "2.1.332"});
    json!({"resourceLogs": [{"resource": resource(), "scopeLogs": [{"scope": scope, "logRecords": records}]}]})
}

/// A request of sums of a session. Times are in Unix milliseconds.
pub fn metrics(session: &str, temporality: Temporality, series: &[Series]) -> Value {
    let sum = |(name, own, points): &Series| {
        let mut all = shared(session);
        all.extend(own.as_object().unwrap().clone());
        let point = |(start, at, value): &(i64, i64, f64)| {
            json!({
                "startTimeUnixNano": nanoseconds(*start), "timeUnixNano": nanoseconds(*at), "asDouble": value,
                "attributes": attributes(&all),
            })
        };
        let points: Vec<_> = points.iter().map(point).collect();
        let sum = json!({"dataPoints": points, "aggregationTemporality": temporality as i32, "isMonotonic": true});
        json!({"name": format!("claude_code.{name}"), "sum": sum})
    };
    let metrics: Vec<_> = series.iter().map(sum).collect();
    let scope = json!({"name": "com.anthropic.claude_code", "version": "2.1.332"});
    json!({"resourceMetrics": [{"resource": resource(), "scopeMetrics": [{"scope": scope, "metrics": metrics}]}]})
}

/// Sends a request to a session's collector.
#[track_caller]
pub fn send(session: &Session, signal: Signal, request: &Value) {
    let (address, path) = session.endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let target = format!("/{path}{}", signal.http_path());
    let (status, body) = post(address, &target, "content-type: application/json\r\n", &request.to_string()).unwrap();
    assert_eq!(status, 200, "{body}");
}

/// What every event and every point has.
fn shared(session: &str) -> Map<String, Value> {
    let shared = json!({
        "session.id": session, "user.id": "0123456789abcdef", "user.email": "ada@example.com",
        "organization.id": "org", "terminal.type": "xterm", "app.version": "2.1.332",
    });
    let Value::Object(shared) = shared else { unreachable!() };
    shared
}

fn resource() -> Value {
    let of = json!({"service.name": "claude-code", "service.version": "2.1.332", "os.type": "linux"});
    json!({"attributes": attributes(of.as_object().unwrap())})
}

fn attributes(of: &Map<String, Value>) -> Vec<Value> {
    let value = |value: &Value| match value {
        Value::Bool(truth) => json!({"boolValue": truth}),
        Value::Number(number) if number.is_f64() => json!({"doubleValue": number}),
        Value::Number(number) => json!({"intValue": number.to_string()}),
        other => json!({"stringValue": other}),
    };
    of.iter().map(|(key, held)| json!({"key": key, "value": value(held)})).collect()
}

fn nanoseconds(milliseconds: i64) -> String {
    format!("{milliseconds}000000")
}
