use super::*;

fn find(variables: &[(&str, &str)]) -> Option<Inherited> {
    let place =
        |(name, value): &(&str, &str)| ((*name).to_owned(), ((*value).to_owned(), "the environment".to_owned()));
    Inherited::find(&variables.iter().map(place).collect())
}

const ON: (&str, &str) = ("CLAUDE_CODE_ENABLE_TELEMETRY", "1");
const METRICS: (&str, &str) = ("OTEL_METRICS_EXPORTER", "otlp");
const LOGS: (&str, &str) = ("OTEL_LOGS_EXPORTER", "otlp");
const ENDPOINT: (&str, &str) = ("OTEL_EXPORTER_OTLP_ENDPOINT", "https://h:1/base");

#[test]
fn a_general_endpoint_is_one_destination() {
    let found = find(&[
        ON,
        METRICS,
        LOGS,
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_HEADERS", "Authorization=Bearer%20x, X-Key = a=b${c},,bad"),
        ("OTEL_LOG_USER_PROMPTS", "1"),
        ("OTEL_METRIC_EXPORT_INTERVAL", "60000"),
        ("OTEL_RESOURCE_ATTRIBUTES", "team.id=a%20b"),
    ]);
    let found = found.unwrap();
    insta::assert_snapshot!(found.text().unwrap(), @r#"
    description = "the telemetry already configured for Claude Code"

    [signals]
    metrics = true  # OTEL_METRICS_EXPORTER in the environment
    logs = true  # OTEL_LOGS_EXPORTER in the environment
    metric_interval = "60000ms"  # OTEL_METRIC_EXPORT_INTERVAL in the environment

    [destination.inherited]
    endpoint = "https://h:1/base"  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment
    signals = ["metrics", "logs"]  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment
    compression = "none"  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment

    [destination.inherited.headers]
    authorization = "Bearer%20x"  # OTEL_EXPORTER_OTLP_HEADERS in the environment
    x-key = "a=b$${c}"  # OTEL_EXPORTER_OTLP_HEADERS in the environment

    [content]
    user_prompts = true  # OTEL_LOG_USER_PROMPTS in the environment
    assistant_responses = true  # OTEL_LOG_USER_PROMPTS in the environment

    [resource]
    "team.id" = "a b"  # OTEL_RESOURCE_ATTRIBUTES in the environment
    "#);
    assert!(found.has_headers() && found.remarks().is_empty());
    let notice = found.notice().unwrap();
    assert!(notice.contains("(OTEL_EXPORTER_OTLP_ENDPOINT in the environment)"), "{notice}");
    assert!(!format!("{found:?}{notice}").contains("Bearer"));
}

#[test]
fn signals_with_their_own_endpoints_are_separate_destinations() {
    let found = find(&[
        ON,
        METRICS,
        LOGS,
        ENDPOINT,
        ("OTEL_EXPORTER_OTLP_METRICS_ENDPOINT", "http://localhost:4317/ignored"),
        ("OTEL_EXPORTER_OTLP_METRICS_PROTOCOL", "grpc"),
        ("OTEL_EXPORTER_OTLP_METRICS_HEADERS", "a=b%20c"),
        ("OTEL_EXPORTER_OTLP_HEADERS", "a=general,d=e"),
    ]);
    insta::assert_snapshot!(found.unwrap().text().unwrap(), @r#"
    description = "the telemetry already configured for Claude Code"

    [signals]
    metrics = true  # OTEL_METRICS_EXPORTER in the environment
    logs = true  # OTEL_LOGS_EXPORTER in the environment

    [destination.metrics]
    endpoint = "http://localhost:4317"  # OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in the environment
    protocol = "grpc"  # OTEL_EXPORTER_OTLP_METRICS_PROTOCOL in the environment
    signals = ["metrics"]  # OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in the environment
    compression = "none"  # OTEL_EXPORTER_OTLP_METRICS_ENDPOINT in the environment

    [destination.metrics.headers]
    a = "b c"  # OTEL_EXPORTER_OTLP_METRICS_HEADERS in the environment
    d = "e"  # OTEL_EXPORTER_OTLP_HEADERS in the environment

    [destination.inherited]
    endpoint = "https://h:1/base"  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment
    signals = ["logs"]  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment
    compression = "none"  # OTEL_EXPORTER_OTLP_ENDPOINT in the environment

    [destination.inherited.headers]
    a = "general"  # OTEL_EXPORTER_OTLP_HEADERS in the environment
    d = "e"  # OTEL_EXPORTER_OTLP_HEADERS in the environment
    "#);
}

#[test]
fn cumulative_temporality_is_kept() {
    let preference = |value| ("OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE", value);
    let text = |value| find(&[ON, METRICS, LOGS, ENDPOINT, preference(value)]).unwrap().text().unwrap();
    assert!(text("Cumulative").contains("temporality = \"cumulative\"  # OTEL_EXPORTER_OTLP_METRICS_TEMP"));
    assert!(["delta", "lowmemory"].iter().all(|value| !text(value).contains("temporality")));
    assert!(!find(&[ON, LOGS, ENDPOINT, preference("cumulative")]).unwrap().text().unwrap().contains("temporality"));
}

#[test]
fn settings_that_a_profile_cannot_express_are_reported() {
    let endpoint = ("OTEL_EXPORTER_OTLP_LOGS_ENDPOINT", "https://h/ingest?key=sk-1");
    let found = find(&[ON, LOGS, endpoint, ("OTEL_METRICS_EXPORTER", "console, prometheus")]).unwrap();
    assert!(!found.is_profile());
    let notice = found.notice().unwrap();
    assert!(notice.contains("9464") && notice.contains("screen") && notice.contains("/v1/logs"), "{notice}");
    assert!(!notice.contains("sk-1"));
    let thrift = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/thrift");
    let found = find(&[ON, LOGS, ENDPOINT, thrift, ("OTEL_EXPORTER_OTLP_HEADERS", "host=x")]).unwrap();
    assert!(found.is_profile() && found.remarks().len() == 2, "{:?}", found.remarks());
    let json = ("OTEL_EXPORTER_OTLP_PROTOCOL", "http/json");
    let found = find(&[ON, LOGS, ENDPOINT, json]).unwrap();
    assert!(found.remarks().is_empty() && found.text().unwrap().contains("protocol = \"http/json\""));
}

#[test]
fn client_certificates_are_kept() {
    let http = [("CLAUDE_CODE_CLIENT_CERT", "/c.pem"), ("CLAUDE_CODE_CLIENT_KEY", "/k.pem")];
    let grpc = [("OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE", "/c.pem"), ("OTEL_EXPORTER_OTLP_CLIENT_KEY", "/k.pem")];
    for (names, protocol) in [(http, "http/protobuf"), (grpc, "grpc")] {
        let protocol = ("OTEL_EXPORTER_OTLP_PROTOCOL", protocol);
        let found = find(&[ON, LOGS, ENDPOINT, protocol, names[0], names[1]]).unwrap();
        let text = found.text().unwrap();
        let wanted =
            ["tls]", &format!("cert = \"/c.pem\"  # {}", names[0].0), &format!("key = \"/k.pem\"  # {}", names[1].0)];
        assert!(wanted.iter().all(|wanted| text.contains(wanted)) && found.remarks().is_empty(), "{text}");
        let found = find(&[ON, LOGS, ENDPOINT, protocol, names[0]]).unwrap();
        assert!(found.remarks()[0].starts_with(names[0].0) && found.is_profile(), "{:?}", found.remarks());
    }
}

#[test]
fn disabled_telemetry_is_not_found() {
    assert!(find(&[METRICS, ENDPOINT]).is_none());
    assert!(find(&[("CLAUDE_CODE_ENABLE_TELEMETRY", "0"), METRICS, ENDPOINT]).is_none());
    let none = find(&[ON, METRICS]).unwrap();
    assert!(!none.is_profile() && none.notice().is_none());
    assert!(find(&[ON, ENDPOINT]).unwrap().is_profile(), "an endpoint without exporters");
    let beta = find(&[ON, ENDPOINT, ("OTEL_TRACES_EXPORTER", "otlp")]).unwrap();
    assert!(!beta.is_profile(), "spans need their beta switch");
}
