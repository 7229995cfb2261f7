//! Series, made of the ledger's sums.

use std::collections::BTreeMap;

use super::metric::{FEW, METRICS, Of, Part, label_of};
use crate::report::Dimension;
use crate::report::ledger::{Lasting, LastingSum};

/// How long a label's value may be, in bytes. The ledger keeps texts of that length; a project's path may be longer.
const LONGEST: usize = 256;

/// The value of labels in the series for the rest.
const OTHER: &str = "other";

/// Names and values.
pub(super) type Labels = Vec<(&'static str, String)>;

/// The identity of a series. Those of one metric follow each other.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Series {
    /// The metric's place among all of them.
    pub(super) metric: usize,
    /// The labels.
    pub(super) labels: Labels,
}

impl Series {
    /// The series that it is added to if there are too many.
    pub(super) fn rest(&self) -> Self {
        let other = |(name, value): &(&'static str, String)| {
            (*name, if FEW.contains(name) { value.clone() } else { OTHER.to_owned() })
        };
        Self { metric: self.metric, labels: self.labels.iter().map(other).collect() }
    }

    /// The parts that identify it beyond this process.
    pub(super) fn parts(&self) -> Vec<&[u8]> {
        let labels = self.labels.iter().flat_map(|(name, value)| [name.as_bytes(), value.as_bytes()]);
        std::iter::once(METRICS[self.metric].name.as_bytes()).chain(labels).collect()
    }
}

/// What the ledger says of a series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Found {
    /// The amount, in the ledger's unit.
    pub(super) amount: i64,
    /// The first quarter of an hour with some of it, since 1970; `i64::MAX` without any.
    pub(super) first: i64,
    /// The last quarter of an hour with usage of its session, model or tool.
    pub(super) last: i64,
}

impl Found {
    /// Both together.
    pub(super) fn and(self, other: Self) -> Self {
        Self {
            amount: self.amount.saturating_add(other.amount),
            first: self.first.min(other.first),
            last: self.last.max(other.last),
        }
    }
}

/// All series of the ledger's sums, which are by these dimensions.
pub fn series(lasting: &Lasting, by: &[Dimension]) -> BTreeMap<Series, Found> {
    let mut all = All { by, found: BTreeMap::new() };
    for (metric, of) in METRICS.iter().map(|metric| &metric.of).enumerate() {
        let (sums, name, parts) = match of {
            Of::Sessions => {
                all.sessions(metric, lasting);
                continue;
            }
            Of::Models(parts) => (&lasting.by_model, "model", parts),
            Of::Tools(parts) => (&lasting.by_tool, "tool_name", parts),
        };
        for sum in sums {
            all.sum(metric, sum, name, parts);
        }
    }
    all.found
}

struct All<'a> {
    by: &'a [Dimension],
    found: BTreeMap<Series, Found>,
}

impl All<'_> {
    fn sessions(&mut self, metric: usize, lasting: &Lasting) {
        for sessions in &lasting.sessions {
            let found = Found { amount: sessions.count, first: sessions.first, last: sessions.last };
            self.add(metric, self.labels(&sessions.keys), found);
        }
    }

    /// Adds the measures of a sum, unless all of them are zero. A zero beside another is shown, because a counter that
    /// begins at zero is one whose first increase is seen.
    fn sum(&mut self, metric: usize, sum: &LastingSum, name: &'static str, parts: &[Part]) {
        if parts.iter().all(|(measure, _)| sum.amount(*measure) == 0) {
            return;
        }
        for (measure, distinguishing) in parts {
            let mut labels = self.labels(&sum.keys);
            labels.extend(sum.name.as_deref().map(|value| (name, cut(value))));
            labels.extend(distinguishing.iter().map(|(name, value)| (*name, (*value).to_owned())));
            let found = Found { amount: sum.amount(*measure), first: sum.firsts[measure.index()], last: sum.last };
            self.add(metric, labels, found);
        }
    }

    /// The labels of these values, without those that are unknown.
    fn labels(&self, keys: &[Option<String>]) -> Labels {
        let pairs = self.by.iter().zip(keys);
        pairs.filter_map(|(dimension, value)| Some((label_of(*dimension), cut(value.as_deref()?)))).collect()
    }

    /// Adds a series. Values that differ only beyond their longest length are the same.
    fn add(&mut self, metric: usize, labels: Labels, found: Found) {
        let together = self.found.entry(Series { metric, labels });
        together.and_modify(|before| *before = before.and(found)).or_insert(found);
    }
}

fn cut(value: &str) -> String {
    value[..value.floor_char_boundary(LONGEST)].to_owned()
}
