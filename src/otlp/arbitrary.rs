//! Requests out of bytes: whatever proptest thinks of becomes a message, and a shorter one when it shrinks.

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{
    AnyValue, ArrayValue, EntityRef, InstrumentationScope, KeyValue, KeyValueList,
};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::summary_data_point::ValueAtQuantile;
use opentelemetry_proto::tonic::metrics::v1::{
    Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram, HistogramDataPoint, Metric,
    NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, Summary, SummaryDataPoint, exemplar, number_data_point,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::span::{Event, Link};
use opentelemetry_proto::tonic::trace::v1::{ResourceSpans, ScopeSpans, Span, Status};

/// Gives values until its bytes are used up, and nothing but defaults from then on.
pub(super) struct Source<'a> {
    bytes: &'a [u8],
    /// Leaves out what the types crate's own JSON gets wrong: NaN, infinities, and arrays and maps that are empty.
    is_plain: bool,
}

impl<'a> Source<'a> {
    pub(super) fn new(bytes: &'a [u8], is_plain: bool) -> Self {
        Self { bytes, is_plain }
    }

    pub(super) fn traces(&mut self) -> ExportTraceServiceRequest {
        ExportTraceServiceRequest { resource_spans: self.list(Self::resource_spans) }
    }

    pub(super) fn metrics(&mut self) -> ExportMetricsServiceRequest {
        ExportMetricsServiceRequest { resource_metrics: self.list(Self::resource_metrics) }
    }

    pub(super) fn logs(&mut self) -> ExportLogsServiceRequest {
        ExportLogsServiceRequest { resource_logs: self.list(Self::resource_logs) }
    }

    fn byte(&mut self) -> u8 {
        let Some((first, rest)) = self.bytes.split_first() else { return 0 };
        self.bytes = rest;
        *first
    }

    fn truth(&mut self) -> bool {
        self.byte() % 2 == 1
    }

    fn u32(&mut self) -> u32 {
        match self.byte() % 4 {
            0 => 0,
            1 => self.byte().into(),
            2 => u32::MAX,
            _ => u32::from_le_bytes([self.byte(), self.byte(), self.byte(), self.byte()]),
        }
    }

    fn i32(&mut self) -> i32 {
        self.u32().cast_signed()
    }

    fn u64(&mut self) -> u64 {
        u64::from(self.u32()) << 32 | u64::from(self.u32())
    }

    fn double(&mut self) -> f64 {
        let odd = [0.0, f64::NAN, f64::INFINITY, f64::NEG_INFINITY, f64::MIN_POSITIVE, f64::MAX];
        let number = match self.byte() {
            choice @ 0..6 => odd[usize::from(choice)],
            _ => f64::from_bits(self.u64()),
        };
        if number.is_nan() && !self.is_plain {
            return f64::NAN;
        }
        // A zero is a zero for those who leave defaults out, whatever its sign.
        if self.is_plain && !number.is_finite() || number == 0.0 { 0.0 } else { number }
    }

    fn bytes(&mut self, length: usize) -> Vec<u8> {
        (0..length).map(|_| self.byte()).collect()
    }

    fn id(&mut self, length: usize) -> Vec<u8> {
        if self.truth() { self.bytes(length) } else { Vec::new() }
    }

    fn string(&mut self) -> String {
        let length = usize::from(self.byte() % 6);
        (0..length).map(|_| char::from_u32(self.u32() % 0x11_0000).unwrap_or('\u{fffd}')).collect()
    }

    fn option<T>(&mut self, make: impl FnOnce(&mut Self) -> T) -> Option<T> {
        self.truth().then(|| make(self))
    }

    fn list<T>(&mut self, mut make: impl FnMut(&mut Self) -> T) -> Vec<T> {
        let length = usize::from(self.byte() % 4);
        (0..length).map(|_| make(self)).collect()
    }

    fn value(&mut self) -> AnyValue {
        let value = match self.byte() % 8 {
            0 => None,
            1 => Some(Value::StringValue(self.string())),
            2 => Some(Value::BoolValue(self.truth())),
            3 => Some(Value::IntValue(self.u64().cast_signed())),
            4 => Some(Value::DoubleValue(self.double())),
            5 => Some(Value::ArrayValue(ArrayValue { values: self.list(Self::value) })),
            6 => Some(Value::KvlistValue(KeyValueList { values: self.attributes() })),
            _ => Some(Value::BytesValue(self.id(3))),
        };
        let is_empty = match &value {
            Some(Value::ArrayValue(array)) => array.values.is_empty(),
            Some(Value::KvlistValue(list)) => list.values.is_empty(),
            _ => false,
        };
        AnyValue { value: value.filter(|_| !(self.is_plain && is_empty)) }
    }

    fn attributes(&mut self) -> Vec<KeyValue> {
        self.list(|source| {
            // The types crate's own JSON wants a key and a value.
            let value = if source.is_plain { Some(source.value()) } else { source.option(Self::value) };
            let key = if source.is_plain { "key".to_owned() } else { source.string() };
            KeyValue { key, value, key_strindex: if source.is_plain { 0 } else { source.i32() } }
        })
    }

    fn resource(&mut self) -> Resource {
        let entity = |source: &mut Self| EntityRef {
            schema_url: source.string(),
            r#type: source.string(),
            id_keys: source.list(Self::string),
            description_keys: source.list(Self::string),
        };
        let entity_refs = if self.is_plain { Vec::new() } else { self.list(entity) };
        Resource { attributes: self.attributes(), dropped_attributes_count: self.u32(), entity_refs }
    }

    fn scope(&mut self) -> InstrumentationScope {
        InstrumentationScope {
            name: self.string(),
            version: self.string(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
        }
    }

    fn resource_logs(&mut self) -> ResourceLogs {
        let scope_logs = self.list(|source| ScopeLogs {
            scope: source.option(Self::scope),
            log_records: source.list(Self::record),
            schema_url: source.string(),
        });
        ResourceLogs { resource: self.option(Self::resource), scope_logs, schema_url: self.string() }
    }

    fn record(&mut self) -> LogRecord {
        LogRecord {
            time_unix_nano: self.u64(),
            observed_time_unix_nano: self.u64(),
            severity_number: self.i32(),
            severity_text: self.string(),
            body: self.option(Self::value),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            flags: self.u32(),
            trace_id: self.id(16),
            span_id: self.id(8),
            event_name: self.string(),
        }
    }

    fn resource_spans(&mut self) -> ResourceSpans {
        let scope_spans = self.list(|source| ScopeSpans {
            scope: source.option(Self::scope),
            spans: source.list(Self::span),
            schema_url: source.string(),
        });
        ResourceSpans { resource: self.option(Self::resource), scope_spans, schema_url: self.string() }
    }

    fn span(&mut self) -> Span {
        Span {
            trace_id: self.id(16),
            span_id: self.id(8),
            trace_state: self.string(),
            parent_span_id: self.id(8),
            flags: self.u32(),
            name: self.string(),
            kind: self.i32(),
            start_time_unix_nano: self.u64(),
            end_time_unix_nano: self.u64(),
            attributes: self.attributes(),
            dropped_attributes_count: self.u32(),
            events: self.list(|source| Event {
                time_unix_nano: source.u64(),
                name: source.string(),
                attributes: source.attributes(),
                dropped_attributes_count: source.u32(),
            }),
            dropped_events_count: self.u32(),
            links: self.list(|source| Link {
                trace_id: source.id(16),
                span_id: source.id(8),
                trace_state: source.string(),
                attributes: source.attributes(),
                dropped_attributes_count: source.u32(),
                flags: source.u32(),
            }),
            dropped_links_count: self.u32(),
            status: self.option(|source| Status { message: source.string(), code: source.i32() }),
        }
    }

    fn resource_metrics(&mut self) -> ResourceMetrics {
        let scope_metrics = self.list(|source| ScopeMetrics {
            scope: source.option(Self::scope),
            metrics: source.list(Self::metric),
            schema_url: source.string(),
        });
        ResourceMetrics { resource: self.option(Self::resource), scope_metrics, schema_url: self.string() }
    }

    fn metric(&mut self) -> Metric {
        Metric {
            name: self.string(),
            description: self.string(),
            unit: self.string(),
            metadata: self.attributes(),
            data: self.data(),
        }
    }

    fn data(&mut self) -> Option<Data> {
        Some(match self.byte() % 6 {
            0 => return None,
            1 => Data::Gauge(Gauge { data_points: self.list(Self::number) }),
            2 => Data::Sum(Sum {
                data_points: self.list(Self::number),
                aggregation_temporality: self.i32(),
                is_monotonic: self.truth(),
            }),
            3 => Data::Histogram(Histogram {
                data_points: self.list(Self::histogram),
                aggregation_temporality: self.i32(),
            }),
            4 => Data::ExponentialHistogram(ExponentialHistogram {
                data_points: self.list(Self::exponential),
                aggregation_temporality: self.i32(),
            }),
            _ => Data::Summary(Summary { data_points: self.list(Self::summary) }),
        })
    }

    fn number(&mut self) -> NumberDataPoint {
        NumberDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            exemplars: self.list(Self::exemplar),
            flags: self.u32(),
            value: match self.byte() % 3 {
                0 => None,
                1 => Some(number_data_point::Value::AsDouble(self.double())),
                _ => Some(number_data_point::Value::AsInt(self.u64().cast_signed())),
            },
        }
    }

    fn exemplar(&mut self) -> Exemplar {
        Exemplar {
            filtered_attributes: self.attributes(),
            time_unix_nano: self.u64(),
            span_id: self.id(8),
            trace_id: self.id(16),
            value: match self.byte() % 3 {
                0 => None,
                1 => Some(exemplar::Value::AsDouble(self.double())),
                _ => Some(exemplar::Value::AsInt(self.u64().cast_signed())),
            },
        }
    }

    fn histogram(&mut self) -> HistogramDataPoint {
        HistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.option(Self::double),
            bucket_counts: self.list(Self::u64),
            explicit_bounds: self.list(Self::double),
            exemplars: self.list(Self::exemplar),
            flags: self.u32(),
            min: self.option(Self::double),
            max: self.option(Self::double),
        }
    }

    fn exponential(&mut self) -> ExponentialHistogramDataPoint {
        let buckets = |source: &mut Self| Buckets { offset: source.i32(), bucket_counts: source.list(Self::u64) };
        ExponentialHistogramDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.option(Self::double),
            scale: self.i32(),
            zero_count: self.u64(),
            positive: self.option(buckets),
            negative: self.option(buckets),
            flags: self.u32(),
            exemplars: self.list(Self::exemplar),
            min: self.option(Self::double),
            max: self.option(Self::double),
            zero_threshold: self.double(),
        }
    }

    fn summary(&mut self) -> SummaryDataPoint {
        let quantile = |source: &mut Self| ValueAtQuantile { quantile: source.double(), value: source.double() };
        SummaryDataPoint {
            attributes: self.attributes(),
            start_time_unix_nano: self.u64(),
            time_unix_nano: self.u64(),
            count: self.u64(),
            sum: self.double(),
            quantile_values: self.list(quantile),
            flags: self.u32(),
        }
    }
}
