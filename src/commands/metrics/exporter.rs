//! The counters, from the ledger to the text.

use std::sync::{Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::super::complain;
use super::ledger::{Fault, Ledger, Look};
use super::memory::Memory;
use crate::ledger::QUARTER;
use crate::report::Dimension;
use crate::report::metrics::{About, Format, Shown, exposition, series};
use crate::state::Places;
use crate::terminal::printable::visible;

/// The counters of one address or text file.
pub(super) struct Exporter {
    /// Locked while the ledger is read.
    ledger: Mutex<Ledger>,
    /// Locked for an instant.
    state: Mutex<State>,
}

struct State {
    shown: Shown,
    memory: Memory,
    /// Whether the last look has found the ledger.
    is_up: bool,
    /// When the values were those of the ledger, in Unix milliseconds.
    read_at: Option<i64>,
    /// The fault that was reported last.
    fault: Option<String>,
}

impl Exporter {
    /// The counters by these labels, for an address or a text file.
    pub(super) fn new(places: &Places, labels: Vec<Dimension>, for_what: &str) -> Self {
        let names = labels.iter().map(|label| label.name());
        let words: Vec<_> = std::iter::once(for_what).chain(names).collect();
        let (memory, kept, key) = Memory::open(places, &words);
        let shown = Shown::new(kept, &key, now().div_euclid(QUARTER));
        let state = State { shown, memory, is_up: false, read_at: None, fault: None };
        Self { ledger: Mutex::new(Ledger::new(&places.ledger(), labels)), state: Mutex::new(state) }
    }

    /// Looks at the ledger. Takes as long as reading it.
    pub(super) fn look(&self) {
        let mut ledger = self.ledger.lock().unwrap_or_else(PoisonError::into_inner);
        let now = now();
        let looked = ledger.look().map(|look| match look {
            Look::New(lasting) => (Some(series(&lasting, ledger.labels())), true),
            Look::Same => (None, true),
            Look::Deferred => (None, false),
        });
        let mut state = self.state();
        match looked {
            Ok((found, is_current)) => {
                if let Some(found) = found {
                    let State { shown, memory, .. } = &mut *state;
                    let is_urgent = shown.take(found);
                    memory.note(is_urgent, || shown.keep());
                }
                state.read_at = if is_current { Some(now) } else { state.read_at };
                (state.is_up, state.fault) = (true, None);
            }
            Err(fault) => state.fail(&fault),
        }
    }

    /// The ledger has not answered in time.
    pub(super) fn late(&self) {
        self.state().is_up = false;
    }

    /// Whether there is a ledger that cannot be read.
    pub(super) fn has_failed(&self) -> bool {
        self.state().fault.is_some()
    }

    /// The text for a scraper, of which the show with the number `last` was the last, and the number of this one.
    pub(super) fn show(&self, last: Option<u64>, format: Format) -> (u64, String) {
        let mut state = self.state();
        let version = env!("CARGO_PKG_VERSION");
        let about = About { is_up: state.is_up, read_at: state.read_at, rest: state.shown.rest(), version };
        let (number, shown) = state.shown.show(last);
        (number, exposition(shown, &about, format))
    }

    /// Keeps what a later run needs.
    pub(super) fn finish(&self) {
        let State { shown, memory, .. } = &mut *self.state();
        memory.write(|| shown.keep());
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// Goes on with the last values. Reports each fault once; that nothing was used yet is none.
    fn fail(&mut self, fault: &Fault) {
        self.is_up = false;
        let Self { shown, memory, .. } = self;
        if matches!(fault, Fault::Missing) && shown.take_none() {
            memory.note(true, || shown.keep());
        }
        let said = fault.to_string();
        if matches!(fault, Fault::Missing) && self.read_at.is_none() || self.fault.as_ref() == Some(&said) {
            return;
        }
        complain(&visible(&format!("{said}; the last known values are shown, and `ccrun_up` is 0")));
        self.fault = Some(said);
    }
}

/// The current time, in Unix milliseconds.
#[expect(clippy::disallowed_methods, reason = "the moment at which the ledger is looked at")]
fn now() -> i64 {
    Timestamp::now().as_millisecond()
}
