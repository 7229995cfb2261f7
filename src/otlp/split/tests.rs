use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::InstrumentationScope;
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Gauge, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span};
use proptest::prelude::*;
use prost::Message;

use super::*;

/// Field 7777 of a newer sender.
const UNKNOWN: [u8; 5] = [0x8a, 0xe6, 0x03, 0x01, b'?'];

fn resource(number: usize) -> Resource {
    Resource { dropped_attributes_count: u32::try_from(number).unwrap(), ..Resource::default() }
}

fn scope(number: usize) -> InstrumentationScope {
    InstrumentationScope { name: format!("scope-{number}"), ..InstrumentationScope::default() }
}

/// How many records each scope of each resource has.
type Shape = Vec<Vec<usize>>;

fn shapes() -> impl Strategy<Value = Shape> {
    prop::collection::vec(prop::collection::vec(0..5_usize, 0..4), 0..4)
}

fn logs(shape: &Shape) -> Vec<u8> {
    let mut time = 0;
    let scopes = |scopes: &Vec<usize>, time: &mut u64| {
        let scope_logs = scopes.iter().enumerate().map(|(number, records)| {
            let log_records = (0..*records).map(|_| {
                *time += 1;
                LogRecord { time_unix_nano: *time, ..LogRecord::default() }
            });
            ScopeLogs { scope: Some(scope(number)), log_records: log_records.collect(), schema_url: "s".to_owned() }
        });
        scope_logs.collect()
    };
    let resource_logs = shape.iter().enumerate().map(|(number, shape)| ResourceLogs {
        resource: Some(resource(number)),
        scope_logs: scopes(shape, &mut time),
        schema_url: "r".to_owned(),
    });
    let mut request = ExportLogsServiceRequest { resource_logs: resource_logs.collect() }.encode_to_vec();
    request.extend(UNKNOWN);
    request
}

/// Every record with its description.
fn log_records(request: &[u8]) -> Vec<(u32, String, String, String, u64)> {
    let request = ExportLogsServiceRequest::decode(request).unwrap();
    let mut found = Vec::new();
    for of_resource in request.resource_logs {
        for of_scope in of_resource.scope_logs {
            let scope = of_scope.scope.unwrap().name;
            let resource = of_resource.resource.as_ref().unwrap().dropped_attributes_count;
            let urls = (of_resource.schema_url.clone(), of_scope.schema_url);
            let records = of_scope.log_records.into_iter();
            found.extend(
                records.map(|record| (resource, scope.clone(), urls.0.clone(), urls.1.clone(), record.time_unix_nano)),
            );
        }
    }
    found
}

fn metrics(metrics: Vec<Metric>) -> Vec<u8> {
    let scope_metrics = vec![ScopeMetrics { scope: Some(scope(0)), metrics, schema_url: "s".to_owned() }];
    let resource_metrics =
        vec![ResourceMetrics { resource: Some(resource(0)), scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

fn points(count: u64) -> Vec<NumberDataPoint> {
    (1..=count).map(|time| NumberDataPoint { time_unix_nano: time, ..NumberDataPoint::default() }).collect()
}

fn sum(count: u64) -> Metric {
    let data = Sum { data_points: points(count), aggregation_temporality: 1, is_monotonic: true };
    Metric { name: "sum".to_owned(), unit: "1".to_owned(), data: Some(Data::Sum(data)), ..Metric::default() }
}

/// Halves until no part can be halved.
fn atoms(signal: Signal, request: Vec<u8>) -> Vec<Vec<u8>> {
    match halve(signal, &request).unwrap() {
        None => vec![request],
        Some((first, second)) => [atoms(signal, first), atoms(signal, second)].concat(),
    }
}

proptest! {
    #[test]
    fn halves_together_contain_exactly_the_original_records(shape in shapes()) {
        let whole = logs(&shape);
        let records = log_records(&whole);
        prop_assert_eq!(count(Signal::Logs, &whole).unwrap(), records.len() as u64);
        let Some((first, second)) = halve(Signal::Logs, &whole).unwrap() else {
            prop_assert!(records.len() <= 1);
            return Ok(());
        };
        prop_assert!(first.ends_with(&UNKNOWN) && second.ends_with(&UNKNOWN));
        prop_assert!(first.len() < whole.len() && second.len() < whole.len());
        prop_assert_eq!([log_records(&first), log_records(&second)].concat(), records);
    }

    #[test]
    fn repeated_halving_ends_with_one_record_in_each_part(shape in shapes()) {
        let whole = logs(&shape);
        let parts = atoms(Signal::Logs, whole.clone());
        prop_assert!(parts.iter().all(|part| count(Signal::Logs, part).unwrap() <= 1));
        let records: Vec<_> = parts.iter().flat_map(|part| log_records(part)).collect();
        prop_assert_eq!(records, log_records(&whole));
    }

    #[test]
    fn random_bytes_never_panic(bytes: Vec<u8>) {
        for signal in Signal::ALL {
            let _ = (count(signal, &bytes), halve(signal, &bytes));
        }
    }
}

#[test]
fn halves_are_about_equally_large() {
    let whole = logs(&vec![vec![1000]]);
    let (first, second) = halve(Signal::Logs, &whole).unwrap().unwrap();
    assert!(first.len().abs_diff(second.len()) < 100, "{} and {}", first.len(), second.len());
}

#[test]
fn a_metric_is_halved_between_its_points() {
    let (first, second) = halve(Signal::Metrics, &metrics(vec![sum(5)])).unwrap().unwrap();
    let mut times = Vec::new();
    for part in [&first, &second] {
        let request = ExportMetricsServiceRequest::decode(&part[..]).unwrap();
        let of_scope = &request.resource_metrics[0].scope_metrics[0];
        assert_eq!(
            (of_scope.schema_url.as_str(), request.resource_metrics[0].resource.clone()),
            ("s", Some(resource(0)))
        );
        let metric = of_scope.metrics[0].clone();
        assert_eq!((metric.name.as_str(), metric.unit.as_str()), ("sum", "1"));
        let Some(Data::Sum(sum)) = metric.data else { panic!("{metric:?}") };
        assert_eq!((sum.aggregation_temporality, sum.is_monotonic), (1, true));
        times.extend(sum.data_points.iter().map(|point| point.time_unix_nano));
    }
    assert_eq!(times, [1, 2, 3, 4, 5]);
}

#[test]
fn metrics_are_separated_before_their_points() {
    let gauge = Metric { data: Some(Data::Gauge(Gauge { data_points: points(2) })), ..Metric::default() };
    let whole = metrics(vec![sum(2), gauge]);
    assert_eq!(count(Signal::Metrics, &whole).unwrap(), 4);
    let parts = atoms(Signal::Metrics, whole.clone());
    assert_eq!(parts.iter().map(|part| count(Signal::Metrics, part).unwrap()).collect::<Vec<_>>(), [1; 4]);
    let (first, second) = halve(Signal::Metrics, &whole).unwrap().unwrap();
    assert_eq!([first, second].map(|part| count(Signal::Metrics, &part).unwrap()), [2, 2]);
}

#[test]
fn spans_are_split_like_log_records() {
    let spans =
        vec![Span { name: "a".to_owned(), ..Span::default() }, Span { name: "b".to_owned(), ..Span::default() }];
    let scope_spans = vec![ScopeSpans { scope: Some(scope(3)), spans, ..ScopeSpans::default() }];
    let resource_spans = vec![ResourceSpans { resource: Some(resource(1)), scope_spans, ..ResourceSpans::default() }];
    let whole = ExportTraceServiceRequest { resource_spans }.encode_to_vec();
    let (first, second) = halve(Signal::Traces, &whole).unwrap().unwrap();
    let names = [first, second].map(|part| {
        let part = ExportTraceServiceRequest::decode(&part[..]).unwrap();
        let of_scope = part.resource_spans[0].scope_spans[0].clone();
        (of_scope.scope, of_scope.spans[0].name.clone())
    });
    assert_eq!(names, [(Some(scope(3)), "a".to_owned()), (Some(scope(3)), "b".to_owned())]);
}
