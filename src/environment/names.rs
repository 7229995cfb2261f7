//! The telemetry variables that Claude Code reads, except those that a session sets. `scripts/client-variables.sh`
//! fails if the client reads one that is not listed.

use std::collections::{BTreeMap, BTreeSet};

/// Variables that a settings file of the user or a repository must not decide. Setting them to nothing disables them.
/// Those of exporters come first.
const EXPORTERS: [&str; 40] = [
    "OTEL_EXPORTER_OTLP_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_COMPRESSION",
    "OTEL_EXPORTER_OTLP_INSECURE",
    "OTEL_EXPORTER_OTLP_TIMEOUT",
    "OTEL_EXPORTER_OTLP_LOGS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_LOGS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_LOGS_COMPRESSION",
    "OTEL_EXPORTER_OTLP_LOGS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_LOGS_HEADERS",
    "OTEL_EXPORTER_OTLP_LOGS_INSECURE",
    "OTEL_EXPORTER_OTLP_LOGS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_LOGS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_METRICS_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_METRICS_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_METRICS_COMPRESSION",
    "OTEL_EXPORTER_OTLP_METRICS_ENDPOINT",
    "OTEL_EXPORTER_OTLP_METRICS_HEADERS",
    "OTEL_EXPORTER_OTLP_METRICS_INSECURE",
    "OTEL_EXPORTER_OTLP_METRICS_PROTOCOL",
    "OTEL_EXPORTER_OTLP_METRICS_TIMEOUT",
    "OTEL_EXPORTER_OTLP_TRACES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_TRACES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_TRACES_COMPRESSION",
    "OTEL_EXPORTER_OTLP_TRACES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_TRACES_HEADERS",
    "OTEL_EXPORTER_OTLP_TRACES_INSECURE",
    "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL",
    "OTEL_EXPORTER_OTLP_TRACES_TIMEOUT",
    "OTEL_EXPORTER_OTLP_PROFILES_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_PROFILES_CLIENT_CERTIFICATE",
    "OTEL_EXPORTER_OTLP_PROFILES_CLIENT_KEY",
    "OTEL_EXPORTER_OTLP_PROFILES_ENDPOINT",
    "OTEL_EXPORTER_OTLP_PROFILES_HEADERS",
    "OTEL_EXPORTER_OTLP_PROFILES_INSECURE",
    "OTEL_EXPORTER_OTLP_PROFILES_PROTOCOL",
];

/// A second exporter of the client, beside OpenTelemetry's. It would send all events and spans past the collector.
const SECOND_PIPELINE: [&str; 9] = [
    "BETA_TRACING_ENDPOINT",
    "ENABLE_BETA_TRACING_DETAILED",
    "ANT_OTEL_EXPORTER_OTLP_ENDPOINT",
    "ANT_OTEL_EXPORTER_OTLP_HEADERS",
    "ANT_OTEL_EXPORTER_OTLP_PROTOCOL",
    "ANT_OTEL_LOGS_EXPORTER",
    "ANT_OTEL_METRICS_EXPORTER",
    "ANT_OTEL_RESOURCE_ATTRIBUTES",
    "ANT_OTEL_TRACES_EXPORTER",
];

/// Limits, samplers, batches and timeouts of OpenTelemetry's SDK, and switches that no profile has. Any of them could
/// drop what a report counts.
const SDK: [&str; 36] = [
    "ENABLE_ENHANCED_TELEMETRY_BETA",
    "CLAUDE_CODE_OTEL_CONTENT_MAX_LENGTH",
    "CLAUDE_CODE_OTEL_FLUSH_TIMEOUT_MS",
    "CLAUDE_CODE_OTEL_SHUTDOWN_TIMEOUT_MS",
    "OTEL_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_BLRP_EXPORT_TIMEOUT",
    "OTEL_BLRP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BLRP_MAX_QUEUE_SIZE",
    "OTEL_BLRP_SCHEDULE_DELAY",
    "OTEL_BSP_EXPORT_TIMEOUT",
    "OTEL_BSP_MAX_EXPORT_BATCH_SIZE",
    "OTEL_BSP_MAX_QUEUE_SIZE",
    "OTEL_BSP_SCHEDULE_DELAY",
    "OTEL_CONFIG_FILE",
    "OTEL_EVENT_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_EXPERIMENTAL_CONFIG_FILE",
    "OTEL_EXPORTER_PROMETHEUS_HOST",
    "OTEL_EXPORTER_PROMETHEUS_PORT",
    "OTEL_LINK_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_LOGRECORD_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_LOG_MANAGED_SETTINGS",
    "OTEL_METRICS_EXEMPLAR_FILTER",
    "OTEL_METRIC_EXPORT_TIMEOUT",
    "OTEL_PROPAGATORS",
    "OTEL_RESOURCE_INCLUDE_HOST",
    "OTEL_SDK_DISABLED",
    "OTEL_SPAN_ATTRIBUTE_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_PER_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_PER_LINK_COUNT_LIMIT",
    "OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT",
    "OTEL_SPAN_EVENT_COUNT_LIMIT",
    "OTEL_SPAN_LINK_COUNT_LIMIT",
    "OTEL_TRACES_SAMPLER",
    "OTEL_TRACES_SAMPLER_ARG",
];

/// Variables that do not affect what is exported or where to. A name that ends in `_` or is not a variable's is another
/// word in the client.
const LEFT_ALONE: [&str; 16] = [
    // Whether requests to the model carry a trace, and which trace this session continues.
    "CLAUDE_CODE_PROPAGATE_TRACEPARENT",
    "TRACEPARENT",
    "TRACESTATE",
    // Output to stderr and to a file that the user chooses.
    "CLAUDE_CODE_OTEL_DIAG_STDERR",
    "CLAUDE_CODE_PERFETTO_TRACE",
    // How often a headers helper runs; sessions have none.
    "CLAUDE_CODE_OTEL_HEADERS_HELPER_DEBOUNCE_MS",
    // The client's own statistics and performance.
    "CLAUDE_CODE_DD_ERROR_TRACKING_FLUSH_INTERVAL_MS",
    "CLAUDE_CODE_DISABLE_OTEL_EVENT_SKIP",
    "CLAUDE_CODE_ENABLE_FEEDBACK_SURVEY_FOR_OTEL",
    "CLAUDE_CODE_GB_DISK_CACHE_WHEN_TELEMETRY_OFF",
    // Parts of names, and names of attributes.
    "OTEL_BLRP",
    "OTEL_EXPORTER_OTLP_",
    "OTEL_LOG_",
    "OTEL_STATUS_CODE_VALUE_ERROR",
    "OTEL_STATUS_CODE_VALUE_OK",
    "OTEL_EXPORTER_",
];

/// Variables that a Claude Code settings file may set, which would override a session's.
pub fn taken_back() -> impl Iterator<Item = &'static str> {
    EXPORTERS.into_iter().chain(SECOND_PIPELINE).chain(SDK)
}

/// Those of a second exporter only: it is off whenever telemetry is.
pub fn second_pipeline() -> impl Iterator<Item = &'static str> {
    SECOND_PIPELINE.into_iter()
}

/// Whether Claude Code must get a variable from the profile only. This includes names that a later client may read.
fn is_the_profiles(name: &str) -> bool {
    let is_of_opentelemetry = name.starts_with("OTEL_") || name.starts_with("ANT_OTEL_");
    (is_of_opentelemetry || taken_back().any(|known| known == name)) && !LEFT_ALONE.contains(&name)
}

/// The inherited variables to hide from Claude Code: those that neither the session nor the profile sets.
pub(super) fn withdrawn(
    inherited: &BTreeMap<String, String>,
    set: &BTreeMap<String, String>,
    own: &BTreeMap<String, String>,
) -> BTreeSet<String> {
    let is_said = |name: &str| set.contains_key(name) || own.contains_key(name);
    let theirs = inherited.keys().filter(|name| is_the_profiles(name) && !is_said(name));
    theirs.filter(|name| !super::IDENTITY.contains(&name.as_str())).cloned().collect()
}

/// The values of such variables in the profile's `[env]`, as far as the session does not set them. A settings file
/// would override the environment.
pub(super) fn said_by_the_profile(own: &BTreeMap<String, String>) -> BTreeMap<String, String> {
    own.iter()
        .filter(|(name, _)| SDK.contains(&name.as_str()))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_is_in_exactly_one_list() {
        let all: Vec<_> = taken_back().chain(LEFT_ALONE).chain(super::super::said()).collect();
        assert_eq!(all.iter().collect::<BTreeSet<_>>().len(), all.len());
        assert!(is_the_profiles("OTEL_SPAN_EVENT_COUNT_LIMIT") && is_the_profiles("OTEL_OF_TOMORROW"));
        assert!(
            is_the_profiles("BETA_TRACING_ENDPOINT") && !is_the_profiles("TRACEPARENT") && !is_the_profiles("PATH")
        );
    }
}
