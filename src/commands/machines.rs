//! `ccrun ledger export`, `import` and `sync`: bring the usage of several machines together in one ledger.

use std::fs::{self, File};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use jiff::tz::TimeZone;
use nix::fcntl::OFlag;
use rusqlite::OptionalExtension;
use tempfile::NamedTempFile;

use super::{complain, print, refuse_in_foreign_home, refuse_inside_claude};
use crate::cli::{LedgerExport, LedgerImport, LedgerSync};
use crate::ledger::merge::{Merged, Written, machine, merge, write};
use crate::ledger::{LEDGER, fold_tails};
use crate::report::range::{End, moment};
use crate::state::{self, Places};
use crate::store::{self, write_soon};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::printable;
use crate::usage::identity::identity;
use crate::workspace::Workspace;

/// The extension of the files in a shared directory.
const EXTENSION: &str = "ccrun-ledger";

/// The maximum number of files to read from a shared directory.
const MOST: usize = 10_000;

/// How long to wait for other processes that write to the ledger.
const PATIENCE: std::time::Duration = std::time::Duration::from_secs(30);

pub(super) fn export(options: &LedgerExport, process: &ProcessEnvironment) -> Result<ExitCode> {
    let now = process.started_at.to_zoned(TimeZone::system());
    let since = match options.since.as_ref().map(|text| moment(text, End::Since, &now)).transpose() {
        Ok(since) => since.unwrap_or(i64::MIN),
        Err(fault) => {
            complain(&format!("--since: {fault}"));
            return Ok(ExitCode::from(2));
        }
    };
    let places = Workspace::gather(process)?.0.places;
    let written = into(&places, &process.directory.join(&options.file), since, false)?;
    print(&format!("wrote {}\n", records(written.facts + written.counters)))?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn import(options: &LedgerImport, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refused) = refused("ledger import", process) {
        return Ok(refused);
    }
    let places = Workspace::gather(process)?.0.places;
    state::prepare(&places)?;
    let path = process.directory.join(&options.file);
    let merged = from(&places, &path).with_context(|| format!("`{}`", printable(&path.display().to_string())))?;
    tell(&merged)?;
    Ok(ExitCode::SUCCESS)
}

pub(super) fn sync(options: &LedgerSync, process: &ProcessEnvironment) -> Result<ExitCode> {
    if let Some(refused) = refused("ledger sync", process) {
        return Ok(refused);
    }
    let places = Workspace::gather(process)?.0.places;
    state::prepare(&places)?;
    let directory = process.directory.join(&options.directory);
    let shown = printable(&directory.display().to_string());
    if !directory.is_dir() {
        bail!("there is no directory `{shown}`: create it, or mount what it is on");
    }
    let own = own_machine(&places)?;
    let written = into(&places, &directory.join(format!("{own}.{EXTENSION}")), i64::MIN, true)?;
    print(&format!("wrote {} of this machine\n", records(written.facts + written.counters)))?;
    let mut failed = false;
    for path in others(&directory, &own).with_context(|| format!("cannot read `{shown}`"))? {
        match changed(&places, &path) {
            Ok(false) => continue,
            Ok(true) => {}
            Err(error) => complain(&format!("{error:#}")),
        }
        match from(&places, &path) {
            Ok(merged) => {
                tell(&merged)?;
                note(&places, &path)?;
            }
            Err(error) => {
                failed = true;
                complain(&format!("`{}`: {error:#}", printable(&path.display().to_string())));
            }
        }
    }
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn refused(verb: &str, process: &ProcessEnvironment) -> Option<ExitCode> {
    refuse_inside_claude(verb, process).or_else(|| refuse_in_foreign_home(verb, process))
}

/// Writes the ledger to a file that only its owner can read. The file is complete or does not exist.
fn into(places: &Places, path: &Path, since: i64, own: bool) -> Result<Written> {
    // The latest usage is still in the sessions' logs.
    if let Err(error) = fold_tails(places) {
        complain(&format!("the latest usage of running sessions is missing: {error}"));
    }
    let shown = printable(&path.display().to_string());
    let connection = store::open_to_read(&places.ledger())?.context("there is no recorded usage yet")?;
    connection.execute_batch("BEGIN")?;
    let directory = path.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let file = NamedTempFile::new_in(directory).with_context(|| format!("cannot write `{shown}`"))?;
    let (file, written) = write(&connection, since, own, file).with_context(|| format!("cannot write `{shown}`"))?;
    state::put(file, path).with_context(|| format!("cannot write `{shown}`"))?;
    Ok(written)
}

/// Imports a file. In a shared directory there may be a link or a device in its place.
fn from(places: &Places, path: &Path) -> Result<Merged> {
    let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
    let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
    let mut file = opened.context("cannot be read")?;
    if !file.metadata()?.is_file() {
        bail!("not a regular file");
    }
    Ok(merge(&places.ledger(), &mut file)?)
}

fn own_machine(places: &Places) -> Result<String> {
    let found = write_soon(&places.ledger(), LEDGER, PATIENCE, |connection| machine(connection).map(Some))?;
    found.context("other processes have been writing to the ledger for 30 s")
}

/// The files of other machines.
fn others(directory: &Path, own: &str) -> Result<Vec<PathBuf>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(directory)?.take(MOST) {
        let path = entry?.path();
        let is_one = path.extension().is_some_and(|extension| extension == EXTENSION);
        if is_one && path.file_stem().is_some_and(|stem| stem != own) {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths)
}

/// Identifies an imported file, so that it is not read again until it changes.
fn mark(path: &Path) -> Result<(i64, i64, i64)> {
    let metadata = path.symlink_metadata()?;
    let modified = metadata.mtime() * 1_000_000_000 + metadata.mtime_nsec();
    Ok((identity(&[b"sync", path.as_os_str().as_bytes()]), metadata.len().cast_signed(), modified))
}

fn changed(places: &Places, path: &Path) -> Result<bool> {
    let (name, size, modified) = mark(path)?;
    let Some(connection) = store::open_to_read(&places.ledger())? else { return Ok(true) };
    let known: Option<(i64, i64)> = connection
        .query_row("SELECT size, modified FROM file WHERE path = ?1", [name], |row| Ok((row.get(0)?, row.get(1)?)))
        .optional()?;
    Ok(known != Some((size, modified)))
}

fn note(places: &Places, path: &Path) -> Result<()> {
    let (name, size, modified) = mark(path)?;
    write_soon(&places.ledger(), LEDGER, PATIENCE, |connection| {
        connection.execute(
            "INSERT OR REPLACE INTO file (path, size, modified) VALUES (?1, ?2, ?3)",
            (name, size, modified),
        )?;
        Ok(Some(()))
    })?;
    Ok(())
}

fn tell(merged: &Merged) -> Result<()> {
    print(&format!("machine {}: {} added\n", printable(&merged.machine), records(merged.facts)))?;
    if merged.forgotten > 0 {
        complain(&format!("{} removed, as that machine has forgotten them", records(merged.forgotten)));
    }
    if merged.skipped > 0 {
        complain(&format!("{} invalid lines were skipped", merged.skipped));
    }
    Ok(())
}

fn records(count: u64) -> String {
    format!("{count} {}", if count == 1 { "record" } else { "records" })
}
