//! What waits on this machine, and whether more can. All of it is read only: no lock is taken that a session wants.

mod place;
mod waiting;

use std::path::Path;

use rusqlite::ErrorCode;

use super::{Check, Finding, Group, Subject};
use crate::printable::printable;
use crate::store::{self, sessions};
use crate::surroundings::Places;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "store.place", group: Group::Store, look: place::place },
    Check { id: "store.database", group: Group::Store, look: database },
    Check { id: "store.aside", group: Group::Store, look: aside },
    Check { id: "store.waiting", group: Group::Store, look: waiting::waiting },
    Check { id: "store.orphaned", group: Group::Store, look: waiting::orphaned },
    Check { id: "store.refused", group: Group::Store, look: waiting::refused },
    Check { id: "store.rejected", group: Group::Store, look: rejected },
    Check { id: "store.killed", group: Group::Store, look: waiting::killed },
];

/// How many of the latest sessions are asked what was rejected of them.
const LATEST: u32 = 20;

/// How long ago a session may have begun whose rejections are still told of, in milliseconds.
const RECENT: i64 = 24 * 60 * 60 * 1000;

/// Whether the store can be read.
fn database(subject: &Subject) -> Vec<Finding> {
    let path = subject.setting.places.store();
    let shown = Places::shortened(&path);
    let finding = match store::open_to_read(&path) {
        Ok(None) => Finding::ok("nothing was recorded yet"),
        Ok(Some(_)) => Finding::ok(format!("the store `{shown}` can be read and takes {}", size(bytes_of(&path)))),
        Err(error) if error.sqlite_error_code() == Some(ErrorCode::NotADatabase) => Finding::failed(format!(
            "the store `{shown}` is no database any more: what waited in it is not delivered"
        ))
        .fix("the next session sets it aside and begins a new one; `sqlite3 FILE .recover` may save what is in it"),
        Err(error) => Finding::failed(format!("the store `{shown}` cannot be read: {}", printable(&error.to_string())))
            .fix("see that the directory and its files are yours, and that the disk works"),
    };
    vec![finding]
}

/// The database with its log.
fn bytes_of(path: &Path) -> u64 {
    let mut log = path.as_os_str().to_owned();
    log.push("-wal");
    let length = |path: &Path| path.metadata().map_or(0, |file| file.len());
    length(path) + length(Path::new(&log))
}

/// Stores that were no databases any more.
fn aside(subject: &Subject) -> Vec<Finding> {
    let entries = std::fs::read_dir(&subject.setting.places.state).into_iter().flatten().flatten();
    let aside = entries.filter(|entry| {
        let name = entry.file_name().to_string_lossy().into_owned();
        name.starts_with("store-1.damaged-") && !name.ends_with("-wal") && !name.ends_with("-shm")
    });
    let finding = |entry: std::fs::DirEntry| {
        let shown = printable(&Places::shortened(&entry.path()));
        Finding::warning(format!(
            "a store was no database any more and was set aside as `{shown}`: what waited in it waits"
        ))
        .fix("`sqlite3 FILE .recover` may save what is in it; remove it when nobody wants that")
    };
    aside.take(3).map(finding).collect()
}

/// What destinations took from the latest sessions and did not want.
fn rejected(subject: &Subject) -> Vec<Finding> {
    let Ok(Some(connection)) = store::open_to_read(&subject.setting.places.store()) else { return Vec::new() };
    let oldest = jiff::Timestamp::now().as_millisecond() - RECENT;
    let latest = sessions::latest(&connection, LATEST).unwrap_or_default();
    let of = latest.iter().filter(|record| record.session.started_at > oldest && record.rejected > 0);
    let Some(last) = of.clone().next() else { return Vec::new() };
    let records: u64 = of.map(|record| record.rejected).sum();
    let message = last.message.as_deref().map(|message| format!(": {}", printable(message))).unwrap_or_default();
    let summary = format!("destinations rejected {records} records of sessions since yesterday, for good{message}");
    vec![
        Finding::warning(summary)
            .fix(format!("do as the message says; `ccrun sessions {}` shows the last", last.session.id)),
    ]
}

/// So many bytes, as one says it.
fn size(bytes: u64) -> String {
    match bytes {
        0..1024 => format!("{bytes} B"),
        1024..1_048_576 => format!("{} KiB", bytes / 1024),
        _ => format!("{} MiB", bytes / 1_048_576),
    }
}
