//! `ccrun secret`: its verbs and their options.

use clap::{Args, Subcommand};

use crate::credential::keyring;

/// `ccrun secret`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun secret set signoz/ingestion-key           asks for it, without showing it
  pass show signoz | ccrun secret set signoz/ingestion-key
  ccrun secret list                               what profiles want, and whether it is there

Secrets are kept by the desktop's keyring (Secret Service; macOS: the login keychain), or by
the kernel's where `config.toml` says `keyring = \"keyutils\"`. No command shows one.")]
pub struct Secret {
    /// What to do with secrets.
    #[command(subcommand)]
    pub command: SecretCommand,
}

/// What `ccrun secret` does.
#[derive(Debug, Subcommand)]
pub enum SecretCommand {
    /// Store one: asked for on the terminal, or one line of stdin
    Set {
        /// Its name, as a profile's `keyring = "NAME"` has it
        #[arg(value_parser = entry)]
        name: String,
    },
    /// List names: those that profiles mention, with whether they are there, and the others that are
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Remove one
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
