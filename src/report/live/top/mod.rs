//! `ccrun top`: running sessions and what they use.
//!
//! [`Model`] takes events, running sessions and what the ledger knows, and gives rows. [`Controls`] turns keys into what
//! is shown, and [`draw`] draws that. All of it is pure; [`history`] reads the ledger.

mod controls;
pub mod history;
mod minutes;
mod model;
mod picture;
mod session;
mod usage;
mod view;
mod words;

pub use controls::{Action, Controls};
pub use model::Model;
pub use picture::Picture;
pub use session::{Backlog, Found, Row, State};
pub use view::draw;

#[cfg(test)]
mod tests;
