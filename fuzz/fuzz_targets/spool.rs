//! Arbitrary bytes as a segment of a session's log, alone or written over valid frames: a reader always reaches the
//! end. The unit tests check that it returns no frame that was never appended. A fuzzer cannot check that, because it
//! learns to produce valid CRCs.
#![no_main]

use std::collections::BTreeMap;
use std::io;
use std::sync::{Arc, Mutex};

use ccrun::otlp::Signal;
use ccrun::spool::{Bound, Entry, File, Files, Found, Position, Reader, Standing, Writer, name};
use libfuzzer_sys::fuzz_target;

const SESSION: &str = "0123456789abcdef";

fuzz_target!(|bytes: &[u8]| {
    let Some((&first, rest)) = bytes.split_first() else { return };
    let files = Memory::default();
    let bodies: Vec<Vec<u8>> = (0..first % 8).map(|number| vec![number; usize::from(number) * 9]).collect();
    if bodies.is_empty() {
        files.create(SESSION, &name(1, 1)).unwrap().write_at(rest, 0).unwrap();
    } else {
        let mut writer = Writer::new(files.clone(), SESSION, 1, b"row".to_vec());
        for body in &bodies {
            let entry = Entry { signal: Signal::Logs, time: 1, records: 1, refused: 0, ledger: b"branch", body };
            writer.append(&[entry]).remove(0).unwrap();
        }
        writer.end();
        // Every further eight bytes give a position and a value.
        let segment = files.open(SESSION, &name(1, 1)).unwrap();
        let length = segment.length().unwrap();
        for change in rest.chunks_exact(8) {
            let at = u64::from(u16::from_be_bytes([change[0], change[1]])) % length;
            segment.write_at(&change[2..], at).unwrap();
        }
    }
    for bound in [Bound::Ended, Bound::Live] {
        let mut reader = Reader::open(&files, SESSION, Position::START, bound).unwrap();
        let mut before = Position::START;
        while let Some(found) = reader.next().unwrap() {
            assert!(reader.position() > before, "the reader makes progress");
            before = reader.position();
            let Found::Frame(frame) = found else { continue };
            if let Some((ledger, body)) = reader.parts(&frame).unwrap() {
                assert_eq!((ledger.len(), body.len()), (frame.header.ledger as usize, frame.header.body as usize));
            }
        }
    }
});

/// Files in memory for one session.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Bytes>>>);

#[derive(Clone, Default)]
struct Bytes(Arc<Mutex<Vec<u8>>>);

impl Files for Memory {
    type File = Bytes;

    fn make_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn create(&self, _: &str, name: &str) -> io::Result<Bytes> {
        Ok(self.0.lock().unwrap().entry(name.to_owned()).or_default().clone())
    }

    fn open(&self, _: &str, name: &str) -> io::Result<Bytes> {
        self.0.lock().unwrap().get(name).cloned().ok_or(io::ErrorKind::NotFound.into())
    }

    fn list(&self, _: &str) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn seal(&self, _: &str, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove(&self, _: &str, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name);
        Ok(())
    }

    fn sync_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn remove_directory(&self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn sessions(&self) -> io::Result<Vec<String>> {
        Ok(vec![SESSION.to_owned()])
    }

    fn is_filled(&self) -> bool {
        false
    }
}

impl File for Bytes {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let bytes = self.0.lock().unwrap();
        let rest = usize::try_from(offset).ok().and_then(|offset| bytes.get(offset..)).unwrap_or_default();
        let length = rest.len().min(buffer.len());
        buffer[..length].copy_from_slice(&rest[..length]);
        Ok(length)
    }

    fn write_at(&self, new: &[u8], offset: u64) -> io::Result<()> {
        let (mut bytes, offset) = (self.0.lock().unwrap(), usize::try_from(offset).unwrap());
        let end = bytes.len().max(offset + new.len());
        bytes.resize(end, 0);
        bytes[offset..offset + new.len()].copy_from_slice(new);
        Ok(())
    }

    fn sync(&self) -> io::Result<()> {
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.0.lock().unwrap().truncate(usize::try_from(length).unwrap());
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.0.lock().unwrap().len() as u64)
    }

    fn standing(&self) -> io::Result<Standing> {
        Ok(Standing::Good)
    }
}
