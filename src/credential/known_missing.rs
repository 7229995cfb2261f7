//! Credentials that are missing for sure, found without running or asking anything. A launch waits for no more than
//! this.

use crate::profile::Destination;
use crate::secret::Source;
use crate::secret::command::FetchContext;

/// Why a destination has no credentials, if that is visible from here.
pub fn missing(destination: &Destination, context: FetchContext<'_>) -> Option<String> {
    let mut headers = destination.headers.iter();
    headers.find_map(|(name, sources)| {
        let reason = nowhere(sources, context)?;
        Some(format!("the header `{name}` has no value: {reason}"))
    })
}

/// Why none of these sources can have a value, or `None` if one has or may have.
fn nowhere(sources: &[Source], context: FetchContext<'_>) -> Option<String> {
    let misses: Option<Vec<_>> =
        sources.iter().map(|source| Some(format!("{source} {}", miss(source, context)?))).collect();
    misses.map(|misses| misses.join(", "))
}

fn miss(source: &Source, context: FetchContext<'_>) -> Option<String> {
    match source {
        Source::Literal(_) | Source::Keyring(..) | Source::Command(..) => None,
        Source::Env(name, _) => context.variable(name).is_none().then(|| "is not set".to_owned()),
        Source::File(path, _) => path.metadata().err().map(|error| format!("cannot be read: {error}")),
        Source::Basic(_, secret) => nowhere(secret, context).map(|reason| format!("is unavailable: {reason}")),
        Source::Oauth2(credentials) => {
            nowhere(&credentials.client_secret, context).map(|reason| format!("has no secret: {reason}"))
        }
    }
}
