//! Notes on sessions whose exports could not be kept for so long that the clients gave up, for example on a full disk
//! or under a limit of file sizes. Each such session has a file, because even a full disk can hold an empty one.

use std::fs::{self, OpenOptions, Permissions};
use std::io::Write;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::Path;
use std::time::{Duration, SystemTime};

use super::{Places, private_directory};
use crate::system::bounded;

/// The longest reason, in bytes.
const MAXIMUM: u64 = 512;

/// The maximum number of sessions reported at once.
const AT_ONCE: usize = 3;

/// The mode of a file that was reported to the user. It takes no space on the disk.
const TOLD: u32 = 0o400;

/// Writes a note on a session, with the disk's error as far as there is space.
pub fn note(places: &Places, session: &str, reason: &str) {
    if private_directory(&places.unkept()).is_err() {
        return;
    }
    let file =
        OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(places.unkept().join(session));
    if let Ok(mut file) = file {
        let end = reason.floor_char_boundary(usize::try_from(MAXIMUM).unwrap_or(reason.len()));
        drop(file.write_all(&reason.as_bytes()[..end]));
    }
}

/// Creates the directory before the disk is full.
pub fn prepare(places: &Places) {
    drop(private_directory(&places.unkept()));
}

/// The unreported notes, one line for each session. They are not reported again.
pub(super) fn say(places: &Places) -> Vec<String> {
    let is_told = |path: &Path| fs::metadata(path).is_ok_and(|found| found.permissions().mode() & 0o777 == TOLD);
    let mut lines = Vec::new();
    for (session, path) in files(places).into_iter().filter(|(_, path)| !is_told(path)).take(AT_ONCE) {
        if fs::set_permissions(&path, Permissions::from_mode(TOLD)).is_ok() {
            lines.push(format!("{}; `ccrun doctor` says what is wrong now", line(&session, &path)));
        }
    }
    lines
}

/// The notes from the last `ago`, whether or not they were reported.
pub fn recent(places: &Places, now: SystemTime, ago: Duration) -> Vec<String> {
    let is_recent = |path: &Path| {
        let changed = fs::metadata(path).and_then(|found| found.modified());
        changed.is_ok_and(|changed| now.duration_since(changed).unwrap_or_default() < ago)
    };
    let recent = files(places).into_iter().filter(|(_, path)| is_recent(path)).take(AT_ONCE);
    recent.map(|(session, path)| line(&session, &path)).collect()
}

fn files(places: &Places) -> Vec<(String, std::path::PathBuf)> {
    let entries = fs::read_dir(places.unkept()).into_iter().flatten().flatten();
    entries.filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path()))).collect()
}

fn line(session: &str, path: &Path) -> String {
    let reason = String::from_utf8(bounded::read(path, MAXIMUM).unwrap_or_default()).unwrap_or_default();
    let why = if reason.is_empty() { "the disk seems to be full".to_owned() } else { reason };
    format!("telemetry of session {session} is lost: it could not be stored ({why})")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lost_telemetry_is_reported_once_and_kept_for_doctor() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        assert!(say(&places).is_empty());
        prepare(&places);
        note(&places, "0123456789abcdef", "No space left on device");
        note(&places, "0123456789abcde0", "");
        let mut said = say(&places);
        said.sort();
        assert!(
            said[0].contains("session 0123456789abcde0 is lost") && said[0].contains("the disk seems to be full"),
            "{said:?}"
        );
        assert!(said[1].contains("No space left on device"), "{said:?}");
        assert!(say(&places).is_empty());
        let (now, day) = (SystemTime::now(), Duration::from_hours(24));
        assert_eq!(recent(&places, now, day).len(), 2);
        assert!(recent(&places, now + 2 * day, day).is_empty());
    }
}
