//! Options of `ccrun secret`.

use clap::{Args, Subcommand};

use crate::secret::keyring;

/// `ccrun secret`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun secret set signoz/ingestion-key   prompt for it, without echo
  pass show signoz | ccrun secret set signoz/ingestion-key
  ccrun secret list                       show which secrets profiles need, and which are stored

Secrets are stored in the desktop's keyring (Secret Service; macOS: the login keychain), or in
the kernel's if `config.toml` says `keyring = \"keyutils\"`. No command prints a secret.")]
pub struct Secret {
    /// The verb.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// The verbs of `ccrun secret`.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store a secret, read from the terminal or as one line of stdin
    Set {
        /// Its name, as in a profile's `keyring = "NAME"`
        #[arg(value_parser = entry)]
        name: String,
    },
    /// List the secrets that profiles mention, whether each is stored, and all other stored ones
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove a secret
    Remove {
        /// Its name
        #[arg(value_parser = entry)]
        name: String,
    },
}

/// The name of an entry of the keyring.
fn entry(name: &str) -> Result<String, String> {
    keyring::check_name(name).map(|()| name.to_owned()).map_err(str::to_owned)
}
