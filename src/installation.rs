//! Which installation this is: told apart from every other that may send totals to the same destination.

use std::os::unix::ffi::OsStrExt;

use nix::unistd::{geteuid, gethostname};

use crate::digest::digest;
use crate::surroundings::Places;
use crate::totals::Installation;

/// Where a machine's identity is, if it has one (machine-id(5), which asks that it is only ever given away as a hash).
const MACHINE_ID: [&str; 2] = ["/etc/machine-id", "/var/lib/dbus/machine-id"];

/// A digest of this machine, this user and where the state is: the same for as long as these are, whatever becomes of
/// the state itself, and nothing of it can be read from the digest.
///
/// The name of the host takes part beside the machine's identity: containers of one image often share the latter. Where
/// there is none (macOS) it stands alone.
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
    fn it_stays_the_same_and_tells_states_apart() {
        let places = |path: &str| installation(&Places::below(Path::new(path)));
        assert_eq!(places("/one"), places("/one"));
        assert_ne!(places("/one"), places("/two"));
    }
}
