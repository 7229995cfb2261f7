//! gRPC's frame around a message: a flag, a length, the bytes (gRPC over HTTP2, *Length-Prefixed-Message*).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Why bytes are not the one frame that a unary call carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// Fewer bytes came than the frame announces.
    #[error("the message is cut short")]
    Truncated,
    /// More than one frame, where a unary call has one.
    #[error("more than one message")]
    Several,
    /// A flag other than 0 (plain) and 1 (compressed).
    #[error("the message's flag is {0}, neither 0 nor 1")]
    Flag(u8),
    /// The frame's length has 32 bits.
    #[error("a message of more than 4 GiB")]
    TooLarge,
}

/// Puts `message` into a frame. `compressed` says that it is, by the call's `grpc-encoding`.
pub fn frame(message: &[u8], compressed: bool) -> Result<Bytes, FrameError> {
    let length = u32::try_from(message.len()).map_err(|_| FrameError::TooLarge)?;
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(u8::from(compressed));
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// The message of a unary call's one frame, and whether it is compressed.
pub fn unframe(framed: &[u8]) -> Result<(&[u8], bool), FrameError> {
    let (&[flag, a, b, c, d], rest) = framed.split_first_chunk().ok_or(FrameError::Truncated)?;
    if flag > 1 {
        return Err(FrameError::Flag(flag));
    }
    let length = usize::try_from(u32::from_be_bytes([a, b, c, d])).map_err(|_| FrameError::TooLarge)?;
    let (message, rest) = rest.split_at_checked(length).ok_or(FrameError::Truncated)?;
    if rest.is_empty() { Ok((message, flag == 1)) } else { Err(FrameError::Several) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back() {
        assert_eq!(unframe(&frame(b"message", false).unwrap()), Ok((&b"message"[..], false)));
        assert_eq!(unframe(&frame(b"", true).unwrap()), Ok((&b""[..], true)));
    }

    #[test]
    fn what_is_no_single_frame_is_named() {
        assert_eq!(unframe(b""), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0, 0, 0]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0, 0, 0, 2, 1]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0xff, 0xff, 0xff, 0xff, 1]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[2, 0, 0, 0, 0]), Err(FrameError::Flag(2)));
        assert_eq!(unframe(&[0, 0, 0, 0, 0, 0]), Err(FrameError::Several));
    }
}
