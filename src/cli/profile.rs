//! `ccrun profile`: its verbs and their options.

use std::path::PathBuf;

use clap::{Args, Subcommand};

use super::{Launch, pair};

/// `ccrun profile`.
#[derive(Debug, Args)]
pub struct Profile {
    /// What to do with profiles.
    #[command(subcommand)]
    pub command: ProfileCommand,
}

/// What `ccrun profile` does.
#[derive(Debug, Subcommand)]
pub enum ProfileCommand {
    /// List all profiles, with the layer each is in
    List {
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Show what a profile says with all its layers, and where each value comes from
    Show {
        /// The profile; the one that a launch here would use unless named
        name: Option<String>,
        /// What a launch would be given.
        #[command(flatten)]
        launch: Launch,
        /// Print JSON
        #[arg(long)]
        json: bool,
    },
    /// Check profiles by name or file, all of yours unless named; exits 2 if one is invalid
    Check {
        /// Names, or files (with a `/` or an extension)
        names: Vec<String>,
    },
    /// Write a commented profile of your own
    New {
        /// Its name
        name: String,
        /// A profile that it is laid over
        #[arg(long, value_name = "NAME")]
        extends: Vec<String>,
        /// Sets a variable in it
        #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
        variables: Vec<(String, String)>,
        /// Make it of what is set up for Claude Code in the environment and in its user settings
        #[arg(long, conflicts_with_all = ["extends", "variables"])]
        from_env: bool,
    },
    /// Take a colleague's file among your profiles, once you have seen what it does
    Add {
        /// The file, `NAME.toml`
        file: PathBuf,
        /// Add it without being asked
        #[arg(long)]
        yes: bool,
    },
    /// Open a profile of yours in $VISUAL or $EDITOR; it stays as it was until what you write is valid
    Edit {
        /// Its name
        name: String,
    },
    /// Print where your profiles are, or the file of one
    Path {
        /// Its name
        name: Option<String>,
    },
    /// Print the JSON Schema of a profile, for editors
    Schema,
}
