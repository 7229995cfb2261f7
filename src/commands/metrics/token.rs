//! The file with the token that scrapers send.

use std::fs::File;
use std::io::Read;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::Path;

use anyhow::{Context, Result, bail};
use nix::fcntl::OFlag;

use crate::secret::Secret;

/// How long a token may be, in bytes.
const LONGEST: u64 = 4096;

/// Reads the token. Only the owner may have access to its file.
pub(super) fn read(path: &Path) -> Result<Secret> {
    let read = || -> Result<Secret> {
        // Opening a pipe would wait for its writer.
        let mut file = File::options().read(true).custom_flags(OFlag::O_NONBLOCK.bits()).open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() {
            bail!("it is not a regular file");
        }
        if ![0, nix::unistd::geteuid().as_raw()].contains(&metadata.uid()) {
            bail!("it belongs to another user");
        }
        if metadata.mode() & 0o077 != 0 {
            bail!("other users can read it: `chmod 600` makes it yours alone");
        }
        let mut text = String::new();
        (&mut file).take(LONGEST + 1).read_to_string(&mut text)?;
        let token = text.trim_end_matches(['\n', '\r']);
        if token.is_empty() || token.len() as u64 > LONGEST || !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            bail!("it must contain one line of 1 to {LONGEST} visible ASCII characters");
        }
        Ok(token.into())
    };
    read().with_context(|| format!("cannot use the token file `{}`", path.display()))
}

#[cfg(test)]
mod tests {
    use std::fs::{self, Permissions};
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_a_private_file_has_a_token() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("token");
        let with = |content: &[u8], mode| {
            fs::write(&path, content).unwrap();
            fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
            read(&path).map(|token| token.expose().to_owned()).map_err(|error| format!("{error:#}"))
        };
        assert_eq!(with(b"abc\n", 0o600).as_deref(), Ok("abc"));
        assert_eq!(with(b"abc", 0o400).as_deref(), Ok("abc"));
        assert!(with(b"abc", 0o640).unwrap_err().contains("chmod 600"));
        for content in [&b""[..], b"\n", b"two words", b"two\nlines", b"\xff", &[b'a'; 4097]] {
            fs::set_permissions(&path, Permissions::from_mode(0o600)).unwrap();
            assert!(with(content, 0o600).is_err(), "{content:?}");
        }
        assert!(read(directory.path()).is_err() && read(&directory.path().join("none")).is_err());
    }
}
