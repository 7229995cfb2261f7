//! The counters of exported records, which are sent along with metrics.

use std::collections::BTreeMap;

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum, number_data_point::Value,
};
use prost::Message;

use super::{patient, prompt, send_in_a_session, start};
use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::ids;
use crate::support::sandbox::Sandbox;
use crate::support::telemetry::sums;

/// A request of one metric with this number of points.
fn metrics(points: u64) -> Vec<u8> {
    let point =
        |time| NumberDataPoint { time_unix_nano: time, value: Some(Value::AsInt(1)), ..NumberDataPoint::default() };
    let sum = Sum {
        data_points: (1..=points).map(point).collect(),
        aggregation_temporality: AggregationTemporality::Delta.into(),
        is_monotonic: true,
    };
    let metric = Metric { name: "work".to_owned(), data: Some(Data::Sum(sum)), ..Metric::default() };
    let scope_metrics = vec![ScopeMetrics { metrics: vec![metric], ..ScopeMetrics::default() }];
    let resource_metrics = vec![ResourceMetrics { scope_metrics, ..ResourceMetrics::default() }];
    ExportMetricsServiceRequest { resource_metrics }.encode_to_vec()
}

#[test]
fn counters_are_sent_with_metrics_and_count_everything_once() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let count = |name: &str| sums(&backend.received(), &format!("ccrun.export.{name}"), "signal");
    let numbers = |pairs: &[(&str, f64)]| -> BTreeMap<String, f64> {
        pairs.iter().map(|(signal, number)| ((*signal).to_owned(), *number)).collect()
    };
    send_in_a_session(&sandbox, &backend, &prompt(&backend), &[ids("record", 3)]);
    assert_eq!(count("received"), numbers(&[]), "counters cause no requests of their own");
    backend.reply(Reply::http(503, "busy").header("retry-after", "900"));
    for (points, told) in
        [(2, numbers(&[("logs", 3.0), ("metrics", 2.0)])), (4, numbers(&[("logs", 3.0), ("metrics", 6.0)]))]
    {
        let session = start(&sandbox, &patient(&backend));
        session.client().post(Signal::Metrics, &metrics(points)).unwrap();
        session.end();
        sandbox.wait_for_end();
        if points == 2 {
            // The rejected attempt carried the same counters, and nothing of it was accepted.
            backend.clear();
            assert!(sandbox.run(["queue", "flush"]).status.success());
            assert_eq!(count("received"), numbers(&[]), "a flush adds no counters");
            // A launch reports undelivered data once. The session after it must not.
            assert!(sandbox.run(["-p", "local", "true"]).status.success());
            sandbox.wait_for_end();
        } else {
            assert_eq!(count("received"), told);
        }
    }
    assert_eq!(count("delivered"), numbers(&[("logs", 3.0), ("metrics", 2.0)]));
    assert_eq!(count("held"), numbers(&[("metrics", 2.0)]));
    assert_eq!(count("dropped"), numbers(&[]));
    let services = crate::support::telemetry::everything(&backend.received());
    let ours = services.iter().filter(|item| item.name.starts_with("ccrun.export."));
    assert!(
        ours.clone().all(|item| item.resource["service.name"] == "ccrun" && item.attributes["destination"] == "own")
    );
    assert!(ours.count() > 0);
}

#[test]
fn a_backend_that_rejects_the_counters_gets_metrics_without_them() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let is_counted = |received: &Received| received.body.windows(12).any(|bytes| bytes == b"ccrun.export");
    backend.reply_with(move |received| if is_counted(received) { Reply::http(400, "no") } else { Reply::accept() });
    let session = start(&sandbox, &patient(&backend));
    session.client().post(Signal::Metrics, &metrics(2)).unwrap();
    session.end();
    sandbox.wait_for_end();
    assert_eq!(backend.received().iter().map(is_counted).collect::<Vec<_>>(), [true, false]);
    assert!(sandbox.queue().is_empty());
}
