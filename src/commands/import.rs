//! `ccrun import`: reads Claude Code's transcripts into the ledger.

use std::io::{self, IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use serde_json::json;

use super::{complain, gather, print, print_json, refuse_in_foreign_home, refuse_inside_claude};
use crate::claude::account::{Account, account};
use crate::claude::transcript::{Skipped, find};
use crate::cli::Import;
use crate::ledger::cost::Prices;
use crate::ledger::import::{Directory, Imported, Options, import};
use crate::state::Places;
use crate::store;
use crate::system::bounded;
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::printable;
use crate::workspace::repository::{checkout, repository_name};

/// The maximum size of a price list, in bytes.
const MAXIMUM_PRICES: u64 = 64 << 20;

/// How long an import runs before it shows progress.
const SILENT: Duration = Duration::from_secs(1);

/// The interval between updates of the progress line.
const BETWEEN: Duration = Duration::from_millis(200);

/// Milliseconds in a day.
const DAY: i64 = 24 * 60 * 60 * 1000;

pub(super) fn run(options: &Import, process: &ProcessEnvironment) -> Result<ExitCode> {
    let refused = refuse_inside_claude("import", process).or_else(|| refuse_in_foreign_home("import", process));
    if let Some(refused) = refused {
        return Ok(refused);
    }
    let (workspace, _) = gather(process)?;
    let prices = match options.prices.as_deref().map(prices).transpose() {
        Ok(prices) => prices,
        Err(fault) => {
            complain(&format!("{fault:#}"));
            return Ok(ExitCode::from(2));
        }
    };
    let places = &workspace.places;
    let paths: Vec<PathBuf> = if options.paths.is_empty() {
        // The directory is missing if Claude Code was never used.
        Some(places.claude.join("projects")).into_iter().filter(|path| path.exists()).collect()
    } else {
        options.paths.iter().map(|path| process.directory.join(path)).collect()
    };
    if let Some(path) = options.paths.iter().find(|path| !process.directory.join(path).exists()) {
        complain(&format!("there is no `{}`", printable(&path.display().to_string())));
        return Ok(ExitCode::FAILURE);
    }
    let found = find(&paths);
    let account = own(&paths, places, process);
    let user = workspace.user();
    let today = process.started_at.as_millisecond();
    let wanted = Options {
        user: user.as_deref().unwrap_or_default(),
        person: &account.person,
        installation: &account.installation,
        organisation: &account.organisation,
        persons: workspace.ledger.persons,
        keep_from: workspace.ledger.keep_days.map(|days| today - days * DAY),
        prices: prices.as_ref(),
    };
    crate::state::prepare(places)?;
    let mut progress = Progress::new(found.transcripts.len(), io::stderr().is_terminal() && !options.json);
    let done = import(&places.ledger(), &found.transcripts, &wanted, whose, |so_far| progress.show(so_far));
    progress.end();
    let done = done.context("cannot import")?;
    let unpriced = finish(&places.ledger())?;
    if options.json {
        print_json(&summary(&done, found.skipped, unpriced))?;
    } else {
        tell(&done, found.skipped, unpriced)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The account that Claude Code's own transcripts belong to. The owner of other transcripts is unknown.
fn own(paths: &[PathBuf], places: &Places, process: &ProcessEnvironment) -> Account {
    let directory = places.claude.canonicalize();
    let is_own = |path: &PathBuf| match (path.canonicalize(), &directory) {
        (Ok(path), Ok(directory)) => path.starts_with(directory),
        _ => false,
    };
    if !paths.iter().all(is_own) {
        return Account::default();
    }
    let configured = process.variable("CLAUDE_CONFIG_DIR").is_some();
    account(&if configured { places.claude.join(".claude.json") } else { places.home.join(".claude.json") })
}

fn prices(path: &Path) -> Result<Prices> {
    let shown = printable(&path.display().to_string());
    let text = bounded::read(path, MAXIMUM_PRICES).with_context(|| format!("cannot read `{shown}`"))?;
    Prices::read(&text).with_context(|| format!("`{shown}` cannot be used"))
}

/// The project of a working directory, as a session there would report it. A removed directory is its own project.
fn whose(directory: &str) -> Directory {
    let path = Path::new(directory);
    if !path.is_absolute() {
        return Directory::default();
    }
    let root = checkout(path).root;
    let name = root.file_name().map(|name| name.to_string_lossy().into_owned());
    Directory {
        repository: repository_name(&root).unwrap_or_default(),
        worktree: name.filter(|_| root.join(".git").is_file()).unwrap_or_default(),
        project: root.to_string_lossy().into_owned(),
    }
}

/// Moves the write-ahead log into the database, and counts the requests without a cost.
fn finish(ledger: &Path) -> Result<i64> {
    let connection = store::open(ledger)?;
    // If a reader prevents it, the next collector does it.
    connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let count = "SELECT count(*) FROM request WHERE basis != 0 AND basis = 1 AND outcome = 0";
    Ok(connection.query_row(count, [], |row| row.get(0))?)
}

fn summary(done: &Imported, skipped: Skipped, unpriced: i64) -> serde_json::Value {
    json!({
        "sessions": done.sessions, "unchanged": done.unchanged, "facts": done.facts, "bytes": done.bytes,
        "requests_without_cost": unpriced, "requests_priced": done.priced,
        "skipped": {
            "faulty_lines": done.faults.faulty, "long_lines": done.faults.too_long,
            "unreadable": done.faults.unreadable + skipped.unreadable, "links": skipped.links,
            "irregular": skipped.irregular, "beyond": skipped.beyond,
        },
    })
}

fn tell(done: &Imported, skipped: Skipped, unpriced: i64) -> Result<()> {
    if done.sessions == 0 {
        print("no transcripts were found\n")?;
    } else {
        let unchanged = if done.unchanged == 0 { String::new() } else { format!(" ({} unchanged)", done.unchanged) };
        let facts = counted(done.facts, "new fact", "new facts");
        print(&format!("{}{unchanged}: {facts}\n", counted(done.sessions as u64, "session", "sessions")))?;
    }
    let unreadable = done.faults.unreadable + skipped.unreadable;
    let reasons = [
        (done.faults.faulty, "faulty line", "faulty lines"),
        (done.faults.too_long, "line over 16 MiB", "lines over 16 MiB"),
        (unreadable, "unreadable file", "unreadable files"),
        (skipped.links, "link", "links"),
        (skipped.irregular, "device or pipe", "devices or pipes"),
        (skipped.beyond, "directory nested too deeply", "directories nested too deeply"),
    ];
    let reasons = reasons.iter().filter(|(count, ..)| *count > 0);
    let reasons: Vec<_> = reasons.map(|(count, one, many)| counted(*count, one, many)).collect();
    if !reasons.is_empty() {
        complain(&format!("skipped {}", reasons.join(", ")));
    }
    if done.priced > 0 {
        complain(&format!("{} got a price from the list", counted(done.priced as u64, "request", "requests")));
    }
    if unpriced > 0 {
        let count = counted(unpriced.cast_unsigned(), "request has", "requests have");
        complain(&format!("{count} no cost: Claude Code was killed, or reported none; `--prices` estimates it"));
    }
    Ok(())
}

fn counted(count: u64, one: &str, many: &str) -> String {
    format!("{count} {}", if count == 1 { one } else { many })
}

/// A progress line on a terminal.
struct Progress {
    all: usize,
    is_shown: bool,
    since: Instant,
    last: Option<Instant>,
}

impl Progress {
    fn new(all: usize, is_shown: bool) -> Self {
        Self { all, is_shown, since: Instant::now(), last: None }
    }

    fn show(&mut self, so_far: &Imported) {
        if let Some(line) = self.line(so_far, Instant::now()) {
            drop(io::stderr().write_all(line.as_bytes()));
        }
    }

    /// The line in place of the last one, if it is time for one.
    fn line(&mut self, so_far: &Imported, now: Instant) -> Option<String> {
        let is_early = now < self.since + SILENT || self.last.is_some_and(|last| now < last + BETWEEN);
        if !self.is_shown || is_early {
            return None;
        }
        self.last = Some(now);
        let (done, megabytes) = (so_far.sessions, so_far.bytes / 1_000_000);
        Some(format!("\r\x1b[Kreading: {done} of {} sessions, {megabytes} MB", self.all))
    }

    fn end(&self) {
        if self.last.is_some() {
            drop(io::stderr().write_all(b"\r\x1b[K"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn progress_is_shown_on_a_terminal_after_a_second() {
        let so_far = Imported { sessions: 3, bytes: 12_345_678, ..Imported::default() };
        let mut progress = Progress::new(40, true);
        let mut at = |milliseconds| {
            let now = progress.since + Duration::from_millis(milliseconds);
            progress.line(&so_far, now)
        };
        assert_eq!(at(999), None);
        assert_eq!(at(1000).as_deref(), Some("\r\x1b[Kreading: 3 of 40 sessions, 12 MB"));
        assert_eq!(at(1199), None);
        assert!(at(1200).is_some());
        let mut elsewhere = Progress::new(40, false);
        assert_eq!(elsewhere.line(&so_far, elsewhere.since + Duration::from_secs(9)), None);
    }
}
