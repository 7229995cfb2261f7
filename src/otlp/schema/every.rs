//! Field numbers that are the same for all signals, or for all kinds of metric data.

use super::{
    exponential_histogram, export_logs, export_metrics, export_traces, gauge, histogram, metric, resource_logs,
    resource_metrics, resource_spans, scope_logs, scope_metrics, scope_spans, sum, summary,
};

/// `resource_spans`, `resource_metrics` or `resource_logs` of a request.
pub const RESOURCE_ITEM: u32 =
    same(&[export_traces::RESOURCE_SPANS, export_metrics::RESOURCE_METRICS, export_logs::RESOURCE_LOGS]);
/// `resource` of one of those.
pub const RESOURCE: u32 = same(&[resource_spans::RESOURCE, resource_metrics::RESOURCE, resource_logs::RESOURCE]);
/// `scope_spans`, `scope_metrics` or `scope_logs` of one of those.
pub const SCOPE_ITEM: u32 =
    same(&[resource_spans::SCOPE_SPANS, resource_metrics::SCOPE_METRICS, resource_logs::SCOPE_LOGS]);
/// `scope` of one of those.
pub const SCOPE: u32 = same(&[scope_spans::SCOPE, scope_metrics::SCOPE, scope_logs::SCOPE]);
/// `spans`, `metrics` or `log_records` beside it.
pub const RECORD: u32 = same(&[scope_spans::SPANS, scope_metrics::METRICS, scope_logs::LOG_RECORDS]);

/// The kinds of data that a metric may have.
pub const DATA: [u32; 5] =
    [metric::GAUGE, metric::SUM, metric::HISTOGRAM, metric::EXPONENTIAL_HISTOGRAM, metric::SUMMARY];
/// `data_points` of any of those.
pub const POINTS: u32 = same(&[
    gauge::DATA_POINTS,
    sum::DATA_POINTS,
    histogram::DATA_POINTS,
    exponential_histogram::DATA_POINTS,
    summary::DATA_POINTS,
]);
/// `aggregation_temporality` of the kinds that have one.
pub const TEMPORALITY: u32 = same(&[
    sum::AGGREGATION_TEMPORALITY,
    histogram::AGGREGATION_TEMPORALITY,
    exponential_histogram::AGGREGATION_TEMPORALITY,
]);

/// The number that all of these share. Different numbers do not compile.
const fn same<const N: usize>(numbers: &[u32; N]) -> u32 {
    let mut index = 1;
    while index < N {
        assert!(numbers[index] == numbers[0], "the field has another number in another message");
        index += 1;
    }
    numbers[0]
}
