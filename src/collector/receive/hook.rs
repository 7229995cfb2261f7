//! Answers Claude Code's hooks. Their input is read past; only the event and Claude's session are kept, until the answer.

use std::sync::Arc;
use std::time::Duration;

use hyper::header::{CONNECTION, CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue};
use hyper::http::request::Parts;
use hyper::{Method, Response, Version};
use serde_json::{Value, json};
use subtle::ConstantTimeEq;

use super::body::Upload;
use super::refusal::Refusal;
use super::reply::Reply;
use crate::claude::hooks::{MAXIMUM_INPUT, Scan, TOKEN_HEADER};
use crate::collector::budgets::Budgets;
use crate::secret::Secret;

/// How long the input may take. Claude Code waits for a second.
const WHOLE: Duration = Duration::from_secs(10);

/// What answers the hooks of a session.
pub(crate) struct Hook {
    /// The token that requests must contain, which opens nothing else.
    pub(crate) token: Secret,
    pub(crate) budgets: Arc<Budgets>,
}

impl Hook {
    /// Whether a request has the token. Compared in constant time.
    pub(super) fn admits(&self, headers: &HeaderMap) -> bool {
        let given = headers.get(TOKEN_HEADER);
        given.is_some_and(|given| bool::from(given.as_bytes().ct_eq(self.token.expose().as_bytes())))
    }

    /// Handles an admitted request.
    pub(super) async fn answer(&self, head: &Parts, upload: &mut Upload) -> Result<Value, Refusal> {
        if head.method != Method::POST {
            return Err(Refusal::Method);
        }
        let header = |name| head.headers.get(name).map_or("", |value| value.to_str().unwrap_or("?"));
        if !header(CONTENT_TYPE).to_ascii_lowercase().starts_with("application/json") {
            return Err(Refusal::MediaType);
        }
        if !["", "identity"].contains(&header(CONTENT_ENCODING)) {
            return Err(Refusal::Compression);
        }
        let mut scan = Scan::default();
        upload.pass(MAXIMUM_INPUT, WHOLE, |piece| scan.feed(piece).map_err(|_| Refusal::Malformed)).await?;
        let call = scan.finish().map_err(|_| Refusal::Malformed)?;
        Ok(self.budgets.answer(call).await)
    }
}

/// The response. Claude Code opens a connection for each call, so it is closed, unless the rest of a request is still
/// read.
pub(super) fn respond(version: Version, result: Result<Value, Refusal>) -> Response<Reply> {
    let is_closed = result.is_ok() && version < Version::HTTP_2;
    let (status, body) = match result {
        Ok(answer) => (hyper::StatusCode::OK, answer),
        Err(refusal) => (refusal.http(), json!({"error": refusal.http().canonical_reason()})),
    };
    let mut response = Response::new(Reply { data: body.to_string().into(), trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static("application/json"));
    if is_closed {
        response.headers_mut().insert(CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
