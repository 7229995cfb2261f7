//! Options of `ccrun wrap`, and the link that stands for it.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use clap::Args;

use super::Start;

use crate::wiring::LINK;

/// `ccrun wrap`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun wrap /path/to/claude -p hi           run exactly that program, in a session
  ccrun wrap /usr/bin/node /path/to/cli.js   the same for a script
  ln -s \"$(command -v ccrun)\" ~/.local/bin/ccrun-wrap
                                             the same under its own name, for
  \"claudeCode.claudeProcessWrapper\": \"/home/you/.local/bin/ccrun-wrap\"
                                             because VS Code accepts only a path

It uses the profile of the working directory. Stdin, stdout and arguments are passed
on unchanged, after one --settings FILE. If an extension brings no Claude Code of
its own and passes only options, `claude` is found as `ccrun claude`
finds it.")]
pub struct Wrap {
    /// Options of the launch.
    #[command(flatten)]
    pub start: Start,
    /// Claude Code and its arguments
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true, value_name = "CLAUDE")]
    pub words: Vec<OsString>,
}

impl Wrap {
    /// The words given to the link, if the program was started through it. All of them are for Claude Code.
    pub fn of_link(words: &[OsString]) -> Option<Self> {
        let (name, words) = words.split_first()?;
        let is_link = Path::new(name).file_name() == Some(OsStr::new(LINK));
        is_link.then(|| Self { start: Start::default(), words: words.to_vec() })
    }
}
