//! Short digests, by which things are told apart without being kept.

/// As long as a digest is here.
pub type Digest = [u8; 16];

/// The truncated SHA-256 of some parts, each with its length so that no two lists of parts look alike.
pub fn digest(parts: &[&[u8]]) -> Digest {
    let mut context = ring::digest::Context::new(&ring::digest::SHA256);
    for part in parts {
        context.update(&(part.len() as u64).to_le_bytes());
        context.update(part);
    }
    let mut digest = Digest::default();
    digest.copy_from_slice(&context.finish().as_ref()[..16]);
    digest
}

/// A digest in hexadecimal digits.
pub fn hex(digest: Digest) -> String {
    format!("{:032x}", u128::from_be_bytes(digest))
}
