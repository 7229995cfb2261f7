//! Keeping what the collector has in memory, destinations' secrets among it, out of the reach of others.

use nix::sys::resource::{Resource, setrlimit};

/// From here on this process leaves no core dump, and on Linux no other process of the same user can read its memory,
/// its environment or its descriptors (prctl(2), `PR_SET_DUMPABLE`). Forked workers inherit both. Neither can fail
/// where the system knows them, and where it does not there is nothing else to be done.
///
/// From then on its own `/proc/self/environ` is closed to it, too.
pub(super) fn keep_private() {
    let _limited = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    not_dumpable();
}

#[cfg(target_os = "linux")]
fn not_dumpable() {
    let _hidden = nix::sys::prctl::set_dumpable(false);
}

/// macOS lets nobody but root and debuggers that are entitled to it into another process.
#[cfg(not(target_os = "linux"))]
fn not_dumpable() {}
