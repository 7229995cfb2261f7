//! Options of `ccrun setup`.

use clap::Args;

use super::pair;

/// `ccrun setup`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun setup          list the backends that ccrun knows
  ccrun setup signoz   ask for what it needs, and test it
  printf %s \"$KEY\" | ccrun setup signoz --var region=eu --default --no-alias

On a terminal, setup asks for what the options leave open. Elsewhere options must answer every
question, and a required key is read as one line of stdin. Nothing is changed until everything
is known. If the backend rejects the test, or you interrupt it, all changes are undone.")]
pub struct Setup {
    /// The backend; without it, the known backends are listed
    pub backend: Option<String>,
    /// Name of the new profile [default: the backend's name]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Set a variable of the profile
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
    /// Overwrite an existing profile or keyring entry
    #[arg(long)]
    pub replace: bool,
    /// Answers to the other questions.
    #[command(flatten)]
    pub choices: Choices,
}

/// Answers to the final questions.
#[derive(Clone, Copy, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent options, as on the command line")]
pub struct Choices {
    /// Make it the default profile
    #[arg(long, conflicts_with = "no_default")]
    pub default: bool,
    /// Keep the current default profile
    #[arg(long)]
    pub no_default: bool,
    /// Add the alias and completions to your shell's rc file
    #[arg(long, conflicts_with = "no_alias")]
    pub alias: bool,
    /// Leave the rc file unchanged
    #[arg(long)]
    pub no_alias: bool,
    /// Skip the test: send nothing now
    #[arg(long)]
    pub no_try: bool,
}
