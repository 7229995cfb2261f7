//! What scrapers have been shown. A counter must not go down: Prometheus takes a lower value for a restart from zero, and
//! counts all of it again. The ledger's sums do go down, when usage is forgotten, expires or is corrected.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::series::{Found, Series};
use crate::system::digest::digest;
use crate::system::hex::hex;

/// How many series there are at most. Further ones are added up in one for each metric.
pub(super) const MOST: usize = 20_000;

/// What a later process needs to go on, without names of persons or projects.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Since which quarter of an hour there are scrapes.
    since: i64,
    /// Whether there were too many series once.
    is_full: bool,
    /// By a keyed hash of the series: the ledger's amount, and what was shown.
    series: BTreeMap<String, [i64; 2]>,
}

/// All series, and what was shown of each.
#[derive(Debug)]
pub struct Shown {
    key: Vec<u8>,
    kept: Kept,
    /// Whether a ledger was there when the scrapes began, and none of it was taken yet.
    is_first: bool,
    all: BTreeMap<Series, Entry>,
    /// How many series were added up in those for the rest.
    rest: usize,
    /// How often they were shown.
    shows: u64,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    /// The ledger's amount.
    amount: i64,
    /// The sum of its increases.
    shown: i64,
    /// The show that is the first with this series, at zero. Zero for a series that begins with its value.
    born: u64,
}

impl Entry {
    /// Takes a new amount. Returns whether it is lower than the last.
    fn update(&mut self, amount: i64) -> bool {
        let before = std::mem::replace(&mut self.amount, amount);
        self.shown = self.shown.saturating_add(amount.saturating_sub(before).max(0));
        amount < before
    }
}

impl Shown {
    /// What a process before this one kept, if one did. `key` hides names, and `now` is a quarter of an hour.
    pub fn new(kept: Option<Kept>, key: &[u8], now: i64) -> Self {
        let is_first = kept.is_none();
        let kept = kept.unwrap_or(Kept { since: now, ..Kept::default() });
        Self { key: key.to_vec(), kept, is_first, all: BTreeMap::new(), rest: 0, shows: 0 }
    }

    /// Takes that there is no ledger yet. Returns whether that is new.
    pub fn take_none(&mut self) -> bool {
        std::mem::take(&mut self.is_first)
    }

    /// Takes what the ledger says. Returns whether what is to be kept has changed in a way that would not show again.
    pub fn take(&mut self, found: BTreeMap<Series, Found>) -> bool {
        let (known, mut new): (Vec<_>, Vec<_>) = found.into_iter().partition(|(series, _)| self.knows(series));
        let mut found: BTreeMap<_, _> = known.into_iter().collect();
        // Once there were too many, a new series stays in the rest, because moving it out later would lower the rest.
        let room = if self.kept.is_full { 0 } else { MOST.saturating_sub(found.len()) };
        let mut rest = Vec::new();
        if new.len() > room {
            new.sort_by_key(|(_, found)| std::cmp::Reverse(found.last));
            rest = new.split_off(room);
        }
        let mut is_changed = !rest.is_empty() && !std::mem::replace(&mut self.kept.is_full, true);
        self.rest = rest.len();
        let rest = rest.into_iter().map(|(series, found)| (series.rest(), found));
        for (series, one) in new.into_iter().chain(rest) {
            found.entry(series).and_modify(|before| *before = before.and(one)).or_insert(one);
        }
        let mut before = std::mem::take(&mut self.all);
        for (series, found) in found {
            let (mut entry, is_new) = match before.remove(&series) {
                Some(entry) => (entry, false),
                None => self.begin(&series, found),
            };
            is_changed |= entry.update(found.amount) || is_new;
            self.all.insert(series, entry);
        }
        // Series that the ledger has no longer are not shown any more, and begin again from zero.
        is_changed |= !before.is_empty() || !self.kept.series.is_empty();
        self.kept.series.clear();
        self.is_first = false;
        is_changed
    }

    /// A series that was not shown yet by this process, and whether it is new. If all of it was used since there are
    /// scrapes, it is shown as zero first: Prometheus does not see the increase from nothing to a first value.
    fn begin(&mut self, series: &Series, found: Found) -> (Entry, bool) {
        if let Some([amount, shown]) = self.kept.series.remove(&self.name(series)) {
            return (Entry { amount, shown, born: 0 }, false);
        }
        let is_younger = !self.is_first && found.first >= self.kept.since;
        let born = if is_younger { self.shows + 1 } else { 0 };
        (Entry { amount: found.amount, shown: found.amount, born }, true)
    }

    fn knows(&self, series: &Series) -> bool {
        self.all.contains_key(series)
            || !self.kept.series.is_empty() && self.kept.series.contains_key(&self.name(series))
    }

    fn name(&self, series: &Series) -> String {
        let parts = [vec![self.key.as_slice()], series.parts()].concat();
        hex(&digest(&parts)[..8])
    }

    /// All series with their values, in order, and the number of this show. `last` is the number of the show that the
    /// same scraper saw last: it sees a zero of each series that is new since then.
    pub fn show(&mut self, last: Option<u64>) -> (u64, impl Iterator<Item = (&Series, i64)>) {
        self.shows += 1;
        let now = self.shows;
        let shown = self.all.iter().map(move |(series, entry)| {
            let is_new = entry.born >= now || last.is_some_and(|last| last < entry.born);
            (series, if is_new { 0 } else { entry.shown })
        });
        (now, shown)
    }

    /// How many series were added up in those for the rest.
    pub fn rest(&self) -> usize {
        self.rest
    }

    /// What a later process needs.
    pub fn keep(&self) -> Kept {
        let mut kept = self.kept.clone();
        kept.series.extend(self.all.iter().map(|(series, entry)| (self.name(series), [entry.amount, entry.shown])));
        kept
    }
}
