//! Programs with an OpenTelemetry SDK, which emit a known number of spans, log records and counts under `ccrun`.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use opentelemetry_proto::tonic::metrics::v1::{Metric, metric, number_data_point};

use super::backend::{Backend, Export, Received};
use super::emitter::ids_of;
use super::sandbox::{Sandbox, text};

/// The number of records of each signal that a program emits.
pub const RECORDS: usize = 1500;

/// Runs a program under `ccrun`, in a shell that runs `first` before it. Checks that every record arrives once, with
/// the profile's attributes.
#[track_caller]
pub fn assert_arrives_whole(first: &str, program: &[&str]) {
    assert_arrives_whole_in(&Sandbox::new(), first, program);
}

/// Does the same in a given sandbox.
#[track_caller]
pub fn assert_arrives_whole_in(sandbox: &Sandbox, first: &str, program: &[&str]) {
    let backend = Backend::start();
    sandbox.profile(
        "mine",
        format!(
            "team.id = \"platform\"\n[signals]\ntraces = true\n[destination.own]\nendpoint = \"{}\"\n",
            backend.endpoint()
        ),
    );
    let mut command: Command = sandbox.ccrun(["-p", "mine", "sh", "-c", &format!("{first}\nexec \"$@\""), "sh"]);
    let output = command.args(program).arg(RECORDS.to_string()).output().unwrap();
    assert_eq!((text(&output.stdout), text(&output.stderr)), (String::new(), String::new()));
    assert!(output.status.success());
    sandbox.wait_for_end();
    let received = backend.received();
    let numbered = |prefix: &str| -> BTreeSet<_> { (0..RECORDS).map(|number| format!("{prefix}-{number}")).collect() };
    assert_once(ids_of(&received), &numbered("record"));
    assert_once(spans(&received), &numbered("span"));
    let counted = counted(&received);
    assert_eq!(counted.len(), RECORDS);
    assert!(counted.values().all(|count| *count == 1), "{counted:?}");
    assert_eq!(sandbox.queue(), Vec::<serde_json::Value>::new());
    let teams = received.iter().filter(|request| text(&request.body).contains("platform")).count();
    assert_eq!(teams, received.len(), "every request has the profile's header");
}

/// Checks that `found` has all of these, each once.
#[track_caller]
fn assert_once(found: Vec<String>, expected: &BTreeSet<String>) {
    assert_eq!(found.len(), expected.len());
    assert_eq!(found.into_iter().collect::<BTreeSet<_>>(), *expected);
}

fn spans(received: &[Received]) -> Vec<String> {
    let requests = received.iter().filter_map(|request| match &request.export {
        Some(Export::Traces(request)) => Some(request),
        _ => None,
    });
    let scopes = requests.flat_map(|request| &request.resource_spans).flat_map(|resource| &resource.scope_spans);
    scopes.flat_map(|scope| &scope.spans).map(|span| span.name.clone()).collect()
}

/// The final value of the counter by its attributes. The environment asks for deltas.
fn counted(received: &[Received]) -> BTreeMap<String, i64> {
    let requests = received.iter().filter_map(|request| match &request.export {
        Some(Export::Metrics(request)) => Some(request),
        _ => None,
    });
    let scopes = requests.flat_map(|request| &request.resource_metrics).flat_map(|resource| &resource.scope_metrics);
    let mut counted = BTreeMap::new();
    for metric in scopes.flat_map(|scope| &scope.metrics).filter(|metric| metric.name == "test.count") {
        for (attributes, count) in points(metric) {
            *counted.entry(attributes).or_default() += count;
        }
    }
    counted
}

fn points(metric: &Metric) -> Vec<(String, i64)> {
    let Some(metric::Data::Sum(sum)) = &metric.data else { panic!("{metric:?}") };
    assert_eq!(sum.aggregation_temporality, 1, "delta");
    let point = |point: &opentelemetry_proto::tonic::metrics::v1::NumberDataPoint| {
        let Some(number_data_point::Value::AsInt(count)) = point.value else { panic!("{point:?}") };
        (format!("{:?}", point.attributes), count)
    };
    sum.data_points.iter().map(point).collect()
}
