//! `ccrun init`, and what it has shells call: their options.

use std::ffi::OsString;

use clap::{Args, ValueEnum};

/// `ccrun init`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  eval \"$(ccrun init bash)\"      in ~/.bashrc
  eval \"$(ccrun init zsh)\"       in ~/.zshrc, after compinit where that is called
  ccrun init fish | source       in ~/.config/fish/config.fish

In bash and zsh `claude` becomes an alias, in fish a function, which is what an alias is there.
`command claude` still means the program itself, and scripts never see either. The completions
know your profiles and the secrets they name, and leave the program's own words to it.")]
pub struct Init {
    /// The shell
    #[arg(value_enum, value_name = "SHELL")]
    pub shell: Shell,
    /// Completions alone
    #[arg(long)]
    pub without_alias: bool,
}

/// A shell that `ccrun init` knows.
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
    /// Which word is asked for, counted from 0
    pub at: usize,
    /// The command line
    #[arg(last = true)]
    pub line: Vec<OsString>,
}
