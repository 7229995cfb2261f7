//! Restores what identifies a running session if it is removed: its lock, its row, and the installation's key.
//!
//! A free lock says that the session is over: others would deliver its log, and remove it. So nothing is acknowledged
//! before the lock is there and held again.

use std::fs::File as StdFile;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use tokio::sync::Notify;

use crate::spool::{Disk, File, Files, Standing};
use crate::state::log::Log;
use crate::state::{self, Places, SessionLock};
use crate::system::file_identity::{FileIdentity, file_identity};

/// Keeps a session's lock where others look for it.
#[derive(Debug)]
pub(super) struct Guard {
    places: Places,
    lock: PathBuf,
    key: Option<[u8; 32]>,
    held: Mutex<Held>,
    /// Notified each time the lock had been removed.
    pub(super) taken_again: Notify,
    log: Log,
}

/// The lock that is held: the keeper's, or the worker's own in its place.
#[derive(Debug, Default)]
struct Held {
    file: Option<FileIdentity>,
    _own: Option<SessionLock>,
}

impl Guard {
    /// The guard of a session whose keeper holds the lock. `key` is the installation's key, if the session depends on it.
    pub(super) fn new(places: &Places, session: &str, key: Option<[u8; 32]>, log: &Log) -> Arc<Self> {
        let lock = places.lock(session);
        let file = if SessionLock::is_held(&lock) { file_identity(&lock) } else { None };
        Arc::new(Self {
            places: places.clone(),
            lock,
            key,
            held: Mutex::new(Held { file, _own: None }),
            taken_again: Notify::new(),
            log: log.clone(),
        })
    }

    /// Restores the lock if it was removed. Fails if another process has taken the lock: until it releases it, that
    /// process considers the session ended.
    pub(super) fn ensure(&self) -> io::Result<()> {
        let mut held = self.held.lock().unwrap_or_else(PoisonError::into_inner);
        let there = file_identity(&self.lock);
        if there.is_some() && there == held.file {
            return Ok(());
        }
        self.restore_key();
        // If there can be no lock, other processes cannot take it either.
        if state::private_directory(&self.places.locks()).is_err() {
            return Ok(());
        }
        match SessionLock::take(&self.lock) {
            Ok(Some(own)) => {
                *held = Held { file: file_identity(&self.lock), _own: Some(own) };
                self.log.note("the session's lock was removed, and is taken again");
                self.taken_again.notify_one();
                Ok(())
            }
            Ok(None) => Err(io::Error::other("another process considers the session ended")),
            Err(_) => Ok(()),
        }
    }

    /// Restores the key that identifies the session's data, if it was removed.
    pub(super) fn restore_key(&self) {
        if let Some(key) = &self.key
            && std::fs::symlink_metadata(self.places.key()).is_err()
            && state::private_directory(&self.places.state).is_ok()
        {
            drop(state::create(&self.places.key(), key));
        }
    }

    /// The path of the lock.
    pub(super) fn path(&self) -> &Path {
        &self.lock
    }
}

/// The spool of a session. It acknowledges nothing while the session's lock is missing.
#[derive(Clone, Debug)]
pub(super) struct GuardedDisk {
    disk: Disk,
    root: PathBuf,
    guard: Arc<Guard>,
}

impl GuardedDisk {
    pub(super) fn new(root: &Path, guard: &Arc<Guard>) -> Self {
        Self { disk: Disk::new(root), root: root.to_owned(), guard: Arc::clone(guard) }
    }

    fn guarded(&self, session: &str, name: &str, file: StdFile) -> GuardedFile {
        GuardedFile { file, path: self.root.join(session).join(name), guard: Arc::clone(&self.guard) }
    }
}

/// A segment of a guarded spool.
#[derive(Debug)]
pub(super) struct GuardedFile {
    file: StdFile,
    path: PathBuf,
    guard: Arc<Guard>,
}

impl Files for GuardedDisk {
    type File = GuardedFile;

    fn make_directory(&self, session: &str) -> io::Result<()> {
        self.guard.ensure()?;
        self.disk.make_directory(session)
    }

    fn create(&self, session: &str, name: &str) -> io::Result<GuardedFile> {
        Ok(self.guarded(session, name, self.disk.create(session, name)?))
    }

    fn open(&self, session: &str, name: &str) -> io::Result<GuardedFile> {
        Ok(self.guarded(session, name, self.disk.open(session, name)?))
    }

    fn list(&self, session: &str) -> io::Result<Vec<String>> {
        self.disk.list(session)
    }

    fn seal(&self, session: &str, name: &str) -> io::Result<()> {
        self.disk.seal(session, name)
    }

    fn remove(&self, session: &str, name: &str) -> io::Result<()> {
        self.disk.remove(session, name)
    }

    fn sync_directory(&self, session: &str) -> io::Result<()> {
        self.disk.sync_directory(session)
    }

    fn remove_directory(&self, session: &str) -> io::Result<()> {
        self.disk.remove_directory(session)
    }

    fn sessions(&self) -> io::Result<Vec<String>> {
        self.disk.sessions()
    }

    fn is_filled(&self) -> bool {
        self.disk.is_filled()
    }
}

impl File for GuardedFile {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        File::read_at(&self.file, buffer, offset)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        File::write_at(&self.file, bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.file.sync()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.file.truncate(length)
    }

    fn length(&self) -> io::Result<u64> {
        self.file.length()
    }

    /// Checks the lock first: once it is held again, no other process removes the segment.
    fn standing(&self) -> io::Result<Standing> {
        self.guard.ensure()?;
        let own = self.file.metadata()?;
        // A segment that was moved, alone or with its directory, is in a place that no process reads.
        if file_identity(&self.path) != Some((own.dev(), own.ino())) {
            return Ok(Standing::Unlinked);
        }
        self.file.standing()
    }
}

/// Waits until the file at a path is removed or moved. Returns true if it is gone, or false at once if that cannot be
/// observed.
#[cfg(target_os = "linux")]
pub(super) async fn gone(path: &Path) -> bool {
    use std::os::fd::OwnedFd;

    use nix::sys::inotify::{AddWatchFlags, InitFlags, Inotify};
    use tokio::io::unix::AsyncFd;

    let Ok(watching) = Inotify::init(InitFlags::IN_NONBLOCK | InitFlags::IN_CLOEXEC) else { return false };
    // Unlinking an open file does not delete it, but changes its attributes.
    let flags = AddWatchFlags::IN_ATTRIB | AddWatchFlags::IN_DELETE_SELF | AddWatchFlags::IN_MOVE_SELF;
    if watching.add_watch(path, flags).is_err() {
        return !path.exists();
    }
    #[expect(deprecated, reason = "what replaces it needs unsafe code, and a descriptor that is owned stays open")]
    let Ok(descriptor) = AsyncFd::new(OwnedFd::from(watching)) else { return false };
    descriptor.readable().await.is_ok()
}

/// On other systems only the next export notices.
#[cfg(not(target_os = "linux"))]
pub(super) async fn gone(_path: &Path) -> bool {
    false
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spool::{Entry, Writer};

    fn guarded(root: &Path) -> (Places, SessionLock, Arc<Guard>) {
        let places = Places::below(root);
        state::private_directory(&places.locks()).unwrap();
        let lock = SessionLock::begin(&places.lock("one")).unwrap();
        let log = Log::of(&places, "one");
        let guard = Guard::new(&places, "one", Some([7; 32]), &log);
        (places, lock, guard)
    }

    #[test]
    fn a_removed_lock_is_taken_again_and_the_key_is_restored() {
        let directory = tempfile::tempdir().unwrap();
        let (places, _keepers, guard) = guarded(directory.path());
        let before = file_identity(guard.path());
        guard.ensure().unwrap();
        assert_eq!(file_identity(guard.path()), before, "nothing has happened");
        std::fs::remove_dir_all(&places.state).unwrap();
        guard.ensure().unwrap();
        assert!(SessionLock::is_held(guard.path()));
        assert_eq!(std::fs::read(places.key()).unwrap(), [7; 32]);
        // With a file in place of the directory, no lock can be taken.
        std::fs::remove_dir_all(places.locks()).unwrap();
        std::fs::write(places.locks(), "").unwrap();
        guard.ensure().unwrap();
    }

    #[test]
    fn nothing_is_acknowledged_while_another_process_ends_the_session() {
        let directory = tempfile::tempdir().unwrap();
        let (places, _keepers, guard) = guarded(directory.path());
        let mut writer = Writer::new(GuardedDisk::new(&places.spool(), &guard), "one", 1, Vec::new());
        let entry = Entry {
            signal: crate::otlp::Signal::Logs,
            time: 0,
            records: 1,
            refused: 0,
            ledger: b"",
            body: b"\x0a\x00",
        };
        writer.append(&[entry]).remove(0).unwrap();
        std::fs::remove_file(guard.path()).unwrap();
        let other = SessionLock::take(guard.path()).unwrap().unwrap();
        assert!(writer.append(&[entry]).remove(0).is_err());
        other.remove(guard.path());
        let end = writer.append(&[entry]).remove(0).unwrap();
        assert!(SessionLock::is_held(guard.path()));
        // A spool that is moved away is created again.
        std::fs::rename(places.spool(), directory.path().join("elsewhere")).unwrap();
        assert!(writer.append(&[entry]).remove(0).unwrap() > end);
        assert_eq!(std::fs::read_dir(places.spool().join("one")).unwrap().count(), 1);
    }
}
