//! Options of `ccrun import`.

use std::path::PathBuf;

use clap::Args;

/// `ccrun import`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun import                           all sessions that Claude Code has kept
  ccrun import ~/backup/.claude          those of a copy
  ccrun import --prices prices.json      with prices for what has no cost

Reading a transcript twice counts nothing twice. The cost is Claude Code's own, from the
end of each session. A session without one, because it was killed for example, has none,
unless a list of prices in LiteLLM's format is given:
https://github.com/BerriAI/litellm/blob/main/model_prices_and_context_window.json")]
pub struct Import {
    /// Directories or transcripts to read instead of Claude Code's own
    #[arg(value_name = "PATH")]
    pub paths: Vec<PathBuf>,
    /// Estimate missing costs with this price list, in `LiteLLM`'s format
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Print JSON
    #[arg(long)]
    pub json: bool,
}
