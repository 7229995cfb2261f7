//! Files of sessions long over, and notes on credentials, that nobody will read again.

use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use crate::background;
use crate::credential;
use crate::surroundings::Places;

/// How long a settings file is kept after its session: a background job may be started again with it.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// How long the log of a session is kept: as long as what was given up of it.
const LOG_KEPT: Duration = Duration::from_hours(30 * 24);

/// Removes them. `now` is compared with the time of a file's last change, which is the end of its session.
pub(super) fn prune(places: &Places, now: SystemTime) {
    if let Some(oldest) = now.checked_sub(KEPT) {
        credential::prune(&places.credentials(), oldest);
    }
    let settings = older(&places.settings_directory(), KEPT, now);
    let unnamed = settings.into_iter().filter(|path| !background::any_job_names(&places.claude, path));
    for path in unnamed.chain(older(&places.logs(), LOG_KEPT, now)) {
        // One that cannot be removed is met again next time.
        drop(std::fs::remove_file(path));
    }
}

/// The files of a directory that have not changed for so long.
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

    #[test]
    fn a_file_goes_after_ninety_days_unless_a_job_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        for path in [places.settings_directory(), places.logs(), places.claude.join("jobs/1")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let (named, other) = (places.settings("named"), places.settings("other"));
        let log = places.log("other");
        for path in [&named, &other, &log] {
            std::fs::write(path, "{}").unwrap();
        }
        let state = serde_json::json!({"respawnFlags": ["--settings", named]}).to_string();
        std::fs::write(places.claude.join("jobs/1/state.json"), state).unwrap();
        let now = SystemTime::now();
        prune(&places, now + KEPT / 2);
        assert!(named.exists() && other.exists() && !log.exists());
        prune(&places, now + KEPT * 2);
        assert!(named.exists() && !other.exists());
    }
}
