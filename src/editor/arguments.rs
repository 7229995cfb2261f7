//! Reads from VS Code's command line which window it opens.

use std::ffi::{OsStr, OsString};
use std::path::PathBuf;

use percent_encoding::percent_decode_str;

/// Options that print something and open no window.
const WITHOUT_A_WINDOW: [&str; 12] = [
    "--help",
    "--install-extension",
    "--list-extensions",
    "--locate-shell-integration-path",
    "--status",
    "--telemetry",
    "--uninstall-extension",
    "--update-extensions",
    "--version",
    "-h",
    "-s",
    "-v",
];

/// Subcommands that open no window.
const COMMANDS: [&str; 2] = ["serve-web", "tunnel"];

/// The beginning of a URI on another machine or in a container.
const REMOTE: &str = "vscode-remote://";

/// The arguments that matter.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Arguments {
    /// Whether a window opens or gets the focus.
    pub(super) opens_a_window: bool,
    /// `--user-data-dir`, as given.
    pub(super) user_data_dir: Option<PathBuf>,
    /// Where the window is, if not on this machine: `ssh-remote+host`, `dev-container+…`.
    pub(super) remote: Option<String>,
}

impl Arguments {
    /// Parses them as the editor does: an option's value follows `=` or is the next word.
    pub(super) fn read(words: &[OsString]) -> Self {
        let opens_a_window = words.first().is_none_or(|first| !COMMANDS.iter().any(|command| first == command));
        let mut read = Self { opens_a_window, ..Self::default() };
        let mut words = words.iter().map(OsString::as_os_str).take_while(|word| *word != "--");
        while let Some(word) = words.next() {
            let (option, inline) = split(word);
            let mut value = || inline.map(OsStr::to_owned).or_else(|| words.next().map(OsStr::to_owned));
            match option {
                Some("--user-data-dir") => read.user_data_dir = value().map(PathBuf::from),
                Some("--remote") => read.remote = value().and_then(|value| value.into_string().ok()).or(read.remote),
                Some("--folder-uri" | "--file-uri") => read.remote = value().and_then(remote).or(read.remote),
                Some(other) if WITHOUT_A_WINDOW.contains(&other) => read.opens_a_window = false,
                _ => {}
            }
        }
        read
    }
}

/// An option and what stands behind its `=`.
fn split(word: &OsStr) -> (Option<&str>, Option<&OsStr>) {
    let Some(text) = word.to_str().filter(|text| text.starts_with('-')) else { return (None, None) };
    match text.split_once('=') {
        Some((option, value)) => (Some(option), Some(OsStr::new(value))),
        None => (Some(text), None),
    }
}

/// The authority of a URI on another machine.
fn remote(uri: OsString) -> Option<String> {
    let uri = uri.into_string().ok()?;
    let authority = uri.strip_prefix(REMOTE)?.split('/').next()?;
    Some(percent_decode_str(authority).decode_utf8_lossy().into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Arguments {
        Arguments::read(&words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn a_remote_window_is_recognised() {
        let remote = |words: &[&str]| read(words).remote.unwrap_or_default();
        assert_eq!(remote(&["--remote", "ssh-remote+box", "/x"]), "ssh-remote+box");
        assert_eq!(remote(&["-n", "--remote=wsl+Ubuntu"]), "wsl+Ubuntu");
        assert_eq!(remote(&["--folder-uri", "vscode-remote://dev-container%2B7b22/w/x"]), "dev-container+7b22");
        assert_eq!(remote(&["--file-uri=vscode-remote://ssh-remote+box/x/y"]), "ssh-remote+box");
        for here in [&["."][..], &["--folder-uri", "file:///x"], &["--", "--remote", "x"], &["--remote"]] {
            assert_eq!(remote(here), "", "{here:?}");
        }
    }

    #[test]
    fn options_that_print_something_open_no_window() {
        assert!(read(&[]).opens_a_window && read(&[".", "--wait"]).opens_a_window && read(&["-n"]).opens_a_window);
        for words in [&["--version"][..], &["tunnel", "--name", "x"], &["--install-extension=a.b"], &["-s"]] {
            assert!(!read(words).opens_a_window, "{words:?}");
        }
    }

    #[test]
    fn a_data_directory_is_read_in_both_forms() {
        for words in [&["--user-data-dir", "x/y", "."][..], &["--user-data-dir=x/y"]] {
            assert_eq!(read(words).user_data_dir, Some(PathBuf::from("x/y")), "{words:?}");
        }
    }
}
