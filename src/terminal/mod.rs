//! Output and prompts on a terminal.

pub mod fit;
pub mod json;
pub mod keys;
pub mod mask;
pub mod moment;
pub mod printable;
pub mod prompt;
pub mod screen;
pub mod table;

use std::os::fd::AsFd;

/// The number of columns of a terminal; `None` if the stream is not a terminal.
pub fn width(stream: &impl AsFd) -> Option<usize> {
    terminal_size::terminal_size_of(stream).map(|(width, _)| usize::from(width.0))
}
