//! Erases requests from an ended session's log at the user's request.

use std::io;

use super::frame::{HEADER, Header, Seed};
use super::{Bound, Disk, File, Found, Position, Reader, name};

/// Overwrites with zeros the requests that `is_chosen` selects, syncs them to the disk, and returns their number.
/// `is_chosen` is called with the header, the ledger's part and the request. Each frame stays as one without a request,
/// which every reader passes over. The caller holds the session's lock.
pub fn erase(
    disk: &Disk,
    session: &str,
    mut is_chosen: impl FnMut(&Header, &[u8], &[u8]) -> bool,
) -> io::Result<usize> {
    let mut log = Reader::open(disk, session, Position::START, Bound::Ended)?;
    let mut chosen = Vec::new();
    while let Some(found) = log.next()? {
        let Found::Frame(frame) = found else { continue };
        if frame.header.body == 0 {
            continue;
        }
        if let Some((ledger, body)) = log.parts(&frame)?
            && is_chosen(&frame.header, &ledger, &body)
        {
            chosen.push(frame);
        }
    }
    for together in chosen.chunk_by(|one, other| one.position.segment() == other.position.segment()) {
        let (worker, number) = together[0].position.segment();
        let file = disk.open_to_erase(session, &name(worker, number))?;
        for frame in together {
            file.write_at(
                &erased(&frame.header, Seed::new(session, (worker, number)), frame.position.offset),
                frame.position.offset,
            )?;
        }
        file.sync()?;
    }
    Ok(chosen.len())
}

/// A frame of the same length without a request: the ledger's part is zeros.
fn erased(header: &Header, seed: Seed, offset: u64) -> Vec<u8> {
    let length = header.ledger.saturating_add(header.body);
    let header = Header { ledger: length, body: 0, ..*header };
    let mut bytes = header.encode(seed, offset).to_vec();
    bytes.resize(HEADER + length as usize, 0);
    let crc = seed.crc(offset, &[&bytes[HEADER..]]);
    bytes.extend_from_slice(&crc.to_le_bytes());
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::otlp::Signal;
    use crate::spool::{Entry, Writer};

    #[test]
    fn erased_records_are_gone_from_the_disk_and_others_are_unchanged() {
        let directory = tempfile::tempdir().unwrap();
        let disk = Disk::new(directory.path());
        let mut writer = Writer::new(disk.clone(), "one", 1, b"row".to_vec());
        for body in [&b"first"[..], b"gone-canary", b"last"] {
            let entry = Entry { signal: Signal::Logs, time: 7, records: 1, refused: 0, ledger: b"main", body };
            writer.append(&[entry]).pop().unwrap().unwrap();
        }
        writer.close();
        let chosen = |_: &Header, ledger: &[u8], body: &[u8]| ledger == b"main" && body.starts_with(b"gone");
        assert_eq!(erase(&disk, "one", chosen).unwrap(), 1);
        assert_eq!(erase(&disk, "one", chosen).unwrap(), 0);
        let mut log = Reader::open(&disk, "one", Position::START, Bound::Ended).unwrap();
        let mut bodies = Vec::new();
        while let Some(found) = log.next().unwrap() {
            let Found::Frame(frame) = found else { panic!("{found:?}") };
            assert_eq!((frame.header.records, frame.header.time), (1, 7));
            bodies.push(log.parts(&frame).unwrap().unwrap().1);
        }
        assert_eq!(bodies, [&b"first"[..], b"", b"last"]);
        let bytes = std::fs::read(directory.path().join("one/1-1")).unwrap();
        assert!(memchr::memmem::find(&bytes, b"canary").is_none() && memchr::memmem::find(&bytes, b"last").is_some());
    }
}
