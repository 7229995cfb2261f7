//! `ccrun wrap`: its options, and the link that is it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Args;

use super::Start;

/// The name of a link to the binary that is `ccrun wrap`, for settings that take a path and nothing else.
pub const LINK: &str = "ccrun-wrap";

/// `ccrun wrap`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wrap /path/to/claude -p hi           exactly that program, with a session
  ccrun wrap /usr/bin/node /path/to/cli.js   the same for one that is a script
  ln -s \"$(command -v ccrun)\" ~/.local/bin/ccrun-wrap
                                             the same under a name of its own, for
  \"claudeCode.claudeProcessWrapper\": \"/home/you/.local/bin/ccrun-wrap\"
                                             which takes a path alone, in VS Code

The profile is the working directory's. Stdin, stdout and the arguments stay as
they are, but for one --settings FILE. Where an editor's extension brings no
Claude Code of its own, and the link is given options alone, `claude` is looked
for as by `ccrun claude`.")]
pub struct Wrap {
    /// Options of the launch.
    #[command(flatten)]
    pub start: Start,
    /// Claude Code and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CLAUDE")]
    pub words: Vec<OsString>,
}

impl Wrap {
    /// What the link was given, if it was started by that: every word is meant for Claude Code.
    pub fn of_link(words: &[OsString]) -> Option<Self> {
        let (name, words) = words.split_first()?;
        let is_link = Path::new(name).file_name() == Some(OsStr::new(LINK));
        is_link.then(|| Self { start: Start::default(), words: words.to_vec() })
    }
}
