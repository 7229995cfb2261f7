//! Options of `ccrun profile`.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Given, pair};

/// `ccrun profile`.
#[derive(Debug, Args)]
pub struct Profile {
    /// The verb.
    #[command(subcommand)]
    pub command: ProfileCommand,
}

/// The verbs of `ccrun profile`.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List all profiles and the layer that each is in
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show a profile with all its layers, and where each value comes from
    Show {
        /// The profile [default: the one that a launch here would use]
        name: Option<String>,
        /// The launch to show.
        #[command(flatten)]
        given: Given,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check profiles by name or file; exits 2 if one is invalid
    Check {
        /// Names, or files (with a `/` or an extension) [default: all of yours]
        names: Vec<String>,
    },
    /// Write a commented profile of your own
    New {
        /// Its name
        name: String,
        /// A profile to extend
        #[arg(long, value_name = "NAME")]
        extends: Vec<String>,
        /// Set a variable in it
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
        variables: Vec<(String, String)>,
        /// Take the telemetry settings from the environment and Claude Code's user settings
        #[arg(long, conflicts_with_all = ["extends", "variables"])]
        from_env: bool,
    },
    /// Add a colleague's profile after reviewing what it does
    Add {
        /// The file, `NAME.toml`
        file: PathBuf,
        /// Add it without asking
        #[arg(long)]
        yes: bool,
    },
    /// Open one of your profiles in $VISUAL or $EDITOR; the old version stays until the new one is valid
    Edit {
        /// Its name
        name: String,
    },
    /// Print the directory of your profiles, or the path of one
    Path {
        /// Its name
        name: Option<String>,
    },
    /// Print the JSON Schema of a profile, for editors
    Schema,
}
