//! The two encodings of OTLP/HTTP. An answer uses the encoding of its request (OTLP specification, *OTLP/HTTP
//! Response*).

use bytes::Bytes;
use hyper::HeaderMap;
use hyper::header::{CONTENT_TYPE, HeaderValue};
use prost::Message;

use super::blocking::aside;
use super::refusal::Refusal;
use crate::collector::receive::memory::MAXIMUM;
use crate::otlp::{ExportResponse, JsonError, PartialSuccess, RpcStatus, Signal, json_to_protobuf};

/// The encoding of a request.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Encoding {
    #[default]
    Protobuf,
    Json,
}

impl Encoding {
    /// The encoding that the headers name, with any parameters; `None` if it is neither.
    pub(super) fn of(headers: &HeaderMap) -> Option<Self> {
        let content_type = headers.get(CONTENT_TYPE)?.to_str().ok()?;
        match content_type.split(';').next()?.trim().to_ascii_lowercase().as_str() {
            "application/x-protobuf" => Some(Self::Protobuf),
            "application/json" => Some(Self::Json),
            _ => None,
        }
    }

    pub(super) fn content_type(self) -> HeaderValue {
        HeaderValue::from_static(match self {
            Self::Protobuf => "application/x-protobuf",
            Self::Json => "application/json",
        })
    }

    /// An `Export…ServiceResponse`. Without `partial_success`, it is empty in protobuf and `{}` in JSON.
    pub(super) fn response(self, signal: Signal, partial_success: Option<PartialSuccess>) -> Bytes {
        let response = ExportResponse { partial_success };
        match self {
            Self::Protobuf => response.encode_to_vec().into(),
            Self::Json => response.to_json(signal).into(),
        }
    }

    pub(super) fn status(self, status: &RpcStatus) -> Bytes {
        match self {
            Self::Protobuf => status.encode_to_vec().into(),
            Self::Json => status.to_json().into(),
        }
    }

    /// The message in protobuf. Errors in JSON have positions, since people write JSON by hand.
    pub(super) async fn in_protobuf(self, signal: Signal, message: Bytes) -> Result<Bytes, Refusal> {
        if self == Self::Protobuf {
            return Ok(message);
        }
        match aside(message.len(), move || json_to_protobuf(signal, &message, MAXIMUM)).await? {
            Ok(message) => Ok(message.into()),
            Err(JsonError::TooLarge(_)) => Err(Refusal::TooLarge),
            Err(error) => Err(Refusal::NoJson(error)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_and_capitals_in_a_media_type_are_ignored() {
        let cases = [
            ("application/json", Some(Encoding::Json)),
            ("application/json; charset=utf-8", Some(Encoding::Json)),
            ("Application/JSON;charset=UTF-8", Some(Encoding::Json)),
            ("application/x-protobuf ; charset=utf-8", Some(Encoding::Protobuf)),
            ("application/jsonx", None),
            ("text/json", None),
            ("", None),
        ];
        for (value, expected) in cases {
            let headers = [(CONTENT_TYPE, HeaderValue::from_static(value))].into_iter().collect();
            assert_eq!(Encoding::of(&headers), expected, "{value}");
        }
        assert_eq!(Encoding::of(&HeaderMap::new()), None);
    }
}
