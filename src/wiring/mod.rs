//! Adds `ccrun` to the settings of other programs, and removes it again.
//!
//! [`jsonc`] changes a text, [`mod@entry`] several places in it at once, `settings_file` a whole file. [`Records`]
//! track what `ccrun` has written, an [`Edit`] is a planned change, and [`editors`] finds the files.

mod edit;
pub mod editors;
pub mod entry;
pub mod jsonc;
mod records;
mod settings_file;

pub use edit::Edit;
pub use records::{LINK, Record, Records, Target};
