//! Options that are defined only when needed.

use clap::error::Error;
use clap::{ArgMatches, Args, Command, FromArgMatches, Id};

/// The options of a verb, defined only if that verb is used. A launch uses none, and defining all of them would take
/// longer than everything else it does before the program starts.
#[derive(Debug)]
pub struct Later<T>(
    /// The options.
    pub T,
);

impl<T: Args> Args for Later<T> {
    fn group_id() -> Option<Id> {
        T::group_id()
    }

    fn augment_args(command: Command) -> Command {
        command.defer(define::<T>)
    }

    fn augment_args_for_update(command: Command) -> Command {
        command.defer(T::augment_args_for_update)
    }
}

/// The verb with its options. Its description is in the list of verbs.
fn define<T: Args>(command: Command) -> Command {
    let about = command.get_about().cloned();
    let defined = T::augment_args(command);
    match about {
        Some(about) => defined.about(about),
        None => defined,
    }
}

impl<T: FromArgMatches> FromArgMatches for Later<T> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        T::from_arg_matches(matches).map(Self)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        self.0.update_from_arg_matches(matches)
    }
}
