//! Live views of events.

mod event;
mod following;
mod past;
mod render;
mod seen;
pub mod top;

pub use event::{Event, Wanted};
pub use following::Following;
pub use past::{Past, past, since};
pub use render::{Line, json};
pub use seen::Seen;
