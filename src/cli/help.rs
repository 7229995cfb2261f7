//! Options of `ccrun help`.

use clap::Args;

/// `ccrun help`.
#[derive(Debug, Args)]
pub struct Help {
    /// The verb, with its own verb if it has one: `queue flush`
    #[arg(value_name = "VERB")]
    pub verb: Vec<String>,
}
