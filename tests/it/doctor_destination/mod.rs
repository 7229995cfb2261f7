//! Faults of destinations, injected for real, and what `ccrun doctor` reports about each.

mod way;

use std::net::TcpListener;
use std::time::Duration;

use ccrun::otlp::Signal;
use serde_json::Value;

use crate::support::backend::{Authority, Backend, Export, Identity, Received, Reply};
use crate::support::proxy::{Policy, Proxy};
use crate::support::sandbox::{Sandbox, text};
use rustls::version::TLS13;

/// A time limit that is enough on the slowest machine.
const PATIENT: &str = "1m";

/// A time limit for destinations that never answer: enough to connect on loopback, and short enough to wait for.
const IMPATIENT: &str = "2s";

/// The message of Prometheus 3.15, sent with status 500 as plain text.
const PROMETHEUS: &str = "invalid temporality and type combination for metric \"ccrun.doctor\"\n";

/// The findings about destinations.
pub(crate) struct Found(pub(crate) Vec<Value>);

impl Found {
    /// The only finding that is not ok, or the only finding.
    #[track_caller]
    fn one(&self) -> &Value {
        let found: Vec<_> = self.0.iter().filter(|found| found["level"] != "ok").collect();
        match (found.as_slice(), self.0.as_slice()) {
            ([one], _) => one,
            ([], [one]) => one,
            _ => panic!("expected one finding: {:#?}", self.0),
        }
    }

    /// Checks the level, the cause and the fix of the only finding.
    #[track_caller]
    fn says(&self, level: &str, cause: &str, fix: &str) {
        let one = self.one();
        let (summary, said) = (one["summary"].as_str().unwrap(), one["fix"].as_str().unwrap_or_default());
        assert!(one["level"] == level && summary.contains(cause), "no `{level}` with `{cause}`: {one:#}");
        assert!(said.contains(fix), "`{fix}` is missing from {one:#}");
    }
}

/// Runs doctor with a profile that has one destination `d`.
fn look_within(sandbox: &Sandbox, destination: &str, time: &str) -> Found {
    sandbox.profile("p", format!("[signals]\ntraces = true\n[destination.d]\n{destination}"));
    let found = examine(sandbox, &["-p", "p", "--timeout", time]);
    Found(found.into_iter().filter(|found| found["id"].as_str().unwrap().starts_with("destination.")).collect())
}

pub(crate) fn examine(sandbox: &Sandbox, options: &[&str]) -> Vec<Value> {
    let output = sandbox.ccrun(["doctor", "--json"]).args(options).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    report["findings"].as_array().unwrap().clone()
}

fn look(sandbox: &Sandbox, destination: &str) -> Found {
    look_within(sandbox, destination, PATIENT)
}

fn to(endpoint: &str) -> String {
    format!("endpoint = \"{endpoint}\"\n")
}

/// The findings about a backend that always sends this reply.
fn said_of(reply: Reply, more: &str) -> Found {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(reply);
    look(&sandbox, &(to(&backend.endpoint()) + more))
}

const KEY: &str = "headers.x-key = { env = \"KEY\" }\n";

#[test]
fn a_healthy_backend_gets_one_marked_record_of_each_signal() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    for protocol in ["grpc", "http/protobuf", "http/json"] {
        backend.clear();
        let found = look(&sandbox, &format!("{}protocol = \"{protocol}\"\n", to(&backend.endpoint())));
        found.says("ok", "accepted it; it is ccrun.doctor = ", "");
        let summary = found.one()["summary"].as_str().unwrap().to_owned();
        let mark = summary.rsplit(' ').next().unwrap();
        assert_eq!(mark.len(), 16, "{summary}");
        let received = backend.received();
        let mut signals: Vec<_> = received.iter().filter_map(|received| received.signal).collect();
        signals.sort();
        assert_eq!(
            signals,
            Signal::ALL.into_iter().collect::<std::collections::BTreeSet<_>>().into_iter().collect::<Vec<_>>()
        );
        assert!(received.iter().all(|received| is_marked(received, mark)), "{received:#?}");
    }
}

/// Whether a request contains the marked record of the service `ccrun`.
fn is_marked(received: &Received, mark: &str) -> bool {
    let text = match received.export.as_ref().unwrap() {
        Export::Logs(logs) => format!("{logs:?}"),
        Export::Metrics(metrics) => format!("{metrics:?}"),
        Export::Traces(traces) => format!("{traces:?}"),
    };
    let holds = |key: &str, value: &str| {
        text.contains(&format!("key: \"{key}\", value: Some(AnyValue {{ value: Some(StringValue(\"{value}\"))"))
    };
    holds("ccrun.doctor", mark) && holds("service.name", "ccrun")
}

#[test]
fn an_accepted_key_is_reported_as_unverified_with_a_place_to_check() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("KEY", "key-4711-0815");
    let found = look(&sandbox, &format!("{}verify = \"https://look.example\"\n{KEY}", to(&backend.endpoint())));
    found.says("sent", "check that it arrived: look for ccrun.doctor = ", "");
    assert!(found.one()["summary"].as_str().unwrap().ends_with(" at https://look.example"), "{:?}", found.one());
    assert_eq!(backend.received()[0].header("x-key"), "key-4711-0815");
    let output = sandbox.run(["doctor", "-p", "p", "--timeout", PATIENT]);
    let shown = text(&output.stdout);
    assert!(shown.contains("  sent     `d`: ") && !shown.contains("4711"), "{shown}");
}

#[test]
fn answers_are_distinguished_by_cause() {
    let html =
        |status: u16| Reply::http(status, "<html><head><title>Sign in</title>").header("content-type", "text/html");
    let cases = [
        (Reply::http(401, "no such tenant"), "requires credentials, and the profile has none for it: 401 unauthorized: no such tenant", "[destination.d.headers]"),
        (Reply::http(403, ""), "requires credentials", "[destination.d.headers]"),
        (Reply::http(404, "404 page not found"), "there is no OTLP endpoint at", "OTLP endpoint of its documentation"),
        (Reply::http(405, ""), "accepts no POST", "OTLP endpoint of its documentation"),
        (Reply::http(413, ""), "rejects even one small record as too large: 413", "raise the size limit"),
        (Reply::http(415, ""), "does not support http/protobuf with gzip: 415", "`compression = \"none\"`"),
        (Reply::http(429, "slow down").header("retry-after", "60"), "throttles requests: 429 too many requests: slow down", "quota"),
        (Reply::http(500, "boom"), "is failing: 500 internal server error: boom", "ask the operator of that server"),
        (Reply::http(503, ""), "is failing: 503", "ask the operator of that server"),
        (Reply::http(500, PROMETHEUS), "rejects delta temporality", "`temporality = \"cumulative\"` in `[destination.d]`"),
        (
            Reply::http(400, r#"{"code":3,"message":"otlp parse error: invalid temporality and type combination for metric \"ccrun.doctor\""}"#)
                .header("content-type", "application/json"),
            "rejects delta temporality, which it is sent: 400 bad request: otlp parse error",
            "`temporality = \"cumulative\"`",
        ),
        (Reply::http(400, r#"{"message":"no stream of that name"}"#).header("content-type", "application/json"), "rejects the record: 400 bad request: no stream of that name", "follow its message"),
        (Reply::http(302, "").header("location", "https://sso.corp.example/login?ticket=1"), "redirects: 302 found, and redirects are not followed: to https://sso.corp.example/login", "it is behind a login page"),
        (Reply::http(308, "").header("location", "/v2/otlp"), "redirects: 308", "the final address"),
        (html(200), "answers with a web page", "not the web interface"),
        (Reply::partial(1, "the quota of the day is used up"), "answered success but rejected the record: the quota of the day is used up", "follow its message"),
        (Reply::partial(1, ""), "rejected the record: without a reason", ""),
        (Reply::partial(0, "metrics of this name are deprecated"), "accepted it, and says: metrics of this name are deprecated", ""),
        (Reply::http(200, r#"{"error":"unknown project"}"#).header("content-type", "application/json"), "no answer to otlp", ""),
        (Reply::http(401, "\u{1b}[31mred\u{7}"), "401 unauthorized: \\u{1b}[31mred\\u{7}", ""),
    ];
    for (reply, cause, fix) in cases {
        let level = if cause.starts_with("throttles") || cause.starts_with("accepted") { "warning" } else { "failed" };
        said_of(reply, "").says(level, cause, fix);
    }
}

#[test]
fn grpc_answers_are_distinguished_by_cause() {
    let cases = [
        (
            Reply::grpc(16, "bad token"),
            "requires credentials, and the profile has none for it: grpc status UNAUTHENTICATED: bad token",
            "[destination.d.headers]",
        ),
        (
            Reply::grpc(12, "unknown service"),
            "does not support traces, metrics and logs over gRPC: grpc status UNIMPLEMENTED: unknown service",
            "`signals`",
        ),
        (
            Reply::grpc(14, "no backend"),
            "is failing: grpc status UNAVAILABLE: no backend",
            "ask the operator of that server",
        ),
        (Reply::grpc(3, "cumulative sums alone"), "rejects delta temporality", "`temporality = \"cumulative\"`"),
        (Reply::grpc_trailers_only(7, "not for you"), "requires credentials", ""),
    ];
    for (reply, cause, fix) in cases {
        said_of(reply, "protocol = \"grpc\"\n").says("failed", cause, fix);
    }
}

#[test]
fn a_rejected_signal_is_named() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| match received.signal {
        Some(Signal::Metrics) => Reply::http(500, PROMETHEUS),
        _ => Reply::accept(),
    });
    let found = look(&sandbox, &to(&backend.endpoint()));
    found.says("failed", "`d`, metrics: ", "cumulative");
    assert!(found.0[0]["summary"].as_str().unwrap().starts_with("`d`, traces and logs: "), "{:#?}", found.0);
}

#[test]
fn a_wrong_key_is_traced_to_where_it_comes_from_and_never_shown() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("KEY", "key-4711-0815");
    backend.reply_always(Reply::http(403, "the key key-4711-0815 is not known in region eu"));
    let found = look(&sandbox, &(to(&backend.endpoint()) + KEY));
    found.says(
        "failed",
        "does not accept the credentials: 403 forbidden: the key <secret> is not known",
        "`x-key` from the variable KEY",
    );
    assert!(!format!("{:?}", found.0).contains("4711"));
}

#[test]
fn a_missing_part_of_the_path_is_reported() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("KEY", "key-4711-0815");
    backend.reply_with(|received| match received.path.as_str() {
        // As Grafana Cloud answers.
        "/otlp/v1/logs" | "/otlp/v1/metrics" | "/otlp/v1/traces" if received.header("x-key").is_empty() => {
            Reply::http(401, "no")
        }
        "/otlp/v1/logs" | "/otlp/v1/metrics" | "/otlp/v1/traces" => Reply::accept(),
        _ => Reply::http(404, ""),
    });
    let found = look(&sandbox, &(to(&backend.endpoint()) + KEY));
    let fix = format!("set `endpoint = \"{}/otlp\"`: this endpoint answers", backend.endpoint());
    found.says("failed", "there is no OTLP endpoint at", &fix);
    assert!(found.one()["details"][0].as_str().unwrap().contains("p.toml:4:"), "{:?}", found.one());
    // Keys go only to the endpoint in the profile.
    assert!(
        backend
            .received()
            .iter()
            .all(|received| !received.path.contains("otlp") || received.header("x-key").is_empty())
    );
    look(&sandbox, &(to(&format!("{}/otlp", backend.endpoint())) + KEY)).says("sent", "accepted it", "");
}

#[test]
fn a_superfluous_part_of_the_path_is_reported() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| match received.path.as_str() {
        "/v1/logs" | "/v1/metrics" | "/v1/traces" => Reply::accept(),
        _ => Reply::http(404, ""),
    });
    let found = look(&sandbox, &to(&format!("{}/v1", backend.endpoint())));
    found.says("failed", "there is no OTLP endpoint at", &format!("set `endpoint = \"{}\"`", backend.endpoint()));
}

#[test]
fn a_server_that_answers_every_path_proves_nothing() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| if received.raw.is_empty() { Reply::http(401, "") } else { Reply::http(404, "") });
    let found = look(&sandbox, &to(&backend.endpoint()));
    found.says("failed", "there is no OTLP endpoint at", "OTLP endpoint of its documentation");
}

#[test]
fn unavailable_credentials_are_reported_and_the_connection_is_still_tested() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(401, ""));
    let found = look(&sandbox, &(to(&backend.endpoint()) + KEY));
    found.says("ok", "is reachable; nothing was sent", "");
    let said = "its credentials are unavailable: the header `x-key` has no value: the variable KEY is not set";
    assert_eq!(found.one()["details"][0], said);
    assert!(backend.received().iter().all(|received| received.body.is_empty()), "{:?}", backend.received());
    let interactive = "headers.x-key = { command = [\"login-to-it\"], interactive = true }\n";
    let found = look(&sandbox, &(to(&backend.endpoint()) + interactive));
    found.says("ok", "is reachable; its credentials were not tested", "");
    assert!(found.one()["details"][0].as_str().unwrap().contains("`login-to-it` is interactive"), "{:?}", found.one());
}

#[test]
fn a_wrong_clock_is_reported() {
    let found = |date: &str| {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        backend.reply_always(Reply::accept().header("date", date));
        sandbox.profile("p", format!("[destination.d]\n{}", to(&backend.endpoint())));
        let found = examine(&sandbox, &["-p", "p", "--timeout", PATIENT]);
        found.into_iter().find(|found| found["id"] == "machine.clock").unwrap()
    };
    let wrong = found("Tue, 01 Jan 2013 00:00:00 GMT");
    assert!(
        wrong["level"] == "failed" && wrong["summary"].as_str().unwrap().contains("minutes ahead of the dest"),
        "{wrong}"
    );
    let soon = std::time::SystemTime::now() + Duration::from_mins(5);
    let wrong = found(&httpdate::fmt_http_date(soon));
    assert!(
        wrong["level"] == "warning" && wrong["summary"].as_str().unwrap().contains("minutes behind the dest"),
        "{wrong}"
    );
    let right = found(&httpdate::fmt_http_date(std::time::SystemTime::now()));
    assert_eq!(right["level"], "ok", "{right}");
}
