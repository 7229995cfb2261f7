//! The fingerprint of a delivery's destination and credentials, which reveals neither.

use crate::credential::{keyed, sources};
use crate::profile::{Destination, Temporality};
use crate::workspace::Workspace;

/// The HMAC-SHA-256 of a destination's endpoint, protocol, header sources and client certificate, under the
/// installation's key.
///
/// An ended session's leftovers are delivered only to a destination with the same fingerprint: a destination that has
/// changed since may belong to another party.
pub fn fingerprint(key: &[u8; 32], destination: &Destination, workspace: &Workspace) -> Vec<u8> {
    let place = [destination.endpoint.clone(), format!("{:?}", destination.protocol)];
    let certificate = destination.tls.cert.as_ref().map(|cert| format!("certificate {}", cert.display()));
    // Data received for a cumulative destination must not go to a delta destination, and vice versa.
    let totals = (destination.temporality == Temporality::Cumulative).then(|| "cumulative".to_owned());
    keyed(key, place.into_iter().chain(sources(destination, workspace)).chain(certificate).chain(totals))
}
