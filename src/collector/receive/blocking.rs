//! Runs slow work without delaying other connections.

use tokio::task::spawn_blocking;

use super::memory::SMALL;
use super::refusal::Refusal;

/// Runs work on this many bytes, on another thread if it would delay others.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= SMALL { Ok(work()) } else { spawn_blocking(work).await.map_err(|_| Refusal::NotStored) }
}
