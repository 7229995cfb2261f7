//! The collector of one session: a keeper that holds the port, and a worker that receives, stores and forwards.

mod adopt;
mod balance;
mod carriers;
mod connections;
mod keeper;
mod plan;
mod private;
mod prune;
mod receive;
mod rules;
mod session;
mod start;
mod worker;

pub use adopt::{Means, Owner, deliver_leftovers, deliver_orphaned, owner};
pub use keeper::run;
pub use plan::{Plan, Role, Token};
pub use start::{bind, start};
