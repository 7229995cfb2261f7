//! OTLP/HTTP: what a request must look like, and what its sender is told (OTLP specification, *OTLP/HTTP*).

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::body::Incoming;
use hyper::header::{CONTENT_ENCODING, CONTENT_TYPE, HeaderValue, RETRY_AFTER};
use hyper::{Method, Request, Response, StatusCode};
use prost::Message;
use subtle::ConstantTimeEq;
use tokio::time::timeout;

use super::export::{Receiver, Rejection};
use crate::otlp::{ExportResponse, GzipError, PartialSuccess, RpcStatus, Signal, gunzip};

/// How large a request may be, compressed and, above all, not: bytes.
const MAXIMUM_BODY: usize = 64 << 20;

/// How long a request's body may take.
const BODY: Duration = Duration::from_mins(1);

const PROTOBUF: HeaderValue = HeaderValue::from_static("application/x-protobuf");

/// Codes of `google.rpc.Code`.
mod code {
    pub(super) const INVALID_ARGUMENT: i32 = 3;
    pub(super) const NOT_FOUND: i32 = 5;
    pub(super) const RESOURCE_EXHAUSTED: i32 = 8;
    pub(super) const UNIMPLEMENTED: i32 = 12;
    pub(super) const UNAVAILABLE: i32 = 14;
    pub(super) const UNAUTHENTICATED: i32 = 16;
}

/// Answers one request. `welcome` is called if it has brought the token.
pub(super) async fn answer(
    receiver: Arc<Receiver>,
    request: Request<Incoming>,
    welcome: impl FnOnce(),
) -> Response<Full<Bytes>> {
    match export(receiver, request, welcome).await {
        Ok(partial_success) => respond(StatusCode::OK, ExportResponse { partial_success }.encode_to_vec().into()),
        Err(Refusal { status, code, message }) => {
            let explained = RpcStatus { code, message: message.to_owned(), details: Vec::new() };
            let mut response = respond(status, explained.encode_to_vec().into());
            if status == StatusCode::SERVICE_UNAVAILABLE {
                response.headers_mut().insert(RETRY_AFTER, HeaderValue::from_static("1"));
            }
            response
        }
    }
}

fn respond(status: StatusCode, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status;
    response.headers_mut().insert(CONTENT_TYPE, PROTOBUF);
    response
}

/// Why a request is refused.
struct Refusal {
    status: StatusCode,
    code: i32,
    message: &'static str,
}

const fn refusal(status: StatusCode, code: i32, message: &'static str) -> Refusal {
    Refusal { status, code, message }
}

async fn export(
    receiver: Arc<Receiver>,
    request: Request<Incoming>,
    welcome: impl FnOnce(),
) -> Result<Option<PartialSuccess>, Refusal> {
    let path = request.uri().path();
    let path = authorized(path, receiver.token()).ok_or(refusal(
        StatusCode::UNAUTHORIZED,
        code::UNAUTHENTICATED,
        "the session's token is missing or wrong",
    ))?;
    welcome();
    let signal = Signal::ALL.into_iter().find(|signal| signal.http_path() == path);
    let signal = signal.ok_or(refusal(StatusCode::NOT_FOUND, code::NOT_FOUND, "no such signal"))?;
    if request.method() != Method::POST {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, code::UNIMPLEMENTED, "only POST"));
    }
    let content_type = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if !media_type.eq_ignore_ascii_case("application/x-protobuf") {
        return Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code::INVALID_ARGUMENT,
            "the Content-Type is not application/x-protobuf",
        ));
    }
    let encoding = request.headers().get(CONTENT_ENCODING).map_or("", |value| value.to_str().unwrap_or("?")).to_owned();
    let body = decoded(read(request.into_body()).await?, &encoding)?;
    // On a task of its own: what was received whole is kept even if its client goes.
    let exported = tokio::spawn(async move { receiver.export(signal, body).await });
    exported.await.unwrap_or(Err(Rejection::NotStored)).map_err(|rejection| match rejection {
        Rejection::Malformed => refusal(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "not an OTLP request"),
        Rejection::NotStored => refusal(StatusCode::SERVICE_UNAVAILABLE, code::UNAVAILABLE, "cannot be stored now"),
        Rejection::NotStoredForLong => {
            refusal(StatusCode::INTERNAL_SERVER_ERROR, code::UNAVAILABLE, "cannot be stored, and could not for a while")
        }
    })
}

/// The path behind the token, if it is the session's. Compared in constant time: the token is all that keeps other
/// users of the machine out.
fn authorized<'a>(path: &'a str, token: &str) -> Option<&'a str> {
    let (given, rest) = path.strip_prefix('/')?.split_once('/')?;
    bool::from(given.as_bytes().ct_eq(token.as_bytes())).then(|| &path[path.len() - rest.len() - 1..])
}

const TOO_LARGE: Refusal = refusal(StatusCode::PAYLOAD_TOO_LARGE, code::RESOURCE_EXHAUSTED, "larger than 64 MiB");

async fn read(body: Incoming) -> Result<Bytes, Refusal> {
    match timeout(BODY, Limited::new(body, MAXIMUM_BODY).collect()).await {
        Ok(Ok(collected)) => Ok(collected.to_bytes()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => Err(TOO_LARGE),
        Ok(Err(_)) => Err(refusal(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body broke off")),
        Err(_) => Err(refusal(StatusCode::REQUEST_TIMEOUT, code::INVALID_ARGUMENT, "the body did not end in time")),
    }
}

/// The body without its compression, which may not hide more than the limit.
fn decoded(body: Bytes, encoding: &str) -> Result<Bytes, Refusal> {
    match encoding {
        "" | "identity" | "none" => Ok(body),
        "gzip" => match gunzip(&body, MAXIMUM_BODY) {
            Ok(plain) => Ok(plain.into()),
            Err(GzipError::TooLarge(_)) => Err(TOO_LARGE),
            Err(GzipError::Damaged(_)) => {
                Err(refusal(StatusCode::BAD_REQUEST, code::INVALID_ARGUMENT, "the body is no gzip"))
            }
        },
        _ => Err(refusal(
            StatusCode::UNSUPPORTED_MEDIA_TYPE,
            code::INVALID_ARGUMENT,
            "the Content-Encoding is neither gzip nor none",
        )),
    }
}
