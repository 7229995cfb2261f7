//! Fetches all headers of a destination, for a session's collector and for doctor.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::error::{HeadersError, ValueError};
use crate::profile::Diagnostic;
use crate::secret::{Command, Fetched, Secret, Source};

/// The headers that a helper printed, or why it failed, to follow the helper's name.
pub(super) type Given = Result<BTreeMap<String, Fetched>, String>;

/// The headers of a destination, by their names in lower case.
#[derive(Clone, Debug, Default)]
pub struct FetchedHeaders(BTreeMap<String, Fetched>);

impl FetchedHeaders {
    /// Fetches the headers that `ask` gets from the `helper`, unless that is not trusted, and the value that `fetch`
    /// gets from the `sources` of each header. The latter takes precedence.
    pub fn fetch(
        helper: Option<&Command>,
        sources: &BTreeMap<String, Vec<Source>>,
        ask: impl FnOnce(&Command) -> Result<Given, Diagnostic>,
        fetch: impl Fn(&[Source]) -> Result<Fetched, ValueError>,
    ) -> Result<Self, HeadersError> {
        let mut headers = match helper {
            Some(helper) => ask(helper)
                .map_err(HeadersError::Untrusted)?
                .map_err(|reason| HeadersError::Helper { helper: helper.to_string(), reason })?,
            None => BTreeMap::new(),
        };
        for (name, sources) in sources {
            let fetched = fetch(sources).map_err(|error| HeadersError::NoValue { name: name.clone(), error })?;
            headers.insert(name.clone(), fetched);
        }
        Ok(Self(headers))
    }

    /// How long all of them are valid, if that is known for any.
    pub fn fresh_for(&self) -> Option<Duration> {
        self.0.values().filter_map(|fetched| fetched.fresh_for).min()
    }

    /// Each header, with how long it is valid.
    pub fn each(&self) -> impl Iterator<Item = (&String, &Fetched)> {
        self.0.iter()
    }

    /// The values.
    pub fn into_values(self) -> BTreeMap<String, Secret> {
        self.0.into_iter().map(|(name, fetched)| (name, fetched.value)).collect()
    }

    /// The headers as sent. Values are marked as sensitive, so that a backend's echo of one does not reach a message.
    pub fn to_send(&self) -> Result<HeaderMap, HeadersError> {
        let header = |(name, fetched): (&String, &Fetched)| {
            let name = HeaderName::try_from(name).map_err(|_| HeadersError::NoName)?;
            let value = HeaderValue::try_from(fetched.value.expose());
            let mut value = value.map_err(|_| HeadersError::Unsendable { name: name.as_str().to_owned() })?;
            value.set_sensitive(true);
            Ok((name, value))
        };
        self.0.iter().map(header).collect()
    }
}
