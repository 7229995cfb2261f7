//! Claude Code's background service: which of its workers and jobs use a settings file. A background job carries only
//! the file.

use std::collections::BTreeSet;
use std::path::Path;

use serde_json::Value;

use crate::system::bounded;
use crate::system::process::Process;

/// The maximum size of the service's roster or a job's state, in bytes.
const MAXIMUM_FILE: u64 = 4 << 20;

/// How many jobs are read. If there are more, every file counts as named.
const MAXIMUM_JOBS: usize = 1000;

/// Worker processes of the service that use this settings file. `directory` is Claude Code's configuration directory.
pub fn workers(directory: &Path, settings: &Path) -> BTreeSet<Process> {
    let roster = json(&directory.join("daemon/roster.json")).unwrap_or_default();
    let workers = roster["workers"].as_object().into_iter().flat_map(serde_json::Map::values);
    let ours = workers.filter(|worker| mentions(worker, settings));
    let processes = ours
        .flat_map(|worker| [(&worker["pid"], &worker["procStart"]), (&worker["replPid"], &worker["replProcStart"])]);
    let known = processes.filter_map(|(pid, start)| {
        let pid = i32::try_from(pid.as_i64()?).ok()?;
        // In the form of the start time in /proc/PID/stat.
        Some(Process { pid, started: start.as_str().and_then(|start| start.parse().ok()) })
    });
    known.filter(|process| process.lives()).collect()
}

/// Whether a job, which may restart, uses this settings file.
pub fn any_job_names(directory: &Path, settings: &Path) -> bool {
    let mut jobs = std::fs::read_dir(directory.join("jobs")).into_iter().flatten().flatten();
    let named = |job: std::fs::DirEntry| {
        // An unreadable state may name anything.
        json(&job.path().join("state.json")).is_none_or(|state| mentions(&state, settings))
    };
    jobs.by_ref().take(MAXIMUM_JOBS).filter(|job| job.path().is_dir()).any(named) || jobs.next().is_some()
}

fn json(path: &Path) -> Option<Value> {
    serde_json::from_slice(&bounded::read(path, MAXIMUM_FILE).ok()?).ok()
}

/// Whether a value contains this path, alone or as `--settings=PATH`.
fn mentions(value: &Value, path: &Path) -> bool {
    match value {
        Value::String(text) => Path::new(text.strip_prefix("--settings=").unwrap_or(text)) == path,
        Value::Array(items) => items.iter().any(|item| mentions(item, path)),
        Value::Object(entries) => entries.values().any(|entry| mentions(entry, path)),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn write(path: &Path, value: &Value) {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, value.to_string()).unwrap();
    }

    #[test]
    fn workers_are_recognised_by_their_settings_and_start_time() {
        let directory = tempfile::tempdir().unwrap();
        let me = Process::current();
        let started = me.started.map(|started| started.to_string());
        let worker = |pid: i32, started: &str, settings: &str| json!({"pid": pid, "procStart": started, "dispatch": {"launch": {"args": ["--settings", settings]}}});
        let roster = json!({"workers": {
            "a": worker(me.pid, &started.clone().unwrap_or_default(), "/mine.json"),
            "b": worker(me.pid, "1", "/mine.json"),
            "c": worker(1, "1", "/other.json"),
        }});
        write(&directory.path().join("daemon/roster.json"), &roster);
        if cfg!(target_os = "linux") {
            assert_eq!(workers(directory.path(), Path::new("/mine.json")), [me].into());
        }
        assert!(workers(directory.path(), Path::new("/unused.json")).is_empty());
        assert!(workers(&directory.path().join("missing"), Path::new("/mine.json")).is_empty());
    }

    #[test]
    fn the_settings_file_of_a_job_is_kept() {
        let directory = tempfile::tempdir().unwrap();
        let named = |path: &str| any_job_names(directory.path(), Path::new(path));
        assert!(!named("/mine.json"));
        let state = json!({"respawnFlags": ["--settings=/mine.json", "say hi"]});
        write(&directory.path().join("jobs/1/state.json"), &state);
        assert!(named("/mine.json") && !named("/other.json"));
        std::fs::write(directory.path().join("jobs/1/state.json"), "{").unwrap();
        assert!(named("/other.json"), "an unreadable state may name anything");
    }
}
