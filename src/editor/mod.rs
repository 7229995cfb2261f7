//! Programs that are editors. Their sessions last as long as anything in them may send telemetry, including windows and
//! terminals. Also tells which windows a session does not reach.

mod arguments;
mod instance;

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::system::process_environment::ProcessEnvironment;
use crate::system::wsl::is_on_windows;
use crate::terminal::printable::printable;
use arguments::Arguments;

/// The known editors, unless `editors` in `config.toml` lists others.
const KNOWN: [&str; 6] = ["code", "code-insiders", "codium", "cursor", "windsurf", "zed"];

/// VS Code and the editors derived from it, each with the name of its data directory.
const OF_VS_CODE: [(&str, &str); 6] = [
    ("code", "Code"),
    ("code-insiders", "Code - Insiders"),
    ("code-oss", "Code - OSS"),
    ("codium", "VSCodium"),
    ("cursor", "Cursor"),
    ("windsurf", "Windsurf"),
];

/// The variable by which a terminal in a server's window finds that server, which opens further windows.
const SERVER: &str = "VSCODE_IPC_HOOK_CLI";

/// Whether a program is an editor, by its file name. `configured` is the list in `config.toml`.
pub fn is_editor(program: &OsStr, configured: Option<&[String]>) -> bool {
    let Some(name) = name(program) else { return false };
    configured.map_or_else(|| KNOWN.contains(&name), |names| names.iter().any(|known| known == name))
}

fn name(program: &OsStr) -> Option<&str> {
    Path::new(program).file_name().and_then(OsStr::to_str)
}

/// A one-line note about the window that is about to open if it does not, or may not, have the session's environment.
/// `None` if it does, if no window opens, and for editors not derived from VS Code, about which nothing is known.
/// `program` is the name that the editor was called by, `path` its file.
pub fn remark(program: &OsStr, path: &Path, arguments: &[OsString], process: &ProcessEnvironment) -> Option<String> {
    let name = name(program)?;
    let (_, data) = OF_VS_CODE.iter().find(|(known, _)| *known == name)?;
    let arguments = Arguments::read(arguments);
    if !arguments.opens_a_window {
        return None;
    }
    if let Some(remote) = arguments.remote {
        return Some(format!(
            "the window is on `{}`, where this environment and this session's collector are unavailable: use \
             `ccrun` there",
            printable(&remote)
        ));
    }
    let file = path.canonicalize().unwrap_or_else(|_| path.to_owned());
    if is_on_windows(&file, process) {
        return Some(format!(
            "`{name}` is a Windows program: its windows do not have this environment; {INSTEAD}, inside WSL"
        ));
    }
    if process.variable(SERVER).is_some() {
        return Some(format!(
            "`{name}` opens its window through the editor's server of this terminal, whose windows keep the environment \
             of the server; {INSTEAD}"
        ));
    }
    let data = instance::data_directory(arguments.user_data_dir, data, process)?;
    let may_miss = instance::is_running(&data, name) && !instance::is_wrapped(&data);
    may_miss.then(|| {
        format!(
            "`{name}` is already running: open windows keep the environment that they were opened with, and only a \
             new window has this session's; {INSTEAD}"
        )
    })
}

/// Whether the settings of an editor derived from VS Code give every window's Claude Code its own session.
pub fn is_wrapped(program: &OsStr, arguments: &[OsString], process: &ProcessEnvironment) -> bool {
    let of_program = |known: &&(&str, &str)| Some(known.0) == name(program);
    let Some((_, data)) = OF_VS_CODE.iter().find(of_program) else { return false };
    let data = instance::data_directory(Arguments::read(arguments).user_data_dir, data, process);
    data.is_some_and(|data| instance::is_wrapped(&data))
}

/// The alternative that always works.
const INSTEAD: &str = "`ccrun wire code` gives every window its own sessions";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_recognised_by_file_name() {
        let is = |program: &str, configured: Option<&[String]>| is_editor(OsStr::new(program), configured);
        assert!(is("code", None) && is("/usr/share/cursor/cursor", None));
        assert!(!is("claude", None) && !is("vscode", None) && !is("/", None));
        let own = ["helix".to_owned()];
        assert!(is("helix", Some(&own)) && !is("code", Some(&own)));
    }

    fn said(program: &str, path: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let arguments: Vec<_> = arguments.iter().map(Into::into).collect();
        let process = ProcessEnvironment::nowhere(variables.iter().copied());
        remark(OsStr::new(program), Path::new(path), &arguments, &process).unwrap_or_default()
    }

    #[test]
    fn unreachable_windows_are_noted() {
        let code = |arguments: &[&str], variables: &[(&str, &str)]| said("code", "/usr/bin/code", arguments, variables);
        let home = [("HOME", "/nonexistent")];
        assert_eq!(code(&["."], &home), "");
        assert!(code(&["--remote", "ssh-remote+box", "/x"], &home).starts_with("the window is on `ssh-remote+box`, "));
        let server = [("HOME", "/nonexistent"), ("VSCODE_IPC_HOOK_CLI", "/run/x.sock")];
        assert!(code(&["."], &server).starts_with("`code` opens its window through the editor's server "));
        assert_eq!(code(&["--list-extensions"], &server), "");
        assert_eq!(said("zed", "/usr/bin/zed", &["."], &server), "");
        let wsl = [("HOME", "/nonexistent"), ("WSL_DISTRO_NAME", "Ubuntu")];
        let program = "/mnt/c/Users/me/AppData/Local/Programs/Microsoft VS Code/bin/code";
        if cfg!(target_os = "linux") {
            assert!(said("code", program, &["."], &wsl).starts_with("`code` is a Windows program"));
        }
        assert_eq!(said("code", "/usr/bin/code", &["."], &wsl), "");
    }
}
