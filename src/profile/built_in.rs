//! The profiles that come with the program.

/// Embeds the files of these names.
macro_rules! built_in {
    ($($name:literal),* $(,)?) => {
        [$(($name, include_str!(concat!("../../profiles/", $name, ".toml")))),*]
    };
}

/// The profiles that come with the program, by name.
pub(super) const BUILT_IN: [(&str, &str); 31] = built_in![
    "axiom",
    "bedrock",
    "betterstack",
    "clickstack",
    "datadog",
    "dynatrace",
    "elastic",
    "foundry",
    "grafana-cloud",
    "honeycomb",
    "jaeger",
    "langfuse",
    "litellm",
    "litellm-bedrock",
    "litellm-vertex",
    "local",
    "loki",
    "newrelic",
    "openobserve",
    "otelcol",
    "otlp",
    "prometheus",
    "signoz",
    "signoz-selfhosted",
    "splunk",
    "stack",
    "tempo",
    "uptrace",
    "vertex",
    "victorialogs",
    "victoriametrics",
];
