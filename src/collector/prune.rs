//! Removes files of old sessions and unused credential state.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::claude::background;
use crate::credential;
use crate::state::{Places, SessionLock};

/// How long a settings file is kept after its session: a background job may restart with it.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// How long the log of a session is kept: as long as rejected data.
const LOG_KEPT: Duration = Duration::from_hours(30 * 24);

/// Removes them. `now` is the time by which ages are judged, compared with that of a file's last change, which is the end
/// of its session.
pub(super) fn prune(places: &Places, now: SystemTime) {
    if let Some(oldest) = now.checked_sub(KEPT) {
        credential::prune(&places.credentials(), oldest);
    }
    let settings = older(&places.settings_directory(), KEPT, now);
    let unnamed = settings.into_iter().filter(|path| !background::any_job_names(&places.claude, path));
    let logs = older(&places.logs(), LOG_KEPT, now).into_iter().chain(older(&places.silences(), LOG_KEPT, now));
    let logs = logs.chain(older(&places.unkept(), LOG_KEPT, now));
    for path in unnamed.chain(logs).filter(|path| !lives(places, path)) {
        // One that cannot be removed is tried again next time.
        drop(std::fs::remove_file(path));
    }
}

/// Whether the session that a file belongs to is running.
fn lives(places: &Places, file: &Path) -> bool {
    let session = file.file_stem().and_then(OsStr::to_str);
    session.is_some_and(|session| SessionLock::is_held(&places.lock(session)))
}

/// The files of a directory that have not changed for this long.
fn older(directory: &Path, than: Duration, now: SystemTime) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).into_iter().flatten().flatten();
    let is_older = |entry: &std::fs::DirEntry| {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        changed.ok().and_then(|changed| now.duration_since(changed).ok()).is_some_and(|age| age > than)
    };
    entries.filter(is_older).map(|entry| entry.path()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::clock;

    #[test]
    fn a_file_is_removed_after_ninety_days_unless_a_job_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        for path in [places.settings_directory(), places.logs(), places.locks(), places.claude.join("jobs/1")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let (named, other, living) = (places.settings("named"), places.settings("other"), places.settings("living"));
        let (log, living_log) = (places.log("other"), places.log("living"));
        let silence = places.silence("other");
        std::fs::create_dir_all(places.silences()).unwrap();
        for path in [&named, &other, &living, &log, &living_log, &silence] {
            std::fs::write(path, "{}").unwrap();
        }
        let state = serde_json::json!({"respawnFlags": ["--settings", named]}).to_string();
        std::fs::write(places.claude.join("jobs/1/state.json"), state).unwrap();
        let now = SystemTime::now();
        prune(&places, clock::judged(&places, now));
        prune(&places, clock::judged(&places, now + KEPT * 10));
        assert!(other.exists() && log.exists(), "a clock that jumps does not age files");
        let _lock = SessionLock::begin(&places.lock("living")).unwrap();
        prune(&places, now + KEPT / 2);
        assert!(named.exists() && other.exists() && !log.exists() && !silence.exists() && living_log.exists());
        prune(&places, now + KEPT * 2);
        assert!(named.exists() && !other.exists() && living.exists(), "a running session keeps its file");
    }
}
