//! Claude Code's status line: the JSON that it hands to the line's command, and the setting that names this command.
//!
//! Claude Code runs the command of the setting `statusLine` after each answer, about 300 ms after the last change, and
//! shows what it prints. A `statusLine` in `--settings` replaces those of the local, the project's and the user's
//! settings. Managed settings override it. None runs before the folder is trusted or with `disableAllHooks`.

mod reading;
mod setting;

pub use reading::{Cache, Context, Limit, Limits, Reading, Spend};
pub use setting::{Layers, command, is_ours, layers, replaced, setting};
