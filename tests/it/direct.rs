//! Direct mode, without a collector: what a program gets, and what direct mode cannot express.

use crate::support::sandbox::{Sandbox, text};

/// A profile with one destination that has these settings.
fn profile(sandbox: &Sandbox, destination: &str) {
    sandbox.profile("team", format!("[destination.own]\n{destination}"));
}

/// The output of `ccrun env --shell` for a program, or the error.
fn given(sandbox: &Sandbox, options: &[&str]) -> Result<String, String> {
    let output = sandbox.run(["env", "-p", "team", "--format", "shell"].iter().chain(options));
    if output.status.success() { Ok(text(&output.stdout)) } else { Err(text(&output.stderr)) }
}

#[test]
fn endpoint_and_headers_are_written_for_the_programs_own_exporter() {
    let sandbox = Sandbox::new();
    profile(
        &sandbox,
        "endpoint = \"https://h/otlp\"\nsignals = [\"logs\"]\nheaders = { X-Scope = \"a b%\", x-b = \"2\" }\n",
    );
    let shown = given(&sandbox, &[]).unwrap();
    for line in [
        "export CLAUDE_CODE_ENABLE_TELEMETRY=1;",
        "export OTEL_EXPORTER_OTLP_ENDPOINT=https://h/otlp;",
        "export OTEL_EXPORTER_OTLP_HEADERS='x-b=2,x-scope=a b%';",
        "export OTEL_EXPORTER_OTLP_PROTOCOL=http/protobuf;",
        "export OTEL_EXPORTER_OTLP_COMPRESSION=gzip;",
        "export OTEL_EXPORTER_OTLP_TIMEOUT=10000;",
        "export OTEL_LOGS_EXPORTER=otlp;",
        "export OTEL_METRICS_EXPORTER=none;",
    ] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing from {shown}");
    }
    profile(
        &sandbox,
        "endpoint = \"https://h\"\nprotocol = \"grpc\"\nheaders = { x-a = \"a, b\" }\n[destination.own.tls]\nca = \"/ca.pem\"\n",
    );
    let shown = given(&sandbox, &[]).unwrap();
    for line in ["export OTEL_EXPORTER_OTLP_HEADERS=x-a=a%2C%20b;", "export OTEL_EXPORTER_OTLP_CERTIFICATE=/ca.pem;"] {
        assert!(shown.lines().any(|shown| shown == line), "{line} is missing from {shown}");
    }
    profile(&sandbox, "endpoint = \"https://h/v1/metrics\"\nsignals = [\"metrics\"]\n");
    let shown = given(&sandbox, &[]).unwrap();
    assert!(shown.contains("export OTEL_EXPORTER_OTLP_METRICS_ENDPOINT=https://h/v1/metrics;\n"), "{shown}");
}

#[test]
fn what_direct_mode_cannot_express_is_an_error_that_names_the_loss() {
    let sandbox = Sandbox::new();
    let cases = [
        (
            "endpoint = \"https://h\"\n[destination.two]\nendpoint = \"https://g\"\n",
            "has `own`, `two`: the others would get nothing",
        ),
        ("endpoint = \"https://h\"\nheaders = { x-a = \"one,two\" }\n", "the header `x-a` cannot be passed"),
        ("endpoint = \"https://h\"\n[resource]\nlong = \"LONG\"\n", "the resource attribute `long` would be lost"),
    ];
    for (destination, expected) in cases {
        profile(&sandbox, &destination.replace("LONG", &"x".repeat(256)));
        let said = given(&sandbox, &[]).unwrap_err();
        assert!(said.starts_with("ccrun: without a collector, ") && said.contains(expected), "{said}");
        assert!(!said.contains("one,two") && said.lines().count() == 1, "{said}");
        let table = sandbox.run(["env", "--direct", "-p", "team"]);
        assert!(!table.status.success() || expected.contains("x-a"), "{}", text(&table.stdout));
    }
    let mut other = Sandbox::new();
    other.set("NODE_EXTRA_CA_CERTS", "/other.pem");
    profile(&other, "endpoint = \"https://h\"\n[destination.own.tls]\nca = \"/ca.pem\"\n");
    let said = given(&other, &[]).unwrap_err();
    assert!(said.contains("need `NODE_EXTRA_CA_CERTS`, which is already set to another file"), "{said}");
}

#[test]
fn secrets_are_printed_only_with_reveal() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TOKEN", "sk-canary");
    profile(
        &sandbox,
        "endpoint = \"https://h\"\nheaders.authorization = { env = \"TOKEN\", format = \"Bearer {}\" }\n",
    );
    let said = given(&sandbox, &[]).unwrap_err();
    assert!(said.contains("`authorization` is <the variable TOKEN>: `--reveal` prints its value"), "{said}");
    let shown = given(&sandbox, &["--reveal"]).unwrap();
    assert!(shown.contains("export OTEL_EXPORTER_OTLP_HEADERS='authorization=Bearer sk-canary';\n"), "{shown}");
    assert!(shown.contains("unset TOKEN"), "a variable used for a header is removed: {shown}");
    let table = text(&sandbox.run(["env", "--direct", "-p", "team"]).stdout);
    assert!(table.contains("OTEL_EXPORTER_OTLP_HEADERS=authorization=<the variable TOKEN>\n"), "{table}");
    assert!(!table.contains("sk-canary"), "{table}");
}

#[test]
fn headers_are_printed_as_a_helper_prints_them() {
    let mut sandbox = Sandbox::new();
    sandbox.set("TOKEN", "sk-\"canary\"");
    profile(&sandbox, "endpoint = \"https://h\"\nheaders = { X-A = { env = \"TOKEN\" }, x-b = \"2\" }\n");
    let printed = sandbox.run(["headers", "-p", "team"]);
    assert_eq!(text(&printed.stdout), "{\"x-a\":\"sk-\\\"canary\\\"\",\"x-b\":\"2\"}\n", "{}", text(&printed.stderr));
    let refused = |sandbox: &Sandbox, arguments: &[&str], expected: &str| {
        let output = sandbox.run(["headers", "-p", "team"].iter().chain(arguments));
        let said = text(&output.stderr);
        assert!(output.stdout.is_empty() && !output.status.success() && said.contains(expected), "{said}");
        assert!(said.lines().count() == 1 && !said.contains("canary"), "{said}");
    };
    refused(&sandbox, &["--destination", "two"], "there is no destination `two`: choose one of own");
    profile(&sandbox, "endpoint = \"https://h\"\n[destination.two]\nendpoint = \"https://g\"\nprotocol = \"grpc\"\n");
    refused(&sandbox, &[], "choose one of own, two with `--destination`");
    refused(&sandbox, &["--destination", "two"], "uses gRPC");
    profile(&sandbox, "endpoint = \"https://h\"\nheaders.x-a = { env = \"UNSET\" }\n");
    refused(&sandbox, &[], "the header `x-a` has no value: the variable UNSET is not set");
    sandbox.set("CLAUDECODE", "1");
    refused(&sandbox, &[], "inside a Claude session");
}
