//! Adds a delta point to a running total (data model, *Temporality* and *Sums*, *Histogram*, *`ExponentialHistogram`*).
//!
//! A gap between two deltas, or an overlap of two different ones, does not end a series here. A series combines all
//! clients of an installation, and their intervals interleave. A misaligned start therefore does not indicate a
//! restart.

use opentelemetry_proto::tonic::metrics::v1::metric::Data;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value;
use opentelemetry_proto::tonic::metrics::v1::{AggregationTemporality, Metric, NumberDataPoint, ResourceMetrics};

use super::point::{NO_RECORDED_VALUE, Unfit};
use super::{exponential, histogram};

/// The only metric of a series.
fn metric(series: &mut ResourceMetrics) -> Option<&mut Metric> {
    series.scope_metrics.first_mut()?.metrics.first_mut()
}

/// A total that starts with a delta.
pub fn begin(delta: &ResourceMetrics) -> Result<ResourceMetrics, Unfit> {
    let mut total = delta.clone();
    zero(&mut total);
    add(&mut total, delta)?;
    Ok(total)
}

/// Adds a delta to a total of the same series. A delta that does not fit changes nothing.
pub fn add(total: &mut ResourceMetrics, delta: &ResourceMetrics) -> Result<(), Unfit> {
    let mut delta = delta.clone();
    let (Some(total), Some(delta)) = (metric(total), metric(&mut delta)) else { return Err(Unfit::Kind) };
    match (&mut total.data, &mut delta.data) {
        (Some(Data::Sum(total)), Some(Data::Sum(delta))) => {
            let (Some(to), Some(point)) = (total.data_points.first_mut(), delta.data_points.first()) else {
                return Err(Unfit::Empty);
            };
            add_number(to, point, total.is_monotonic)
        }
        (Some(Data::Histogram(total)), Some(Data::Histogram(delta))) => {
            match (total.data_points.first_mut(), delta.data_points.pop()) {
                (Some(to), Some(point)) => histogram::add(to, point),
                _ => Err(Unfit::Empty),
            }
        }
        (Some(Data::ExponentialHistogram(total)), Some(Data::ExponentialHistogram(delta))) => {
            match (total.data_points.first_mut(), delta.data_points.pop()) {
                (Some(to), Some(point)) => exponential::add(to, point),
                _ => Err(Unfit::Empty),
            }
        }
        _ => Err(Unfit::Kind),
    }
}

fn add_number(to: &mut NumberDataPoint, point: &NumberDataPoint, is_monotonic: bool) -> Result<(), Unfit> {
    if point.flags & NO_RECORDED_VALUE != 0 {
        return Err(Unfit::Empty);
    }
    let delta = point.value.ok_or(Unfit::Empty)?;
    let (is_finite, is_negative) = match delta {
        Value::AsInt(delta) => (true, delta < 0),
        Value::AsDouble(delta) => (delta.is_finite(), delta < 0.0),
    };
    if !is_finite {
        return Err(Unfit::NotFinite);
    }
    if is_negative && is_monotonic {
        return Err(Unfit::Negative);
    }
    let sum = match (to.value, delta) {
        // Beyond 64 bits the total continues as a double, which is less exact but never wrong. A total that stopped or
        // wrapped around would be wrong.
        (Some(Value::AsInt(total)), Value::AsInt(delta)) => match total.checked_add(delta) {
            Some(sum) => Value::AsInt(sum),
            None => Value::AsDouble(double(Value::AsInt(total)) + double(Value::AsInt(delta))),
        },
        (None, delta) => delta,
        (Some(total), delta) => Value::AsDouble(double(total) + double(delta)),
    };
    if matches!(sum, Value::AsDouble(sum) if !sum.is_finite()) {
        return Err(Unfit::NotFinite);
    }
    to.value = Some(sum);
    Ok(())
}

#[expect(clippy::cast_precision_loss, reason = "a sum of integers and doubles is a double")]
fn double(value: Value) -> f64 {
    match value {
        Value::AsInt(number) => number as f64,
        Value::AsDouble(number) => number,
    }
}

/// Resets a series to zero.
pub fn zero(series: &mut ResourceMetrics) {
    match metric(series).and_then(|metric| metric.data.as_mut()) {
        Some(Data::Sum(sum)) => {
            for point in &mut sum.data_points {
                point.value = Some(match point.value {
                    Some(Value::AsDouble(_)) => Value::AsDouble(0.0),
                    _ => Value::AsInt(0),
                });
                point.flags = 0;
            }
        }
        Some(Data::Histogram(histogram)) => histogram.data_points.iter_mut().for_each(histogram::zero),
        Some(Data::ExponentialHistogram(histogram)) => histogram.data_points.iter_mut().for_each(exponential::zero),
        _ => {}
    }
}

/// Calls `each` with the two times of every point, start first, and marks the metric as cumulative.
fn times(series: &mut ResourceMetrics, each: impl Fn(&mut u64, &mut u64)) {
    let cumulative = AggregationTemporality::Cumulative as i32;
    match metric(series).and_then(|metric| metric.data.as_mut()) {
        Some(Data::Sum(sum)) => {
            sum.aggregation_temporality = cumulative;
            let points = sum.data_points.iter_mut();
            points.for_each(|point| each(&mut point.start_time_unix_nano, &mut point.time_unix_nano));
        }
        Some(Data::Histogram(histogram)) => {
            histogram.aggregation_temporality = cumulative;
            let points = histogram.data_points.iter_mut();
            points.for_each(|point| each(&mut point.start_time_unix_nano, &mut point.time_unix_nano));
        }
        Some(Data::ExponentialHistogram(histogram)) => {
            histogram.aggregation_temporality = cumulative;
            let points = histogram.data_points.iter_mut();
            points.for_each(|point| each(&mut point.start_time_unix_nano, &mut point.time_unix_nano));
        }
        _ => {}
    }
}

/// Sets the start and end of a series, in Unix nanoseconds, and marks it as cumulative.
pub fn stamp(series: &mut ResourceMetrics, start: u64, time: u64) {
    times(series, |to_start, to_time| (*to_start, *to_time) = (start, time));
}

/// When a point's interval began according to its client: its start, or else its time, or 0 without either.
pub fn started(series: &mut ResourceMetrics) -> u64 {
    let start = std::cell::Cell::new(0);
    times(series, |from, to| start.set(if *from > 0 { *from } else { *to }));
    start.get()
}
