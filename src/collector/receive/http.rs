//! OTLP/HTTP: the requests that are accepted, and their answers (OTLP specification, *OTLP/HTTP*).

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};

use super::body::{Packed, Upload};
use super::encoding::Encoding;
use super::export::{Receiver, Taken};
use super::refusal::Refusal;
use super::reply::Reply;
use crate::collector::receive::memory::{MAXIMUM, MemoryPermit};
use crate::otlp::Signal;

/// Handles a request with the given `path` after the token.
pub(super) async fn export(
    receiver: &Arc<Receiver>,
    path: &str,
    head: &Parts,
    upload: &mut Upload,
) -> Result<Taken, Refusal> {
    let signal = Signal::ALL.into_iter().find(|signal| signal.http_path() == path).ok_or(Refusal::NoSuchSignal)?;
    if head.method != Method::POST {
        return Err(Refusal::Method);
    }
    let encoding = Encoding::of(&head.headers).ok_or(Refusal::MediaType)?;
    let is_gzip = is_gzip(&head.headers)?;
    let mut permit = MemoryPermit::enter(receiver.permits()).await?;
    let message = upload.read(MAXIMUM, None, &mut permit).await?;
    receiver.take(signal, Packed { message, encoding, is_gzip, permit }).await
}

/// The answer, in the encoding of the request, or in protobuf if that is unknown.
pub(super) fn answer(head: &HeaderMap, result: Result<Taken, Refusal>) -> Response<Reply> {
    let encoding = Encoding::of(head).unwrap_or_default();
    let refusal = match result {
        Ok(Taken { signal, partial_success }) => {
            return respond(StatusCode::OK, encoding, encoding.response(signal, partial_success));
        }
        Err(refusal) => refusal,
    };
    let mut response = respond(refusal.http(), encoding, encoding.status(&refusal.status()));
    if let Some(delay) = refusal.retry() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    response
}

fn respond(status: StatusCode, encoding: Encoding, data: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply { data, trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, encoding.content_type());
    response
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let encoding = headers.get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" | "none" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Refusal::Compression),
    }
}
