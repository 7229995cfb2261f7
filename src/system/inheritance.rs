//! Process attributes that `ccrun` changes for itself and restores for the launched program: whether SIGXFSZ is
//! blocked, and the file mode creation mask.

use std::sync::OnceLock;

use nix::sys::signal::{SigSet, Signal};
use nix::sys::stat::{Mode, umask};

/// The inherited attributes, once [`adjust`] has changed them.
static INHERITED: OnceLock<Inherited> = OnceLock::new();

struct Inherited {
    blocks_sigxfsz: bool,
    mask: Mode,
}

/// Changes both for this process, its threads and its children. Must be called first, while there is only one thread.
///
/// A write beyond the limit on file sizes (`ulimit -f`) ends a process by SIGXFSZ. If the signal is blocked, the write
/// fails with EFBIG instead, similar to a write on a full disk. A handler is not suitable, because `exec` resets it. A
/// program that inherited *ignored* would then see a different disposition.
///
/// A mask that removes permissions from the owner makes directories such as `~/.local` unusable.
pub fn adjust() {
    let blocks_sigxfsz = SigSet::thread_get_mask().is_ok_and(|blocked| blocked.contains(Signal::SIGXFSZ));
    let mask = umask(Mode::empty());
    INHERITED.get_or_init(|| Inherited { blocks_sigxfsz, mask });
    change(mask);
}

fn change(mask: Mode) {
    umask(mask & !Mode::S_IRWXU);
    // Fails only for an invalid set.
    let _blocked = sigxfsz().thread_block();
}

/// Runs `exec` with both as inherited. If `exec` fails and returns, both are changed again.
pub fn handing_on<T>(exec: impl FnOnce() -> T) -> T {
    let Some(inherited) = INHERITED.get() else { return exec() };
    umask(inherited.mask);
    if !inherited.blocks_sigxfsz {
        forget_pending();
        let _unblocked = sigxfsz().thread_unblock();
    }
    let result = exec();
    change(inherited.mask);
    result
}

fn sigxfsz() -> SigSet {
    SigSet::from_iter([Signal::SIGXFSZ])
}

/// Consumes the pending signal of a failed write. It would stay pending over `exec` and end the program.
#[cfg(target_os = "linux")]
fn forget_pending() {
    use nix::sys::signalfd::{SfdFlags, SignalFd};

    if let Ok(pending) = SignalFd::with_flags(&sigxfsz(), SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC) {
        while let Ok(Some(_)) = pending.read_signal() {}
    }
}

/// The same for systems that cannot report whether a signal is pending. It sends one itself, so that there is one to
/// wait for. An ignored signal never becomes pending, so the wait has a time limit.
#[cfg(not(target_os = "linux"))]
fn forget_pending() {
    let (done, taken) = std::sync::mpsc::channel();
    let wait = move || {
        let _pending = sigxfsz().wait();
        let _late = done.send(());
    };
    if std::thread::Builder::new().spawn(wait).is_ok() {
        // Sent to the process, so that any waiting thread receives it.
        let _sent = nix::sys::signal::kill(nix::unistd::getpid(), Signal::SIGXFSZ);
        let _taken = taken.recv_timeout(std::time::Duration::from_millis(100));
    }
}
