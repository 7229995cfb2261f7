//! A full-screen view on a terminal: raw mode and the alternate screen, which every way out restores.
//!
//! The sequences are those of ECMA-48 and of xterm (ctlseqs), which every terminal emulator knows.

use std::fmt::Write as _;
use std::io::{self, Write};
use std::sync::{Arc, Mutex, PoisonError};

use nix::errno::Errno;
use nix::sys::termios::{SetArg, Termios, cfmakeraw, tcgetattr, tcsetattr};
use ratatui_core::backend::{Backend, ClearType, WindowSize};
use ratatui_core::buffer::Cell;
use ratatui_core::layout::{Position, Size};
use ratatui_core::style::{Color, Modifier};
use unicode_width::UnicodeWidthStr;

/// Switches to the alternate screen and hides the cursor.
const ENTER: &str = "\x1b[?1049h\x1b[?25l\x1b[2J";

/// Shows the cursor and switches back.
const LEAVE: &str = "\x1b[0m\x1b[?25h\x1b[?1049l";

/// How much input is read at once, in bytes.
const INPUT: usize = 1024;

/// The terminal of stdin and stdout, as long as a full-screen view has it.
#[derive(Debug)]
pub struct Screen {
    /// The modes to restore; `None` while they are.
    before: Arc<Mutex<Option<Termios>>>,
}

impl Screen {
    /// Takes the terminal. If the program panics, it is restored before the message is printed.
    pub fn take() -> io::Result<Self> {
        let screen = Self { before: Arc::default() };
        screen.enter()?;
        let before = Arc::clone(&screen.before);
        let report = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            drop(restore(&before));
            report(panic);
        }));
        Ok(screen)
    }

    /// Takes it again after [`leave`](Self::leave).
    pub fn enter(&self) -> io::Result<()> {
        let stdin = io::stdin();
        let before = tcgetattr(&stdin)?;
        let mut raw = before.clone();
        cfmakeraw(&mut raw);
        tcsetattr(&stdin, SetArg::TCSANOW, &raw)?;
        *self.before.lock().unwrap_or_else(PoisonError::into_inner) = Some(before);
        write(ENTER)
    }

    /// Restores it.
    pub fn leave(&self) -> io::Result<()> {
        restore(&self.before)
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        // A terminal that is gone needs no restoring.
        drop(self.leave());
    }
}

fn restore(before: &Mutex<Option<Termios>>) -> io::Result<()> {
    let Some(before) = before.lock().unwrap_or_else(PoisonError::into_inner).take() else { return Ok(()) };
    let written = write(LEAVE);
    tcsetattr(io::stdin(), SetArg::TCSANOW, &before)?;
    written
}

fn write(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

/// Reads what was typed, which must be there. An end means that the terminal is gone.
pub fn typed() -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; INPUT];
    // Not through the buffer of `Stdin`: what it holds would not wake `poll`.
    match nix::unistd::read(io::stdin(), &mut bytes) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => bytes.truncate(count),
        Err(Errno::EINTR | Errno::EAGAIN) => bytes.clear(),
        Err(error) => return Err(error.into()),
    }
    Ok(bytes)
}

/// Draws cells on the terminal of stdout. What is drawn is collected and written at once.
#[derive(Debug, Default)]
pub struct Canvas {
    text: String,
}

impl Canvas {
    fn style(&mut self, cell: &Cell) {
        self.text.push_str("\x1b[0");
        let attributes = [(Modifier::BOLD, 1), (Modifier::DIM, 2), (Modifier::REVERSED, 7)];
        for (_, code) in attributes.into_iter().filter(|(modifier, _)| cell.modifier.contains(*modifier)) {
            _ = write!(self.text, ";{code}");
        }
        // The colours of the terminal's own scheme.
        let colour = match cell.fg {
            Color::Red => Some(31),
            Color::Green => Some(32),
            Color::Yellow => Some(33),
            Color::Cyan => Some(36),
            _ => None,
        };
        if let Some(code) = colour {
            _ = write!(self.text, ";{code}");
        }
        self.text.push('m');
    }
}

impl Backend for Canvas {
    type Error = io::Error;

    fn draw<'a, I>(&mut self, content: I) -> io::Result<()>
    where
        I: Iterator<Item = (u16, u16, &'a Cell)>,
    {
        let (mut next, mut style) = (None, None);
        for (x, y, cell) in content {
            if next != Some((x, y)) {
                _ = write!(self.text, "\x1b[{};{}H", y.saturating_add(1), x.saturating_add(1));
            }
            if style != Some((cell.fg, cell.modifier)) {
                self.style(cell);
                style = Some((cell.fg, cell.modifier));
            }
            self.text.push_str(cell.symbol());
            // After a wide character the place is given again, because terminals disagree on widths.
            next = (cell.symbol().width() == 1).then_some((x.saturating_add(1), y));
        }
        self.text.push_str("\x1b[0m");
        Ok(())
    }

    fn hide_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn show_cursor(&mut self) -> io::Result<()> {
        Ok(())
    }

    fn get_cursor_position(&mut self) -> io::Result<Position> {
        Ok(Position::ORIGIN)
    }

    fn set_cursor_position<P: Into<Position>>(&mut self, _: P) -> io::Result<()> {
        Ok(())
    }

    fn clear(&mut self) -> io::Result<()> {
        self.text.push_str("\x1b[0m\x1b[2J");
        Ok(())
    }

    fn clear_region(&mut self, _: ClearType) -> io::Result<()> {
        self.clear()
    }

    fn size(&self) -> io::Result<Size> {
        let size = terminal_size::terminal_size_of(io::stdout());
        // A terminal that does not know its size is taken for one of the usual size.
        Ok(size.map_or(Size::new(80, 24), |(width, height)| Size::new(width.0, height.0)))
    }

    fn window_size(&mut self) -> io::Result<WindowSize> {
        Ok(WindowSize { columns_rows: self.size()?, pixels: Size::ZERO })
    }

    fn flush(&mut self) -> io::Result<()> {
        write(&std::mem::take(&mut self.text))
    }
}

#[cfg(test)]
mod tests {
    use ratatui_core::buffer::Buffer;
    use ratatui_core::layout::Rect;
    use ratatui_core::style::Style;

    use super::*;

    #[test]
    fn what_changed_is_drawn_in_its_place_and_style() {
        let before = Buffer::empty(Rect::new(0, 0, 12, 2));
        let mut after = before.clone();
        after.set_string(0, 0, "ab", Style::new());
        after.set_string(3, 1, "日b", Style::new().fg(Color::Red).add_modifier(Modifier::BOLD));
        let mut canvas = Canvas::default();
        canvas.draw(before.diff(&after).into_iter()).unwrap();
        assert_eq!(canvas.text, "\x1b[1;1H\x1b[0mab\x1b[2;4H\x1b[0;1;31m日\x1b[2;6Hb\x1b[0m");
    }
}
