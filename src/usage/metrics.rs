//! Usage from Claude Code's metrics, which are sums.

use jiff::Timestamp;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, metric::Data, number_data_point::Value,
};
use prost::Message;

use super::attributes::{Attributes, BILLION, identity, is_claude_code, timestamp, to_double, whole};
use super::events::decision;
use super::fact::{Extract, Identity, Measure, Source, Usage};

pub(super) fn extract(request: &ExportMetricsServiceRequest, received: Timestamp) -> Extract {
    let mut extract = Extract::default();
    for scope in request.resource_metrics.iter().flat_map(|resource| &resource.scope_metrics) {
        let ours = is_claude_code(scope.scope.as_ref());
        for metric in &scope.metrics {
            extract.items += points(metric) as u64;
            if ours {
                extract.usage.extend(usage(metric, received));
            }
        }
    }
    extract
}

fn points(metric: &Metric) -> usize {
    match &metric.data {
        Some(Data::Gauge(gauge)) => gauge.data_points.len(),
        Some(Data::Sum(sum)) => sum.data_points.len(),
        Some(Data::Histogram(histogram)) => histogram.data_points.len(),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.len(),
        Some(Data::Summary(summary)) => summary.data_points.len(),
        None => 0,
    }
}

fn usage(metric: &Metric, received: Timestamp) -> Vec<Usage> {
    let Some(Data::Sum(sum)) = &metric.data else { return Vec::new() };
    let cumulative = sum.aggregation_temporality == AggregationTemporality::Cumulative as i32;
    let point = |point: &NumberDataPoint| {
        let attributes = Attributes(&point.attributes);
        let (measure, scale, names) = measured(&metric.name, attributes)?;
        let amount = whole(number(point)? * scale);
        (amount > 0).then(|| Usage {
            identity: point_identity(&metric.name, point, cumulative),
            source: Source::Metric,
            client: attributes.short_text(&["session.id"]),
            name: attributes.short_text(names),
            at: timestamp(point.time_unix_nano).unwrap_or(received),
            amounts: vec![(measure, amount)],
            cumulative,
        })
    };
    sum.data_points.iter().filter_map(point).collect()
}

/// Where a point names its model, and where its tool: older versions say `tool`.
const MODEL: &[&str] = &["model"];
const TOOL: &[&str] = &["tool_name", "tool"];

/// What a metric measures, how many of the ledger's units one of its own is, and which attributes name what it was for.
fn measured(metric: &str, attributes: Attributes<'_>) -> Option<(Measure, f64, &'static [&'static str])> {
    let kind = attributes.text(&["type"]).unwrap_or_default();
    let decided = || decision(attributes.text(&["decision", "decision_type"])?);
    Some(match (metric.strip_prefix("claude_code.")?, kind) {
        ("token.usage", "input") => (Measure::InputTokens, 1.0, MODEL),
        ("token.usage", "output") => (Measure::OutputTokens, 1.0, MODEL),
        ("token.usage", "cacheRead") => (Measure::CacheReadTokens, 1.0, MODEL),
        ("token.usage", "cacheCreation") => (Measure::CacheCreationTokens, 1.0, MODEL),
        ("cost.usage", _) => (Measure::Cost, BILLION, MODEL),
        ("active_time.total", "user") => (Measure::ActiveUser, 1000.0, &[]),
        ("active_time.total", "cli") => (Measure::ActiveCli, 1000.0, &[]),
        ("lines_of_code.count", "added") => (Measure::LinesAdded, 1.0, &[]),
        ("lines_of_code.count", "removed") => (Measure::LinesRemoved, 1.0, &[]),
        ("commit.count", _) => (Measure::Commits, 1.0, &[]),
        ("pull_request.count", _) => (Measure::PullRequests, 1.0, &[]),
        ("session.count", _) => (Measure::SessionStarts, 1.0, &[]),
        ("code_edit_tool.decision", _) => (decided()?, 1.0, TOOL),
        _ => return None,
    })
}

fn number(point: &NumberDataPoint) -> Option<f64> {
    match point.value? {
        Value::AsDouble(number) => Some(number),
        Value::AsInt(number) => Some(to_double(number)),
    }
}

/// A delta is told by its attributes, its two times and its value. A cumulative series goes by attributes and start
/// alone: its next point says more of the same, and one that starts anew has another start.
fn point_identity(metric: &str, point: &NumberDataPoint, cumulative: bool) -> Identity {
    let mut attributes: Vec<Vec<u8>> = point.attributes.iter().map(Message::encode_to_vec).collect();
    attributes.sort_unstable();
    let attributes = attributes.concat();
    let (start, time) = (point.start_time_unix_nano, point.time_unix_nano);
    if cumulative {
        return identity(start, 0, &[b"series", metric.as_bytes(), &attributes, &start.to_le_bytes()]);
    }
    let value = number(point).unwrap_or_default().to_le_bytes();
    let (start, at) = (start.to_le_bytes(), time.to_le_bytes());
    identity(time, 0, &[b"delta", metric.as_bytes(), &attributes, &start, &at, &value])
}
