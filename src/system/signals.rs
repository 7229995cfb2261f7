//! All signals that can be caught, as a readable descriptor.

use std::os::fd::{AsFd, BorrowedFd};

use nix::sys::signal::{SigSet, SigmaskHow, Signal, raise};
#[cfg(target_os = "linux")]
use nix::sys::signalfd::{SfdFlags, SignalFd};

/// Signals that report a process's own fault and end it even when blocked, or that a write beyond a limit raises. They
/// are not passed on.
const FAULTS: [Signal; 8] = [
    Signal::SIGABRT,
    Signal::SIGBUS,
    Signal::SIGFPE,
    Signal::SIGILL,
    Signal::SIGSEGV,
    Signal::SIGSYS,
    Signal::SIGTRAP,
    Signal::SIGXFSZ,
];

/// A signal that arrived.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CaughtSignal {
    /// The signal.
    pub signal: Signal,
    /// Whether a process sent it, to this process or its group. Otherwise the kernel did, as for a terminal.
    pub by_a_process: bool,
}

impl CaughtSignal {
    /// Whether the signal asks its receiver to exit, including hang-ups of the terminal.
    pub fn asks_to_end(self) -> bool {
        matches!(self.signal, Signal::SIGINT | Signal::SIGTERM | Signal::SIGQUIT | Signal::SIGHUP)
    }
}

/// Lets a blocked signal do what it does by default: end this process, or stop it until it is continued. A process
/// without a shell that could continue it is not stopped. Afterwards the signals are blocked again. `before` are the
/// signals that were blocked before.
pub fn obey(signal: Signal, before: &SigSet) -> nix::Result<()> {
    raise(signal)?;
    let blocked = SigSet::thread_get_mask()?;
    before.thread_set_mask()?;
    blocked.thread_set_mask()
}

/// Blocks signals while a change could still be undone. They take effect when this is dropped.
pub struct Interrupts {
    signals: Signals,
    before: SigSet,
}

impl Interrupts {
    /// Blocks them in this thread and in threads that it starts.
    pub fn hold() -> nix::Result<Self> {
        let (signals, before) = Signals::block()?;
        Ok(Self { signals, before })
    }

    /// Whether the user has asked to stop since.
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
pub struct Signals(SignalFd);

#[cfg(target_os = "linux")]
impl Signals {
    /// Blocks them, and returns what was blocked before.
    pub fn block() -> nix::Result<(Self, SigSet)> {
        let signals = caught();
        let before = signals.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let descriptor = SignalFd::with_flags(&signals, SfdFlags::SFD_NONBLOCK | SfdFlags::SFD_CLOEXEC)?;
        Ok((Self(descriptor), before))
    }

    /// Takes the signals that have arrived, except SIGCHLD, which only wakes the caller.
    pub fn take(&mut self) -> Vec<CaughtSignal> {
        let mut all = Vec::new();
        while let Ok(Some(information)) = self.0.read_signal() {
            let signal = i32::try_from(information.ssi_signo).ok().and_then(|number| Signal::try_from(number).ok());
            // signal(7): positive codes are from the kernel.
            let by_a_process = information.ssi_code <= 0;
            all.extend(signal.map(|signal| CaughtSignal { signal, by_a_process }));
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

/// The same through a thread that waits for signals, on systems that do not report the sender. If there is a terminal,
/// signals that terminals send are assumed to be from it.
#[cfg(not(target_os = "linux"))]
pub struct Signals(std::os::unix::net::UnixStream);

#[cfg(not(target_os = "linux"))]
impl Signals {
    /// Blocks them, and returns what was blocked before.
    pub fn block() -> nix::Result<(Self, SigSet)> {
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

    /// Takes the signals that have arrived, except SIGCHLD, which only wakes the caller.
    pub fn take(&mut self) -> Vec<CaughtSignal> {
        let (mut all, mut number) = (Vec::new(), [0; 4]);
        let has_terminal = std::fs::File::open("/dev/tty").is_ok();
        while std::io::Read::read_exact(&mut self.0, &mut number).is_ok() {
            let Ok(signal) = Signal::try_from(i32::from_ne_bytes(number)) else { continue };
            let of_terminals = [Signal::SIGINT, Signal::SIGQUIT, Signal::SIGTSTP, Signal::SIGWINCH];
            all.push(CaughtSignal { signal, by_a_process: !(has_terminal && of_terminals.contains(&signal)) });
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
