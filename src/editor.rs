//! Programs that are editors: their sessions last as long as anything in them may send, windows and terminals included;
//! and what of an editor's windows a session does not reach.

mod arguments;
mod instance;

use std::ffi::OsStr;
use std::path::Path;

use crate::launch::{Program, is_on_windows};
use crate::printable::printable;
use crate::surroundings::Surroundings;
use arguments::Arguments;

/// Those that are known, unless `editors` in `config.toml` names others.
const KNOWN: [&str; 6] = ["code", "code-insiders", "codium", "cursor", "windsurf", "zed"];

/// What VS Code and those that are made of it are called, each with the name of the directory that it keeps its data in.
const OF_VS_CODE: [(&str, &str); 6] = [
    ("code", "Code"),
    ("code-insiders", "Code - Insiders"),
    ("code-oss", "Code - OSS"),
    ("codium", "VSCodium"),
    ("cursor", "Cursor"),
    ("windsurf", "Windsurf"),
];

/// Where a terminal in a window of a server's finds that server, which opens what is opened from it.
const SERVER: &str = "VSCODE_IPC_HOOK_CLI";

/// Whether a program is an editor, by the name of its file. `configured` is what `config.toml` says.
pub fn is_editor(program: &OsStr, configured: Option<&[String]>) -> bool {
    let Some(name) = name(program) else { return false };
    configured.map_or_else(|| KNOWN.contains(&name), |names| names.iter().any(|known| known == name))
}

fn name(program: &OsStr) -> Option<&str> {
    Path::new(program).file_name().and_then(OsStr::to_str)
}

/// What a user should know of the window that is about to open, in one line: that it does not have the session's
/// environment, or may not. Nothing where it does, where no window opens, and of editors that are not VS Code's kin:
/// of them nothing is known.
pub fn remark(program: &Program, surroundings: &Surroundings) -> Option<String> {
    let name = name(&program.name)?;
    let (_, data) = OF_VS_CODE.iter().find(|(known, _)| *known == name)?;
    let arguments = Arguments::read(&program.arguments);
    if !arguments.opens_a_window {
        return None;
    }
    if let Some(remote) = arguments.remote {
        return Some(format!(
            "the window is on `{}`, where neither this environment nor this session's collector is to be had: use \
             `ccrun` there",
            printable(&remote)
        ));
    }
    let file = program.path.canonicalize().unwrap_or_else(|_| program.path.clone());
    if is_on_windows(&file, surroundings) {
        return Some(format!(
            "`{name}` is Windows' own: its windows do not have this environment; {INSTEAD}, inside WSL"
        ));
    }
    if surroundings.variable(SERVER).is_some() {
        return Some(format!(
            "`{name}` hands over to the editor's server that this terminal belongs to, whose windows keep the environment \
             that it has; {INSTEAD}"
        ));
    }
    let data = instance::data_directory(arguments.user_data_dir, data, surroundings)?;
    let may_miss = instance::is_running(&data, name) && !instance::is_wrapped(&data);
    may_miss.then(|| {
        format!(
            "`{name}` is running already: what is open there keeps the environment that it was opened with, and only a \
             window that opens anew has this session's; {INSTEAD}"
        )
    })
}

/// What always works.
const INSTEAD: &str = "`ccrun wire code` gives every window sessions of its own";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_the_name_of_their_file() {
        let is = |program: &str, configured: Option<&[String]>| is_editor(OsStr::new(program), configured);
        assert!(is("code", None) && is("/usr/share/cursor/cursor", None));
        assert!(!is("claude", None) && !is("vscode", None) && !is("/", None));
        let own = ["helix".to_owned()];
        assert!(is("helix", Some(&own)) && !is("code", Some(&own)));
    }

    fn said(program: &str, path: &str, arguments: &[&str], variables: &[(&str, &str)]) -> String {
        let arguments = arguments.iter().map(Into::into).collect();
        let variables = variables.iter().map(|(name, value)| (name.into(), value.into())).collect();
        let surroundings = Surroundings { variables, directory: "/nonexistent".into(), executable: "/ccrun".into() };
        remark(&Program::new(program.into(), path.into(), arguments), &surroundings).unwrap_or_default()
    }

    #[test]
    fn windows_elsewhere_are_told_of() {
        let code = |arguments: &[&str], variables: &[(&str, &str)]| said("code", "/usr/bin/code", arguments, variables);
        let home = [("HOME", "/nonexistent")];
        assert_eq!(code(&["."], &home), "");
        assert!(code(&["--remote", "ssh-remote+box", "/x"], &home).starts_with("the window is on `ssh-remote+box`, "));
        let server = [("HOME", "/nonexistent"), ("VSCODE_IPC_HOOK_CLI", "/run/x.sock")];
        assert!(code(&["."], &server).starts_with("`code` hands over to the editor's server "));
        assert_eq!(code(&["--list-extensions"], &server), "");
        assert_eq!(said("zed", "/usr/bin/zed", &["."], &server), "");
        let wsl = [("HOME", "/nonexistent"), ("WSL_DISTRO_NAME", "Ubuntu")];
        let program = "/mnt/c/Users/me/AppData/Local/Programs/Microsoft VS Code/bin/code";
        if cfg!(target_os = "linux") {
            assert!(said("code", program, &["."], &wsl).starts_with("`code` is Windows' own"));
        }
        assert_eq!(said("code", "/usr/bin/code", &["."], &wsl), "");
    }
}
