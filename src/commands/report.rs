//! `ccrun report`: what this machine knows, with no backend at all.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{Span, Timestamp, Zoned};

use super::{colour, print};
use crate::cli;
use crate::setting::Setting;
use crate::store::{self, ledger};
use crate::surroundings::Surroundings;
use crate::usage::report::{Query, Report, render};

pub(super) fn run(options: cli::Report, surroundings: &Surroundings) -> Result<ExitCode> {
    let since = options.since.map(|text| moment(&text, &Zoned::now())).transpose()?;
    let project = options.project.map(|path| absolute(&path, &surroundings.directory));
    let query = Query { since, project, profile: options.profile, ..Query::default() };
    let report = match store::open_to_read(&Setting::gather(surroundings)?.0.places.store())? {
        Some(connection) => {
            ledger::report(&connection, &query, &TimeZone::system()).context("cannot read the ledger")?
        }
        None => Report::default(),
    };
    if options.json {
        print(&format!("{}\n", serde_json::to_string_pretty(&report)?))?;
    } else {
        let stdout = std::io::stdout();
        print(&render(&report, width(&stdout), colour(&stdout, surroundings)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// How wide the terminal is, in characters.
fn width(stream: &impl std::os::fd::AsFd) -> Option<u16> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| width.0)
}

/// A date (its first moment here), or how long ago.
fn moment(text: &str, now: &Zoned) -> Result<Timestamp> {
    if let Ok(date) = text.parse::<Date>() {
        return Ok(date.to_zoned(now.time_zone().clone())?.timestamp());
    }
    let span: Span = text
        .parse()
        .ok()
        .with_context(|| format!("`{text}` is neither a date nor a duration: write 2026-01-31, 7d or 12h"))?;
    Ok(now.checked_sub(span.abs())?.timestamp())
}

/// The directory as sessions know it.
fn absolute(path: &str, directory: &Path) -> String {
    let path = directory.join(path);
    path.canonicalize().unwrap_or(path).to_string_lossy().into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_dates_or_durations() {
        let now: Zoned = "2026-03-10T12:00[Europe/Berlin]".parse().unwrap();
        let at = |text| moment(text, &now).map(|moment| moment.to_string()).map_err(|error| error.to_string());
        assert_eq!(at("2026-03-01").unwrap(), "2026-02-28T23:00:00Z");
        assert_eq!(at("7d").unwrap(), "2026-03-03T11:00:00Z");
        assert!(at("yesterweek").unwrap_err().contains("neither a date nor a duration"));
    }
}
