//! Short digests that distinguish values without storing them.

/// The size of these digests.
pub type Digest = [u8; 16];

/// The truncated SHA-256 of several parts. Each part is hashed with its length, so that different lists never look the
/// same.
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
