//! What of a destination's credentials can be seen without running or asking anything: all that a launch waits for.

use super::Source;
use crate::helper::Ground;
use crate::profile::Destination;

/// Why a destination can be given nothing, if that can be seen from here.
pub fn missing(destination: &Destination, ground: Ground<'_>) -> Option<String> {
    let mut headers = destination.headers.iter();
    headers.find_map(|(name, sources)| {
        let reason = nowhere(sources, ground)?;
        Some(format!("there is no value for the header `{name}`: {reason}"))
    })
}

/// Why none of some sources can have a value; nothing where one has, or may have.
fn nowhere(sources: &[Source], ground: Ground<'_>) -> Option<String> {
    let misses: Option<Vec<_>> =
        sources.iter().map(|source| Some(format!("{source} {}", miss(source, ground)?))).collect();
    misses.map(|misses| misses.join(", "))
}

fn miss(source: &Source, ground: Ground<'_>) -> Option<String> {
    match source {
        Source::Literal(_) | Source::Keyring(..) | Source::Command(..) => None,
        Source::Env(name, _) => ground.variable(name).is_none().then(|| "is not set".to_owned()),
        Source::File(path, _) => path.metadata().err().map(|error| format!("cannot be read: {error}")),
        Source::Basic(_, secret) => nowhere(secret, ground).map(|reason| format!("is not to be had: {reason}")),
        Source::Oauth2(credentials) => {
            nowhere(&credentials.client_secret, ground).map(|reason| format!("has no secret: {reason}"))
        }
    }
}
