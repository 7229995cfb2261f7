//! `ccrun top`: shows running sessions and what they use, as they work.

mod finding;
mod watch;

use std::io::{self, IsTerminal};
use std::os::fd::AsFd;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, kill};
use nix::unistd::Pid;
use ratatui_core::terminal::Terminal;

use super::selection::selection;
use super::{colour, complain};
use crate::cli::{self, Which};
use crate::report::live::Wanted;
use crate::report::live::top::{Action, Controls, Picture, draw};
use crate::system::process_environment::ProcessEnvironment;
use crate::system::signals::{Signals, obey};
use crate::terminal::keys::keys;
use crate::terminal::screen::{Canvas, Screen, typed};
use crate::workspace::Workspace;
use crate::workspace::repository::checkout;
use watch::{Watch, now};

/// The interval between two looks at what has changed. Nothing else wakes the program.
const INTERVAL: Duration = Duration::from_secs(1);

/// The exit code without a terminal.
const USAGE: u8 = 2;

pub(super) fn run(options: &cli::Top, process: &ProcessEnvironment) -> Result<ExitCode> {
    let is_dumb = process.text("TERM").is_none_or(|terminal| terminal == "dumb");
    if is_dumb || !io::stdin().is_terminal() || !io::stdout().is_terminal() {
        complain("`ccrun top` needs a terminal; without one, use `ccrun report` for usage or `ccrun tail` for events");
        return Ok(ExitCode::from(USAGE));
    }
    let (workspace, config) = Workspace::gather(process)?;
    let root_of = |path: &std::path::Path| checkout(path).root;
    let project = options.project.clone();
    let home = workspace.places.home.clone();
    let wanted = Wanted {
        session: options.session.clone(),
        project: project.map(|project| project.seen_from(&process.directory, &home, root_of)),
        events: Vec::new(),
    };
    let zone = TimeZone::system();
    // A profile with faults has no budget here: `ccrun budget` names them.
    let resolved = workspace.outline(&selection(Which::default().into(), process), &config);
    let profile = resolved.ok().map(|(resolved, _)| resolved.profile);
    let watch = Watch::begin(workspace, profile, process, wanted, zone.clone())?;
    // From here on signals wait until the terminal is restored.
    let (signals, before) = Signals::block().context("cannot block signals")?;
    let screen = Screen::take().context("cannot use the terminal")?;
    let terminal = Terminal::new(Canvas::default()).context("cannot use the terminal")?;
    let mut top = Top {
        picture: Picture::new(now(), zone, home, colour(&io::stdout(), process)),
        controls: Controls::default(),
        watch,
        terminal,
    };
    let left = top.until_left(&screen, signals, &before);
    // A terminal that is gone cannot be restored.
    let restored = screen.leave();
    match left? {
        Left::Quit => restored.context("cannot restore the terminal")?,
        Left::By(signal) => obey(signal, &before)?,
        Left::Gone => {}
    }
    Ok(ExitCode::SUCCESS)
}

/// How it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Left {
    /// By its user.
    Quit,
    /// By a signal, or Ctrl-C.
    By(Signal),
    /// The terminal is gone.
    Gone,
}

struct Top {
    watch: Watch,
    picture: Picture,
    controls: Controls,
    terminal: Terminal<Canvas>,
}

impl Top {
    /// Shows what happens until it is left.
    fn until_left(&mut self, screen: &Screen, mut signals: Signals, before: &SigSet) -> Result<Left> {
        let mut next = Instant::now();
        loop {
            if next <= Instant::now() {
                let is_all = self.watch.look(&mut self.controls, &mut self.picture);
                // Much that has come at once is taken in parts, between which keys are obeyed.
                next = Instant::now() + if is_all { INTERVAL } else { Duration::ZERO };
            }
            if self.draw().is_err() {
                return Ok(Left::Gone);
            }
            let Some(input) = wait(&signals, next.saturating_duration_since(Instant::now()))? else {
                return Ok(Left::Gone);
            };
            for caught in signals.take() {
                match caught.signal {
                    Signal::SIGTSTP => self.stop(screen, before)?,
                    signal if caught.asks_to_end() => return Ok(Left::By(signal)),
                    _ => {}
                }
            }
            if !input {
                continue;
            }
            let Ok(bytes) = typed() else { return Ok(Left::Gone) };
            for key in keys(&bytes) {
                match self.controls.press(key, &self.picture.rows) {
                    Action::Show => {}
                    Action::Quit => return Ok(Left::Quit),
                    Action::Interrupt => return Ok(Left::By(Signal::SIGINT)),
                    // As a terminal does it: all of a job stops.
                    Action::Stop => kill(Pid::from_raw(0), Signal::SIGTSTP)?,
                }
            }
            self.watch.choose(&mut self.controls, &mut self.picture);
        }
    }

    /// Restores the terminal, stops, and goes on once it is continued.
    fn stop(&mut self, screen: &Screen, before: &SigSet) -> Result<()> {
        screen.leave().context("cannot restore the terminal")?;
        obey(Signal::SIGTSTP, before)?;
        screen.enter().context("cannot use the terminal")?;
        // Nothing of what was drawn is there any more.
        self.terminal.clear().context("cannot use the terminal")
    }

    fn draw(&mut self) -> io::Result<()> {
        let (picture, controls) = (&self.picture, &mut self.controls);
        let mut hidden = 0;
        self.terminal.draw(|frame| hidden = draw(frame.buffer_mut(), picture, controls))?;
        controls.limit(hidden);
        Ok(())
    }
}

/// Waits for a key or a signal, and returns whether there is a key; `None` if the terminal is gone.
fn wait(signals: &Signals, time: Duration) -> Result<Option<bool>> {
    let stdin = io::stdin();
    let mut watched = [PollFd::new(stdin.as_fd(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    let time = PollTimeout::try_from(time).unwrap_or(PollTimeout::MAX);
    match poll(&mut watched, time) {
        Ok(_) | Err(Errno::EINTR) => {}
        Err(error) => return Err(error).context("cannot wait for keys"),
    }
    let found = watched[0].revents().unwrap_or(PollFlags::empty());
    let is_gone = found.intersects(PollFlags::POLLHUP | PollFlags::POLLERR | PollFlags::POLLNVAL);
    // A signal says why.
    let is_told = watched[1].any().unwrap_or(false);
    Ok((!is_gone || is_told).then_some(found.contains(PollFlags::POLLIN) && !is_gone))
}
