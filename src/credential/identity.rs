//! Distinguishes the sources of destinations without revealing them.

use ring::hmac;

use crate::profile::Destination;
use crate::workspace::Workspace;

/// The sources of a destination's headers, as an HMAC-SHA-256 with the installation's key. Two destinations with one
/// helper are equal.
pub(super) fn identity(key: &[u8; 32], destination: &Destination, workspace: &Workspace) -> Vec<u8> {
    keyed(key, sources(destination, workspace))
}

/// Words that describe the sources of a destination's headers. They may contain secrets.
pub fn sources(destination: &Destination, workspace: &Workspace) -> Vec<String> {
    let mut words = Vec::new();
    for (name, sources) in &destination.headers {
        words.push(name.clone());
        words.extend(sources.iter().map(|source| source.identity(&|name| workspace.variable(name))));
    }
    words.extend(destination.headers_helper.as_ref().map(|helper| format!("{:?}", helper.argv)));
    words
}

/// An HMAC-SHA-256 of words with the installation's key.
pub fn keyed(key: &[u8; 32], words: impl IntoIterator<Item = String>) -> Vec<u8> {
    let mut context = hmac::Context::with_key(&hmac::Key::new(hmac::HMAC_SHA256, key));
    for word in words {
        // The length comes first, so that different lists of words have different digests.
        context.update(&(word.len() as u64).to_be_bytes());
        context.update(word.as_bytes());
    }
    context.sign().as_ref().to_vec()
}
