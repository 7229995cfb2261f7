//! Signals as something to read: all that can be caught.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
#[cfg(target_os = "linux")]
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that say of a process what it did itself, and end it even when they are blocked. Nobody passes them on.
const FAULTS: [Signal; 7] =
    [Signal::SIGABRT, Signal::SIGBUS, Signal::SIGFPE, Signal::SIGILL, Signal::SIGSEGV, Signal::SIGSYS, Signal::SIGTRAP];

/// A signal that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Caught {
    /// Which.
    pub(super) signal: Signal,
    /// Whether a process sent it, to us or to our process group; else the kernel did, as it does for a terminal.
    pub(super) by_a_process: bool,
}

impl Caught {
    /// Whether somebody wants whoever got it to end, a terminal included.
    pub(super) fn asks_to_end(self) -> bool {
        matches!(self.signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT | Signal::SIGHUP)
    }
}

/// Signals held back, so that what has been begun can be taken back. They act again once this is dropped.
pub struct Interrupts {
    signals: Signals,
    before: SigSet,
}

impl Interrupts {
    /// Holds them back from now on, in this thread and in those that it starts.
    pub fn hold() -> nix::Result<Self> {
        let (signals, before) = Signals::block()?;
        Ok(Self { signals, before })
    }

    /// Whether somebody has asked us to end since.
    pub fn came(&mut self) -> bool {
        self.signals.take().iter().any(|caught| caught.asks_to_end())
    }
}

impl Drop for Interrupts {
    fn drop(&mut self) {
        let _kept_back = self.before.thread_set_mask();
    }
}

fn caught() -> SigSet {
    let mut signals = SigSet::all();
    for fault in FAULTS {
        signals.remove(fault);
    }
    signals
}

/// All of them, from now on.
#[cfg(target_os = "linux")]
pub(super) struct Signals(SignalFd);

#[cfg(target_os = "linux")]
impl Signals {
    /// Blocks them, and gives what was blocked before.
    pub(super) fn block() -> nix::Result<(Self, SigSet)> {
        let signals = caught();
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let descriptor = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok((Self(descriptor), before))
    }

    /// Those that came and were not taken yet, but for SIGCHLD, which only wakes.
    pub(super) fn take(&mut self) -> Vec<Caught> {
        let mut all = Vec::new();
        while let Ok(Some(information)) = self.0.read_signal() {
            let signal = i32::try_from(information.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            // signal(7) calls positive codes the kernel's.
            let by_a_process = information.ssi_code <= 0;
            all.extend(signal.map(|signal| Caught { signal, by_a_process }));
        }
        all.retain(|caught| caught.signal != Signal::SIGCHLD);
        all
    }
}

#[cfg(target_os = "linux")]
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

/// The same through a thread that waits for them, where it is not said who sent one: what terminals send is taken for
/// theirs if there is one.
#[cfg(not(target_os = "linux"))]
pub(super) struct Signals(std::os::unix::net::UnixStream);

#[cfg(not(target_os = "linux"))]
impl Signals {
    pub(super) fn block() -> nix::Result<(Self, SigSet)> {
        let signals = caught();
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let broken = |error: std::io::Error| error.raw_os_error().map_or(nix::Error::EIO, nix::Error::from_raw);
        let (reader, mut writer) = std::os::unix::net::UnixStream::pair().map_err(broken)?;
        reader.set_nonblocking(true).map_err(broken)?;
        let pass = move || {
            while let Ok(signal) = signals.wait() {
                if std::io::Write::write_all(&mut writer, &(signal as i32).to_ne_bytes()).is_err() {
                    return;
                }
            }
        };
        std::thread::Builder::new().spawn(pass).map_err(broken)?;
        Ok((Self(reader), before))
    }

    pub(super) fn take(&mut self) -> Vec<Caught> {
        let (mut all, mut number) = (Vec::new(), [0; 4]);
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        while std::io::Read::read_exact(&mut self.0, &mut number).is_ok() {
            let Ok(signal) = Signal::try_from(i32::from_ne_bytes(number)) else { continue };
            let of_terminals = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGWINCH];
            all.push(Caught { signal, by_a_process: !(has_terminal && of_terminals.contains(&signal)) });
        }
        all.retain(|caught| caught.signal != Signal::SIGCHLD);
        all
    }
}

#[cfg(not(target_os = "linux"))]
impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}
