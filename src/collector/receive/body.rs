//! A request's body: read, bounded in size and time, and what is left of one that is refused.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, timeout, timeout_at};

use super::encoding::Encoding;
use super::guest::UnderWay;
use super::refusal::Refusal;
use super::room::{MAXIMUM, Room, SMALL};
use crate::otlp::{GzipError, Signal, gunzip};

/// How long a body may take as a whole.
const WHOLE: Duration = Duration::from_mins(1);

/// How long nothing of a body may come.
const STALLED: Duration = Duration::from_secs(10);

/// How much of a refused body is read, so that its sender comes to read the answer: bytes.
const DRAINED: usize = 256 << 20;

/// How long that may take.
const DRAINING: Duration = Duration::from_secs(10);

/// A body that is on its way.
pub(super) struct Upload {
    body: Incoming,
    /// Whether the client waits to be told that its body is wanted.
    is_held: bool,
}

impl Upload {
    pub(super) fn new(head: &Parts, body: Incoming) -> Self {
        Self { body, is_held: head.headers.contains_key(EXPECT) }
    }

    /// Reads all of it, which may be `limit` bytes and may take until `deadline`.
    pub(super) async fn read(
        &mut self,
        limit: usize,
        deadline: Option<Instant>,
        room: &mut Room,
    ) -> Result<Bytes, Refusal> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(Refusal::TooLarge);
        }
        self.is_held = false;
        let end = Instant::now() + WHOLE;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        timeout_at(end, self.collect(limit, room)).await.unwrap_or(Err(Refusal::TooSlow))
    }

    async fn collect(&mut self, limit: usize, room: &mut Room) -> Result<Bytes, Refusal> {
        let mut bytes = Vec::new();
        while let Some(frame) = timeout(STALLED, self.body.frame()).await.map_err(|_| Refusal::TooSlow)? {
            let Ok(data) = frame.map_err(|_| Refusal::BrokenOff)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > limit {
                return Err(Refusal::TooLarge);
            }
            // What frames a message stands outside of the room.
            while length.min(MAXIMUM) > room.size() {
                room.widen().await?;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.into())
    }

    /// Reads what is left of a body that is refused, while the answer goes out. Many clients read nothing before they
    /// have written everything, and closing the connection before would take the answer away from them.
    pub(super) fn drain(self, under_way: UnderWay) {
        let mut body = self.body;
        if self.is_held || body.is_end_stream() {
            return;
        }
        tokio::spawn(async move {
            let _under_way = under_way;
            let mut drained = 0;
            let all = async {
                while let Some(Ok(frame)) = body.frame().await {
                    drained += frame.data_ref().map_or(0, Bytes::len);
                    if drained > DRAINED {
                        return;
                    }
                }
            };
            drop(timeout(DRAINING, all).await);
        });
    }
}

/// A message that was received whole, and the room it takes.
pub(super) struct Packed {
    pub(super) message: Bytes,
    pub(super) encoding: Encoding,
    pub(super) is_gzip: bool,
    pub(super) room: Room,
}

impl Packed {
    /// The message in protobuf and without its compression, which may not hide more than the limit.
    pub(super) async fn unpack(self, signal: Signal) -> Result<(Bytes, Room), Refusal> {
        let Self { message, encoding, is_gzip, mut room } = self;
        let plain = if is_gzip { decompressed(message, &mut room).await? } else { message };
        Ok((encoding.in_protobuf(signal, plain).await?, room))
    }
}

async fn decompressed(message: Bytes, room: &mut Room) -> Result<Bytes, Refusal> {
    loop {
        let (compressed, size) = (message.clone(), room.size());
        match aside(size, move || gunzip(&compressed, size)).await? {
            Ok(plain) => return Ok(plain.into()),
            Err(GzipError::TooLarge(_)) => room.widen().await?,
            Err(GzipError::Damaged(_)) => return Err(Refusal::NoGzip),
        }
    }
}

/// Does work on so many bytes, on another thread if others would have to wait for it.
pub(super) async fn aside<T: Send + 'static>(
    bytes: usize,
    work: impl FnOnce() -> T + Send + 'static,
) -> Result<T, Refusal> {
    if bytes <= SMALL { Ok(work()) } else { spawn_blocking(work).await.map_err(|_| Refusal::NotStored) }
}
