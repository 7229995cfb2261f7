//! Room for what is received: how much of it is in memory at once, over all requests together.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::timeout;

use super::refusal::Refusal;

/// How large a request may be, compressed and, above all, not: bytes.
pub(super) const MAXIMUM: usize = 64 << 20;

/// What is not worth a thread of its own to work on: bytes.
pub(super) const SMALL: usize = 64 << 10;

/// The sizes of rooms in bytes, and how many there are of each: 16, 24 and 64 MiB together. Almost every request fits
/// the first. One that does not goes on to the next and keeps its place, so that those in the last room never wait for
/// anybody, and nobody waits for ever.
const ROOMS: [(usize, usize); 3] = [(SMALL, 256), (4 << 20, 6), (MAXIMUM, 1)];

/// How long a request waits for room. One that is not read does not cost anything.
const WAIT: Duration = Duration::from_secs(10);

/// All the room there is.
#[derive(Debug)]
pub(super) struct Rooms {
    places: [Arc<Semaphore>; ROOMS.len()],
}

impl Default for Rooms {
    fn default() -> Self {
        Self { places: ROOMS.map(|(_, count)| Arc::new(Semaphore::new(count))) }
    }
}

/// The room that one request has, until it is dropped.
#[derive(Debug)]
pub(super) struct Room {
    rooms: Arc<Rooms>,
    places: Vec<OwnedSemaphorePermit>,
}

impl Room {
    /// Waits for a small one.
    pub(super) async fn enter(rooms: &Arc<Rooms>) -> Result<Self, Refusal> {
        let mut room = Self { rooms: Arc::clone(rooms), places: Vec::new() };
        room.widen().await?;
        Ok(room)
    }

    /// How many bytes fit: of the body, and again of what it is decompressed to.
    pub(super) fn size(&self) -> usize {
        self.places.len().checked_sub(1).and_then(|last| ROOMS.get(last)).map_or(0, |(size, _)| *size)
    }

    /// Waits for the next larger one. There is none beyond what a request may be.
    pub(super) async fn widen(&mut self) -> Result<(), Refusal> {
        let next = self.rooms.places.get(self.places.len()).ok_or(Refusal::TooLarge)?;
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
    async fn a_request_grows_up_to_the_limit_and_gives_everything_back() {
        let rooms = Arc::default();
        let mut room = Room::enter(&rooms).await.unwrap();
        let mut sizes = vec![room.size()];
        while room.widen().await.is_ok() {
            sizes.push(room.size());
        }
        assert_eq!(sizes, [64 << 10, 4 << 20, 64 << 20]);
        assert_eq!(room.widen().await, Err(Refusal::TooLarge));
        drop(room);
        let free: Vec<_> = rooms.places.iter().map(|places| places.available_permits()).collect();
        assert_eq!(free, ROOMS.map(|(_, count)| count));
    }

    #[tokio::test(start_paused = true)]
    async fn one_that_finds_no_room_is_asked_to_come_again() {
        let rooms = Arc::default();
        let mut first = Room::enter(&rooms).await.unwrap();
        let mut second = Room::enter(&rooms).await.unwrap();
        for room in [&mut first, &mut second] {
            room.widen().await.unwrap();
        }
        first.widen().await.unwrap();
        assert_eq!(second.widen().await, Err(Refusal::Busy));
        drop(first);
        assert_eq!(second.widen().await, Ok(()));
    }
}
