//! The headers that a destination wants now.

use std::collections::BTreeMap;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use crate::credential::{self, Fetched};
use crate::profile::Destination;
use crate::setting::Setting;

/// Fetches a destination's headers and holds them.
#[derive(Debug)]
pub(super) struct Credentials {
    headers: Result<HeaderMap, String>,
}

impl Credentials {
    /// Those of a destination.
    pub(super) fn new(destination: &Destination, setting: &Setting) -> Self {
        let headers = credential::headers(&destination.headers, setting.ground());
        Self { headers: headers.map(|headers| header_map(&headers)) }
    }

    /// The headers for the next request, or why there are none.
    #[expect(clippy::unused_async, reason = "fetching takes time")]
    pub(super) async fn headers(&self) -> Result<HeaderMap, String> {
        self.headers.clone()
    }

    /// The destination did not accept these headers. Says whether there are others now, to be tried at once.
    #[expect(clippy::unused_async, reason = "fetching takes time")]
    pub(super) async fn refused(&self, _headers: &HeaderMap) -> bool {
        false
    }

    /// The destination accepted these headers.
    #[expect(clippy::unused_self, reason = "which credentials are good is a matter of each destination")]
    pub(super) fn accepted(&self, _headers: &HeaderMap) {}
}

/// Headers, ready to send. Marked as sensitive, so that a backend which echoes one does not get it into a message.
fn header_map(headers: &BTreeMap<String, Fetched>) -> HeaderMap {
    let pairs = headers.iter().filter_map(|(name, fetched)| {
        let mut value = HeaderValue::try_from(&fetched.value.0).ok()?;
        value.set_sensitive(true);
        Some((HeaderName::try_from(name).ok()?, value))
    });
    pairs.collect()
}
