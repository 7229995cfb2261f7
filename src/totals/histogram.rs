//! Histograms with explicit bounds.

use opentelemetry_proto::tonic::metrics::v1::HistogramDataPoint;

use super::point::{NO_RECORDED_VALUE, Unfit};

pub(super) fn zero(point: &mut HistogramDataPoint) {
    point.count = 0;
    point.sum = point.sum.map(|_| 0.0);
    point.bucket_counts.iter_mut().for_each(|count| *count = 0);
    point.flags = 0;
    (point.min, point.max) = (None, None);
}

/// Adds a delta. If the bounds differ, only the common ones are kept. A bucket between two of them holds exactly the
/// values of the joined buckets, so earlier counts stay correct. In the extreme case one bucket remains.
pub(super) fn add(to: &mut HistogramDataPoint, mut point: HistogramDataPoint) -> Result<(), Unfit> {
    if point.flags & NO_RECORDED_VALUE != 0 {
        return Err(Unfit::Empty);
    }
    check(&point)?;
    let count = to.count.checked_add(point.count).ok_or(Unfit::Buckets)?;
    let sum = match (to.sum, point.sum) {
        // If either sum is missing, the total sum is unknown.
        (Some(total), Some(delta)) => Some(total + delta),
        _ => None,
    };
    if sum.is_some_and(|sum| !sum.is_finite()) {
        return Err(Unfit::NotFinite);
    }
    if to.explicit_bounds != point.explicit_bounds {
        let shared = |bound: &f64| point.explicit_bounds.contains(bound);
        let bounds: Vec<f64> = to.explicit_bounds.iter().copied().filter(shared).collect();
        coarsen(to, &bounds);
        coarsen(&mut point, &bounds);
    }
    if to.bucket_counts.len() == point.bucket_counts.len() {
        for (total, delta) in to.bucket_counts.iter_mut().zip(&point.bucket_counts) {
            // At most `count`, which fits.
            *total = total.saturating_add(*delta);
        }
    } else {
        // One of the two has no buckets.
        to.bucket_counts.clear();
        to.explicit_bounds.clear();
    }
    (to.count, to.sum) = (count, sum);
    (to.min, to.max) = extremes((to.min, to.max), (point.min, point.max), count == point.count);
    Ok(())
}

/// The minimum and the maximum of both. Unknown if either one is missing, unless the total is empty.
pub(super) fn extremes(
    total: (Option<f64>, Option<f64>),
    delta: (Option<f64>, Option<f64>),
    is_first: bool,
) -> (Option<f64>, Option<f64>) {
    if is_first {
        return delta;
    }
    (total.0.zip(delta.0).map(|(one, other)| one.min(other)), total.1.zip(delta.1).map(|(one, other)| one.max(other)))
}

/// Checks that `bucket_counts` is empty, or has one more element than `explicit_bounds`, which increase, and adds up to
/// `count`.
fn check(point: &HistogramDataPoint) -> Result<(), Unfit> {
    let HistogramDataPoint { bucket_counts: counts, explicit_bounds: bounds, .. } = point;
    if point.sum.is_some_and(|sum| !sum.is_finite()) {
        return Err(Unfit::NotFinite);
    }
    let fits = counts.is_empty() && bounds.is_empty() || counts.len() == bounds.len() + 1;
    let grows = bounds.is_sorted_by(|one, next| one < next) && !bounds.iter().any(|bound| bound.is_nan());
    let sum = counts.iter().try_fold(0_u64, |sum, count| sum.checked_add(*count));
    let is_whole = counts.is_empty() || sum == Some(point.count);
    if fits && grows && is_whole { Ok(()) } else { Err(Unfit::Buckets) }
}

/// Joins the buckets between two of these bounds, all of which are among the point's own bounds.
fn coarsen(point: &mut HistogramDataPoint, bounds: &[f64]) {
    if point.bucket_counts.is_empty() {
        return;
    }
    let mut counts = vec![0_u64; bounds.len() + 1];
    for (index, count) in point.bucket_counts.iter().enumerate() {
        let upper = point.explicit_bounds.get(index);
        let bucket = upper.map_or(bounds.len(), |upper| bounds.partition_point(|bound| bound < upper));
        counts[bucket] = counts[bucket].saturating_add(*count);
    }
    point.bucket_counts = counts;
    point.explicit_bounds = bounds.to_vec();
}
