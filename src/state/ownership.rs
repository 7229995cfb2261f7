//! Detects directories of other users. With `sudo -E`, HOME belongs to another user, and files that root creates there
//! are useless to that user.

use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::geteuid;

/// The directory of another user that is `path`, or in which root would create it. The check is only for root, because
/// other users write only where they have permission.
pub fn foreign(path: &Path) -> Option<PathBuf> {
    if !geteuid().is_root() {
        return None;
    }
    let (there, metadata) = path.ancestors().find_map(|there| Some((there, there.metadata().ok()?)))?;
    (metadata.uid() != 0).then(|| there.to_owned())
}
