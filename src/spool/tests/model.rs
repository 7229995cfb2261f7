//! A file system that separates synced from unsynced data, so that a test can cut the power.

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard};

use crate::spool::{File, Files, Standing};

/// The unit that a disk writes whole, in bytes.
const SECTOR: usize = 512;

type Name = (String, String);

#[derive(Clone, Debug)]
enum Change {
    Write { offset: usize, bytes: Vec<u8> },
    Truncate(usize),
}

#[derive(Clone, Debug, Default)]
struct Inode {
    content: Vec<u8>,
    synced: Vec<u8>,
    /// Changes since the last sync.
    pending: Vec<Change>,
    is_sealed: bool,
}

#[derive(Clone, Debug, Default)]
struct State {
    inodes: Vec<Inode>,
    names: BTreeMap<Name, usize>,
    synced_names: BTreeMap<Name, usize>,
    directories: BTreeSet<String>,
    /// The number of calls that change something.
    calls: usize,
    /// The machine is dead from this call on.
    dead_from: Option<usize>,
    /// These calls fail.
    failing: BTreeMap<usize, io::ErrorKind>,
    /// The capacity of the disk for files, in bytes.
    capacity: Option<usize>,
}

/// The disk.
#[derive(Clone, Debug, Default)]
pub(super) struct Model(Arc<Mutex<State>>);

/// Pseudo-random numbers, the same for the same seed.
pub(super) struct Random(pub(super) u64);

impl Random {
    pub(super) fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % end.max(1) as u64).unwrap()
    }

    fn coin(&mut self) -> bool {
        self.below(2) == 0
    }
}

impl Model {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap()
    }

    pub(super) fn calls(&self) -> usize {
        self.state().calls
    }

    pub(super) fn die_at(&self, call: usize) {
        self.state().dead_from = Some(call);
    }

    /// Makes the call after this many more fail.
    pub(super) fn fail_in(&self, calls: usize, kind: io::ErrorKind) {
        let mut state = self.state();
        let call = state.calls + calls;
        state.failing.insert(call, kind);
    }

    pub(super) fn limit(&self, bytes: Option<usize>) {
        self.state().capacity = bytes;
    }

    /// Removes everything, as `rm -rf` does.
    pub(super) fn unlink_all(&self) {
        let mut state = self.state();
        state.names.clear();
        state.synced_names.clear();
        state.directories.clear();
    }

    /// The content after the machine is back: any part of the unsynced data, torn between sectors.
    pub(super) fn after_power_loss(&self, random: &mut Random) -> Self {
        let state = self.state();
        let mut after = State { directories: state.directories.clone(), ..State::default() };
        for inode in &state.inodes {
            let mut content = inode.synced.clone();
            for change in &inode.pending {
                match change {
                    Change::Truncate(length) if random.coin() => content.resize(*length, 0),
                    Change::Truncate(_) => {}
                    Change::Write { offset, bytes } => tear(&mut content, *offset, bytes, random),
                }
            }
            let is_sealed = inode.is_sealed;
            after.inodes.push(Inode { synced: content.clone(), content, pending: Vec::new(), is_sealed });
        }
        let all: BTreeSet<_> = state.names.keys().chain(state.synced_names.keys()).collect();
        for name in all {
            let (now, synced) = (state.names.get(name), state.synced_names.get(name));
            let kept = if now == synced || random.coin() { now } else { synced };
            after.names.extend(kept.map(|inode| (name.clone(), *inode)));
        }
        after.synced_names = after.names.clone();
        Self(Arc::new(Mutex::new(after)))
    }

    /// Flips a bit of a file; returns false if there is none.
    pub(super) fn flip(&self, random: &mut Random) -> bool {
        let mut state = self.state();
        let files: Vec<_> = state.names.values().copied().collect();
        let Some(inode) = files.get(random.below(files.len())).copied() else { return false };
        let content = &mut state.inodes[inode].content;
        if content.is_empty() {
            return false;
        }
        let at = random.below(content.len());
        content[at] ^= 1 << random.below(8);
        true
    }
}

fn tear(content: &mut Vec<u8>, offset: usize, bytes: &[u8], random: &mut Random) {
    let mut at = offset;
    let end = offset + bytes.len();
    while at < end {
        let next = ((at / SECTOR + 1) * SECTOR).min(end);
        if random.coin() {
            put(content, at, &bytes[at - offset..next - offset]);
        }
        at = next;
    }
}

fn put(content: &mut Vec<u8>, offset: usize, bytes: &[u8]) {
    if content.len() < offset + bytes.len() {
        content.resize(offset + bytes.len(), 0);
    }
    content[offset..offset + bytes.len()].copy_from_slice(bytes);
}

impl State {
    /// Counts a call that changes something.
    fn call(&mut self) -> io::Result<()> {
        let call = self.calls;
        self.calls += 1;
        if self.dead_from.is_some_and(|dead| call >= dead) {
            return Err(io::Error::other("the machine is dead"));
        }
        self.failing.remove(&call).map_or(Ok(()), |kind| Err(kind.into()))
    }
}

/// An open file.
#[derive(Debug)]
pub(super) struct Handle {
    model: Model,
    inode: usize,
}

impl File for Handle {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let state = self.model.state();
        let content = &state.inodes[self.inode].content;
        let from = usize::try_from(offset).unwrap().min(content.len());
        let length = buffer.len().min(content.len() - from);
        buffer[..length].copy_from_slice(&content[from..from + length]);
        Ok(length)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        let mut state = self.model.state();
        let failed = state.call();
        let offset = usize::try_from(offset).unwrap();
        let used: usize = state.inodes.iter().map(|inode| inode.content.len()).sum();
        let more = (offset + bytes.len()).saturating_sub(state.inodes[self.inode].content.len());
        let is_full = state.capacity.is_some_and(|capacity| used + more > capacity);
        // A write that fails has written a part.
        let length = if failed.is_err() || is_full { bytes.len() / 2 } else { bytes.len() };
        let inode = &mut state.inodes[self.inode];
        put(&mut inode.content, offset, &bytes[..length]);
        inode.pending.push(Change::Write { offset, bytes: bytes[..length].to_vec() });
        failed?;
        if is_full { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&self) -> io::Result<()> {
        let mut state = self.model.state();
        if let Err(error) = state.call() {
            // The kernel treats data that it could not write as written: no later sync brings it to the disk.
            if state.dead_from.is_none() {
                state.inodes[self.inode].pending.clear();
            }
            return Err(error);
        }
        let inode = &mut state.inodes[self.inode];
        // Data that an earlier sync lost stays lost.
        for change in std::mem::take(&mut inode.pending) {
            match change {
                Change::Write { offset, bytes } => put(&mut inode.synced, offset, &bytes),
                Change::Truncate(length) => inode.synced.resize(length, 0),
            }
        }
        Ok(())
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        let mut state = self.model.state();
        state.call()?;
        let length = usize::try_from(length).unwrap();
        let inode = &mut state.inodes[self.inode];
        inode.content.resize(length, 0);
        inode.pending.push(Change::Truncate(length));
        Ok(())
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.model.state().inodes[self.inode].content.len() as u64)
    }

    fn standing(&self) -> io::Result<Standing> {
        let state = self.model.state();
        Ok(match state.names.values().any(|inode| *inode == self.inode) {
            false => Standing::Unlinked,
            true if state.inodes[self.inode].is_sealed => Standing::Sealed,
            true => Standing::Good,
        })
    }
}

impl Files for Model {
    type File = Handle;

    fn make_directory(&self, session: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.directories.insert(session.to_owned());
        Ok(())
    }

    fn create(&self, session: &str, name: &str) -> io::Result<Handle> {
        let mut state = self.state();
        state.call()?;
        let key = (session.to_owned(), name.to_owned());
        if !state.directories.contains(session) {
            return Err(io::ErrorKind::NotFound.into());
        }
        if state.names.contains_key(&key) {
            return Err(io::ErrorKind::AlreadyExists.into());
        }
        let inode = state.inodes.len();
        state.inodes.push(Inode::default());
        state.names.insert(key, inode);
        Ok(Handle { model: self.clone(), inode })
    }

    fn open(&self, session: &str, name: &str) -> io::Result<Handle> {
        let state = self.state();
        let inode = state.names.get(&(session.to_owned(), name.to_owned())).copied();
        inode.map(|inode| Handle { model: self.clone(), inode }).ok_or_else(|| io::ErrorKind::NotFound.into())
    }

    fn list(&self, session: &str) -> io::Result<Vec<String>> {
        let state = self.state();
        Ok(state.names.keys().filter(|(of, _)| of == session).map(|(_, name)| name.clone()).collect())
    }

    fn seal(&self, session: &str, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let inode = state.names.get(&(session.to_owned(), name.to_owned())).copied();
        state.inodes[inode.ok_or(io::ErrorKind::NotFound)?].is_sealed = true;
        Ok(())
    }

    fn remove(&self, session: &str, name: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        let inode = state.names.remove(&(session.to_owned(), name.to_owned()));
        if let Some(inode) = inode {
            state.inodes[inode].content.clear();
        }
        Ok(())
    }

    fn sync_directory(&self, _session: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.synced_names = state.names.clone();
        Ok(())
    }

    fn remove_directory(&self, session: &str) -> io::Result<()> {
        let mut state = self.state();
        state.call()?;
        state.directories.remove(session);
        Ok(())
    }

    fn sessions(&self) -> io::Result<Vec<String>> {
        Ok(self.state().directories.iter().cloned().collect())
    }

    fn is_filled(&self) -> bool {
        true
    }
}
