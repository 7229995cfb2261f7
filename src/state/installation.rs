//! Identifies an installation, to distinguish it from others that may send totals to the same destination.

use std::os::unix::ffi::OsStrExt;

use nix::unistd::{geteuid, gethostname};

use crate::state::Places;
use crate::system::digest::digest;
use crate::totals::Installation;

/// The files with a machine's identity, if it has one (machine-id(5), which requires that only a hash is shared).
const MACHINE_ID: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// A digest of this machine, this user and the state directory. It is stable while these stay the same, even if the
/// state itself is lost, and reveals none of them.
///
/// It includes the host name in addition to the machine's identity, because containers of one image often share the
/// identity. Without an identity (macOS), the host name is used alone.
pub fn installation(places: &Places) -> Installation {
    let machine = MACHINE_ID.iter().find_map(|path| std::fs::read(path).ok()).unwrap_or_default();
    let host = gethostname().unwrap_or_default();
    let user = geteuid().as_raw().to_le_bytes();
    let state = places.state.as_os_str().as_bytes();
    Installation(digest(&[b"ccrun installation", machine.trim_ascii(), host.as_bytes(), &user, state]))
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_digest_is_stable_and_distinguishes_states() {
        let places = |path: &str| installation(&Places::below(Path::new(path)));
        assert_eq!(places("/one"), places("/one"));
        assert_ne!(places("/one"), places("/two"));
    }
}
