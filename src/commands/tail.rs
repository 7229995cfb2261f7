//! `ccrun tail`: shows events as they are received.

use std::io::{self, Write};
use std::os::fd::AsFd;
use std::process::ExitCode;

use anyhow::{Context, Result};
use jiff::tz::TimeZone;
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::{colour, complain};
use crate::report::live::{Event, Following, Line, Seen, Wanted, json, past};
use crate::spool::Source;
use crate::system::process_environment::ProcessEnvironment;
use crate::workspace::Workspace;
use crate::workspace::repository::checkout;
use crate::{cli, ledger, store};

/// The interval between reads of the logs, in milliseconds. A person sees no delay.
const INTERVAL: u16 = 200;

pub(super) fn run(options: &cli::Tail, process: &ProcessEnvironment) -> Result<ExitCode> {
    let places = Workspace::gather(process)?.0.places;
    let wanted = wanted(options, process, &places.home);
    let stdout = io::stdout();
    let line = Line {
        width: terminal_size::terminal_size_of(&stdout).map(|(width, _)| usize::from(width.0)),
        colour: colour(&stdout, process),
        zone: TimeZone::system(),
        content: options.content,
    };
    // What is in the ledger already need not be read from the logs.
    if let Err(error) = ledger::fold_tails(&places) {
        complain(&format!("some past events may be missing: {error}"));
    }
    let connection = store::open_to_read(&places.ledger())?.map_or_else(ledger::empty, Ok)?;
    let count = usize::try_from(options.lines).unwrap_or(usize::MAX);
    let past = past(&connection, count, &wanted).context("cannot read the ledger")?;
    drop(connection);

    let mut screen = Screen { line, json: options.json, wanted, seen: Seen::default() };
    let mut following = Following::new(Source::live(&places.spool()), past.positions);
    let mut is_open = screen.show(&past.events)?.is_some();
    while is_open {
        let events = following.events().context("cannot read the spool")?;
        is_open = match events {
            Some(events) => screen.show(&events)?.is_some(),
            None => !is_closed_after(INTERVAL)?,
        };
    }
    Ok(ExitCode::SUCCESS)
}

fn wanted(options: &cli::Tail, process: &ProcessEnvironment, home: &std::path::Path) -> Wanted {
    let root_of = |path: &std::path::Path| checkout(path).root;
    Wanted {
        session: options.session.clone(),
        project: options.project.clone().map(|project| project.seen_from(&process.directory, home, root_of)),
        events: options.events.iter().map(|name| name.trim_start_matches("claude_code.").to_owned()).collect(),
    }
}

/// The output, and the filter for events.
struct Screen {
    line: Line,
    json: bool,
    wanted: Wanted,
    seen: Seen,
}

impl Screen {
    /// Writes the wanted events that were not shown before. Returns `None` if the reader has closed the output.
    fn show(&mut self, events: &[Event]) -> Result<Option<()>> {
        let mut text = String::new();
        for event in events {
            if self.wanted.has(event) && self.seen.is_new(event) {
                text += &if self.json { json(event, self.line.content) } else { self.line.of(event) };
                text.push('\n');
            }
        }
        let mut stdout = io::stdout().lock();
        match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
            Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(None),
            written => Ok(Some(written?)),
        }
    }
}

/// Waits for this many milliseconds. Returns whether the reader of stdout closed it in the meantime.
fn is_closed_after(milliseconds: u16) -> Result<bool> {
    let stdout = io::stdout();
    // Without requested events, poll reports only errors and hang-ups (poll(2)).
    let mut watched = [PollFd::new(stdout.as_fd(), PollFlags::empty())];
    match poll(&mut watched, PollTimeout::from(milliseconds)) {
        Ok(found) => Ok(found > 0),
        Err(Errno::EINTR) => Ok(false),
        Err(error) => Err(error).context("cannot wait for events"),
    }
}
