//! OTLP/HTTP: what a request must look like, and what its sender is told (OTLP specification, *OTLP/HTTP*).

use std::sync::Arc;

use bytes::Bytes;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderMap, HeaderValue, RETRY_AFTER};
use hyper::http::request::Parts;
use hyper::{Method, Response, StatusCode};
use prost::Message;

use super::body::{Packed, Upload};
use super::export::Receiver;
use super::refusal::Refusal;
use super::reply::Reply;
use super::room::{MAXIMUM, Room};
use crate::otlp::{ExportResponse, PartialSuccess, Signal};

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Takes a request whose path, behind the token, is `path`.
pub(super) async fn export(
    receiver: &Arc<Receiver>,
    path: &str,
    head: &Parts,
    upload: &mut Upload,
) -> Result<Option<PartialSuccess>, Refusal> {
    let signal = Signal::ALL.into_iter().find(|signal| signal.http_path() == path).ok_or(Refusal::NoSuchSignal)?;
    if head.method != Method::POST {
        return Err(Refusal::Method);
    }
    check_media_type(&head.headers)?;
    let is_gzip = is_gzip(&head.headers)?;
    let mut room = Room::enter(receiver.rooms()).await?;
    let message = upload.read(MAXIMUM, None, &mut room).await?;
    receiver.take(signal, Packed { message, is_gzip, room }).await
}

/// What the sender is told.
pub(super) fn answer(result: Result<Option<PartialSuccess>, Refusal>) -> Response<Reply> {
    let refusal = match result {
        Ok(partial_success) => {
            return respond(StatusCode::OK, ExportResponse { partial_success }.encode_to_vec().into());
        }
        Err(refusal) => refusal,
    };
    let mut response = respond(refusal.http(), refusal.status().encode_to_vec().into());
    if let Some(delay) = refusal.retry() {
        response.headers_mut().insert(RETRY_AFTER, HeaderValue::from(delay.as_secs()));
    }
    response
}

fn respond(status: StatusCode, data: Bytes) -> Response<Reply> {
    let mut response = Response::new(Reply { data, trailers: None });
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
    response
}

fn check_media_type(headers: &HeaderMap) -> Result<(), Refusal> {
    let content_type = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if media_type.eq_ignore_ascii_case("application/x-protobuf") { Ok(()) } else { Err(Refusal::MediaType) }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refusal> {
    let encoding = headers.get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?"));
    match encoding.to_ascii_lowercase().as_str() {
        "" | "identity" | "none" => Ok(false),
        "gzip" | "x-gzip" => Ok(true),
        _ => Err(Refusal::Compression),
    }
}
