//! The collector of one session: a keeper that holds the port, and a worker that receives, stores and forwards.

pub mod backlog;
mod budgets;
mod carriers;
mod connections;
mod control_channel;
mod follower;
mod guard;
mod keeper;
mod leftovers;
mod placeholder;
mod plan;
mod private;
mod prune;
mod receive;
mod rules;
mod session;
mod shutdown_summary;
mod silence;
mod start;
mod worker;

/// The only argument of the binary that starts a collector.
pub const WORD: &str = "collector";

/// The collector's answer to its launcher when it listens. Any other answer is an error.
const READY: &str = "ready\n";

pub use keeper::run;
pub use leftovers::{LeftoversContext, TrustedDestination, deliver_leftovers, deliver_orphaned, destination_of};
pub use plan::{Hook, Role, SessionPlan};
pub use shutdown_summary::withdraw;
pub use start::{Channel, bind, start};
