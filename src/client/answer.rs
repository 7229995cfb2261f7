//! A server's answer.

use hyper::StatusCode;
use hyper::body::Bytes;
use hyper::header::{CONTENT_TYPE, HeaderMap};

/// How much of an answer is read, in bytes, and its maximum size when decompressed. An answer to OTLP is a count and a
/// message, and an answer to a token request is not larger.
pub const ANSWER_LIMIT: usize = 64 << 10;

/// An answer as it came, with its body cut to [`ANSWER_LIMIT`].
#[derive(Clone, Debug, Default)]
pub struct Answer {
    /// HTTP's status, over gRPC as well.
    pub status: StatusCode,
    /// The headers.
    pub headers: HeaderMap,
    /// The part of the body that was read.
    pub body: Bytes,
    /// The trailers after the body, where gRPC has its status.
    pub trailers: HeaderMap,
    /// Why the body is incomplete, if it is.
    pub cut: Option<Cut>,
}

/// Why reading an answer's body ended early.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cut {
    /// It was longer than [`ANSWER_LIMIT`].
    TooLong,
    /// It did not end in time.
    TooLate,
    /// The connection broke.
    BrokenOff,
}

impl Answer {
    /// The media type, in lower case and without its parameters.
    pub(crate) fn media_type(&self) -> String {
        let value = self.headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
        value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase()
    }

    /// Whether it is a page for people, such as a login page or a proxy's message.
    pub(crate) fn is_html(&self) -> bool {
        let starts =
            |prefix: &[u8]| self.body.get(..prefix.len()).is_some_and(|start| start.eq_ignore_ascii_case(prefix));
        self.media_type().contains("html") || starts(b"<!doctype") || starts(b"<html")
    }
}

impl Cut {
    /// The description, to follow "the answer".
    pub(crate) fn words(self) -> &'static str {
        match self {
            Self::TooLong => "was longer than 64 KiB",
            Self::TooLate => "did not end in time",
            Self::BrokenOff => "broke off",
        }
    }
}

/// `404 not found`.
pub(crate) fn status_words(status: StatusCode) -> String {
    let name = status.canonical_reason().unwrap_or_default().to_ascii_lowercase();
    format!("{} {name}", status.as_u16()).trim_end().to_owned()
}

/// Describes an HTML page, by its title if it has one.
pub(crate) fn html_words(page: &str) -> String {
    // Only ASCII is lowered, so that positions in one text are positions in the other.
    let lower = page.to_ascii_lowercase();
    let title = lower.find("<title").and_then(|start| {
        let start = start + lower.get(start..)?.find('>')? + 1;
        let end = start + lower.get(start..)?.find('<')?;
        page.get(start..end).map(str::trim).filter(|title| !title.is_empty())
    });
    title.map_or_else(|| "a page of html".to_owned(), |title| format!("a page of html titled `{title}`"))
}
