//! A reference implementation of the rules for decoded requests.

use std::borrow::Cow;
use std::fmt::Debug;

use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::logs::v1::LogRecord;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{Exemplar, Metric};
use opentelemetry_proto::tonic::resource::v1::Resource;
use opentelemetry_proto::tonic::trace::v1::Span;
use prost::Message;

use super::super::content::Unwanted;
use super::super::shape::Kind;
use super::super::{HashKey, Switch, Withheld};

/// Rules in plain form.
#[derive(Clone, Debug)]
pub(super) struct Plain {
    pub(super) accept: Vec<&'static str>,
    pub(super) replace: Vec<(&'static str, &'static str)>,
    pub(super) absent: Vec<(&'static str, &'static str)>,
    pub(super) off: Vec<Switch>,
    pub(super) drop: Vec<&'static str>,
    pub(super) hash: Vec<&'static str>,
    pub(super) key: Option<&'static str>,
}

pub(super) trait Edit: Message + Default + PartialEq + Debug {
    /// The request after applying the rules, and how many of its records, points and spans were rejected.
    fn edited(self, plain: &Plain) -> (Self, u64);
}

macro_rules! edit {
    ($request:ty, $items:ident, $scopes:ident, $records:ident, $edit:ident, $count:expr) => {
        impl Edit for $request {
            fn edited(mut self, plain: &Plain) -> (Self, u64) {
                let mut refused = 0;
                self.$items.retain_mut(|item| {
                    if !accepts(item.resource.as_ref(), plain) {
                        let records = item.$scopes.iter().flat_map(|scope| &scope.$records);
                        refused += records.map($count).sum::<u64>();
                        return false;
                    }
                    let service = |name: &str| name.starts_with("claude-code");
                    let ours = services(item.resource.as_ref()).iter().any(|name| service(name));
                    resource(item.resource.get_or_insert_default(), plain);
                    for scope in &mut item.$scopes {
                        let claude = ours || is_claude(scope.scope.as_ref());
                        if let Some(scope) = &mut scope.scope {
                            attributes(&mut scope.attributes, plain, &Unwanted::NOTHING);
                        }
                        let withheld = Withheld::of(if claude { &plain.off } else { &[] });
                        scope.$records.iter_mut().for_each(|record| $edit(record, plain, &withheld));
                    }
                    true
                });
                (self, refused)
            }
        }
    };
}
edit!(ExportLogsServiceRequest, resource_logs, scope_logs, log_records, event, |_| 1);
edit!(ExportTraceServiceRequest, resource_spans, scope_spans, spans, span, |_| 1);
edit!(ExportMetricsServiceRequest, resource_metrics, scope_metrics, metrics, metric, points);

fn services(resource: Option<&Resource>) -> Vec<String> {
    let attributes = resource.into_iter().flat_map(|resource| &resource.attributes);
    let services = attributes.filter(|attribute| attribute.key == "service.name");
    let names: Vec<_> =
        services.map(|attribute| String::from_utf8_lossy(&text(attribute.value.as_ref())).into()).collect();
    if names.is_empty() { vec![String::new()] } else { names }
}

fn accepts(resource: Option<&Resource>, plain: &Plain) -> bool {
    let accepts = |name: &String| {
        plain.accept.iter().any(|pattern| match pattern.strip_suffix('*') {
            Some(prefix) => name.starts_with(prefix),
            None => name == pattern,
        })
    };
    services(resource).iter().any(accepts)
}

fn is_claude(scope: Option<&InstrumentationScope>) -> bool {
    scope.is_some_and(|scope| scope.name.starts_with("com.anthropic.claude_code"))
}

fn resource(resource: &mut Resource, plain: &Plain) {
    let attributes_of = &mut resource.attributes;
    attributes_of.retain(|attribute| !plain.replace.iter().any(|(key, _)| *key == attribute.key));
    let is_missing = |key: &str| {
        let replaced = plain.replace.iter().any(|(replaced, _)| *replaced == key);
        !replaced && !attributes_of.iter().any(|attribute| attribute.key == key)
    };
    let mut missing: Vec<_> = plain.absent.iter().filter(|(key, _)| is_missing(key)).collect();
    missing.sort();
    let mut replace: Vec<_> = plain.replace.iter().collect();
    replace.sort();
    attributes_of.extend(missing.into_iter().chain(replace).map(|(key, value)| KeyValue {
        key: (*key).to_owned(),
        value: Some(string(value)),
        ..KeyValue::default()
    }));
    attributes(attributes_of, plain, &Unwanted::NOTHING);
}

fn attributes(attributes: &mut Vec<KeyValue>, plain: &Plain, unwanted: &Unwanted<'_>) {
    attributes.retain_mut(|attribute| {
        let key = attribute.key.as_str();
        let kept = !unwanted.has(key.as_bytes()) || *text(attribute.value.as_ref()) == *b"<REDACTED>";
        if !kept || plain.drop.contains(&key) {
            return false;
        }
        if plain.hash.contains(&key) {
            let Some(secret) = plain.key else { return false };
            attribute.value = Some(string(&HashKey::of_secret(secret).hash(&text(attribute.value.as_ref()))));
        }
        true
    });
}

fn event(record: &mut LogRecord, plain: &Plain, withheld: &Withheld) {
    let events = record.attributes.iter().filter(|attribute| attribute.key == "event.name");
    let mut names: Vec<Cow<'_, [u8]>> = events.map(|attribute| text(attribute.value.as_ref()).into()).collect();
    let body = record.body.as_ref().map(|body| text(Some(body)));
    names.extend(body.clone().map(Cow::Owned));
    names.push(record.event_name.clone().into_bytes().into());
    let unwanted = withheld.from(Kind::Event, &names);
    attributes(&mut record.attributes, plain, &unwanted);
    if unwanted.has_body(body.as_deref()) {
        record.body = None;
    }
}

fn span(span: &mut Span, plain: &Plain, withheld: &Withheld) {
    let names = [span.name.clone().into_bytes().into()];
    let tool = span.attributes.iter().rfind(|attribute| attribute.key == "tool_name");
    let tool = tool.map(|attribute| text(attribute.value.as_ref())).unwrap_or_default();
    let unwanted = withheld.from(Kind::Span, &names);
    attributes(&mut span.attributes, plain, &unwanted);
    if let Some(status) = span.status.as_mut().filter(|_| unwanted.has_status_message()) {
        status.message.clear();
    }
    for event in &mut span.events {
        let name = event.name.as_bytes();
        let names = [[&tool[..], b" ", name].concat().into(), name.to_vec().into()];
        attributes(&mut event.attributes, plain, &withheld.from(Kind::SpanEvent, &names));
    }
    for link in &mut span.links {
        attributes(&mut link.attributes, plain, &withheld.from(Kind::Other, &[]));
    }
}

fn metric(metric: &mut Metric, plain: &Plain, withheld: &Withheld) {
    let edit = |list: &mut Vec<KeyValue>| attributes(list, plain, &withheld.from(Kind::Other, &[]));
    edit(&mut metric.metadata);
    macro_rules! points {
        ($data:expr) => {
            for point in &mut $data.data_points {
                edit(&mut point.attributes);
                point.exemplars.iter_mut().for_each(|Exemplar { filtered_attributes, .. }| edit(filtered_attributes));
            }
        };
    }
    match &mut metric.data {
        Some(Data::Gauge(data)) => points!(data),
        Some(Data::Sum(data)) => points!(data),
        Some(Data::Histogram(data)) => points!(data),
        Some(Data::ExponentialHistogram(data)) => points!(data),
        Some(Data::Summary(data)) => data.data_points.iter_mut().for_each(|point| edit(&mut point.attributes)),
        None => {}
    }
}

fn points(metric: &Metric) -> u64 {
    let points = match &metric.data {
        Some(Data::Gauge(data)) => data.data_points.len(),
        Some(Data::Sum(data)) => data.data_points.len(),
        Some(Data::Histogram(data)) => data.data_points.len(),
        Some(Data::ExponentialHistogram(data)) => data.data_points.len(),
        Some(Data::Summary(data)) => data.data_points.len(),
        None => 0,
    };
    points as u64
}

fn text(value: Option<&AnyValue>) -> Vec<u8> {
    match value.and_then(|value| value.value.as_ref()) {
        Some(Value::StringValue(text)) => text.clone().into_bytes(),
        Some(Value::BoolValue(truth)) => truth.to_string().into_bytes(),
        Some(Value::IntValue(number)) => number.to_string().into_bytes(),
        Some(Value::DoubleValue(number)) => number.to_string().into_bytes(),
        Some(Value::ArrayValue(array)) => array.encode_to_vec(),
        Some(Value::KvlistValue(list)) => list.encode_to_vec(),
        Some(Value::BytesValue(bytes)) => bytes.clone(),
        _ => Vec::new(),
    }
}

fn string(text: &str) -> AnyValue {
    AnyValue { value: Some(Value::StringValue(text.to_owned())) }
}
