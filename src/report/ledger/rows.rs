//! The rows of an answer while they are added up. Only a few of hundreds of thousands are shown.

use super::group::Keys;
use crate::ledger::block::Told;
use crate::report::table::Line;
use crate::usage::MEASURES;

/// The initial capacity for measures. Rows of prompts rarely have more.
const USUAL: usize = 14;

/// Rows by number. Only measures that occur in at least one row are kept.
pub(super) struct Rows {
    keys: Vec<Keys>,
    sessions: Vec<i64>,
    /// The measures that are kept, in order of first appearance.
    measures: Vec<usize>,
    /// The place of each measure among them.
    places: [Option<usize>; MEASURES],
    width: usize,
    /// `width` amounts for each row.
    amounts: Vec<i64>,
}

impl Rows {
    pub(super) fn new() -> Self {
        Self {
            keys: Vec::new(),
            sessions: Vec::new(),
            measures: Vec::new(),
            places: [None; MEASURES],
            width: USUAL,
            amounts: Vec::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.keys.len()
    }

    /// Begins a row with one session, and returns its number.
    pub(super) fn push(&mut self, keys: Keys) -> usize {
        self.keys.push(keys);
        self.sessions.push(1);
        self.amounts.resize(self.amounts.len() + self.width, 0);
        self.keys.len() - 1
    }

    /// Counts another session for a row.
    pub(super) fn count_session(&mut self, row: usize) {
        self.sessions[row] += 1;
    }

    pub(super) fn add(&mut self, row: usize, told: Told<'_>) {
        for (measure, amount) in told {
            let place = match self.places[*measure] {
                Some(place) => place,
                None => self.new_place(*measure),
            };
            let sum = &mut self.amounts[row * self.width + place];
            *sum = sum.saturating_add(*amount);
        }
    }

    fn new_place(&mut self, measure: usize) -> usize {
        let place = self.measures.len();
        if place == self.width {
            let mut wider = Vec::with_capacity(self.len() * MEASURES);
            for row in self.amounts.chunks_exact(self.width) {
                wider.extend_from_slice(row);
                wider.resize(wider.len() + MEASURES - self.width, 0);
            }
            (self.amounts, self.width) = (wider, MEASURES);
        }
        self.measures.push(measure);
        self.places[measure] = Some(place);
        place
    }

    pub(super) fn keys(&self, row: usize) -> Keys {
        self.keys[row]
    }

    /// A row as it is shown, without the names of its keys.
    pub(super) fn line(&self, row: usize) -> Line {
        let mut line = Line { sessions: self.sessions[row], ..Line::default() };
        for (measure, amount) in self.measures.iter().zip(&self.amounts[row * self.width..]) {
            line.amounts[*measure] = *amount;
        }
        line
    }

    /// The sum of all rows. Rows may share sessions.
    pub(super) fn total(&self) -> Line {
        let mut total = Line::default();
        for row in self.amounts.chunks_exact(self.width) {
            for (measure, amount) in self.measures.iter().zip(row) {
                let sum = &mut total.amounts[*measure];
                *sum = sum.saturating_add(*amount);
            }
        }
        total
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_keep_their_sums_when_measures_are_added() {
        let mut rows = Rows::new();
        for row in 0..3 {
            assert_eq!(rows.push([i64::try_from(row).unwrap(), 0]), row);
            for measure in (0..MEASURES).rev() {
                rows.add(row, &[(measure, 1), (measure, i64::try_from(measure + row).unwrap())]);
            }
        }
        rows.count_session(1);
        for row in 0..3 {
            let line = rows.line(row);
            let expected = std::array::from_fn(|measure| i64::try_from(measure + row + 1).unwrap());
            assert_eq!((line.amounts, line.sessions), (expected, if row == 1 { 2 } else { 1 }));
        }
        assert_eq!((rows.total().amounts[5], rows.keys(2)), (6 + 7 + 8, [2, 0]));
    }
}
