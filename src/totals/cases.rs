//! The data model's rules as a table of cases (OpenTelemetry specification, `metrics/data-model.md`).

use opentelemetry_proto::tonic::common::v1::{InstrumentationScope, KeyValue};
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;
use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{
    AggregationTemporality, Exemplar, ExponentialHistogram, ExponentialHistogramDataPoint, Gauge, Histogram,
    HistogramDataPoint, Metric, NumberDataPoint, ResourceMetrics, ScopeMetrics, Sum,
};
use opentelemetry_proto::tonic::resource::v1::Resource;
use proptest::prelude::*;
use prost::Message;

use super::*;
use crate::otlp::put_message;
use crate::usage::samples::text;

const HERE: Installation = Installation([1; 16]);

fn number(times: [u64; 2], value: Value) -> NumberDataPoint {
    NumberDataPoint {
        start_time_unix_nano: times[0],
        time_unix_nano: times[1],
        value: Some(value),
        ..NumberDataPoint::default()
    }
}

fn int(times: [u64; 2], value: i64) -> NumberDataPoint {
    number(times, Value::AsInt(value))
}

fn sum(is_monotonic: bool, data_points: Vec<NumberDataPoint>) -> Data {
    Data::Sum(Sum { data_points, is_monotonic, aggregation_temporality: AggregationTemporality::Delta.into() })
}

fn metric(data: Data) -> Metric {
    Metric { name: "work".to_owned(), data: Some(data), ..Metric::default() }
}

/// A request with one resource, one scope and these metrics.
fn request(resource: Vec<KeyValue>, version: &str, metrics: Vec<Metric>) -> Vec<u8> {
    let scope = InstrumentationScope {
        name: "scope".to_owned(),
        version: version.to_owned(),
        ..InstrumentationScope::default()
    };
    let resource_metrics = ResourceMetrics {
        resource: Some(Resource { attributes: resource, ..Resource::default() }),
        scope_metrics: vec![ScopeMetrics { scope: Some(scope), metrics, ..ScopeMetrics::default() }],
        ..ResourceMetrics::default()
    };
    let mut request = Vec::new();
    put_message(&mut request, 1, &resource_metrics.encode_to_vec());
    request
}

/// The totals of the points of one metric, without repeated points, as in the store.
fn totals(requests: &[Vec<u8>]) -> Vec<Data> {
    let mut known = std::collections::BTreeSet::new();
    let mut totals: Vec<(Place, ResourceMetrics)> = Vec::new();
    for delta in requests.iter().flat_map(|request| sift(request, HERE).unwrap().deltas) {
        if delta.identity.is_some_and(|identity| !known.insert(identity)) {
            continue;
        }
        if let Some((_, total)) = totals.iter_mut().find(|(place, _)| *place == delta.place) {
            // A point that does not fit changes nothing.
            let _ = add(total, &delta.series);
        } else if let Ok(total) = begin(&delta.series) {
            totals.push((delta.place, total));
        }
    }
    let data = |(_, mut total): (Place, ResourceMetrics)| {
        stamp(&mut total, 1, 9);
        total.scope_metrics.remove(0).metrics.remove(0).data.unwrap()
    };
    totals.into_iter().map(data).collect()
}

/// The one total of points that were received one by one.
fn total_of(is_monotonic: bool, points: &[NumberDataPoint]) -> Option<Value> {
    let requests: Vec<_> =
        points.iter().map(|point| request(vec![], "1", vec![metric(sum(is_monotonic, vec![point.clone()]))])).collect();
    match totals(&requests).as_slice() {
        [Data::Sum(sum)] => {
            assert_eq!(sum.aggregation_temporality, i32::from(AggregationTemporality::Cumulative));
            assert_eq!((sum.data_points[0].start_time_unix_nano, sum.data_points[0].time_unix_nano), (1, 9));
            sum.data_points[0].value
        }
        [] => None,
        others => panic!("{others:?}"),
    }
}

#[test]
fn sums_follow_the_data_model() {
    use Value::{AsDouble, AsInt};
    let double = |times, value| number(times, AsDouble(value));
    let empty = |flags| NumberDataPoint { flags, value: None, ..int([2, 3], 0) };
    let flagged = NumberDataPoint { flags: 1, ..int([2, 3], 5) };
    #[rustfmt::skip]
    let cases: Vec<(&str, bool, Vec<NumberDataPoint>, Option<Value>)> = vec![
        ("an unbroken sequence: each start is the time before", true, vec![int([1, 2], 5), int([2, 3], 7)], Some(AsInt(12))),
        ("a gap: nothing is known of it, and the rest adds up", true, vec![int([1, 2], 5), int([7, 8], 7)], Some(AsInt(12))),
        ("a restart: another start", true, vec![int([1, 2], 5), int([3, 3], 0), int([3, 4], 7)], Some(AsInt(12))),
        ("a late point: times say nothing about what was counted", true, vec![int([7, 8], 7), int([1, 2], 5)], Some(AsInt(12))),
        ("the same point again", true, vec![int([1, 2], 5), int([1, 2], 5), int([2, 3], 1), int([1, 2], 5)], Some(AsInt(6))),
        ("an overlap: two who write, for one counts nothing twice", true, vec![int([1, 3], 5), int([2, 4], 7)], Some(AsInt(12))),
        ("the same interval of two who write", true, vec![int([1, 3], 5), int([1, 3], 7)], Some(AsInt(12))),
        ("points without a start", true, vec![int([0, 2], 5), int([0, 3], 7)], Some(AsInt(12))),
        ("points without times: all add up", true, vec![int([0, 0], 5), int([0, 0], 5)], Some(AsInt(10))),
        ("no recorded value", true, vec![int([1, 2], 5), flagged, empty(0)], Some(AsInt(5))),
        ("a counter goes down: no delta of a sum that grows", true, vec![int([1, 2], 5), int([2, 3], -1)], Some(AsInt(5))),
        ("an up-down counter", false, vec![int([1, 2], 5), int([2, 3], -7)], Some(AsInt(-2))),
        ("doubles", true, vec![double([1, 2], 0.5), double([2, 3], 0.25)], Some(AsDouble(0.75))),
        ("integers and doubles", true, vec![int([1, 2], 1), double([2, 3], 0.5), int([3, 4], 1)], Some(AsDouble(2.5))),
        ("no number", true, vec![double([1, 2], 0.5), double([2, 3], f64::NAN), double([3, 4], f64::INFINITY)], Some(AsDouble(0.5))),
        ("nothing but that", true, vec![double([2, 3], f64::NAN)], None),
        ("beyond 64 bits", true, vec![int([1, 2], i64::MAX), int([2, 3], i64::MAX)], Some(AsDouble(18_446_744_073_709_551_614.0))),
        ("beyond a double", true, vec![double([1, 2], f64::MAX), double([2, 3], f64::MAX)], Some(AsDouble(f64::MAX))),
    ];
    for (case, is_monotonic, points, expected) in cases {
        assert_eq!(total_of(is_monotonic, &points), expected, "{case}");
    }
}

#[test]
fn points_of_one_request_are_never_repeats() {
    let twice = sum(true, vec![int([1, 2], 5), int([1, 2], 5)]);
    let request = request(vec![], "1", vec![metric(twice)]);
    let [Data::Sum(total)] = &totals(&[request.clone(), request])[..] else { panic!() };
    assert_eq!(total.data_points[0].value, Some(Value::AsInt(10)), "but both of the second request are");
}

#[test]
fn series_are_distinguished_by_identifying_attributes() {
    let base = || vec![text("service.name", "claude-code"), text("team.id", "platform")];
    let with = |key: &str, value: &str| [base(), vec![text(key, value)]].concat();
    let place_of = |resource: Vec<KeyValue>, version: &str, here: Installation| {
        let request = request(resource, version, vec![metric(sum(true, vec![int([1, 2], 5)]))]);
        let delta = sift(&request, here).unwrap().deltas.remove(0);
        (delta.place, delta.series.resource.unwrap().attributes)
    };
    let (first, attributes) = place_of(base(), "1", HERE);
    let passing = ["ccrun.session", "ccrun.version", "service.version", "service.instance.id", "process.pid"];
    for key in passing.into_iter().chain(["process.command", "vcs.ref.head.name"]) {
        assert_eq!(place_of(with(key, "any"), "2", HERE), (first, attributes.clone()), "{key}");
    }
    let turned = base().into_iter().rev().collect();
    assert_eq!(place_of(turned, "1", HERE).0, first, "order says nothing");
    let instance = |attributes: &[KeyValue]| attributes.last().unwrap().clone();
    assert_eq!(instance(&attributes).key, "service.instance.id");
    for (resource, here) in [(with("host.name", "x"), HERE), (base(), Installation([2; 16]))] {
        let (place, other) = place_of(resource, "1", here);
        assert_ne!(place, first);
        assert_ne!(instance(&other), instance(&attributes), "Prometheus goes by that alone");
    }
}

#[test]
fn other_data_stays_byte_for_byte() {
    let mut cumulative = sum(true, vec![int([1, 2], 5)]);
    if let Data::Sum(sum) = &mut cumulative {
        sum.aggregation_temporality = AggregationTemporality::Cumulative.into();
    }
    let others = vec![metric(cumulative), metric(Data::Gauge(Gauge { data_points: vec![int([0, 2], 3)] }))];
    let deltas = vec![metric(sum(true, vec![int([1, 2], 5)]))];
    let resource = vec![text("ccrun.session", "one")];
    let all = request(resource.clone(), "1", [others.clone(), deltas.clone()].concat());
    let sifted = sift(&all, HERE).unwrap();
    assert_eq!((sifted.deltas.len(), sifted.rest), (1, request(resource, "1", others.clone())));
    let only = request(vec![], "1", others);
    assert_eq!(sift(&only, HERE).unwrap(), Sifted { deltas: vec![], rest: only.clone() });
    assert!(sift(&request(vec![], "1", deltas), HERE).unwrap().rest.is_empty());
    assert_eq!(sift(&[], HERE).unwrap(), Sifted::default());
}

fn histogram(times: [u64; 2], bounds: &[f64], counts: &[u64], sum: f64) -> Vec<u8> {
    let point = HistogramDataPoint {
        start_time_unix_nano: times[0],
        time_unix_nano: times[1],
        count: counts.iter().sum(),
        sum: Some(sum),
        min: Some(sum / 10.0),
        max: Some(sum),
        bucket_counts: counts.to_vec(),
        explicit_bounds: bounds.to_vec(),
        exemplars: vec![Exemplar::default()],
        ..HistogramDataPoint::default()
    };
    let temporality = AggregationTemporality::Delta.into();
    let data = Data::Histogram(Histogram { data_points: vec![point], aggregation_temporality: temporality });
    request(vec![], "1", vec![metric(data)])
}

fn only_histogram(requests: &[Vec<u8>]) -> HistogramDataPoint {
    let [Data::Histogram(histogram)] = &totals(requests)[..] else { panic!() };
    histogram.data_points[0].clone()
}

#[test]
fn histograms_add_up_over_common_bounds() {
    let first = histogram([1, 2], &[1.0, 2.0, 3.0], &[1, 2, 3, 4], 10.0);
    let same = only_histogram(&[first.clone(), histogram([2, 3], &[1.0, 2.0, 3.0], &[5, 6, 7, 8], 20.0)]);
    assert_eq!((same.count, same.sum, &same.bucket_counts[..]), (36, Some(30.0), &[6, 8, 10, 12][..]));
    assert_eq!((same.min, same.max, same.exemplars.len()), (Some(1.0), Some(20.0), 0));
    let shared = only_histogram(&[first.clone(), histogram([2, 3], &[0.5, 2.0, 4.0], &[1, 1, 1, 1], 5.0)]);
    assert_eq!((&shared.explicit_bounds[..], &shared.bucket_counts[..]), (&[2.0][..], &[5, 9][..]));
    let none = only_histogram(&[first.clone(), histogram([2, 3], &[], &[], 0.0)]);
    assert!(none.explicit_bounds.is_empty() && none.bucket_counts.is_empty());
    let bad = [histogram([2, 3], &[2.0, 1.0], &[1, 1, 1], 5.0), histogram([2, 3], &[1.0], &[1], 5.0)];
    assert_eq!(only_histogram(&[first.clone(), bad[0].clone(), bad[1].clone()]).count, 10, "buckets make no sense");
}

fn exponential(time: u64, scale: i32, offset: i32, counts: &[u64], zeros: u64) -> ExponentialHistogramDataPoint {
    ExponentialHistogramDataPoint {
        start_time_unix_nano: 1,
        time_unix_nano: time,
        count: counts.iter().sum::<u64>() + zeros,
        sum: Some(1.0),
        scale,
        zero_count: zeros,
        positive: Some(Buckets { offset, bucket_counts: counts.to_vec() }),
        ..ExponentialHistogramDataPoint::default()
    }
}

fn only_exponential(points: &[ExponentialHistogramDataPoint]) -> ExponentialHistogramDataPoint {
    let requests = points.iter().map(|point| {
        let data_points = vec![point.clone()];
        let aggregation_temporality = AggregationTemporality::Delta.into();
        let data = ExponentialHistogram { data_points, aggregation_temporality };
        request(vec![], "1", vec![metric(Data::ExponentialHistogram(data))])
    });
    let requests: Vec<_> = requests.collect();
    let [Data::ExponentialHistogram(histogram)] = &totals(&requests)[..] else { panic!() };
    histogram.data_points[0].clone()
}

#[test]
fn exponential_histograms_add_up_at_the_lower_scale() {
    let buckets = |point: ExponentialHistogramDataPoint| point.positive.map(|side| (side.offset, side.bucket_counts));
    let total = only_exponential(&[exponential(2, 1, 0, &[1, 2, 3, 4], 5), exponential(3, 0, 1, &[10], 1)]);
    assert_eq!((total.scale, total.count, total.zero_count, total.sum), (0, 26, 6, Some(2.0)));
    assert_eq!(buckets(total), Some((0, vec![3, 17])));
    let total = only_exponential(&[exponential(2, 0, -3, &[1], 0), exponential(3, 0, 2, &[1], 0)]);
    assert_eq!(buckets(total), Some((-3, vec![1, 0, 0, 0, 0, 1])));
    // So far apart that the maximum number of buckets holds both only at a lower scale.
    let total = only_exponential(&[exponential(2, 0, -500, &[1], 0), exponential(3, 0, 500, &[1], 0)]);
    let span = total.positive.as_ref().unwrap().bucket_counts.len();
    assert!(total.scale == -3 && (100..=160).contains(&span), "{total:?}");
    let wide = ExponentialHistogramDataPoint { zero_threshold: 3.0, ..exponential(3, 0, 3, &[1], 0) };
    let total = only_exponential(&[exponential(2, 0, 0, &[1, 2, 4], 0), wide]);
    assert_eq!((total.zero_threshold, total.zero_count), (4.0, 3), "up to the bound of the bucket that it falls into");
    assert_eq!(buckets(total), Some((2, vec![4, 1])));
    let bad = ExponentialHistogramDataPoint { count: 99, ..exponential(3, 0, 0, &[1], 0) };
    assert_eq!(only_exponential(&[exponential(2, 0, 0, &[1], 0), bad]).count, 1);
}

#[test]
fn zeros_keep_the_form_of_their_series() {
    for (is_double, request) in [(false, int([1, 2], 5)), (true, number([1, 2], Value::AsDouble(5.0)))] {
        let request = request_of(request);
        let mut series = sift(&request, HERE).unwrap().deltas.remove(0).series;
        zero(&mut series);
        let Some(Data::Sum(sum)) = &series.scope_metrics[0].metrics[0].data else { panic!() };
        let expected = if is_double { Value::AsDouble(0.0) } else { Value::AsInt(0) };
        assert_eq!(sum.data_points[0].value, Some(expected));
    }
}

fn request_of(point: NumberDataPoint) -> Vec<u8> {
    request(vec![], "1", vec![metric(sum(true, vec![point]))])
}

#[test]
fn a_snapshot_shares_resources_and_stays_below_its_size() {
    let metrics = |names: &[&str]| -> Vec<Metric> {
        let points = || vec![int([1, 2], 5)];
        names.iter().map(|name| Metric { name: (*name).to_owned(), ..metric(sum(true, points())) }).collect()
    };
    let mut all = Vec::new();
    for team in ["a", "b"] {
        let body = request(vec![text("team.id", team)], "1", metrics(&["x", "y"]));
        all.extend(sift(&body, HERE).unwrap().deltas);
    }
    all.sort_by_key(|delta| delta.place);
    let mut gathered = Gathered::default();
    assert!(gathered.is_empty());
    for delta in &all {
        assert!(gathered.take(delta.place, delta.series.clone(), 10_000));
    }
    let body = gathered.encode();
    let resources = crate::otlp::fields(&body).count();
    assert_eq!((resources, gathered.places().len()), (2, 4));
    assert_eq!(crate::otlp::count(crate::otlp::Signal::Metrics, &body), Ok(4));
    let mut small = Gathered::default();
    let taken = all.iter().take_while(|delta| small.take(delta.place, delta.series.clone(), body.len() / 2)).count();
    assert!((1..4).contains(&taken) && small.encode().len() <= body.len() / 2);
}

proptest! {
    #[test]
    fn random_bytes_are_parsed_or_rejected(bytes: Vec<u8>) {
        let _ = sift(&bytes, HERE);
    }

    #[test]
    fn histograms_lose_nothing_for_any_bounds(
        points in prop::collection::vec((prop::collection::btree_set(0..9_u8, 0..6), any::<[u8; 7]>()), 1..6)
    ) {
        let mut expected = 0;
        let requests = (1_u64..).zip(&points).map(|(time, (bounds, counts))| {
            let bounds: Vec<f64> = bounds.iter().map(|bound| f64::from(*bound)).collect();
            let counts: Vec<u64> = counts.iter().take(bounds.len() + 1).map(|count| u64::from(*count)).collect();
            expected += counts.iter().sum::<u64>();
            histogram([time, time + 1], &bounds, &counts, 1.0)
        });
        let total = only_histogram(&requests.collect::<Vec<_>>());
        prop_assert_eq!((total.count, total.bucket_counts.iter().sum::<u64>()), (expected, expected));
        prop_assert_eq!(total.bucket_counts.len(), total.explicit_bounds.len() + 1);
    }

    #[test]
    fn exponential_histograms_lose_nothing_for_any_scales(
        points in prop::collection::vec((-10..=20_i32, -900..900_i32, prop::collection::vec(0..9_u64, 0..200)), 1..5)
    ) {
        let points = (2_u64..).zip(&points).map(|(time, (scale, offset, counts))| {
            exponential(time, *scale, *offset, counts, 0)
        });
        let first = exponential(1, 0, 0, &[1], 0);
        let points: Vec<_> = std::iter::once(first).chain(points).collect();
        // A bucket outside the range of doubles is a mistake.
        let is_possible = |point: &&ExponentialHistogramDataPoint| {
            let buckets = point.positive.as_ref().unwrap();
            let factor = f64::from(point.scale).exp2();
            let ends = [buckets.offset, buckets.offset + i32::try_from(buckets.bucket_counts.len()).unwrap()];
            point.count == 0 || ends.iter().all(|end| (-1074.0..1024.0).contains(&(f64::from(*end) / factor)))
        };
        let least: u64 = points.iter().filter(is_possible).map(|point| point.count).sum();
        let total = only_exponential(&points);
        let counts = total.positive.map(|side| side.bucket_counts).unwrap_or_default();
        prop_assert_eq!(total.count, counts.iter().sum::<u64>());
        prop_assert!(total.count >= least && counts.len() <= 160);
    }
}
