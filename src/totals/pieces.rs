//! Splits requests of any size piece by piece, so that the memory for each is bounded.

use super::series::Installation;
use super::sift::{Sifted, sift};
use crate::otlp::{Signal, halve};

/// The maximum size of a piece that is sifted at once, in bytes.
const PIECE: usize = 256 << 10;

/// Separates the delta points of a request from the rest, piece by piece. A piece that cannot be read has no delta
/// points, and neither has a single point that is larger than a piece may be.
pub fn sift_pieces<E>(
    request: &[u8],
    installation: Installation,
    take: &mut impl FnMut(Sifted) -> Result<(), E>,
) -> Result<(), E> {
    if request.len() <= PIECE {
        let whole = || Sifted { deltas: Vec::new(), rest: request.to_vec() };
        return take(sift(request, installation).unwrap_or_else(|_| whole()));
    }
    match halve(Signal::Metrics, request) {
        Ok(Some((first, second))) => {
            sift_pieces(&first, installation, take)?;
            drop(first);
            sift_pieces(&second, installation, take)
        }
        _ => take(Sifted { deltas: Vec::new(), rest: request.to_vec() }),
    }
}

/// The parts of a request that are not deltas, as a request. Empty if there are none.
pub fn rest(request: &[u8]) -> Vec<u8> {
    let mut rest = Vec::new();
    let done: Result<(), std::convert::Infallible> = sift_pieces(request, Installation::default(), &mut |sifted| {
        rest.extend_from_slice(&sifted.rest);
        Ok(())
    });
    let Ok(()) = done;
    rest
}
