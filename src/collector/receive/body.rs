//! A request's body, read with limits on size and time, and the rest of a rejected one.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::BodyExt;
use hyper::body::{Body, Incoming};
use hyper::header::EXPECT;
use hyper::http::request::Parts;
use tokio::time::{Instant, timeout, timeout_at};

use super::blocking::aside;
use super::encoding::Encoding;
use super::refusal::Refusal;
use crate::collector::receive::memory::{MAXIMUM, MemoryPermit};
use crate::otlp::{GzipError, Signal, gunzip};

/// The time limit for a whole body.
const WHOLE: Duration = Duration::from_mins(1);

/// The time limit without any data.
const STALLED: Duration = Duration::from_secs(10);

/// How much of a rejected body is read, in bytes, so that its sender gets to read the answer.
const DRAINED: usize = 256 << 20;

/// The time limit for that.
const DRAINING: Duration = Duration::from_secs(10);

/// A body that is being received.
pub(super) struct Upload {
    body: Incoming,
    /// Whether the client waits for `100 Continue`.
    is_held: bool,
}

impl Upload {
    pub(super) fn new(head: &Parts, body: Incoming) -> Self {
        Self { body, is_held: head.headers.contains_key(EXPECT) }
    }

    /// Reads the whole body, up to `limit` bytes and until `deadline`.
    pub(super) async fn read(
        &mut self,
        limit: usize,
        deadline: Option<Instant>,
        permit: &mut MemoryPermit,
    ) -> Result<Bytes, Refusal> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(Refusal::TooLarge);
        }
        self.is_held = false;
        let end = Instant::now() + WHOLE;
        let end = deadline.map_or(end, |deadline| deadline.min(end));
        timeout_at(end, self.collect(limit, permit)).await.unwrap_or(Err(Refusal::TooSlow))
    }

    async fn collect(&mut self, limit: usize, permit: &mut MemoryPermit) -> Result<Bytes, Refusal> {
        let mut bytes = Vec::new();
        while let Some(frame) = timeout(STALLED, self.body.frame()).await.map_err(|_| Refusal::TooSlow)? {
            let Ok(data) = frame.map_err(|_| Refusal::BrokenOff)?.into_data() else { continue };
            let length = bytes.len() + data.len();
            if length > limit {
                return Err(Refusal::TooLarge);
            }
            // Framing does not count against the permit.
            while length.min(MAXIMUM) > permit.size() {
                permit.widen().await?;
            }
            bytes.extend_from_slice(&data);
        }
        Ok(bytes.into())
    }

    /// Passes the whole body to `reader` piece by piece, up to `limit` bytes and within `time`, and keeps none of it.
    pub(super) async fn pass(
        &mut self,
        limit: usize,
        time: Duration,
        reader: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        if self.body.size_hint().lower() > limit as u64 {
            return Err(Refusal::TooLarge);
        }
        self.is_held = false;
        timeout(time, self.pieces(limit, reader)).await.unwrap_or(Err(Refusal::TooSlow))
    }

    async fn pieces(
        &mut self,
        limit: usize,
        mut reader: impl FnMut(&[u8]) -> Result<(), Refusal>,
    ) -> Result<(), Refusal> {
        let mut length = 0;
        while let Some(frame) = self.body.frame().await {
            let Ok(data) = frame.map_err(|_| Refusal::BrokenOff)?.into_data() else { continue };
            length += data.len();
            if length > limit {
                return Err(Refusal::TooLarge);
            }
            reader(&data)?;
        }
        Ok(())
    }

    /// Reads the rest of a rejected body while the answer is sent. Many clients read nothing until they have written
    /// everything, and would lose the answer if the connection were closed first.
    pub(super) fn drain(self, under_way: impl Send + 'static) {
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

/// A message that was received in full, and its memory permit.
pub(super) struct Packed {
    pub(super) message: Bytes,
    pub(super) encoding: Encoding,
    pub(super) is_gzip: bool,
    pub(super) permit: MemoryPermit,
}

impl Packed {
    /// The message in protobuf, decompressed up to the size limit.
    pub(super) async fn unpack(self, signal: Signal) -> Result<(Bytes, MemoryPermit), Refusal> {
        let Self { message, encoding, is_gzip, mut permit } = self;
        let plain = if is_gzip { decompressed(message, &mut permit).await? } else { message };
        Ok((encoding.in_protobuf(signal, plain).await?, permit))
    }
}

async fn decompressed(message: Bytes, permit: &mut MemoryPermit) -> Result<Bytes, Refusal> {
    loop {
        let (compressed, size) = (message.clone(), permit.size());
        match aside(size, move || gunzip(&compressed, size)).await? {
            Ok(plain) => return Ok(plain.into()),
            Err(GzipError::TooLarge(_)) => permit.widen().await?,
            Err(GzipError::Damaged(_)) => return Err(Refusal::NoGzip),
        }
    }
}
