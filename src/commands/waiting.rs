//! Says what a slow command waits for: a keyring may show a dialog on another screen, or hang.

use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::Duration;

use super::complain;
use crate::terminal::printable::visible;

/// How long a command waits silently.
const SILENCE: Duration = Duration::from_secs(2);

/// Runs `act`, and says what it waits for if it takes long.
pub(super) fn waiting<T>(what: &str, act: impl FnOnce() -> T) -> T {
    let (done, ended) = mpsc::channel::<()>();
    let line = visible(&format!("waiting for {what}; press Ctrl-C to stop"));
    let tell = move || {
        if ended.recv_timeout(SILENCE) == Err(RecvTimeoutError::Timeout) {
            complain(&line);
        }
    };
    // If the thread cannot start, nothing is said and the command still works.
    let _thread = std::thread::Builder::new().spawn(tell);
    let result = act();
    drop(done);
    result
}
