//! Whose data a delivery is: where it goes and whose credentials it takes, without saying either.

use crate::credential::{keyed, sources};
use crate::profile::{Destination, Temporality};
use crate::setting::Setting;

/// Endpoint, protocol, header sources and client certificate of a destination under the installation's key, as HMAC-SHA-256.
///
/// What an ended session left is delivered only to a destination of the same fingerprint: one that was changed since
/// may be somebody else's.
pub fn fingerprint(key: &[u8; 32], destination: &Destination, setting: &Setting) -> Vec<u8> {
    let place = [destination.endpoint.clone(), format!("{:?}", destination.protocol)];
    let certificate = destination.tls.cert.as_ref().map(|cert| format!("certificate {}", cert.display()));
    // What was received for totals is no matter of whoever wants deltas, and the other way round.
    let totals = (destination.temporality == Temporality::Cumulative).then(|| "cumulative".to_owned());
    keyed(key, place.into_iter().chain(sources(destination, setting)).chain(certificate).chain(totals))
}
