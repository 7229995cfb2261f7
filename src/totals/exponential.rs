//! Exponential histograms. Both are brought to a common scale, and then added bucket by bucket.

use std::cmp::Ordering;

use opentelemetry_proto::tonic::metrics::v1::ExponentialHistogramDataPoint as Point;
use opentelemetry_proto::tonic::metrics::v1::exponential_histogram_data_point::Buckets;

use super::histogram::extremes;
use super::point::{NO_RECORDED_VALUE, Unfit};

/// The maximum number of buckets on a side, the default of SDKs (SDK specification, *Base2 Exponential Bucket Histogram
/// Aggregation*, `MaxSize`).
const MOST: i64 = 160;

/// The allowed scales of buckets. Beyond these, one bucket holds all numbers, or buckets are indistinguishable.
const SCALES: std::ops::RangeInclusive<i32> = -10..=20;

pub(super) fn zero(point: &mut Point) {
    point.count = 0;
    point.sum = point.sum.map(|_| 0.0);
    point.zero_count = 0;
    (point.positive, point.negative) = (None, None);
    point.flags = 0;
    (point.min, point.max) = (None, None);
}

/// Adds a delta.
pub(super) fn add(to: &mut Point, mut point: Point) -> Result<(), Unfit> {
    if point.flags & NO_RECORDED_VALUE != 0 {
        return Err(Unfit::Empty);
    }
    check(&point)?;
    let count = to.count.checked_add(point.count).ok_or(Unfit::Buckets)?;
    let sum = to.sum.zip(point.sum).map(|(total, delta)| total + delta);
    if sum.is_some_and(|sum| !sum.is_finite()) {
        return Err(Unfit::NotFinite);
    }
    let scale = to.scale.min(point.scale);
    scale_down(to, scale);
    scale_down(&mut point, scale);
    same_zero(to, &mut point);
    // Lowers the scale until both sides fit. Both sides always have the same scale.
    while [(&to.positive, &point.positive), (&to.negative, &point.negative)].iter().any(|(one, other)| {
        let (low, high) = span(one.as_ref(), other.as_ref());
        high - low > MOST && to.scale > *SCALES.start()
    }) {
        let scale = to.scale - 1;
        scale_down(to, scale);
        scale_down(&mut point, scale);
    }
    to.positive = join(to.positive.take(), point.positive);
    to.negative = join(to.negative.take(), point.negative);
    to.zero_count = to.zero_count.saturating_add(point.zero_count);
    (to.count, to.sum) = (count, sum);
    (to.min, to.max) = extremes((to.min, to.max), (point.min, point.max), count == point.count);
    Ok(())
}

fn sides(point: &mut Point) -> impl Iterator<Item = &mut Buckets> {
    point.positive.iter_mut().chain(&mut point.negative)
}

/// Checks that every counted value is in a bucket, and that the number of buckets is plausible.
fn check(point: &Point) -> Result<(), Unfit> {
    if point.sum.is_some_and(|sum| !sum.is_finite()) || !point.zero_threshold.is_finite() {
        return Err(Unfit::NotFinite);
    }
    let buckets = || point.positive.iter().chain(&point.negative);
    let counts = buckets().flat_map(|buckets| &buckets.bucket_counts);
    let sum = counts.chain([&point.zero_count]).try_fold(0_u64, |sum, count| sum.checked_add(*count));
    let is_apart = |buckets: &Buckets| {
        let count = i32::try_from(buckets.bucket_counts.len()).unwrap_or(i32::MAX);
        count <= 16_384 && buckets.offset.checked_add(count).is_some()
    };
    let is_good =
        sum == Some(point.count) && SCALES.contains(&point.scale) && buckets().all(is_apart) && are_doubles(point);
    if is_good && point.zero_threshold >= 0.0 { Ok(()) } else { Err(Unfit::Buckets) }
}

/// Whether all counted values are in the range of doubles, from 2 to the power of -1074 to 2 to the power of 1024. A
/// value outside is a mistake, and could be so far from the others that no number of buckets holds both.
fn are_doubles(point: &Point) -> bool {
    let scaled = |exponent: i64| match u32::try_from(point.scale) {
        Ok(scale) => exponent << scale,
        Err(_) => exponent >> point.scale.unsigned_abs(),
    };
    let (lowest, highest) = (scaled(-1075) - 1, scaled(1024) + 1);
    let (low, high) = span(point.positive.as_ref(), point.negative.as_ref());
    low >= lowest && high <= highest
}

/// Reduces the scale to `scale`. Each step joins two buckets into one (data model, *Exponential Scale*: index `i` at a
/// scale is index `i >> 1` at the next lower one).
fn scale_down(point: &mut Point, scale: i32) {
    let by = u32::try_from(point.scale - scale).unwrap_or(0).min(31);
    if by == 0 {
        return;
    }
    point.scale = scale;
    for buckets in sides(point) {
        let offset = buckets.offset >> by;
        let mut counts: Vec<u64> = Vec::new();
        for (index, count) in (buckets.offset..).zip(&buckets.bucket_counts) {
            let at = usize::try_from((index >> by) - offset).unwrap_or(0);
            counts.resize(counts.len().max(at + 1), 0);
            counts[at] = counts[at].saturating_add(*count);
        }
        (buckets.offset, buckets.bucket_counts) = (offset, counts);
    }
}

/// Gives both the larger zero threshold, raised to the bound of the bucket that it falls into. Values below it count as
/// zero (data model, *Zero Count and Zero Threshold*). Both have the same scale.
fn same_zero(one: &mut Point, other: &mut Point) {
    if one.zero_threshold.total_cmp(&other.zero_threshold) == Ordering::Equal {
        return;
    }
    let scale = one.scale;
    let mut threshold = one.zero_threshold.max(other.zero_threshold);
    for buckets in sides(one).chain(sides(other)) {
        for (index, count) in (buckets.offset..).zip(&buckets.bucket_counts) {
            if *count > 0 && bound(index, scale) < threshold {
                threshold = threshold.max(bound(index.saturating_add(1), scale));
            }
        }
    }
    for point in [one, other] {
        point.zero_threshold = threshold;
        let mut below = 0_u64;
        for buckets in sides(point) {
            for (index, count) in (buckets.offset..).zip(&mut buckets.bucket_counts) {
                if bound(index, scale) < threshold {
                    below = below.saturating_add(std::mem::take(count));
                }
            }
        }
        point.zero_count = point.zero_count.saturating_add(below);
    }
}

/// The lower bound of a bucket: 2 to the power of its index times 2 to the power of minus the scale.
fn bound(index: i32, scale: i32) -> f64 {
    (f64::from(index) * f64::from(-scale).exp2()).exp2()
}

/// The range of indexes that covers the non-empty buckets of both. The end is exclusive.
fn span(one: Option<&Buckets>, other: Option<&Buckets>) -> (i64, i64) {
    let ends = one.into_iter().chain(other).filter_map(|buckets| {
        let first = buckets.bucket_counts.iter().position(|count| *count > 0)?;
        let last = buckets.bucket_counts.iter().rposition(|count| *count > 0)?;
        let offset = i64::from(buckets.offset);
        Some((offset + i64::try_from(first).ok()?, offset + i64::try_from(last).ok()? + 1))
    });
    ends.reduce(|one, other| (one.0.min(other.0), one.1.max(other.1))).unwrap_or((0, 0))
}

/// The sums of the buckets, which have the same scale.
fn join(one: Option<Buckets>, other: Option<Buckets>) -> Option<Buckets> {
    let (low, high) = span(one.as_ref(), other.as_ref());
    let mut counts = vec![0_u64; usize::try_from(high - low).unwrap_or(0)];
    for buckets in one.into_iter().chain(other) {
        for (index, count) in (i64::from(buckets.offset)..).zip(buckets.bucket_counts) {
            if let Some(to) = usize::try_from(index - low).ok().and_then(|at| counts.get_mut(at)) {
                *to = to.saturating_add(count);
            }
        }
    }
    (!counts.is_empty()).then(|| Buckets { offset: i32::try_from(low).unwrap_or(0), bucket_counts: counts })
}
