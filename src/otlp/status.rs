//! `google.rpc.Status`, which carries an error in both of OTLP's protocols, and the delay that it may request.

use std::time::Duration;

use prost::Message;

/// The type URL of `RetryInfo` among a status's details (googleapis, `error_details.proto`).
const RETRY_INFO: &str = "type.googleapis.com/google.rpc.RetryInfo";

/// `google.rpc.Status` (googleapis, `google/rpc/status.proto`).
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RpcStatus {
    /// A gRPC code.
    #[prost(int32, tag = "1")]
    pub code: i32,
    /// The error, for developers.
    #[prost(string, tag = "2")]
    pub message: String,
    /// Further messages, each with its type.
    #[prost(message, repeated, tag = "3")]
    pub details: Vec<RpcAny>,
}

/// `google.protobuf.Any`.
#[derive(Clone, PartialEq, Eq, Message)]
pub struct RpcAny {
    /// The type of the message: `type.googleapis.com/…`.
    #[prost(string, tag = "1")]
    pub type_url: String,
    /// The message, encoded.
    #[prost(bytes = "vec", tag = "2")]
    pub value: Vec<u8>,
}

/// `google.rpc.RetryInfo`.
#[derive(Clone, PartialEq, Eq, Message)]
struct RetryInfo {
    #[prost(message, optional, tag = "1")]
    retry_delay: Option<RetryDelay>,
}

/// `google.protobuf.Duration`.
#[derive(Clone, PartialEq, Eq, Message)]
struct RetryDelay {
    #[prost(int64, tag = "1")]
    seconds: i64,
    #[prost(int32, tag = "2")]
    nanos: i32,
}

impl RpcStatus {
    /// The delay in the status's `RetryInfo`. A missing or negative delay means now.
    pub fn retry_delay(&self) -> Option<Duration> {
        let detail = self.details.iter().find(|detail| detail.type_url == RETRY_INFO)?;
        let delay = RetryInfo::decode(&*detail.value).ok()?.retry_delay.unwrap_or_default();
        let nanos = u32::try_from(delay.nanos).unwrap_or(0).min(999_999_999);
        Some(u64::try_from(delay.seconds).map_or(Duration::ZERO, |seconds| Duration::new(seconds, nanos)))
    }

    /// The status in JSON, without its details: JSON would need the type of each, and none is for people.
    pub fn to_json(&self) -> String {
        serde_json::json!({ "code": self.code, "message": self.message }).to_string()
    }

    /// The same status with a request to retry after `delay`.
    #[must_use]
    pub fn with_retry_delay(mut self, delay: Duration) -> Self {
        let retry_delay = Some(RetryDelay {
            seconds: i64::try_from(delay.as_secs()).unwrap_or(i64::MAX),
            nanos: i32::try_from(delay.subsec_nanos()).unwrap_or(0),
        });
        let value = RetryInfo { retry_delay }.encode_to_vec();
        self.details.push(RpcAny { type_url: RETRY_INFO.to_owned(), value });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_delay_survives_a_round_trip() {
        let delay = Duration::from_millis(1500);
        let sent = RpcStatus { code: 14, message: "busy".to_owned(), details: Vec::new() }.with_retry_delay(delay);
        let received = RpcStatus::decode(&*sent.encode_to_vec()).unwrap();
        assert_eq!(received.retry_delay(), Some(delay));
        assert_eq!(RpcStatus::default().retry_delay(), None);
    }

    #[test]
    fn invalid_delays_are_corrected() {
        for (seconds, nanos, expected) in [(-5, 0, 0), (3, -1, 3), (3, i32::MAX, 3), (i64::MAX, 0, i64::MAX as u64)] {
            let value = RetryInfo { retry_delay: Some(RetryDelay { seconds, nanos }) }.encode_to_vec();
            let details = vec![RpcAny { type_url: RETRY_INFO.to_owned(), value }];
            let status = RpcStatus { code: 8, message: String::new(), details };
            assert_eq!(status.retry_delay().unwrap().as_secs(), expected);
        }
    }
}
