//! Properties of every message: both forms are equivalent, for our own reader and for others.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::otlp::arbitrary::arbitrary;

fn request<M: Message + Default>(signal: Signal, bytes: &[u8], plain: bool) -> M {
    M::decode(&*arbitrary(signal, bytes, plain)).unwrap()
}

/// A round trip through JSON yields the same message, byte for byte as prost encodes it. This distinguishes NaN from an
/// absent value.
fn comes_back<M: Message + Default>(signal: Signal, message: &M) -> Result<(), TestCaseError> {
    let json = write(signal, message);
    let decoded = M::decode(&*read(signal, &json).unwrap()).unwrap();
    prop_assert_eq!(decoded.encode_to_vec(), message.encode_to_vec(), "{}", json);
    Ok(())
}

/// The types crate's own JSON reads ours and vice versa, where it is correct.
fn agrees<M>(signal: Signal, message: &M) -> Result<(), TestCaseError>
where
    M: Message + Default + PartialEq + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let ours = write(signal, message);
    let read_by_theirs: M =
        serde_json::from_str(&ours).map_err(|error| TestCaseError::fail(format!("{error}: {ours}")))?;
    prop_assert_eq!(&read_by_theirs, message, "{}", ours);
    let theirs = serde_json::to_string(message).unwrap();
    let read_by_ours = read(signal, &theirs).map_err(|error| TestCaseError::fail(format!("{error}: {theirs}")))?;
    prop_assert_eq!(&M::decode(&*read_by_ours).unwrap(), message, "{}", theirs);
    Ok(())
}

proptest! {
    #[test]
    fn every_message_survives_a_round_trip_through_json(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
    ) {
        comes_back::<ExportTraceServiceRequest>(Signal::Traces, &request(Signal::Traces, &bytes, false))?;
        comes_back::<ExportMetricsServiceRequest>(Signal::Metrics, &request(Signal::Metrics, &bytes, false))?;
        comes_back::<ExportLogsServiceRequest>(Signal::Logs, &request(Signal::Logs, &bytes, false))?;
    }

    #[test]
    fn the_types_crate_reads_and_writes_the_same_json(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000),
    ) {
        agrees::<ExportTraceServiceRequest>(Signal::Traces, &request(Signal::Traces, &bytes, true))?;
        agrees::<ExportMetricsServiceRequest>(Signal::Metrics, &request(Signal::Metrics, &bytes, true))?;
        agrees::<ExportLogsServiceRequest>(Signal::Logs, &request(Signal::Logs, &bytes, true))?;
    }

    #[test]
    fn damaged_json_is_rejected_or_read_as_another_message(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..1000),
        damages in proptest::collection::vec((proptest::num::usize::ANY, "[\\[\\]{}:,\"0-9a-f.\\-\\\\n]"), 1..4),
    ) {
        let mut json = write(Signal::Logs, &request::<ExportLogsServiceRequest>(Signal::Logs, &bytes, false)).into_bytes();
        for (place, damage) in damages {
            let place = place % json.len();
            json[place] = damage.as_bytes()[0];
        }
        match read(Signal::Logs, &json) {
            Ok(read) => comes_back(Signal::Logs, &ExportLogsServiceRequest::decode(&*read).unwrap())?,
            Err(error) => prop_assert_eq!(error.to_string().lines().count(), 1),
        }
    }

    #[test]
    fn json_reads_the_same_as_protobuf(json in "[\\[\\]{}:,\"a-z0-9.\\-\\\\]{0,60}", bytes: Vec<u8>) {
        for signal in Signal::ALL {
            drop(read(signal, &json));
            drop(read(signal, &bytes));
            drop(protobuf_to_json(signal, &bytes, LIMIT));
        }
    }
}
