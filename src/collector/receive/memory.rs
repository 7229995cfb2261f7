//! Memory permits: how many bytes of requests are in memory at once, over all connections together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::Refusal;

/// How large a request may be, compressed and, above all, not: bytes.
pub(super) const MAXIMUM: usize = 64 << 20;

/// What is not worth a thread of its own to work on: bytes.
pub(super) const SMALL: usize = 64 << 10;

/// The sizes of permits in bytes, and how many there are of each: 16, 24 and 64 MiB together. Almost every request fits
/// the first. A larger one takes the next and keeps the ones it has, so that the holder of the last permit waits for no
/// other request, and no request waits forever.
const PERMITS: [(usize, usize); 3] = [(SMALL, 256), (4 << 20, 6), (MAXIMUM, 1)];

/// How long a request waits for a permit. A request that is not read costs nothing.
const WAIT: Duration = Duration::from_secs(10);

/// All permits of a collector.
#[derive(Debug)]
pub(super) struct MemoryPermits {
    places: [Arc<Semaphore>; PERMITS.len()],
}

impl Default for MemoryPermits {
    fn default() -> Self {
        Self { places: PERMITS.map(|(_, count)| Arc::new(Semaphore::new(count))) }
    }
}

/// The memory that one request may use, until it is dropped.
#[derive(Debug)]
pub(super) struct MemoryPermit {
    permits: Arc<MemoryPermits>,
    places: Vec<OwnedSemaphorePermit>,
}

impl MemoryPermit {
    /// Waits for the smallest permit.
    pub(super) async fn enter(permits: &Arc<MemoryPermits>) -> Result<Self, Refusal> {
        let mut permit = Self { permits: Arc::clone(permits), places: Vec::new() };
        permit.widen().await?;
        Ok(permit)
    }

    /// How many bytes fit: of the body, and again of what it is decompressed to.
    pub(super) fn size(&self) -> usize {
        self.places.len().checked_sub(1).and_then(|last| PERMITS.get(last)).map_or(0, |(size, _)| *size)
    }

    /// Waits for the next larger permit. There is none beyond the largest request.
    pub(super) async fn widen(&mut self) -> Result<(), Refusal> {
        let next = self.permits.places.get(self.places.len()).ok_or(Refusal::TooLarge)?;
        let place = timeout(WAIT, Arc::clone(next).acquire_owned()).await;
        // The semaphore is never closed.
        self.places.push(place.map_err(|_| Refusal::Busy)?.map_err(|_| Refusal::Busy)?);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_request_grows_up_to_the_limit_and_releases_all_memory() {
        let permits = Arc::default();
        let mut permit = MemoryPermit::enter(&permits).await.unwrap();
        let mut sizes = vec![permit.size()];
        while permit.widen().await.is_ok() {
            sizes.push(permit.size());
        }
        assert_eq!(sizes, [64 << 10, 4 << 20, 64 << 20]);
        assert_eq!(permit.widen().await, Err(Refusal::TooLarge));
        drop(permit);
        let free: Vec<_> = permits.places.iter().map(|places| places.available_permits()).collect();
        assert_eq!(free, PERMITS.map(|(_, count)| count));
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_without_a_permit_is_told_to_retry() {
        let permits = Arc::default();
        let mut first = MemoryPermit::enter(&permits).await.unwrap();
        let mut second = MemoryPermit::enter(&permits).await.unwrap();
        for permit in [&mut first, &mut second] {
            permit.widen().await.unwrap();
        }
        first.widen().await.unwrap();
        assert_eq!(second.widen().await, Err(Refusal::Busy));
        drop(first);
        assert_eq!(second.widen().await, Ok(()));
    }
}
