//! For any content of a segment, a reader reaches the end. It returns no frame that was never appended, and each
//! appended frame at most once.

use std::collections::BTreeSet;

use super::model::Model;
use super::*;

/// A change to the bytes of a segment.
#[derive(Clone, Debug)]
enum Change {
    Overwrite { at: usize, bytes: Vec<u8> },
    Cut(usize),
    Copy { from: usize, to: usize, length: usize },
    Insert { at: usize, bytes: Vec<u8> },
}

fn change() -> impl Strategy<Value = Change> {
    let bytes = || proptest::collection::vec(any::<u8>(), 0..64);
    let place = || any::<usize>();
    prop_oneof![
        (place(), bytes()).prop_map(|(at, bytes)| Change::Overwrite { at, bytes }),
        place().prop_map(Change::Cut),
        (place(), place(), 0..300_usize).prop_map(|(from, to, length)| Change::Copy { from, to, length }),
        (place(), bytes()).prop_map(|(at, bytes)| Change::Insert { at, bytes }),
    ]
}

fn apply(bytes: &mut Vec<u8>, change: &Change) {
    let length = bytes.len() + 1;
    match change {
        Change::Overwrite { at, bytes: new } => {
            let at = at % length;
            for (there, new) in bytes[at..].iter_mut().zip(new) {
                *there = *new;
            }
        }
        Change::Cut(at) => bytes.truncate(at % length),
        Change::Copy { from, to, length: most } => {
            let from = from % length;
            let copied = bytes[from..(from + most).min(length - 1)].to_vec();
            apply(bytes, &Change::Overwrite { at: *to, bytes: copied });
        }
        Change::Insert { at, bytes: new } => {
            let at = at % length;
            bytes.splice(at..at, new.iter().copied());
        }
    }
}

/// A segment of some frames, as stored in its file.
fn segment(bodies: &[Vec<u8>]) -> Vec<u8> {
    let files = Model::default();
    let mut writer = writer(&files, 1);
    for body in bodies {
        let entry = Entry { signal: Signal::Logs, time: 1, records: 1, refused: 0, ledger: b"branch", body };
        writer.append(&[entry]).remove(0).unwrap();
    }
    writer.end();
    let file = files.open(SESSION, &name(1, 1)).unwrap();
    let mut bytes = vec![0; usize::try_from(file.length().unwrap()).unwrap()];
    file.read_at(&mut bytes, 0).unwrap();
    bytes
}

fn check(bytes: &[u8], appended: &[Vec<u8>], bound: Bound) {
    let files = Model::default();
    files.make_directory(SESSION).unwrap();
    files.create(SESSION, &name(1, 1)).unwrap().write_at(bytes, 0).unwrap();
    let mut reader = Reader::open(&files, SESSION, Position::START, bound).unwrap();
    let (mut before, mut seen) = (Position::START, BTreeSet::new());
    while let Some(found) = reader.next().unwrap() {
        assert!(reader.position() > before, "the reader makes progress");
        before = reader.position();
        let Found::Frame(frame) = found else { continue };
        if let Some((ledger, body)) = reader.parts(&frame).unwrap() {
            let place = appended.iter().position(|appended| *appended == body[..]);
            assert!(ledger == b"branch"[..] && place.is_some(), "no frame is returned that was never appended");
            assert!(seen.insert(place), "twice");
        }
    }
}

proptest! {
    #[test]
    fn a_changed_segment_returns_only_appended_frames(
        lengths in proptest::collection::vec(0..400_usize, 1..12),
        changes in proptest::collection::vec(change(), 0..6),
    ) {
        let bodies: Vec<_> = lengths.iter().enumerate().map(|(number, length)| body(number, *length)).collect();
        let mut bytes = segment(&bodies);
        for change in &changes {
            apply(&mut bytes, change);
        }
        for bound in [Bound::Ended, Bound::Live] {
            check(&bytes, &bodies, bound);
        }
    }

    #[test]
    fn any_bytes_are_read_to_their_end(bytes in proptest::collection::vec(any::<u8>(), 0..3000)) {
        for bound in [Bound::Ended, Bound::Live] {
            check(&bytes, &[], bound);
        }
    }
}
