//! Options that select a profile, for verbs that start nothing.

use clap::Args;

use super::{Launch, pair};

/// Selects a profile and sets its variables.
#[derive(Clone, Default, Args)]
pub struct Which {
    /// The profile to use; repeat to layer more on top
    #[arg(short, long = "profile", value_name = "NAME")]
    pub profiles: Vec<String>,
    /// Set a variable of the profile
    #[arg(long = "var", value_name = "NAME=VALUE", value_parser = pair)]
    pub variables: Vec<(String, String)>,
}

/// Selects a profile and everything that a launch can override in it.
#[derive(Clone, Default, Args)]
pub struct Given {
    /// The profile and its variables.
    #[command(flatten)]
    pub which: Which,
    /// Set a resource attribute
    #[arg(short, long, value_name = "KEY=VALUE", value_parser = pair)]
    pub resource: Vec<(String, String)>,
    /// Set an environment variable for the program
    #[arg(short, long = "env", value_name = "NAME=VALUE", value_parser = pair)]
    pub env: Vec<(String, String)>,
}

impl Which {
    /// Whether nothing is chosen.
    pub fn is_default(&self) -> bool {
        self.profiles.is_empty() && self.variables.is_empty()
    }
}

impl From<Which> for Launch {
    fn from(Which { profiles, variables }: Which) -> Self {
        Self { profiles, variables, ..Self::default() }
    }
}

impl From<Given> for Launch {
    fn from(Given { which, resource, env }: Given) -> Self {
        Self { resource, env, ..Self::from(which) }
    }
}

/// Omits the values of variables, which may be secret.
impl std::fmt::Debug for Which {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Which").field("profiles", &self.profiles).finish_non_exhaustive()
    }
}

/// Omits values, as for [`Which`].
impl std::fmt::Debug for Given {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Given").field("which", &self.which).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use crate::cli::Cli;

    #[test]
    fn every_verb_lists_only_options_that_apply_to_it() {
        let definition = Cli::definition();
        let options = |verb: &clap::Command| -> Vec<String> {
            verb.get_arguments().filter_map(|option| option.get_long().map(str::to_owned)).collect()
        };
        let of = |words: &[&str]| {
            options(words.iter().fold(&definition, |verb, word| verb.find_subcommand(word).expect("a verb")))
        };
        for (words, without) in [
            (&["headers"][..], &["direct", "require", "env", "resource"][..]),
            (&["queue", "flush"], &["direct", "require", "env", "resource"]),
            (&["managed-settings"], &["direct", "require"]),
            (&["doctor"], &["require"]),
            (&["env"], &["require"]),
            (&["profile", "show"], &["direct", "require"]),
        ] {
            let found = of(words);
            assert!(without.iter().all(|option| !found.iter().any(|one| one == option)), "{words:?}: {found:?}");
            assert!(["profile", "var"].iter().all(|option| found.iter().any(|one| one == option)), "{words:?}");
        }
        assert!(
            ["direct", "require", "env", "resource"].iter().all(|option| of(&["run"]).iter().any(|one| one == option))
        );
    }
}
