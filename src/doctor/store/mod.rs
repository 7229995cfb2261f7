//! Checks what waits on this machine, and whether more can be stored. Everything is read-only: no lock is taken that a
//! session needs.

mod place;
mod waiting;

use std::fs;
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Check, Finding, Group, Subject};
use crate::state::{Places, unkept};
use crate::store::damage::{self, Replaced, notes};
use crate::store::{self, StoreError, sessions};
use crate::terminal::printable::printable;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "store.place", group: Group::Store, look: place::place },
    Check { id: "store.database", group: Group::Store, look: database },
    Check { id: "store.aside", group: Group::Store, look: aside },
    Check { id: "store.waiting", group: Group::Store, look: waiting::waiting },
    Check { id: "store.orphaned", group: Group::Store, look: waiting::orphaned },
    Check { id: "store.refused", group: Group::Store, look: waiting::refused },
    Check { id: "store.rejected", group: Group::Store, look: rejected },
    Check { id: "store.killed", group: Group::Store, look: waiting::killed },
    Check { id: "store.silent", group: Group::Store, look: silent },
    Check { id: "store.unkept", group: Group::Store, look: unkept },
];

/// How many of the latest sessions are checked for rejections.
const LATEST: u32 = 20;

/// The maximum age of a session whose rejections are reported, in milliseconds.
const RECENT: i64 = 24 * 60 * 60 * 1000;

/// How long a database is looked through.
const PATIENCE: Duration = Duration::from_secs(2);

/// Whether the store and the ledger can be read.
fn database(subject: &Subject) -> Vec<Finding> {
    let places = &subject.workspace.places;
    let ledger = places.ledger();
    let mut findings = vec![readable("store", &places.store())];
    // What is well with the ledger is said of the store already.
    findings.extend(fs::symlink_metadata(&ledger).is_ok().then(|| readable("ledger", &ledger)));
    findings
}

fn readable(name: &str, path: &Path) -> Finding {
    let shown = Places::shortened(path);
    let opened = store::open_to_read(path);
    let looked = opened.and_then(|opened| opened.map(|opened| damage::is_sound(&opened, PATIENCE)).transpose());
    match looked {
        Ok(None) => Finding::ok("nothing has been recorded yet"),
        Ok(Some(true)) => {
            Finding::ok(format!("the {name} `{shown}` is readable and has a size of {}", size(bytes_of(path))))
        }
        Ok(Some(false)) => damaged(name, &shown),
        Err(error) if damage::is_damage(&error) => damaged(name, &shown),
        Err(error) => {
            let error = anyhow::Error::from(StoreError::from(error));
            Finding::failed(format!("the {name} `{shown}` cannot be read: {}", printable(&error.to_string())))
                .fix("check that you own the directory and its files, and that the disk works")
        }
    }
}

fn damaged(name: &str, shown: &str) -> Finding {
    Finding::failed(format!("the {name} `{shown}` is damaged")).fix(
        "`ccrun queue flush` replaces it and carries over what can be read, and so does the next session that meets it",
    )
}

/// Sessions since yesterday whose exports could not be kept.
fn unkept(subject: &Subject) -> Vec<Finding> {
    let now = SystemTime::from(subject.now());
    let recent = unkept::recent(&subject.workspace.places, now, Duration::from_millis(RECENT.unsigned_abs()));
    let fix = "make room on the disk, or raise the limit on the size of files (`ulimit -f`)";
    recent.iter().map(|line| Finding::warning(printable(line)).fix(fix)).collect()
}

/// The size of the database and its write-ahead log.
fn bytes_of(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
    length(path) + length(Path::new(&log))
}

/// Databases that were damaged and are replaced.
fn aside(subject: &Subject) -> Vec<Finding> {
    let finding = |replaced: Replaced| {
        let Replaced { name, aside, .. } = &replaced;
        let shown = printable(&Places::shortened(aside));
        let (name, outcome) = (printable(name), replaced.outcome());
        Finding::warning(format!("the {name} was damaged and was replaced: {outcome}; the damaged file is `{shown}`"))
            .fix(format!("`sqlite3 FILE .recover` may save more of it; remove `{shown}*` when you do not need that"))
    };
    notes(&subject.workspace.places.state).into_iter().map(finding).collect()
}

/// Records of the latest sessions that destinations rejected.
fn rejected(subject: &Subject) -> Vec<Finding> {
    let Ok(Some(connection)) = store::open_to_read(&subject.workspace.places.store()) else { return Vec::new() };
    let oldest = subject.now().as_millisecond() - RECENT;
    let latest = sessions::latest(&connection, LATEST).unwrap_or_default();
    let of = latest.iter().filter(|record| record.session.started_at > oldest && record.rejected > 0);
    let Some(last) = of.clone().next() else { return Vec::new() };
    let records: u64 = of.map(|record| record.rejected).sum();
    let message = last.message.as_deref().map(|message| format!(": {}", printable(message))).unwrap_or_default();
    let summary = format!("destinations permanently rejected {records} records of sessions since yesterday{message}");
    vec![
        Finding::warning(summary)
            .fix(format!("follow the message; `ccrun sessions {}` shows the latest such session", last.session.id)),
    ]
}

/// Sessions since yesterday that sent nothing although their programs worked.
fn silent(subject: &Subject) -> Vec<Finding> {
    let places = &subject.workspace.places;
    let Ok(Some(connection)) = store::open_to_read(&places.store()) else { return Vec::new() };
    let oldest = subject.now().as_millisecond() - RECENT;
    let latest = sessions::latest(&connection, LATEST).unwrap_or_default();
    let is_silent = |record: &sessions::Record| {
        record.session.started_at > oldest && record.received == 0 && places.silence(&record.session.id).exists()
    };
    let silent = latest.into_iter().filter(is_silent);
    let finding = |record: sessions::Record| {
        let project = printable(&Places::shortened(Path::new(&record.session.project)));
        let what =
            format!("nothing has arrived from a session of `{}` in {project}", printable(&record.session.program));
        let selection = &record.session.selection;
        let is_elsewhere = selection.directory.as_ref() != Some(&subject.process.directory);
        let live = selection.command("doctor --live", is_elsewhere);
        let fix = format!("`{live}` tests the whole path; `ccrun sessions {}` shows its log", record.session.id);
        Finding::warning(what).fix(fix)
    };
    silent.take(3).map(finding).collect()
}

/// A number of bytes with a unit.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
