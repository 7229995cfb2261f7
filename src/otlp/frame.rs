//! gRPC's frame around a message: a flag, a length, the bytes (gRPC over HTTP2, *Length-Prefixed-Message*).

use bytes::{BufMut, Bytes, BytesMut};
use thiserror::Error;

/// Why bytes are not the single frame of a unary call.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
pub enum FrameError {
    /// There are fewer bytes than the frame announces.
    #[error("the message is cut short")]
    Truncated,
    /// There is more than one frame, but a unary call has one.
    #[error("more than one message")]
    Several,
    /// The flag is neither 0 (plain) nor 1 (compressed).
    #[error("the message's flag is {0}, neither 0 nor 1")]
    Flag(u8),
    /// The message is too large for the frame's 32-bit length.
    #[error("a message of more than 4 GiB")]
    TooLarge,
}

/// Puts `message` into a frame. `compressed` states that it is compressed with the call's `grpc-encoding`.
pub fn frame(message: &[u8], compressed: bool) -> Result<Bytes, FrameError> {
    let length = u32::try_from(message.len()).map_err(|_| FrameError::TooLarge)?;
    let mut framed = BytesMut::with_capacity(5 + message.len());
    framed.put_u8(u8::from(compressed));
    framed.put_u32(length);
    framed.put_slice(message);
    Ok(framed.freeze())
}

/// The message in the only frame of a unary call, and whether it is compressed.
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
    fn a_frame_survives_a_round_trip() {
        assert_eq!(unframe(&frame(b"message", false).unwrap()), Ok((&b"message"[..], false)));
        assert_eq!(unframe(&frame(b"", true).unwrap()), Ok((&b""[..], true)));
    }

    #[test]
    fn invalid_frames_are_distinguished() {
        assert_eq!(unframe(b""), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0, 0, 0]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0, 0, 0, 2, 1]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[0, 0xff, 0xff, 0xff, 0xff, 1]), Err(FrameError::Truncated));
        assert_eq!(unframe(&[2, 0, 0, 0, 0]), Err(FrameError::Flag(2)));
        assert_eq!(unframe(&[0, 0, 0, 0, 0, 0]), Err(FrameError::Several));
    }
}
