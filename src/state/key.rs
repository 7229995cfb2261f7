//! The installation's key. It is used for fingerprints of destinations and hashes of redacted values.

use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::{Places, file, is_at, notice};
use crate::system::{bounded, random};

/// The length of a key, in bytes.
const LENGTH: usize = 32;

/// How often to retry if another process has just created or replaced the key.
const LOOKS: usize = 8;

/// The notice after a damaged key was replaced.
const REPLACED: &str = "the installation's key was damaged, as a power cut leaves it, and has been replaced: hashes made \
                        by `[redact]` differ from now on, and what waits for destinations is orphaned until `ccrun \
                        queue flush --to NAME` delivers it";

/// The installation's key, created by the first process that needs it. A damaged key is replaced, and a notice explains
/// the consequences.
pub fn key(places: &Places) -> Result<[u8; LENGTH]> {
    let path = places.key();
    let get = || -> Result<[u8; LENGTH]> {
        for _ in 0..LOOKS {
            match bounded::read(&path, LENGTH as u64 + 1) {
                Ok(bytes) => match usable(&bytes) {
                    Some(key) => return Ok(key),
                    None => replace(&path, places)?,
                },
                Err(error) if error.kind() == ErrorKind::NotFound => create(&path)?,
                Err(error) => return Err(error.into()),
            }
        }
        bail!("it changes all the time")
    };
    get().with_context(|| format!("cannot use the key `{}`", path.display()))
}

/// The key, unless the file is damaged. A power cut can leave it empty, short, or filled with zeros.
fn usable(bytes: &[u8]) -> Option<[u8; LENGTH]> {
    bytes.try_into().ok().filter(|key| *key != [0; LENGTH])
}

fn new() -> Result<[u8; LENGTH]> {
    let mut key = [0; LENGTH];
    random::fill(&mut key)?;
    Ok(key)
}

fn create(path: &Path) -> Result<()> {
    match file::create(path, &new()?) {
        Err(error) if error.kind() != ErrorKind::AlreadyExists => Err(error.into()),
        _ => Ok(()),
    }
}

/// Replaces a damaged key under a lock on its file, so that only one of several processes replaces it.
fn replace(path: &Path, places: &Places) -> Result<()> {
    let mut there = File::open(path)?;
    there.lock()?;
    let mut bytes = Vec::new();
    (&mut there).take(LENGTH as u64 + 1).read_to_end(&mut bytes)?;
    // Another process may have replaced it before or after this one opened it.
    if usable(&bytes).is_none() && is_at(&there, path)? {
        file::write(path, &new()?)?;
        notice::leave(places, REPLACED);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_damaged_key_is_replaced_by_one_key_and_one_notice() {
        for damaged in [&b""[..], b"short", &[0; LENGTH], &[7; LENGTH + 1]] {
            let directory = tempfile::tempdir().unwrap();
            let places = Places::below(directory.path());
            super::super::private_directory(&places.state).unwrap();
            fs::write(places.key(), damaged).unwrap();
            let keys: Vec<_> = std::thread::scope(|scope| {
                let asking: Vec<_> = (0..8).map(|_| scope.spawn(|| key(&places).unwrap())).collect();
                asking.into_iter().map(|asked| asked.join().unwrap()).collect()
            });
            assert!(keys.iter().all(|key| *key == keys[0]) && keys[0] != [0; LENGTH]);
            assert_eq!(fs::read(places.key()).unwrap(), keys[0]);
            let said = notice::take(&places);
            assert!(matches!(said.as_slice(), [only] if only.contains("`[redact]`") && only.contains("flush --to")));
        }
    }

    #[test]
    fn a_key_is_stable() {
        let directory = tempfile::tempdir().unwrap();
        let places = Places::below(directory.path());
        super::super::private_directory(&places.state).unwrap();
        assert_eq!(key(&places).unwrap(), key(&places).unwrap());
        assert!(notice::take(&places).is_empty());
    }
}
