//! Metrics as an SDK with delta temporality exports them.

use std::time::{SystemTime, UNIX_EPOCH};

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value as Any;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint,
    Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use crate::support::emitter::Emitter;

const DELTA: i32 = AggregationTemporality::Delta as i32;

/// A program that exports metrics. Each point covers the time since the previous export.
pub struct Program {
    emitter: Emitter,
    since: u64,
    described: Vec<KeyValue>,
}

impl Program {
    pub fn new(emitter: Emitter) -> Self {
        Self { emitter, since: now(), described: vec![attribute("service.name", "test-client")] }
    }

    /// Adds these attributes to its resource.
    pub fn described<const N: usize>(mut self, attributes: [(&str, &str); N]) -> Self {
        self.described.extend(attributes.map(|(key, value)| attribute(key, value)));
        self
    }

    /// Exports these measurements.
    #[track_caller]
    pub fn export<const N: usize>(&mut self, measured: [(&str, Measured); N]) {
        let time = now().max(self.since + 1);
        let metrics = measured.map(|(name, measured)| Metric {
            name: name.to_owned(),
            unit: measured.unit().to_owned(),
            data: Some(measured.data(self.since, time)),
            ..Metric::default()
        });
        self.since = time;
        let resource_metrics = vec![ResourceMetrics {
            resource: Some(Resource { attributes: self.described.clone(), ..Resource::default() }),
            scope_metrics: vec![ScopeMetrics { metrics: metrics.into(), ..ScopeMetrics::default() }],
            ..ResourceMetrics::default()
        }];
        self.insist(&ExportMetricsServiceRequest { resource_metrics }.encode_to_vec());
    }

    /// Sends a request until it is answered. A request without an answer may have arrived, and is repeated unchanged.
    #[track_caller]
    fn insist(&mut self, request: &[u8]) {
        for _ in 0..100 {
            if let Ok(answer) = self.emitter.post(Signal::Metrics, request) {
                assert_eq!(answer.status, 200, "{answer:?}");
                return;
            }
            self.emitter.disconnect();
        }
        panic!("no answer in a hundred attempts");
    }
}

/// What was measured since the previous export.
#[derive(Clone, Copy)]
pub enum Measured {
    /// An increment of a counter.
    Count(i64),
    /// An increment of 1 in each of this number of series.
    Each(u32),
    /// A change of an up-down counter.
    Change(i64),
    /// A gauge's value.
    Level(f64),
    /// A histogram: counts up to 0.1 s, up to 1 s and above, and the sum.
    Durations([u64; 3], f64),
    /// An exponential histogram: counts above 1, 2, 4 and 8 bytes, up to 16, and the sum.
    Sizes([u64; 4], f64),
}

impl Measured {
    fn unit(self) -> &'static str {
        match self {
            Self::Durations(..) => "s",
            Self::Sizes(..) => "By",
            _ => "",
        }
    }

    fn data(self, start_time_unix_nano: u64, time_unix_nano: u64) -> Data {
        let number = |value| {
            vec![NumberDataPoint {
                start_time_unix_nano,
                time_unix_nano,
                value: Some(value),
                ..NumberDataPoint::default()
            }]
        };
        let sum = |value, is_monotonic| {
            let data_points = number(Value::AsInt(value));
            Data::Sum(Sum { data_points, aggregation_temporality: DELTA, is_monotonic })
        };
        match self {
            Self::Count(value) => sum(value, true),
            Self::Each(things) => {
                let one = number(Value::AsInt(1)).remove(0);
                let of = |thing: u32| vec![attribute("thing", &thing.to_string())];
                let data_points =
                    (0..things).map(|thing| NumberDataPoint { attributes: of(thing), ..one.clone() }).collect();
                Data::Sum(Sum { data_points, aggregation_temporality: DELTA, is_monotonic: true })
            }
            Self::Change(value) => sum(value, false),
            Self::Level(value) => Data::Gauge(Gauge { data_points: number(Value::AsDouble(value)) }),
            Self::Durations(counts, sum) => {
                let point = HistogramDataPoint {
                    start_time_unix_nano,
                    time_unix_nano,
                    count: counts.iter().sum(),
                    sum: Some(sum),
                    bucket_counts: counts.into(),
                    explicit_bounds: vec![0.1, 1.0],
                    ..HistogramDataPoint::default()
                };
                Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: DELTA })
            }
            Self::Sizes(counts, sum) => {
                let point = ExponentialHistogramDataPoint {
                    start_time_unix_nano,
                    time_unix_nano,
                    count: counts.iter().sum(),
                    sum: Some(sum),
                    positive: Some(Buckets { offset: 0, bucket_counts: counts.into() }),
                    ..ExponentialHistogramDataPoint::default()
                };
                let data_points = vec![point];
                Data::ExponentialHistogram(ExponentialHistogram { data_points, aggregation_temporality: DELTA })
            }
        }
    }
}

fn attribute(key: &str, value: &str) -> KeyValue {
    let value = AnyValue { value: Some(Any::StringValue(value.to_owned())) };
    KeyValue { key: key.to_owned(), value: Some(value), ..KeyValue::default() }
}

/// Nanoseconds since 1970.
fn now() -> u64 {
    u64::try_from(SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_nanos()).unwrap()
}
