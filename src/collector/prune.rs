//! Settings files of sessions long over, that nobody will read again.

use std::time::{Duration, SystemTime};

use crate::background;
use crate::surroundings::Places;

/// How long a settings file is kept after its session: a background job may be started again with it.
const KEPT: Duration = Duration::from_hours(90 * 24);

/// Removes them. `now` is compared with the time of a file's last change, which is the end of its session.
pub(super) fn prune(places: &Places, now: SystemTime) {
    let entries = std::fs::read_dir(places.settings_directory()).into_iter().flatten().flatten();
    for entry in entries {
        let changed = entry.metadata().and_then(|metadata| metadata.modified());
        let age = changed.ok().and_then(|changed| now.duration_since(changed).ok());
        let path = entry.path();
        if age.is_some_and(|age| age > KEPT) && !background::any_job_names(&places.claude, &path) {
            // One that cannot be removed is met again next time.
            drop(std::fs::remove_file(path));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_goes_after_ninety_days_unless_a_job_names_it() {
        let directory = tempfile::tempdir().unwrap();
        let root = directory.path();
        let places = Places {
            home: root.join("h"),
            config: root.join("p"),
            system: root.join("e"),
            state: root.join("s"),
            claude: root.join("c"),
        };
        for path in [places.settings_directory(), places.claude.join("jobs/1")] {
            std::fs::create_dir_all(path).unwrap();
        }
        let (named, other) = (places.settings("named"), places.settings("other"));
        for path in [&named, &other] {
            std::fs::write(path, "{}").unwrap();
        }
        let state = serde_json::json!({"respawnFlags": ["--settings", named]}).to_string();
        std::fs::write(places.claude.join("jobs/1/state.json"), state).unwrap();
        let now = SystemTime::now();
        prune(&places, now + KEPT / 2);
        assert!(named.exists() && other.exists());
        prune(&places, now + KEPT * 2);
        assert!(named.exists() && !other.exists());
    }
}
