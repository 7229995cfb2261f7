//! Options of `ccrun init`, and of the command that its completions call.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// `ccrun init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  eval \"$(ccrun init bash)\"   in ~/.bashrc
  eval \"$(ccrun init zsh)\"    in ~/.zshrc, after compinit if you call it
  ccrun init fish | source    in ~/.config/fish/config.fish

In bash and zsh, `claude` becomes an alias; in fish, a function. `command claude` still runs
the program itself, and scripts are not affected. The completions know your profiles and the
secrets they name, and leave the program's own arguments to the program.")]
pub struct Init {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
    /// Print only the completions
    #[arg(long)]
    pub without_alias: bool,
}

/// A shell that `ccrun init` supports.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Shell {
    /// bash
    Bash,
    /// zsh
    Zsh,
    /// fish
    Fish,
}

/// `ccrun complete`.
#[derive(Debug, Args)]
pub struct Complete {
    /// Index of the word to complete, counted from 0
    pub at: usize,
    /// The command line
    #[arg(last = true)]
    pub line: Vec<OsString>,
}
