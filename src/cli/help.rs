//! Options of `ccrun help`.

use clap::Args;

/// `ccrun help`.
#[derive(Debug, Args)]
pub struct Help {
    /// The command, with its subcommand if it has one: `queue flush`
    #[arg(value_name = "COMMAND")]
    pub verb: Vec<String>,
}
