//! Follows the logs of all sessions as they are written, without a cursor: no state is kept for such a reader, and it
//! does not hold up other readers.

use std::collections::BTreeMap;
use std::io;

use bytes::Bytes;

use super::{Disk, Files, Found, Position, Reader, Source};
use crate::otlp::Signal;

/// How much is read at once, in bytes of requests.
const BYTES: usize = 4 << 20;

/// Reads the additions to the logs of sessions.
pub struct Follower {
    source: Source,
    signal: Signal,
    /// The start positions in logs that are not open yet. All other logs are read from the beginning.
    from: BTreeMap<String, Position>,
    readers: BTreeMap<String, Reader<Disk>>,
}

/// A request that was received.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Received {
    /// The session.
    pub session: String,
    /// When it was received, in Unix milliseconds.
    pub time: i64,
    /// The request in protobuf.
    pub body: Bytes,
}

impl Follower {
    /// Follows one signal of all sessions, each from its position.
    pub fn new(source: Source, signal: Signal, from: BTreeMap<String, Position>) -> Self {
        Self { source, signal, from, readers: BTreeMap::new() }
    }

    /// Returns the requests since the last call, session by session, each in its order. A large amount comes in several
    /// calls: there may be more until nothing is returned. A damaged frame is passed over.
    pub fn poll(&mut self) -> io::Result<Vec<Received>> {
        let sessions = self.source.disk.sessions()?;
        for session in &sessions {
            if !self.readers.contains_key(session) {
                let from = self.from.remove(session).unwrap_or(Position::START);
                self.readers.insert(session.clone(), self.source.reader(session, from)?);
            }
        }
        let (mut received, mut bytes) = (Vec::new(), 0);
        let mut ended = Vec::new();
        for (session, reader) in &mut self.readers {
            if bytes >= BYTES {
                break;
            }
            let before = reader.position();
            reader.look_again()?;
            while bytes < BYTES
                && let Some(found) = reader.next()?
            {
                let Found::Frame(frame) = found else { continue };
                if frame.header.signal == self.signal
                    && let Some((_, body)) = reader.parts(&frame)?
                {
                    bytes += body.len();
                    received.push(Received { session: session.clone(), time: frame.header.time, body });
                }
            }
            // A removed log is read to its end before its reader is dropped.
            if reader.position() == before && !sessions.contains(session) {
                ended.push(session.clone());
            }
        }
        for session in ended {
            self.readers.remove(&session);
        }
        Ok(received)
    }

    /// The row at the beginning of a session's segment, if one has been read.
    pub fn row(&self, session: &str) -> Option<&[u8]> {
        self.readers.get(session)?.row()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Entry, Writer, name};

    fn entry(body: &[u8], signal: Signal) -> Entry<'_> {
        Entry { signal, time: 7, records: 1, refused: 0, ledger: b"", body }
    }

    fn bodies(follower: &mut Follower) -> Vec<(String, Vec<u8>)> {
        let received = follower.poll().unwrap();
        received.into_iter().map(|received| (received.session, received.body.to_vec())).collect()
    }

    #[test]
    fn only_new_records_of_the_followed_signals_are_read() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path());
        let mut one = Writer::new(disk.clone(), "one", 1, b"row".to_vec());
        let write = |writer: &mut Writer<Disk>, body: &[u8], signal| {
            writer.append(&[entry(body, signal)]).pop().unwrap().unwrap();
        };
        write(&mut one, b"before", Signal::Logs);
        let past = {
            let mut reader = Source::live(directory.path()).reader("one", Position::START).unwrap();
            assert!(reader.next().unwrap().is_some());
            reader.position()
        };
        let from = BTreeMap::from([("one".to_owned(), past)]);
        let mut follower = Follower::new(Source::live(directory.path()), Signal::Logs, from);
        assert!(bodies(&mut follower).is_empty());
        write(&mut one, b"first", Signal::Logs);
        write(&mut one, b"points", Signal::Metrics);
        assert_eq!(bodies(&mut follower), [("one".to_owned(), b"first".to_vec())]);
        assert_eq!(follower.row("one"), Some(&b"row"[..]));
        assert!(bodies(&mut follower).is_empty());
        // A session that begins later is read from its beginning.
        let mut two = Writer::new(disk, "two", 1, b"row".to_vec());
        write(&mut two, b"other", Signal::Logs);
        write(&mut one, b"second", Signal::Logs);
        assert_eq!(bodies(&mut follower).len(), 2);
    }

    #[test]
    fn a_log_that_is_found_before_its_beginning_is_written_is_read() {
        let (written, reading) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let mut writer = Writer::new(Disk::new(written.path()), "one", 1, b"row".to_vec());
        writer.append(&[entry(b"first", Signal::Logs)]).pop().unwrap().unwrap();
        let log = std::fs::read(written.path().join("one").join(name(1, 1))).unwrap();
        let path = reading.path().join("one").join(name(1, 1));
        std::fs::create_dir(reading.path().join("one")).unwrap();
        let mut follower = Follower::new(Source::live(reading.path()), Signal::Logs, BTreeMap::new());
        for length in [0, 9, 17] {
            std::fs::write(&path, &log[..length]).unwrap();
            assert!(bodies(&mut follower).is_empty(), "{length} bytes");
        }
        std::fs::write(&path, &log).unwrap();
        assert_eq!(bodies(&mut follower), [("one".to_owned(), b"first".to_vec())]);
        assert_eq!(follower.row("one"), Some(&b"row"[..]));
    }

    #[test]
    fn a_removed_log_is_read_to_its_end() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path());
        let mut writer = Writer::new(disk.clone(), "one", 1, Vec::new());
        writer.append(&[entry(b"first", Signal::Logs)]).pop().unwrap().unwrap();
        let mut follower = Follower::new(Source::live(directory.path()), Signal::Logs, BTreeMap::new());
        assert_eq!(bodies(&mut follower).len(), 1);
        writer.append(&[entry(b"second", Signal::Logs)]).pop().unwrap().unwrap();
        std::fs::remove_file(directory.path().join("one").join(name(1, 1))).unwrap();
        assert_eq!(bodies(&mut follower), [("one".to_owned(), b"second".to_vec())]);
        std::fs::remove_dir_all(directory.path().join("one")).unwrap();
        assert!(bodies(&mut follower).is_empty());
        assert!(follower.row("one").is_none(), "the reader of a session that is gone is gone");
    }
}
