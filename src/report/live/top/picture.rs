//! Everything that the view shows, apart from what is chosen.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::session::{Backlog, Row};
use crate::report::{Line, Standing, Story};

/// Everything that is shown.
#[derive(Clone, Debug)]
pub struct Picture {
    /// The time.
    pub now: Timestamp,
    /// The time zone for hours.
    pub zone: TimeZone,
    /// The home directory, shown as `~`.
    pub home: PathBuf,
    /// Whether it has colours.
    pub colour: bool,
    /// All running sessions.
    pub rows: Vec<Row>,
    /// The usage of today.
    pub today: Line,
    /// The cost of the last hour, and the tokens of each of its minutes.
    pub hour: (i64, Vec<i64>),
    /// What waits for destinations.
    pub backlogs: Vec<Backlog>,
    /// The budget that is used up the most; `None` where none applies.
    pub standing: Option<Standing>,
    /// What could not be read.
    pub fault: Option<String>,
    /// The prompts and tools of the selected session, if its details are shown and any are recorded.
    pub story: Option<Story>,
}

impl Picture {
    /// One without anything.
    pub fn new(now: Timestamp, zone: TimeZone, home: PathBuf, colour: bool) -> Self {
        Self {
            now,
            zone,
            home,
            colour,
            rows: Vec::new(),
            today: Line::default(),
            hour: (0, Vec::new()),
            backlogs: Vec::new(),
            standing: None,
            fault: None,
            story: None,
        }
    }
}
