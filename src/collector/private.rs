//! Protects the collector's memory, which contains destinations' secrets.

use nix::sys::resource::{Resource, setrlimit};

/// From now on, this process leaves no core dump, and on Linux no other process of the same user can read its memory,
/// environment or descriptors (prctl(2), `PR_SET_DUMPABLE`). Forked workers inherit both. Where the system supports
/// these calls they cannot fail, and elsewhere there is no alternative.
///
/// The process then cannot read its own `/proc/self/environ` either.
pub(super) fn keep_private() {
    let _limited = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    not_dumpable();
}

#[cfg(target_os = "linux")]
fn not_dumpable() {
    let _hidden = nix::sys::prctl::set_dumpable(false);
}

/// macOS lets only root and entitled debuggers access another process.
#[cfg(not(target_os = "linux"))]
fn not_dumpable() {}
