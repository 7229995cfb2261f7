//! gzip with a limit on the output, not only on the input.

use std::io::{self, Read, Write};

use flate2::Compression;
use flate2::read::MultiGzDecoder;
use flate2::write::GzEncoder;
use thiserror::Error;

/// Why a gzip stream was rejected.
#[derive(Debug, Error)]
pub enum GzipError {
    /// It would exceed the limit once decompressed.
    #[error("larger than {0} bytes once decompressed")]
    TooLarge(usize),
    /// It is not a gzip stream, or it is damaged.
    #[error("not a whole gzip stream: {0}")]
    Damaged(#[from] io::Error),
}

/// Compresses with gzip at the cheapest level. Telemetry is repetitive, so more work gains little.
pub fn gzip(plain: &[u8]) -> io::Result<Vec<u8>> {
    let mut encoder = GzEncoder::new(Vec::with_capacity(plain.len() / 4), Compression::fast());
    encoder.write_all(plain)?;
    encoder.finish()
}

/// Decompresses gzip to at most `limit` bytes. Several members in a row are one stream (RFC 1952).
pub fn gunzip(compressed: &[u8], limit: usize) -> Result<Vec<u8>, GzipError> {
    let mut plain = Vec::new();
    // One more byte than allowed distinguishes "exactly the limit" from "more than the limit".
    let mut decoder = MultiGzDecoder::new(compressed).take(limit as u64 + 1);
    decoder.read_to_end(&mut plain)?;
    if plain.len() > limit { Err(GzipError::TooLarge(limit)) } else { Ok(plain) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_applies_to_decompressed_bytes() {
        let bomb = gzip(&vec![0; 1 << 20]).unwrap();
        assert!(bomb.len() < 1 << 13);
        assert_eq!(gunzip(&bomb, 1 << 20).unwrap().len(), 1 << 20);
        assert!(matches!(gunzip(&bomb, (1 << 20) - 1), Err(GzipError::TooLarge(_))));
    }

    #[test]
    fn damage_is_an_error() {
        let mut cut = gzip(b"some telemetry").unwrap();
        cut.truncate(cut.len() - 1);
        assert!(matches!(gunzip(&cut, 100), Err(GzipError::Damaged(_))));
        assert!(matches!(gunzip(b"no gzip at all", 100), Err(GzipError::Damaged(_))));
    }
}
