//! Gathers the next request.

use bytes::{Bytes, BytesMut};
use rusqlite::Connection;

use super::{Delivery, Origin, Part, Route, Which};
use crate::otlp::Signal;
use crate::spool::{self, Disk, Frame, Position, Reader, Source};
use crate::store::cursors::{self, Cursor, Stream};
use crate::store::disk_error;
use crate::store::recipient::Subscription;
use crate::store::set_aside::{self, Place, records};
use crate::store::waiting::fold_position;
use crate::totals::rest;

/// How many batches are examined for one request once the first was found.
const SIGHT: usize = 1000;

/// The result of a search.
#[derive(Clone, Debug, Default)]
pub struct Found {
    /// The next request, if there is any.
    pub delivery: Option<Delivery>,
    /// Readers that found nothing, with the stretch that they searched.
    pub passed: Vec<Passed>,
}

/// A stretch of the log that has nothing for a reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Passed {
    /// The reader's recipient, as an index into the list of subscriptions.
    pub recipient: usize,
    /// The reader's signal.
    pub signal: Signal,
    /// The position of its cursor.
    pub from: Position,
    /// The end of the empty stretch.
    pub end: Position,
}

/// Gathers the next request: from recipients that share a destination, one after the other, and of one signal.
pub fn next(connection: &Connection, source: &Source, route: &Route, which: Which<'_>) -> rusqlite::Result<Found> {
    let mut gathering =
        Gathering { which, request: None, parts: Vec::new(), bytes: BytesMut::new(), seen: 0, skipped: false };
    let mut found = Found::default();
    let place = if which.is_deferred { Place::Deferred } else { Place::Ahead };
    for (recipient, of) in route.subscriptions.iter().enumerate() {
        if gathering.aside(connection, route, recipient, of, place)? == Flow::Full {
            break;
        }
    }
    // Batches that have left the order go first, and alone.
    if gathering.parts.is_empty() && !which.is_deferred {
        for (recipient, of) in route.subscriptions.iter().enumerate() {
            let mut readers = Readers::new(connection, route, recipient, of, which)?;
            let flow = gathering.log(source, recipient, of, &mut readers)?;
            if flow == Flow::Full {
                break;
            }
            found.passed.extend(readers.passed(recipient));
        }
    }
    found.delivery = gathering.request();
    Ok(found)
}

/// Whether more fits.
#[derive(PartialEq, Eq)]
enum Flow {
    More,
    Full,
}

/// A request that is being gathered.
struct Gathering<'a> {
    which: Which<'a>,
    /// Its signal, and whether its parts were tried before. Failed and untried batches go in separate requests, because
    /// a failed batch may be the cause and would make the others fail.
    request: Option<(Signal, bool)>,
    parts: Vec<Part>,
    bytes: BytesMut,
    seen: usize,
    /// Whether a batch was left out because it was tried before.
    skipped: bool,
}

impl Gathering<'_> {
    /// Whether a batch of that signal goes in; `None` if it is passed over.
    fn admits(&mut self, signal: Signal, is_tried: bool, size: usize) -> Option<Flow> {
        self.seen += 1;
        match self.request {
            Some((of, _)) if of != signal => (self.seen >= SIGHT).then_some(Flow::Full),
            Some((_, tried)) if tried != is_tried || self.bytes.len() + size > self.which.bytes => Some(Flow::Full),
            _ => Some(Flow::More),
        }
    }

    fn push(&mut self, signal: Signal, part: Part, body: &[u8]) -> Flow {
        self.request.get_or_insert((signal, part.attempts > 0));
        self.bytes.extend_from_slice(body);
        self.parts.push(part);
        if self.parts.len() >= self.which.batches.max(1) { Flow::Full } else { Flow::More }
    }

    /// Takes batches that were set aside for a recipient.
    fn aside(
        &mut self,
        connection: &Connection,
        route: &Route,
        recipient: usize,
        of: &Subscription,
        place: Place,
    ) -> rusqlite::Result<Flow> {
        for row in set_aside::rows(connection, &of.to, place)? {
            let is_tried = row.attempts > 0;
            if !route.takes(row.signal) {
                continue;
            }
            if is_tried && self.which.is_untried {
                self.skipped = true;
                continue;
            }
            match self.admits(row.signal, is_tried, row.size) {
                None => continue,
                Some(Flow::Full) => return Ok(Flow::Full),
                Some(Flow::More) => {}
            }
            let Some(body) = set_aside::body(connection, row.id)? else { continue };
            let origin = Origin::Aside { id: row.id, turn: row.turn, is_deferred: place == Place::Deferred };
            let (size, records) = (body.len(), records(row.signal, &body));
            let (attempts, received_at) = (row.attempts, row.received_at);
            let part = Part { recipient, origin, size, records, attempts, received_at };
            if self.push(row.signal, part, &body) == Flow::Full {
                return Ok(Flow::Full);
            }
        }
        Ok(Flow::More)
    }

    /// Takes frames from a recipient's log.
    fn log(
        &mut self,
        source: &Source,
        recipient: usize,
        of: &Subscription,
        readers: &mut Readers,
    ) -> rusqlite::Result<Flow> {
        let Some(start) = readers.start() else { return Ok(Flow::More) };
        let mut log = source.reader(&of.to.session, start).map_err(disk_error)?;
        while let Some(found) = log.next().map_err(disk_error)? {
            let spool::Found::Frame(frame) = found else { continue };
            let Some(reader) = readers.of(&frame) else { continue };
            let is_tried = frame.end <= reader.cursor.tried;
            if is_tried && self.which.is_untried {
                reader.from = frame.end;
                self.skipped = true;
                continue;
            }
            match self.admits(frame.header.signal, is_tried, frame.header.body as usize) {
                None => continue,
                Some(Flow::Full) => return Ok(Flow::Full),
                Some(Flow::More) => {}
            }
            let Some((body, records)) = reader.body(&mut log, &frame).map_err(disk_error)? else { continue };
            let origin = Origin::Log { from: reader.from, end: frame.end };
            reader.from = frame.end;
            reader.is_found = true;
            let attempts = if is_tried { reader.cursor.attempts.max(1) } else { 0 };
            let received_at = frame.header.time;
            let part = Part { recipient, origin, size: body.len(), records, attempts, received_at };
            if self.push(frame.header.signal, part, &body) == Flow::Full {
                return Ok(Flow::Full);
            }
        }
        readers.reached = log.position();
        Ok(Flow::More)
    }

    fn request(self) -> Option<Delivery> {
        let (signal, _) = self.request?;
        Some(Delivery { signal, parts: self.parts, body: self.bytes.freeze(), is_probe: self.skipped })
    }
}

/// The readers of one recipient, one for each signal.
struct Readers {
    all: Vec<SignalReader>,
    /// How far all of them have searched.
    reached: Position,
}

/// The reader of one signal.
struct SignalReader {
    signal: Signal,
    cursor: Cursor,
    /// The end of the last frame that was taken, or left out on purpose.
    from: Position,
    /// For a destination of totals: the position up to which deltas are in the totals. Nothing beyond it may be
    /// delivered.
    folded: Option<Position>,
    is_found: bool,
}

impl Readers {
    fn new(
        connection: &Connection,
        route: &Route,
        recipient: usize,
        of: &Subscription,
        which: Which<'_>,
    ) -> rusqlite::Result<Self> {
        let mut all = Vec::new();
        for signal in route.signals(of) {
            let cursor = cursors::find(connection, &of.to, Stream::Of(signal))?;
            let floor = which.floors.get(&(recipient, signal)).copied().unwrap_or(Position::START);
            let position = cursor.position.max(floor);
            let is_rest = route.is_cumulative && signal == Signal::Metrics;
            let folded = if is_rest { Some(fold_position(connection, of)?) } else { None };
            let cursor = Cursor { position, ..cursor };
            all.push(SignalReader { signal, cursor, from: position, folded, is_found: false });
        }
        Ok(Self { all, reached: Position::START })
    }

    fn start(&self) -> Option<Position> {
        self.all.iter().map(|reader| reader.cursor.position).min()
    }

    /// The reader that wants a frame.
    fn of(&mut self, frame: &Frame) -> Option<&mut SignalReader> {
        let reader = self.all.iter_mut().find(|reader| reader.signal == frame.header.signal)?;
        let is_folded = reader.folded.is_none_or(|folded| frame.end <= folded);
        (frame.position >= reader.cursor.position && frame.header.body > 0 && is_folded).then_some(reader)
    }

    /// The readers that found nothing.
    fn passed(&self, recipient: usize) -> impl Iterator<Item = Passed> {
        let found = self.all.iter().filter(|reader| !reader.is_found && reader.from == reader.cursor.position);
        found.filter_map(move |reader| {
            let end = reader.folded.map_or(self.reached, |folded| folded.min(self.reached));
            let (signal, from) = (reader.signal, reader.cursor.position);
            (end > from).then_some(Passed { recipient, signal, from, end })
        })
    }
}

impl SignalReader {
    /// The part of a frame that is delivered, and its number of records; `None` if there is no such part, or if it
    /// cannot be read.
    fn body(&self, log: &mut Reader<Disk>, frame: &Frame) -> std::io::Result<Option<(Bytes, u64)>> {
        let Some((_, body)) = log.parts(frame)? else { return Ok(None) };
        if self.folded.is_none() {
            return Ok(Some((body, u64::from(frame.header.records))));
        }
        let rest = Bytes::from(rest(&body));
        let records = records(self.signal, &rest);
        Ok((!rest.is_empty()).then_some((rest, records)))
    }
}

impl Route {
    fn takes(&self, signal: Signal) -> bool {
        self.signals.as_ref().is_none_or(|signals| signals.contains(&signal))
    }
}
