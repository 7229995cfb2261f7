//! Settings of others that name us: what is written into them, and taken out of them again.
//!
//! [`jsonc`] changes a text, [`wiring`] several things in it at once, `settings_file` a whole file; [`Records`] know what is
//! ours in it, a [`Plan`] is what becomes of it, and [`editors`] says where it is.

pub mod editors;
pub mod jsonc;
mod plan;
mod records;
mod settings_file;
pub mod wiring;

pub use plan::Plan;
pub use records::{Records, Target};
