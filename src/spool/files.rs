//! The spool's requirements of a file system, small enough to be modelled, and the real file system.

use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::os::unix::fs::{DirBuilderExt, FileExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::takeover::Standing;

/// The mode of a sealed segment, to which nothing more is written.
const SEALED: u32 = 0o400;

/// The mode bit for writing by the owner.
const WRITABLE: u32 = 0o200;

/// A file of a session's directory.
pub trait File: Send {
    /// Reads at an offset and returns the number of bytes, which is smaller than requested only at the end.
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize>;
    /// Writes all bytes at an offset.
    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()>;
    /// Syncs the written bytes and the length to the disk.
    fn sync(&self) -> io::Result<()>;
    /// Truncates the file.
    fn truncate(&self, length: u64) -> io::Result<()>;
    /// The length of the file.
    fn length(&self) -> io::Result<u64>;
    /// Whether any name still leads to the file, and whether it is sealed.
    fn standing(&self) -> io::Result<Standing>;
}

/// The directories of all sessions, one each.
pub trait Files: Clone + Send + 'static {
    /// An open file.
    type File: File + 'static;
    /// Makes a session's directory and syncs its name to the disk. The directory may exist.
    fn make_directory(&self, session: &str) -> io::Result<()>;
    /// Creates a file that must not exist.
    fn create(&self, session: &str, name: &str) -> io::Result<Self::File>;
    /// Opens a file for reading.
    fn open(&self, session: &str, name: &str) -> io::Result<Self::File>;
    /// The names in a session's directory; empty if there is no directory.
    fn list(&self, session: &str) -> io::Result<Vec<String>>;
    /// Marks a file as closed to writing, also for processes that have it open.
    fn seal(&self, session: &str, name: &str) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, session: &str, name: &str) -> io::Result<()>;
    /// Syncs the names in a session's directory to the disk.
    fn sync_directory(&self, session: &str) -> io::Result<()>;
    /// Removes a session's directory, which must be empty.
    fn remove_directory(&self, session: &str) -> io::Result<()>;
    /// The sessions that have a directory.
    fn sessions(&self) -> io::Result<Vec<String>>;
    /// Whether filling a file with zeros before use is worthwhile.
    fn is_filled(&self) -> bool;
}

/// The directory `spool/`.
#[derive(Clone, Debug)]
pub struct Disk {
    root: Arc<Path>,
}

impl Disk {
    /// The spool in this directory, which is created with the first session's directory.
    pub fn new(root: &Path) -> Self {
        Self { root: root.into() }
    }

    fn directory(&self, session: &str) -> PathBuf {
        self.root.join(session)
    }

    /// The number of bytes that all segments of all sessions take on the disk.
    pub fn bytes(&self) -> u64 {
        let sessions = self.sessions().unwrap_or_default();
        sessions.iter().map(|session| self.bytes_of(session)).sum()
    }

    fn bytes_of(&self, session: &str) -> u64 {
        let entries = fs::read_dir(self.directory(session)).into_iter().flatten().flatten();
        // `st_blocks` counts units of 512 bytes (stat(2)).
        entries.filter_map(|entry| Some(entry.metadata().ok()?.blocks().saturating_mul(512))).sum()
    }

    /// Opens a segment of an ended session to overwrite erased requests.
    pub(super) fn open_to_erase(&self, session: &str, name: &str) -> io::Result<fs::File> {
        OpenOptions::new().read(true).write(true).open(self.directory(session).join(name))
    }

    /// The time of the last write to a segment.
    pub fn modified(&self, session: &str, name: &str) -> Option<std::time::SystemTime> {
        fs::metadata(self.directory(session).join(name)).and_then(|found| found.modified()).ok()
    }
}

impl Files for Disk {
    type File = fs::File;

    fn make_directory(&self, session: &str) -> io::Result<()> {
        let directory = self.directory(session);
        let missing = directory.ancestors().take_while(|path| !path.exists()).count();
        DirBuilder::new().recursive(true).mode(0o700).create(&directory)?;
        // A worker that made one of them may have died before its name was on the disk.
        for parent in directory.ancestors().skip(1).take(missing.max(2)) {
            fs::File::open(parent)?.sync_all()?;
        }
        Ok(())
    }

    fn create(&self, session: &str, name: &str) -> io::Result<fs::File> {
        let path = self.directory(session).join(name);
        OpenOptions::new().read(true).write(true).create_new(true).mode(0o600).open(path)
    }

    fn open(&self, session: &str, name: &str) -> io::Result<fs::File> {
        fs::File::open(self.directory(session).join(name))
    }

    fn list(&self, session: &str) -> io::Result<Vec<String>> {
        names(&self.directory(session))
    }

    fn seal(&self, session: &str, name: &str) -> io::Result<()> {
        fs::set_permissions(self.directory(session).join(name), fs::Permissions::from_mode(SEALED))
    }

    fn remove(&self, session: &str, name: &str) -> io::Result<()> {
        fs::remove_file(self.directory(session).join(name))
    }

    fn sync_directory(&self, session: &str) -> io::Result<()> {
        fs::File::open(self.directory(session))?.sync_all()
    }

    fn remove_directory(&self, session: &str) -> io::Result<()> {
        fs::remove_dir(self.directory(session))
    }

    fn sessions(&self) -> io::Result<Vec<String>> {
        names(&self.root)
    }

    fn is_filled(&self) -> bool {
        !copies_on_write(&self.root)
    }
}

fn names(directory: &Path) -> io::Result<Vec<String>> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries?,
    };
    Ok(entries.flatten().filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// Whether a file system writes overwritten data elsewhere, so that filling with zeros would gain nothing.
#[cfg(target_os = "linux")]
fn copies_on_write(path: &Path) -> bool {
    use nix::sys::statfs::{BTRFS_SUPER_MAGIC, FsType, statfs};

    /// The type of `OpenZFS`, which is not one of the kernel's.
    const ZFS: FsType = FsType(0x2fc1_2fc1);

    let there = path.ancestors().find(|path| path.exists());
    let found = there.and_then(|path| statfs(path).ok()).map(|found| found.filesystem_type());
    matches!(found, Some(found) if found == BTRFS_SUPER_MAGIC || found == ZFS)
}

/// APFS does.
#[cfg(not(target_os = "linux"))]
fn copies_on_write(_path: &Path) -> bool {
    true
}

impl File for fs::File {
    fn read_at(&self, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
        let mut done = 0;
        while done < buffer.len() {
            match FileExt::read_at(self, &mut buffer[done..], offset + done as u64) {
                Ok(0) => break,
                Ok(read) => done += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        Ok(done)
    }

    fn write_at(&self, bytes: &[u8], offset: u64) -> io::Result<()> {
        self.write_all_at(bytes, offset)
    }

    fn sync(&self) -> io::Result<()> {
        self.sync_data()
    }

    fn truncate(&self, length: u64) -> io::Result<()> {
        self.set_len(length)
    }

    fn length(&self) -> io::Result<u64> {
        Ok(self.metadata()?.len())
    }

    fn standing(&self) -> io::Result<Standing> {
        let found = self.metadata()?;
        Ok(match (found.nlink(), found.mode() & WRITABLE) {
            (0, _) => Standing::Unlinked,
            (_, 0) => Standing::Sealed,
            _ => Standing::Good,
        })
    }
}
