//! A forwarder's part of its session's log: a line when deliveries begin to be held, and one when they pass again.

use crate::state::log::Log;
use crate::terminal::printable::printable;

/// The state of a destination that was logged last.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    #[default]
    Passing,
    Held,
    /// Credentials are missing or not accepted.
    WithoutCredentials,
}

/// Logs changes of a destination's state, each once. Without a log it does nothing.
#[derive(Debug, Default)]
pub(super) struct Journal {
    log: Option<Log>,
    destination: String,
    state: State,
}

impl Journal {
    pub(super) fn of(log: Log, destination: &str) -> Self {
        Self { log: Some(log), destination: destination.to_owned(), state: State::default() }
    }

    /// The destination does not accept requests. The reason contains no secret, but may quote the backend.
    pub(super) fn held(&mut self, reason: &str) {
        self.change(State::Held, &format!("are held: {}", printable(reason)));
    }

    /// No credentials are accepted by the destination.
    pub(super) fn without_credentials(&mut self, reason: &str) {
        self.change(State::WithoutCredentials, &format!("wait for credentials: {}", printable(reason)));
    }

    /// The destination refused a series of totals for its own sake; the other series are still sent.
    pub(super) fn left_out(&self, metric: &str, reason: &str) {
        if let Some(log) = &self.log {
            let (metric, reason) = (printable(metric), printable(reason));
            log.note(&format!("a series of `{metric}` is left out of what `{}` is given: {reason}", self.destination));
        }
    }

    /// This many series of totals were forgotten: unchanged for too long, or too many.
    pub(super) fn forgotten(&self, series: u64) {
        if let Some(log) = &self.log {
            log.note(&format!("series of `{}` are forgotten that did not change for long: {series}", self.destination));
        }
    }

    /// The destination has dealt with a request.
    pub(super) fn passing(&mut self) {
        self.change(State::Passing, "pass again");
    }

    fn change(&mut self, state: State, what: &str) {
        if let Some(log) = self.log.as_ref().filter(|_| self.state != state) {
            log.note(&format!("deliveries to `{}` {what}", self.destination));
        }
        self.state = state;
    }
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;
    use crate::state::Places;

    #[test]
    fn each_change_is_logged_once() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        fs::create_dir_all(places.logs()).unwrap();
        let log = Log::of(&places, "0123456789abcdef");
        let mut journal = Journal::of(log.clone(), "d");
        journal.passing();
        assert!(!log.path().exists(), "nothing is to be said where all is well");
        for reason in ["503 busy", "504 late"] {
            journal.held(reason);
        }
        for _ in 0..2 {
            journal.without_credentials("401 \u{1b}no");
        }
        for _ in 0..2 {
            journal.passing();
        }
        let text = fs::read_to_string(log.path()).unwrap();
        let lines: Vec<_> = text.lines().map(|line| line.splitn(3, ' ').nth(2).unwrap()).collect();
        let expected = [
            "deliveries to `d` are held: 503 busy",
            "deliveries to `d` wait for credentials: 401 \\u{1b}no",
            "deliveries to `d` pass again",
        ];
        assert_eq!(lines, expected);
        let mut silent = Journal::default();
        silent.held("503");
        silent.passing();
    }
}
