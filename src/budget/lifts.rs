//! Budgets that are lifted for a while, by profile.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;

use crate::state::{self, Places};
use crate::system::bounded;

/// The longest lift.
pub const LONGEST: Duration = Duration::from_hours(31 * 24);

/// The maximum size of a note, in bytes.
const MAXIMUM_SIZE: u64 = 64;

/// The notes of what is lifted.
#[derive(Clone, Debug)]
pub struct Lifts {
    directory: PathBuf,
}

impl Lifts {
    /// The notes in the state directory.
    pub fn new(places: &Places) -> Self {
        Self { directory: places.budgets() }
    }

    /// Until when the budgets of a profile are lifted; `None` if they are not. An unreadable note lifts nothing, nor
    /// does one for longer than any lift lasts, since the clock was changed.
    pub fn until(&self, profile: &str, now: Timestamp) -> Option<Timestamp> {
        let text = bounded::read(&self.note(profile), MAXIMUM_SIZE).ok()?;
        let until: Timestamp = String::from_utf8(text).ok()?.trim().parse().ok()?;
        (now < until && now.checked_add(LONGEST).is_ok_and(|latest| until <= latest)).then_some(until)
    }

    /// Lifts the budgets of a profile until a time, and no longer.
    pub fn lift(&self, profile: &str, until: Timestamp) -> anyhow::Result<()> {
        state::private_directory(&self.directory)?;
        Ok(state::write(&self.note(profile), until.to_string().as_bytes())?)
    }

    /// Ends the lift of a profile's budgets. Returns whether there was one.
    pub fn end(&self, profile: &str) -> io::Result<bool> {
        match state::remove(&self.note(profile)) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// The name of a profile contains no separator.
    fn note(&self, profile: &str) -> PathBuf {
        self.directory.join(format!("lift-{}", profile.replace('/', "_")))
    }
}
