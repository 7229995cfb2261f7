//! Claude Code's files about open sessions: `sessions/PID.json` in its configuration directory. `claude -p` writes none.

use std::path::Path;

use serde_json::Value;

use crate::system::bounded;
use crate::system::process::Process;

/// The maximum size of such a file, in bytes.
const MAXIMUM_FILE: u64 = 64 * 1024;

/// The maximum number of files to read.
const MAXIMUM_SESSIONS: usize = 1_000;

/// An open session, by its file. An empty text is unknown, and so is a time of zero.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OpenSession {
    /// The process.
    pub process: Process,
    /// Claude Code's `session.id`. `/clear` changes it.
    pub id: String,
    /// The working directory.
    pub directory: String,
    /// The session's name.
    pub name: String,
    /// Claude Code's version.
    pub version: String,
    /// `idle`, `busy`, `waiting`, or what newer versions may say.
    pub status: String,
    /// What it waits for, as `permission prompt`.
    pub waiting_for: String,
    /// When the status began, in Unix milliseconds.
    pub since: i64,
    /// When the session began, in Unix milliseconds.
    pub started_at: i64,
}

/// The open sessions whose process lives, in order of their pids.
pub fn open_sessions(directory: &Path) -> Vec<OpenSession> {
    let entries = std::fs::read_dir(directory.join("sessions")).into_iter().flatten().flatten();
    let files = entries.filter(|entry| entry.path().extension().is_some_and(|extension| extension == "json"));
    let mut found: Vec<_> = files.take(MAXIMUM_SESSIONS).filter_map(|entry| open_session(&entry.path())).collect();
    found.sort_by_key(|session| session.process.pid);
    found
}

/// What a file says, if it is about a process that lives.
fn open_session(path: &Path) -> Option<OpenSession> {
    let (bytes, _) = bounded::read_foreign(path, MAXIMUM_FILE).ok()?;
    let noted: Value = serde_json::from_slice(&bytes).ok()?;
    let pid = i32::try_from(noted["pid"].as_i64()?).ok().filter(|pid| *pid > 0)?;
    let process = Process { pid, started: start(&noted) };
    let text = |name: &str| noted[name].as_str().unwrap_or_default().to_owned();
    let time = |name: &str| noted[name].as_i64().unwrap_or_default();
    process.lives().then(|| OpenSession {
        process,
        id: text("sessionId"),
        directory: text("cwd"),
        name: text("name"),
        version: text("version"),
        status: text("status"),
        waiting_for: text("waitingFor"),
        since: time("statusUpdatedAt"),
        started_at: time("startedAt"),
    })
}

/// Whether a process is a Claude Code with an open session that is working, according to its file. `at_rest` says
/// whether a session that waits for its user counts.
pub fn works(directory: &Path, process: Process, at_rest: bool) -> bool {
    let path = directory.join("sessions").join(format!("{}.json", process.pid));
    let noted: Option<Value> =
        bounded::read(&path, MAXIMUM_FILE).ok().and_then(|text| serde_json::from_slice(&text).ok());
    noted.is_some_and(|noted| is_of(&noted, process) && (at_rest || noted["status"] == "busy"))
}

/// Whether the file is about this process, and not about an earlier one with the same pid.
fn is_of(noted: &Value, process: Process) -> bool {
    let is_same = match (start(noted), process.started) {
        (Some(noted), Some(started)) => noted == started,
        _ => true,
    };
    noted["pid"].as_i64() == Some(i64::from(process.pid)) && is_same
}

/// The start of the process that a file is about, in clock ticks since boot.
fn start(noted: &Value) -> Option<u64> {
    let start = &noted["procStart"];
    start.as_str().and_then(|start| start.parse().ok()).or_else(|| start.as_u64())
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_file_belongs_to_one_process() {
        let directory = tempfile::tempdir().unwrap();
        let process = Process { pid: 7, started: Some(11) };
        let note = |content: &Value| {
            std::fs::create_dir_all(directory.path().join("sessions")).unwrap();
            std::fs::write(directory.path().join("sessions/7.json"), content.to_string()).unwrap();
        };
        assert!(!works(directory.path(), process, true));
        note(&json!({"pid": 7, "procStart": "11", "status": "idle"}));
        assert!(works(directory.path(), process, true) && !works(directory.path(), process, false));
        note(&json!({"pid": 7, "procStart": "11", "status": "busy"}));
        assert!(works(directory.path(), process, false));
        note(&json!({"pid": 7, "procStart": "12", "status": "busy"}));
        assert!(!works(directory.path(), process, true));
        note(&json!({"pid": 7}));
        assert!(works(directory.path(), process, true));
    }
    #[test]
    fn open_sessions_are_those_whose_process_lives() {
        let directory = tempfile::tempdir().unwrap();
        let sessions = directory.path().join("sessions");
        std::fs::create_dir_all(&sessions).unwrap();
        assert_eq!(open_sessions(directory.path()), []);
        let me = Process::current();
        let mine = json!({
            "pid": me.pid, "procStart": me.started.map(|start| start.to_string()), "sessionId": "one", "cwd": "/a",
            "status": "waiting", "waitingFor": "permission prompt", "statusUpdatedAt": 7, "startedAt": 5,
            "name": "a-1", "version": "2.1.332", "kind": "interactive",
        });
        std::fs::write(sessions.join(format!("{}.json", me.pid)), mine.to_string()).unwrap();
        let gone = json!({"pid": i32::MAX, "procStart": "1", "sessionId": "two"});
        std::fs::write(sessions.join("2147483647.json"), gone.to_string()).unwrap();
        for (name, content) in
            [("1.json", "{}"), ("2.json", "[]"), ("3.json", "{\"pid\": -1}"), ("4.json", "\0"), ("5.key", "")]
        {
            std::fs::write(sessions.join(name), content).unwrap();
        }
        std::os::unix::fs::symlink("/dev/zero", sessions.join("6.json")).unwrap();
        let found = open_sessions(directory.path());
        assert_eq!(found.len(), 1, "{found:?}");
        let (one, text) = (&found[0], |text: &str| text.to_owned());
        assert_eq!((&one.id, &one.directory, &one.status), (&text("one"), &text("/a"), &text("waiting")));
        assert_eq!((&one.waiting_for, one.since, one.started_at), (&text("permission prompt"), 7, 5));
    }
}
