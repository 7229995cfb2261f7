//! Options of `ccrun statusline`.

use std::path::PathBuf;

use clap::Args;

use crate::claude::status_line::Layers;
use crate::profile::Format;

/// `ccrun statusline`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun statusline                                   today's cost, outside of Claude Code
  ccrun statusline --format '{today} today'
  ccrun wire statusline                              show it in every session

Claude Code runs it after each answer, with a description of the session as JSON
on stdin. With `show = true` in a profile's `[statusline]`, sessions that ccrun
launches have it without further setup. A format has these placeholders:

  {cost} {today}        cost of the session, and of today on this machine
  {budget}              spend of the budget nearest to its limit
  {context} {tokens}    how full the context window is
  {limits}              limits of the account
  {cache} {misses}      input read from the prompt cache, and its misses
  {model} {effort} {duration} {session}
  {lines} {project} {branch} {worktree} {pr}

` · `, ` | ` and line breaks separate parts. A part whose placeholders are all
empty is left out. Values above 75 % are coloured, unless NO_COLOR is set.")]
pub struct Statusline {
    /// What it shows [default: cost, today, budget, context and limits]
    #[arg(long, value_name = "FORMAT")]
    pub format: Option<Format>,
    /// Also run the command of another status line, and print its lines first
    #[arg(long, value_name = "COMMAND")]
    pub with: Option<String>,
    /// The layers of Claude Code's settings whose status line this one replaces
    #[arg(long, value_name = "LAYERS", hide = true, conflicts_with = "with")]
    pub replaced: Option<Layers>,
    /// The budgets that the launch found
    #[arg(long, value_name = "BUDGETS", hide = true)]
    pub budgets: Option<String>,
    /// The ledger's file
    #[arg(long, value_name = "FILE", hide = true)]
    pub ledger: Option<PathBuf>,
}
