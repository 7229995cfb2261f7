//! Identities of facts, the same in telemetry and in transcripts.

use super::fact::Identity;
use crate::system::digest::digest;

/// The first eight bytes of a digest of several parts.
pub fn identity(parts: &[&[u8]]) -> Identity {
    let digest = digest(parts);
    let mut bytes = [0; 8];
    bytes.copy_from_slice(&digest[..8]);
    i64::from_be_bytes(bytes)
}

/// The identity of an answered request, from the `request-id` of its answer.
pub fn of_request(id: &str) -> Identity {
    identity(&[b"request", id.as_bytes()])
}

/// The identity of a tool's run, and of the decision about it. It is derived from the `tool_use_id` and the prompt, or
/// else the session, because some gateways number tool uses from the start for each prompt.
pub fn of_tool(within: &str, id: &str) -> Identity {
    identity(&[b"tool", within.as_bytes(), id.as_bytes()])
}
