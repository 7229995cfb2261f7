//! The collector of one session: a keeper that holds the port, and a worker that receives, stores and forwards.

mod adopt;
mod balance;
mod carriers;
mod connections;
mod keeper;
mod news;
mod plan;
mod private;
mod prune;
mod receive;
mod rules;
mod session;
mod start;
mod worker;

/// The word that starts a collector: the only one that the binary is given.
pub const WORD: &str = "collector";

/// What a collector answers its launcher when it listens; anything else is why it does not.
const READY: &str = "ready\n";

pub use adopt::{Means, Owner, deliver_leftovers, deliver_orphaned, owner};
pub use balance::withdraw;
pub use keeper::run;
pub use plan::{Plan, Role, Token};
pub use start::{Channel, bind, start};
