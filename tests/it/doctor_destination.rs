//! Faults of destinations, injected for real, and what `ccrun doctor` says of each: read as its user would.

#[path = "doctor_destination/way.rs"]
mod way;

use std::net::TcpListener;
use std::time::Duration;

use ccrun::otlp::Signal;
use serde_json::Value;

use crate::support::backend::{Authority, Backend, Export, Identity, Received, Reply};
use crate::support::proxy::{Policy, Proxy};
use crate::support::sandbox::{Sandbox, text};
use rustls::version::TLS13;

/// Long enough that nothing here is too late on the slowest machine.
const PATIENT: &str = "1m";

/// Long enough to connect on loopback, short enough to be waited for: for what never answers.
const IMPATIENT: &str = "2s";

/// What Prometheus 3.15 says, with 500 and in plain text.
const PROMETHEUS: &str = "invalid temporality and type combination for metric \"ccrun.doctor\"\n";

/// What was found of destinations.
pub(crate) struct Found(pub(crate) Vec<Value>);

impl Found {
    /// The one finding that is not as it should be, or the only one.
    #[track_caller]
    fn one(&self) -> &Value {
        let found: Vec<_> = self.0.iter().filter(|found| found["level"] != "ok").collect();
        match (found.as_slice(), self.0.as_slice()) {
            ([one], _) => one,
            ([], [one]) => one,
            _ => panic!("not one finding: {:#?}", self.0),
        }
    }

    /// Checks the level of what is said, and words of it: the cause, and what to do.
    #[track_caller]
    fn says(&self, level: &str, cause: &str, fix: &str) {
        let one = self.one();
        let (summary, said) = (one["summary"].as_str().unwrap(), one["fix"].as_str().unwrap_or_default());
        assert!(one["level"] == level && summary.contains(cause), "`{level}`, `{cause}` is not said: {one:#}");
        assert!(said.contains(fix), "`{fix}` is not said: {one:#}");
    }
}

/// Looks with a profile of one destination `d`.
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

/// What is said of a backend that always answers so.
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

/// Whether a request holds the one marked record, of the service `ccrun`.
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
fn acceptance_with_a_key_is_not_called_ok_and_says_where_to_look() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("KEY", "key-4711-0815");
    let found = look(&sandbox, &format!("{}verify = \"https://look.example\"\n{KEY}", to(&backend.endpoint())));
    found.says("sent", "whether it arrived is seen there: look for ccrun.doctor = ", "");
    assert!(found.one()["summary"].as_str().unwrap().ends_with(" at https://look.example"), "{:?}", found.one());
    assert_eq!(backend.received()[0].header("x-key"), "key-4711-0815");
    let output = sandbox.run(["doctor", "-p", "p", "--timeout", PATIENT]);
    let shown = text(&output.stdout);
    assert!(shown.contains("  sent     `d`: ") && !shown.contains("4711"), "{shown}");
}

#[test]
fn answers_are_told_apart_by_their_causes() {
    let html =
        |status: u16| Reply::http(status, "<html><head><title>Sign in</title>").header("content-type", "text/html");
    let cases = [
        (Reply::http(401, "no such tenant"), "wants credentials, and the profile has none for it: 401 unauthorized: no such tenant", "[destination.d.headers]"),
        (Reply::http(403, ""), "wants credentials", "[destination.d.headers]"),
        (Reply::http(404, "404 page not found"), "there is nothing that takes OTLP at", "documentation calls the OTLP endpoint"),
        (Reply::http(405, ""), "takes no POST", "documentation calls the OTLP endpoint"),
        (Reply::http(413, ""), "finds even one small record too large: 413", "raise the limit"),
        (Reply::http(415, ""), "does not take http/protobuf with gzip: 415", "`compression = \"none\"`"),
        (Reply::http(429, "slow down").header("retry-after", "60"), "asks to be sent less: 429 too many requests: slow down", "quota"),
        (Reply::http(500, "boom"), "has trouble of its own: 500 internal server error: boom", "whoever runs it"),
        (Reply::http(503, ""), "has trouble of its own: 503", "whoever runs it"),
        (Reply::http(500, PROMETHEUS), "takes no deltas", "`temporality = \"cumulative\"` in `[destination.d]`"),
        (
            Reply::http(400, r#"{"code":3,"message":"otlp parse error: invalid temporality and type combination for metric \"ccrun.doctor\""}"#)
                .header("content-type", "application/json"),
            "takes no deltas, which is what it is sent: 400 bad request: otlp parse error",
            "`temporality = \"cumulative\"`",
        ),
        (Reply::http(400, r#"{"message":"no stream of that name"}"#).header("content-type", "application/json"), "refuses what it is sent: 400 bad request: no stream of that name", "as its message says"),
        (Reply::http(302, "").header("location", "https://sso.corp.example/login?ticket=1"), "leads elsewhere: 302 found, and redirects are not followed: to https://sso.corp.example/login", "a login for people"),
        (Reply::http(308, "").header("location", "/v2/otlp"), "leads elsewhere: 308", "the address at which that ends"),
        (html(200), "a page for people answers at", "not to its web interface"),
        (Reply::partial(1, "the quota of the day is used up"), "answered that all is well, and rejected the record: the quota of the day is used up", "as its message says"),
        (Reply::partial(1, ""), "rejected the record: without saying why", ""),
        (Reply::partial(0, "metrics of this name are deprecated"), "accepted it, and says: metrics of this name are deprecated", ""),
        (Reply::http(200, r#"{"error":"unknown project"}"#).header("content-type", "application/json"), "no answer to otlp", ""),
        (Reply::http(401, "\u{1b}[31mred\u{7}"), "401 unauthorized: \\u{1b}[31mred\\u{7}", ""),
    ];
    for (reply, cause, fix) in cases {
        let level = if cause.starts_with("asks") || cause.starts_with("accepted") { "warning" } else { "failed" };
        said_of(reply, "").says(level, cause, fix);
    }
}

#[test]
fn answers_over_grpc_are_told_apart_by_their_causes() {
    let cases = [
        (
            Reply::grpc(16, "bad token"),
            "wants credentials, and the profile has none for it: grpc status UNAUTHENTICATED: bad token",
            "[destination.d.headers]",
        ),
        (
            Reply::grpc(12, "unknown service"),
            "does not take traces, metrics and logs over gRPC: grpc status UNIMPLEMENTED: unknown service",
            "`signals`",
        ),
        (
            Reply::grpc(14, "no backend"),
            "has trouble of its own: grpc status UNAVAILABLE: no backend",
            "whoever runs it",
        ),
        (Reply::grpc(3, "cumulative sums alone"), "takes no deltas", "`temporality = \"cumulative\"`"),
        (Reply::grpc_trailers_only(7, "not for you"), "wants credentials", ""),
    ];
    for (reply, cause, fix) in cases {
        said_of(reply, "protocol = \"grpc\"\n").says("failed", cause, fix);
    }
}

#[test]
fn one_signal_that_is_refused_is_named() {
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
fn a_missing_part_of_the_path_is_found() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("KEY", "key-4711-0815");
    backend.reply_with(|received| match received.path.as_str() {
        // As Grafana Cloud does it.
        "/otlp/v1/logs" | "/otlp/v1/metrics" | "/otlp/v1/traces" if received.header("x-key").is_empty() => {
            Reply::http(401, "no")
        }
        "/otlp/v1/logs" | "/otlp/v1/metrics" | "/otlp/v1/traces" => Reply::accept(),
        _ => Reply::http(404, ""),
    });
    let found = look(&sandbox, &(to(&backend.endpoint()) + KEY));
    let fix = format!("set `endpoint = \"{}/otlp\"`: that answers", backend.endpoint());
    found.says("failed", "there is nothing that takes OTLP at", &fix);
    assert!(found.one()["details"][0].as_str().unwrap().contains("p.toml:4:"), "{:?}", found.one());
    // Keys go to the endpoint that the profile names, and nowhere else.
    assert!(
        backend
            .received()
            .iter()
            .all(|received| !received.path.contains("otlp") || received.header("x-key").is_empty())
    );
    look(&sandbox, &(to(&format!("{}/otlp", backend.endpoint())) + KEY)).says("sent", "accepted it", "");
}

#[test]
fn a_path_that_has_too_much_is_found() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| match received.path.as_str() {
        "/v1/logs" | "/v1/metrics" | "/v1/traces" => Reply::accept(),
        _ => Reply::http(404, ""),
    });
    let found = look(&sandbox, &to(&format!("{}/v1", backend.endpoint())));
    found.says(
        "failed",
        "there is nothing that takes OTLP at",
        &format!("set `endpoint = \"{}\"`", backend.endpoint()),
    );
}

#[test]
fn who_answers_everywhere_proves_nothing() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| if received.raw.is_empty() { Reply::http(401, "") } else { Reply::http(404, "") });
    let found = look(&sandbox, &to(&backend.endpoint()));
    found.says("failed", "there is nothing that takes OTLP at", "documentation calls the OTLP endpoint");
}

#[test]
fn credentials_that_are_not_to_be_had_are_said_and_the_way_is_tried_all_the_same() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::http(401, ""));
    let found = look(&sandbox, &(to(&backend.endpoint()) + KEY));
    found.says("ok", "is reached; nothing was sent", "");
    let said =
        "its credentials are not to be had: there is no value for the header `x-key`: the variable KEY is not set";
    assert_eq!(found.one()["details"][0], said);
    assert!(backend.received().iter().all(|received| received.body.is_empty()), "{:?}", backend.received());
    let interactive = "headers.x-key = { command = [\"login-to-it\"], interactive = true }\n";
    let found = look(&sandbox, &(to(&backend.endpoint()) + interactive));
    found.says("ok", "is reached; its credentials were not tried", "");
    assert!(found.one()["details"][0].as_str().unwrap().contains("`login-to-it` talks to you"), "{:?}", found.one());
}

#[test]
fn a_clock_that_is_wrong_is_said() {
    let found = |date: &str| {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        backend.reply_always(Reply::accept().header("date", date));
        sandbox.profile("p", format!("[destination.d]\n{}", to(&backend.endpoint())));
        let found = examine(&sandbox, &["-p", "p", "--timeout", PATIENT]);
        found.into_iter().find(|found| found["id"] == "machine.clock").unwrap()
    };
    let wrong = found("Tue, 01 Jan 2013 00:00:00 GMT");
    assert!(
        wrong["level"] == "failed" && wrong["summary"].as_str().unwrap().contains("minutes ahead of what"),
        "{wrong}"
    );
    let soon = std::time::SystemTime::now() + Duration::from_mins(5);
    let wrong = found(&httpdate::fmt_http_date(soon));
    assert!(
        wrong["level"] == "warning" && wrong["summary"].as_str().unwrap().contains("minutes behind what"),
        "{wrong}"
    );
    let right = found(&httpdate::fmt_http_date(std::time::SystemTime::now()));
    assert_eq!(right["level"], "ok", "{right}");
}
