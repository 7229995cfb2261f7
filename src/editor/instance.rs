//! The running instance of an editor. There is one for each user data directory, and every further start passes its
//! arguments and environment to it.

use std::path::{Path, PathBuf};

use crate::system::bounded;
use crate::system::process::Process;
use crate::system::process_environment::ProcessEnvironment;

/// The file in the user data with the pid of the instance.
const LOCK: &str = "code.lock";

/// The user's settings in the user data.
const SETTINGS: &str = "User/settings.json";

/// How much of them is read, in bytes.
const MAXIMUM_SETTINGS: u64 = 1 << 20;

/// The setting that gives every window's Claude Code its own session.
const WRAPPER: &[u8] = b"\"claudeCode.claudeProcessWrapper\"";

/// The user data directory of an editor: portable, set by the environment or an option, or the usual one.
pub(super) fn data_directory(option: Option<PathBuf>, name: &str, process: &ProcessEnvironment) -> Option<PathBuf> {
    let variable = |name| process.variable(name).map(|path| process.directory.join(path));
    let usual = || {
        let home = process.variable("HOME").map(PathBuf::from)?;
        let own = if cfg!(target_os = "macos") { "Library/Application Support" } else { ".config" };
        let configured = variable("XDG_CONFIG_HOME").filter(|_| cfg!(not(target_os = "macos")));
        Some(configured.unwrap_or_else(|| home.join(own)).join(name))
    };
    let portable = variable("VSCODE_PORTABLE").map(|portable| portable.join("user-data"));
    portable
        .or_else(|| variable("VSCODE_APPDATA").map(|data| data.join(name)))
        .or_else(|| option.map(|option| process.directory.join(option)))
        .or_else(usual)
}

/// Whether an instance is running with this user data. A killed instance leaves its lock behind, so the process must
/// exist and, where that can be read, be the editor.
pub(super) fn is_running(data: &Path, editor: &str) -> bool {
    let text = bounded::read(&data.join(LOCK), 32).unwrap_or_default();
    let pid = std::str::from_utf8(&text).ok().and_then(|text| text.trim().parse::<i32>().ok());
    pid.filter(|pid| *pid > 0).is_some_and(|pid| Process { pid, started: None }.lives() && may_be(pid, editor))
}

/// Whether a process may be the editor, by the program that it runs: `/usr/share/code/code`.
fn may_be(pid: i32, editor: &str) -> bool {
    let Ok(words) = bounded::read(format!("/proc/{pid}/cmdline").as_ref(), 4096) else { return true };
    let program = words.split(|byte| *byte == 0).next().unwrap_or_default();
    // `code-insiders` may be installed under any name that begins with `code`.
    let name = editor.split('-').next().unwrap_or(editor);
    String::from_utf8_lossy(program).to_ascii_lowercase().contains(name)
}

/// Whether the user's settings give Claude Code its own session in every window.
pub(super) fn is_wrapped(data: &Path) -> bool {
    let settings = bounded::read(&data.join(SETTINGS), MAXIMUM_SETTINGS).unwrap_or_default();
    settings.windows(WRAPPER.len()).any(|window| window == WRAPPER)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stale_lock_is_not_an_instance() {
        let directory = tempfile::tempdir().unwrap();
        let own = std::env::current_exe().unwrap().file_name().unwrap().to_str().unwrap().to_owned();
        let is_running = |lock: &str, editor: &str| {
            std::fs::write(directory.path().join("code.lock"), lock).unwrap();
            is_running(directory.path(), editor)
        };
        assert!(is_running(&std::process::id().to_string(), &own));
        for lock in ["", "0", "-1", "x", "2147483647"] {
            assert!(!is_running(lock, &own), "{lock}");
        }
        if cfg!(target_os = "linux") {
            assert!(!is_running(&std::process::id().to_string(), "no-such-editor"));
        }
    }

    #[test]
    fn the_user_data_directory_is_the_editors() {
        let found = |option: Option<&str>, variables: &[(&str, &str)]| {
            let process = ProcessEnvironment {
                directory: "/work".into(),
                ..ProcessEnvironment::nowhere(variables.iter().copied())
            };
            data_directory(option.map(PathBuf::from), "Code", &process).unwrap()
        };
        let home = ("HOME", "/home/me");
        assert_eq!(found(Some("data"), &[home]), Path::new("/work/data"));
        assert_eq!(found(Some("data"), &[home, ("VSCODE_PORTABLE", "/p")]), Path::new("/p/user-data"));
        assert_eq!(found(None, &[home, ("VSCODE_APPDATA", "/a")]), Path::new("/a/Code"));
        if cfg!(target_os = "linux") {
            assert_eq!(found(None, &[home]), Path::new("/home/me/.config/Code"));
            assert_eq!(found(None, &[home, ("XDG_CONFIG_HOME", "/c")]), Path::new("/c/Code"));
        }
    }

    #[test]
    fn a_wrapper_in_the_settings_is_found() {
        let directory = tempfile::tempdir().unwrap();
        assert!(!is_wrapped(directory.path()));
        std::fs::create_dir(directory.path().join("User")).unwrap();
        let settings = "{\n  // mine\n  \"claudeCode.claudeProcessWrapper\": \"/x/ccrun-wrap\",\n}\n";
        std::fs::write(directory.path().join("User/settings.json"), settings).unwrap();
        assert!(is_wrapped(directory.path()));
    }
}
