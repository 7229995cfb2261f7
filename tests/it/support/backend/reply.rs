//! The replies of a backend.

use bytes::Bytes;
use ccrun::otlp::frame;
use ccrun::profile::Protocol;
use hyper::body::Frame;
use hyper::header::{CONTENT_TYPE, HeaderName};
use hyper::{HeaderMap, Response};
use opentelemetry_proto::tonic::collector::logs::v1::{ExportLogsPartialSuccess, ExportLogsServiceResponse};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use prost::Message;

use super::serve::ReplyBody;

/// A reply, built step by step: `Reply::http(503, "busy").header("retry-after", "7").held()`.
#[derive(Clone, Debug)]
pub struct Reply {
    what: What,
    headers: Vec<(String, String)>,
    trailers: Vec<(String, String)>,
    pub(super) ending: Ending,
    pub(super) is_held: bool,
}

#[derive(Clone, Debug)]
enum What {
    /// A success in the protocol of the request.
    Response(Vec<u8>),
    Http(u16, Vec<u8>),
    /// A failure in gRPC trailers.
    Grpc,
    /// A failure in gRPC headers, without a body or trailers.
    GrpcTrailersOnly,
}

/// How a reply ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    Whole,
    /// The body never ends.
    Endless,
    /// The body stalls halfway, and the connection stays open.
    Stalled,
    /// The connection is closed without a reply.
    Closed,
    /// No reply is ever sent.
    Never,
}

impl Reply {
    /// Success, without a message.
    pub fn accept() -> Self {
        Self::of(What::Response(Vec::new()))
    }

    /// Success except for `rejected` records, with a message.
    pub fn partial(rejected: i64, message: &str) -> Self {
        let partial = ExportLogsPartialSuccess { rejected_log_records: rejected, error_message: message.to_owned() };
        Self::of(What::Response(ExportLogsServiceResponse { partial_success: Some(partial) }.encode_to_vec()))
    }

    /// An HTTP reply in any protocol. It has no content type unless one is added.
    pub fn http(status: u16, body: impl AsRef<[u8]>) -> Self {
        Self::of(What::Http(status, body.as_ref().to_vec()))
    }

    /// A gRPC status after an empty body.
    pub fn grpc(code: u8, message: &str) -> Self {
        Self { trailers: grpc_status(code, message), ..Self::of(What::Grpc) }
    }

    /// A gRPC status in the headers, as servers send it that fail before the body.
    pub fn grpc_trailers_only(code: u8, message: &str) -> Self {
        Self { headers: grpc_status(code, message), ..Self::of(What::GrpcTrailersOnly) }
    }

    /// No answer but the end of the connection.
    pub fn close() -> Self {
        Self { ending: Ending::Closed, ..Self::accept() }
    }

    /// Never replies.
    pub fn hang() -> Self {
        Self { ending: Ending::Never, ..Self::accept() }
    }

    /// Continues the body forever.
    pub fn endless(self) -> Self {
        Self { ending: Ending::Endless, ..self }
    }

    /// Stalls the body after its first frame.
    pub fn stalled(self) -> Self {
        Self { ending: Ending::Stalled, ..self }
    }

    /// Holds the reply until the backend releases it.
    pub fn held(self) -> Self {
        Self { is_held: true, ..self }
    }

    /// Adds a header.
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds a trailer.
    pub fn trailer(mut self, name: &str, value: &str) -> Self {
        self.trailers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Whether this is not a reply at all.
    pub fn is_hang_up(&self) -> bool {
        self.ending == Ending::Closed
    }

    /// Whether it means that nothing was accepted.
    pub fn is_failure(&self) -> bool {
        match self.what {
            What::Response(_) => false,
            What::Http(status, _) => status != 200,
            What::Grpc | What::GrpcTrailersOnly => true,
        }
    }

    fn of(what: What) -> Self {
        Self { what, headers: Vec::new(), trailers: Vec::new(), ending: Ending::Whole, is_held: false }
    }

    /// The reply in the form of `protocol`.
    pub(super) fn response(&self, protocol: Protocol) -> Response<ReplyBody> {
        let is_grpc = protocol == Protocol::Grpc;
        let (status, content_type, body) = match &self.what {
            What::Response(message) if is_grpc => (200, "application/grpc", frame(message, false).unwrap()),
            What::Response(message) if protocol == Protocol::HttpJson => (200, "application/json", json(message)),
            What::Response(message) => (200, "application/x-protobuf", Bytes::copy_from_slice(message)),
            What::Http(status, body) => (*status, "", Bytes::copy_from_slice(body)),
            What::Grpc | What::GrpcTrailersOnly => (200, "application/grpc", Bytes::new()),
        };
        let mut trailers = header_map(&self.trailers);
        if is_grpc && matches!(self.what, What::Response(_)) {
            trailers.insert("grpc-status", "0".parse().unwrap());
        }
        let mut frames = vec![Frame::data(body)];
        frames.extend((!trailers.is_empty()).then(|| Frame::trailers(trailers)));
        let mut response = Response::new(ReplyBody::new(frames, self.ending));
        *response.status_mut() = status.try_into().unwrap();
        *response.headers_mut() = header_map(&self.headers);
        if !content_type.is_empty() {
            response.headers_mut().insert(CONTENT_TYPE, content_type.parse().unwrap());
        }
        response
    }
}

/// Converts an `ExportLogsServiceResponse` to JSON.
fn json(message: &[u8]) -> Bytes {
    let response = ExportLogsServiceResponse::decode(message).unwrap();
    let partial = response.partial_success.map(|partial| {
        serde_json::json!({
            "rejectedLogRecords": partial.rejected_log_records.to_string(),
            "errorMessage": partial.error_message,
        })
    });
    let response = partial.map_or(serde_json::json!({}), |partial| serde_json::json!({ "partialSuccess": partial }));
    response.to_string().into()
}

fn grpc_status(code: u8, message: &str) -> Vec<(String, String)> {
    let message = utf8_percent_encode(message, NON_ALPHANUMERIC).to_string();
    vec![("grpc-status".to_owned(), code.to_string()), ("grpc-message".to_owned(), message)]
}

fn header_map(pairs: &[(String, String)]) -> HeaderMap {
    pairs.iter().map(|(name, value)| (name.parse::<HeaderName>().unwrap(), value.parse().unwrap())).collect()
}
