//! `[redact]`: attributes that are taken out, and attributes whose values are hashed.

use std::fmt;

use ring::hmac;

use crate::otlp::Pattern;

/// How many bytes of the hash are kept: sixteen hexadecimal digits.
const KEPT: usize = 8;

/// Which attributes nobody may see, by their whole keys.
#[derive(Clone, Debug, Default)]
pub struct Redact {
    /// Those that are taken out. They may be hashed ones too.
    pub drop: Vec<Pattern>,
    /// Those whose values are hashed.
    pub hash: Vec<Pattern>,
    /// What they are hashed with. Without it they are taken out: no clear value gets by.
    pub key: Option<HashKey>,
}

/// The key of hashes; its Debug shows nothing.
#[derive(Clone)]
pub struct HashKey(hmac::Key);

impl fmt::Debug for HashKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("HashKey(…)")
    }
}

impl HashKey {
    /// A secret of any length, as it is: whoever has it can tell what became of a value by any HMAC-SHA-256.
    pub fn of_secret(secret: &str) -> Self {
        Self(hmac::Key::new(hmac::HMAC_SHA256, secret.as_bytes()))
    }

    /// The installation's own. Derived from its key of everything, so that hashes say nothing of fingerprints, which
    /// are made with that.
    pub fn of_installation(key: &[u8; 32]) -> Self {
        let derived = hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), b"ccrun redact.hash 1");
        Self(hmac::Key::new(hmac::HMAC_SHA256, derived.as_ref()))
    }

    /// The first sixteen hexadecimal digits of a text's HMAC-SHA-256.
    pub fn hash(&self, text: &[u8]) -> String {
        let tag = hmac::sign(&self.0, text);
        let digit = |digit: u8| char::from_digit(u32::from(digit), 16).unwrap_or('0');
        tag.as_ref().iter().take(KEPT).flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]).collect()
    }
}

/// What becomes of an attribute.
pub(super) enum Fate<'a> {
    Kept,
    Dropped,
    Hashed(&'a HashKey),
}

impl Redact {
    /// Whether it leaves everything as it is.
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
    fn hashes_are_what_every_other_program_makes_of_the_same_secret() {
        // RFC 4231, test case 2.
        assert_eq!(HashKey::of_secret("Jefe").hash(b"what do ya want for nothing?"), "5bdcc146bf60754e");
        assert_eq!(format!("{:?}", HashKey::of_secret("Jefe")), "HashKey(…)");
    }

    #[test]
    fn the_installations_hashes_are_stable_and_its_own() {
        let hash = |key: u8| HashKey::of_installation(&[key; 32]).hash(b"ada@example.com");
        assert_eq!(hash(1), hash(1));
        assert_ne!(hash(1), hash(2));
        // Not what the key itself would make of it.
        let plain = HashKey(hmac::Key::new(hmac::HMAC_SHA256, &[1; 32]));
        assert_ne!(plain.hash(b"ada@example.com"), hash(1));
    }
}
