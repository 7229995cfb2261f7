//! `[redact]`: attributes to remove, and attributes whose values are hashed.

use std::fmt;

use ring::hmac;

use crate::otlp::Pattern;
use crate::system::hex::hex;

/// How many bytes of the hash are kept: sixteen hexadecimal digits.
const KEPT: usize = 8;

/// The attributes to drop or hash. Patterns match whole keys.
#[derive(Clone, Debug, Default)]
pub struct Redact {
    /// Attributes to remove. These take precedence over hashed ones.
    pub drop: Vec<Pattern>,
    /// Attributes whose values are hashed.
    pub hash: Vec<Pattern>,
    /// The key for hashes. Without it these attributes are removed, so that no clear value is kept.
    pub key: Option<HashKey>,
}

/// The key for hashes. Its Debug output shows nothing.
#[derive(Clone)]
pub struct HashKey(hmac::Key);

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey(…)")
    }
}

impl HashKey {
    /// A secret of any length, unchanged: with it, any HMAC-SHA-256 reproduces the hash of a value.
    pub fn of_secret(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The installation's own key. It is derived from the key for everything, so that hashes reveal nothing about
    /// fingerprints, which use that key.
    pub fn of_installation(key: &[u8; 32]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"ccrun redact.hash 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The first sixteen hexadecimal digits of a text's HMAC-SHA-256.
    pub fn hash(&self, text: &[u8]) -> String {
        hex(&hmac::sign(&self.0, text).as_ref()[..KEPT])
    }
}

/// The effect of the rules on an attribute.
pub(super) enum Fate<'a> {
    Kept,
    Dropped,
    Hashed(&'a HashKey),
}

impl Redact {
    /// Whether it leaves everything unchanged.
    pub(super) fn is_nothing(&self) -> bool {
        self.drop.is_empty() && self.hash.is_empty()
    }

    pub(super) fn fate(&self, key: &[u8]) -> Fate<'_> {
        let any = |patterns: &[Pattern]| patterns.iter().any(|pattern| pattern.matches(key));
        if any(&self.drop) {
            Fate::Dropped
        } else if any(&self.hash) {
            self.key.as_ref().map_or(Fate::Dropped, Fate::Hashed)
        } else {
            Fate::Kept
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_match_other_implementations() {
        // RFC 4231, test case 2.
        assert_eq!(HashKey::of_secret("Jefe").hash(b"what do ya want for nothing?"), "5bdcc146bf60754e");
        assert_eq!(format!("{:?}", HashKey::of_secret("Jefe")), "HashKey(…)");
    }

    #[test]
    fn hashes_are_stable_and_differ_between_installations() {
        let hash = |key: u8| HashKey::of_installation(&[key; 32]).hash(b"ada@example.com");
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        // Not the result of using the key itself.
        let plain = HashKey(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        assert_ne!(plain.hash(b"ada@example.com"), hash(1));
    }
}
