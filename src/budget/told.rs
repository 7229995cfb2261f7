//! What was told about budgets on this machine: an empty file for each percentage.
//!
//! A file is created only if it does not exist, so that of two sessions exactly one tells.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::PathBuf;

use anyhow::Context;
use jiff::ToSpan;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use crate::credential::keyed;
use crate::profile::Budget;
use crate::report::Standing;
use crate::state::{self, Places};
use crate::system::hex::hex;

/// How many days after the beginning of its period a note is kept: longer than any period.
const KEPT: i64 = 40;

/// How many bytes of a budget's hash are used in names.
const HASH: usize = 8;

/// The notes of what was told.
#[derive(Clone, Debug)]
pub struct Told {
    directory: PathBuf,
    key: [u8; 32],
    audience: Audience,
}

/// Who is told. Each is told once.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Audience {
    /// The person at the screen.
    #[default]
    Screen,
    /// The programs and servers that a budget names.
    Receivers,
}

impl Told {
    /// The notes in the state directory, which is created if it is missing.
    pub fn open(places: &Places) -> anyhow::Result<Self> {
        let directory = places.budgets();
        state::private_directory(&directory).with_context(|| format!("cannot use `{}`", directory.display()))?;
        Ok(Self { directory, key: state::key(places)?, audience: Audience::default() })
    }

    /// The notes of what another audience was told.
    #[must_use]
    pub fn to(self, audience: Audience) -> Self {
        Self { audience, ..self }
    }

    /// Claims the highest percentage that the spend has reached, if neither it nor a higher one was told for the
    /// budget in this period. Exactly one of several claims succeeds, in whichever process.
    pub fn claim(&self, standing: &Standing, zone: &TimeZone) -> io::Result<Option<u16>> {
        let Some(tier) = standing.tier() else { return Ok(None) };
        let begun = standing.since.to_zoned(zone.clone()).date();
        let name = self.name(standing, begun);
        if self.highest(&name)? >= Some(tier) {
            return Ok(None);
        }
        match state::create(&self.directory.join(format!("{name}-{tier}")), b"") {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => return Ok(None),
            Err(error) => return Err(error),
        }
        self.prune(begun);
        Ok(Some(tier))
    }

    /// The highest percentage that was told, if any.
    pub fn told(&self, standing: &Standing, zone: &TimeZone) -> io::Result<Option<u16>> {
        self.highest(&self.name(standing, standing.since.to_zoned(zone.clone()).date()))
    }

    fn highest(&self, name: &str) -> io::Result<Option<u16>> {
        let mut highest = None;
        for entry in fs::read_dir(&self.directory)? {
            let entry = entry?.file_name();
            let tier = entry.to_str().and_then(|entry| entry.strip_prefix(name)?.strip_prefix('-')?.parse().ok());
            highest = highest.max(tier);
        }
        Ok(highest)
    }

    /// The beginning of the names for a budget in its current period. The hash shows neither the limit nor whose it is.
    /// A budget with another limit is another one.
    fn name(&self, standing: &Standing, begun: Date) -> String {
        let Budget { period, limit, per, .. } = &standing.budget;
        let parts = [period.name(), per.name(), &limit.to_string(), standing.of.as_deref().unwrap_or_default()];
        let hash = keyed(&self.key, parts.into_iter().map(str::to_owned));
        let audience = if self.audience == Audience::Receivers { "-notify" } else { "" };
        format!("{begun}-{}{audience}", hex(hash.get(..HASH).unwrap_or(&hash)))
    }

    /// Removes notes of past periods. One that stays is harmless.
    fn prune(&self, begun: Date) {
        let oldest = begun.saturating_sub(KEPT.days());
        for entry in fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            let name = entry.file_name();
            let date = name.to_str().and_then(|name| name.get(..10)?.parse::<Date>().ok());
            if date.is_some_and(|date| date < oldest) {
                drop(fs::remove_file(entry.path()));
            }
        }
    }
}
