//! `ccrun setup`: its options.

use clap::Args;

use super::pair;

/// `ccrun setup`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun setup                          the backends that ccrun knows
  ccrun setup signoz                   asks for what is needed, and tries it
  printf %s \"$KEY\" | ccrun setup signoz --var region=eu --default --no-alias

It asks on a terminal for what no option says; elsewhere every question has to be answered by an
option, and a key that is needed is one line of stdin. Nothing is changed before all is known,
and if the backend does not take what is tried, or you interrupt it, everything is as it was.")]
pub struct Setup {
    /// The backend, as the list without it names them
    pub backend: Option<String>,
    /// What to call the profile [default: as the backend]
    #[arg(long, value_name = "NAME")]
    pub name: Option<String>,
    /// Sets a variable of the profile
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
    /// Use a profile, or a key in the keyring, that is there already anew
    #[arg(long)]
    pub replace: bool,
    /// What else is decided.
    #[command(flatten)]
    pub choices: Choices,
}

/// Answers to the questions at the end.
#[derive(Clone, Copy, Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "independent options, as on the command line")]
pub struct Choices {
    /// Make it the profile where none is chosen
    #[arg(long, conflicts_with = "no_default")]
    pub default: bool,
    /// Leave the default as it is
    #[arg(long)]
    pub no_default: bool,
    /// Add the alias and completions to your shell's rc file
    #[arg(long, conflicts_with = "no_alias")]
    pub alias: bool,
    /// Leave the rc file as it is
    #[arg(long)]
    pub no_alias: bool,
    /// Send nothing now, and keep what is set up untried
    #[arg(long)]
    pub no_try: bool,
}
