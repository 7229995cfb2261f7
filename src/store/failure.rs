//! The reason why a request was not accepted, stored beside the entries that wait.

use rusqlite::Row;

/// The reason for the last failed attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failure {
    /// The message of the destination, or of the source of its credentials.
    pub reason: String,
    /// When the next attempt begins, in Unix milliseconds; `None` if the destination's [`backoff`](super::backoff)
    /// decides.
    pub next_try: Option<i64>,
}

impl Failure {
    /// A failure that is followed by the destination's back-off.
    pub fn new(reason: &str) -> Self {
        Self { reason: reason.to_owned(), next_try: None }
    }
}

/// A failure in two columns: its reason, and the time of the next attempt. `None` without a reason.
pub(super) fn failure(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Failure>> {
    let next_try = row.get(first + 1)?;
    Ok(row.get::<_, Option<String>>(first)?.map(|reason| Failure { reason, next_try }))
}
