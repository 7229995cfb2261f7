//! The spool: the log of received requests. A request is acknowledged once its frame is in a file and `fdatasync` has
//! returned. Everything else reads the log.
//!
//! # Files
//!
//! `spool/<session>/<worker>-<number>` is a **segment**. Each worker of a session writes its own segments, numbered
//! from 1, and never touches those of another. Segments are ordered by worker, then by number. The first is 64 KiB
//! long, and each following one is four times as long, up to 4 MiB. A request that does not fit into one gets a segment
//! of its own. A segment is filled with zeros before use, so that a sync writes no metadata (not on btrfs, ZFS and
//! APFS, which write elsewhere in any case). Segment and directory are synced before the first acknowledgement from the
//! segment. A worker that takes over makes the segments of earlier workers read-only, so that an earlier worker that
//! resumes acknowledges nothing.
//!
//! # A segment, byte by byte
//!
//! All numbers are little-endian. Every item begins at a multiple of eight bytes; the bytes in between are zero.
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 8 | `ccrunlog` |
//! | 8 | 4 | version of the format: 1 |
//! | 12 | 4 | length of the row, *r* |
//! | 16 | *r* | the session's row, opaque here: whose the frames are, known even without the store |
//! | 16 + *r* | 4 | CRC of all before |
//! | next multiple of 8 | | the first frame |
//!
//! # A frame, byte by byte
//!
//! | at | bytes | what |
//! |---|---|---|
//! | 0 | 4 | `CFR1` |
//! | 4 | 1 | signal: 0 metrics, 1 logs, 2 traces |
//! | 5 | 3 | zero |
//! | 8 | 4 | length of the ledger's part, *l* |
//! | 12 | 4 | length of the request, *b* |
//! | 16 | 8 | when it was received, in Unix milliseconds |
//! | 24 | 4 | its log records, data points or spans |
//! | 28 | 4 | how many more the profile refused |
//! | 32 | 8 | `durable`: up to which offset the segment was known to be synced when this was written |
//! | 40 | 4 | zero |
//! | 44 | 4 | CRC of the header |
//! | 48 | *l* | the ledger's part, which no destination gets |
//! | 48 + *l* | *b* | the rewritten request, protobuf |
//! | 48 + *l* + *b* | 4 | CRC of both parts |
//! | next multiple of 8 | | the next frame |
//!
//! An empty frame, with neither records nor parts, closes its segment. Its `durable` proves that the last group was
//! acknowledged, too. It is written without a sync: if it is missing, damage to that group is not reported.
//!
//! Each CRC is a CRC-32 (ISO-HDLC) that begins with the session's id, worker, number and the frame's offset. A frame
//! that is copied elsewhere, or left over in a file whose blocks the disk reuses, is therefore not valid.
//!
//! # Reading after a crash
//!
//! Data after the last synced frame may be missing, torn, or present without the data before it. An unreadable frame
//! that no later `durable` covers was never acknowledged: it is passed over silently. If a later valid header has a
//! `durable` beyond it, an acknowledged frame was lost, which is counted and reported. A damaged part costs its frame;
//! after a damaged header, the next header is searched for in steps of eight bytes. Like `SQLite`, this relies on
//! sectors that a write does not touch staying whole.

mod append;
mod entry;
mod erase;
mod files;
mod follow;
mod frame;
mod position;
mod prepare;
mod reader;
mod segment;
mod source;
mod takeover;
mod writer;

pub use append::{Append, AppendError, Durable, Spool};
pub use entry::Entry;
pub use erase::erase;
pub use files::{Disk, File, Files};
pub use follow::{Follower, Received};
pub use frame::{Frame, Header};
pub use position::Position;
pub use reader::{Bound, Found, Reader};
pub use segment::{Segment, name, segments};
pub use source::{Extent, Source};
pub use takeover::{Standing, has_taken_over};
pub use writer::Writer;

#[cfg(test)]
mod tests;
