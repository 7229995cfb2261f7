//! Faults of the environment and of the process's limits.

use super::{Fault, all_are_named, closed_port, user_settings};
use crate::doctor::{diagnosed, healthy};

const FAULTS: &[Fault] = &[
    Fault {
        name: "OLTP",
        inject: |sandbox| {
            sandbox.set("OTEL_EXPORTER_OLTP_PROTOCOL", "grpc");
        },
        options: &[],
        id: "environment.typo",
        level: "warning",
        says: &["OTEL_EXPORTER_OLTP_PROTOCOL in the environment is not a known variable"],
        fix: "did you mean OTEL_EXPORTER_OTLP_PROTOCOL?",
    },
    Fault {
        name: "a letter too few, in Claude's settings",
        inject: |sandbox| user_settings(sandbox, "{\"env\": {\"OTEL_METRIC_EXPORTER\": \"otlp\"}}"),
        options: &[],
        id: "environment.typo",
        level: "warning",
        says: &["OTEL_METRIC_EXPORTER in ~/.claude/settings.json:1 is not a known variable"],
        fix: "did you mean OTEL_METRICS_EXPORTER?",
    },
    Fault {
        name: "an endpoint that the profile passes over",
        inject: |sandbox| {
            sandbox.set("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://logs.example/v1/logs");
        },
        options: &["-p", "local"],
        id: "environment.stray",
        level: "warning",
        says: &["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT in the environment has no effect: the profile `local` decides"],
        fix: "unset it",
    },
    Fault {
        name: "http for a protocol",
        inject: |sandbox| {
            sandbox.set("OTEL_EXPORTER_OTLP_PROTOCOL", "http");
        },
        options: &[],
        id: "environment.protocol",
        level: "warning",
        says: &["OTEL_EXPORTER_OTLP_PROTOCOL in the environment is `http`, which is not a protocol"],
        fix: "`http/protobuf`",
    },
    Fault {
        name: "port 4317 used with HTTP",
        inject: |sandbox| {
            let settings = "{\"env\": {\"OTEL_EXPORTER_OTLP_ENDPOINT\": \"https://h.invalid:4317\",\n\
                    \"OTEL_EXPORTER_OTLP_PROTOCOL\": \"http/protobuf\"}}";
            user_settings(sandbox, settings);
        },
        options: &["-p", "local"],
        id: "environment.port",
        level: "warning",
        says: &["~/.claude/settings.json:1 is used with HTTP, but its port is usually gRPC's", "settings.json:2"],
        fix: "port 4318",
    },
    Fault {
        name: "port 4318 used with gRPC",
        inject: |sandbox| {
            let settings = "{\"env\": {\"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT\": \"https://h.invalid:4318\",\n\
                    \"OTEL_EXPORTER_OTLP_PROTOCOL\": \"grpc\"}}";
            user_settings(sandbox, settings);
        },
        options: &["-p", "local"],
        id: "environment.port",
        level: "warning",
        says: &["is used with gRPC, but its port is usually HTTP's"],
        fix: "port 4317",
    },
    Fault {
        name: "the console exporter",
        inject: |sandbox| {
            sandbox.set("OTEL_LOGS_EXPORTER", "otlp,console");
        },
        options: &[],
        id: "environment.console",
        level: "warning",
        says: &["OTEL_LOGS_EXPORTER in the environment selects the `console` exporter, which writes over"],
        fix: "use `otlp`",
    },
    Fault {
        name: "a proxy that catches loopback",
        inject: |sandbox| {
            sandbox.set("http_proxy", "http://me:hunter2@proxy.example:3128");
        },
        options: &[],
        id: "environment.proxy",
        level: "warning",
        says: &["http_proxy also applies to 127.0.0.1, because NO_PROXY does not exclude it"],
        fix: "add localhost,127.0.0.1",
    },
    Fault {
        name: "the environment of a session that has ended",
        inject: |sandbox| {
            let endpoint = format!("http://127.0.0.1:{}/0123456789abcdef0123456789abcdef", closed_port());
            sandbox.set("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint).set("CCRUN_SESSION", "0123456789abcdef");
        },
        options: &[],
        id: "environment.stale",
        level: "warning",
        says: &["is the endpoint of a ccrun session that has ended"],
        fix: "open a new terminal",
    },
    Fault {
        name: "a collector of one's own that is down",
        inject: |sandbox| {
            let endpoint = format!("http://localhost:{}", closed_port());
            user_settings(sandbox, &format!("{{\"env\": {{\"OTEL_EXPORTER_OTLP_ENDPOINT\": \"{endpoint}\"}}}}"));
        },
        options: &[],
        id: "environment.stale",
        level: "warning",
        says: &[
            "nothing listens at localhost:",
            "the value of OTEL_EXPORTER_OTLP_ENDPOINT in ~/.claude/settings.json:1",
        ],
        fix: "start the server there",
    },
];

#[test]
fn the_environment() {
    all_are_named(FAULTS);
}

#[test]
fn a_limit_of_open_files() {
    let sandbox = healthy();
    let output = sandbox.command("sh").args(["-c", "ulimit -n 64; exec ccrun doctor --json"]).output().unwrap();
    diagnosed(
        &output,
        "machine.files",
        "warning",
        &["a process may open only 64 files"],
        "ask an administrator to raise the limit of 64",
    );
}
