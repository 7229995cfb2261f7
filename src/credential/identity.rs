//! What tells a destination's sources from others', without saying what they are.

use ring::hmac;

use crate::profile::Destination;
use crate::setting::Setting;

/// Where a destination's headers come from, under the installation's key, as HMAC-SHA-256. Two destinations of one
/// helper have the same.
pub(super) fn identity(key: &[u8; 32], destination: &Destination, setting: &Setting) -> Vec<u8> {
    keyed(key, sources(destination, setting))
}

/// What a destination's headers are taken from, in words that may hold secrets.
pub fn sources(destination: &Destination, setting: &Setting) -> Vec<String> {
    let mut words = Vec::new();
    for (name, sources) in &destination.headers {
        words.push(name.clone());
        words.extend(sources.iter().map(|source| source.identity(&|name| setting.variable(name))));
    }
    words.extend(destination.headers_helper.as_ref().map(|helper| format!("{:?}", helper.argv)));
    words
}

/// Words under the installation's key, as HMAC-SHA-256.
pub fn keyed(key: &[u8; 32], words: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for word in words {
        // The length first, so that no two lists of words look the same.
        context.update(&(word.len() as u64).to_be_bytes());
        context.update(word.as_bytes());
    }
    context.sign().as_ref().to_vec()
}
