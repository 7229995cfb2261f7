//! What holds for every message: both forms say the same, by our own reading and by that of others.

use proptest::prelude::*;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::*;
use crate::otlp::arbitrary::Source;

/// Through JSON and back it is the same message, byte for byte as prost encodes it (which tells NaN from nothing).
fn comes_back<M: Message + Default>(signal: Signal, message: &M) -> Result<(), TestCaseError> {
    let json = write(signal, message);
    let decoded = M::decode(&*read(signal, &json).unwrap()).unwrap();
    prop_assert_eq!(decoded.encode_to_vec(), message.encode_to_vec(), "{}", json);
    Ok(())
}

/// The types crate's own JSON reads ours and is read by us, where it gets things right.
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
    fn every_message_comes_back(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        comes_back(Signal::Traces, &Source::new(&bytes, false).traces())?;
        comes_back(Signal::Metrics, &Source::new(&bytes, false).metrics())?;
        comes_back(Signal::Logs, &Source::new(&bytes, false).logs())?;
    }

    #[test]
    fn the_types_crate_agrees_where_it_can(bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..2000)) {
        agrees(Signal::Traces, &Source::new(&bytes, true).traces())?;
        agrees(Signal::Metrics, &Source::new(&bytes, true).metrics())?;
        agrees(Signal::Logs, &Source::new(&bytes, true).logs())?;
    }

    #[test]
    fn damaged_json_is_refused_or_means_what_it_says(
        bytes in proptest::collection::vec(proptest::num::u8::ANY, 0..1000),
        damages in proptest::collection::vec((proptest::num::usize::ANY, "[\\[\\]{}:,\"0-9a-f.\\-\\\\n]"), 1..4),
    ) {
        let mut json = write(Signal::Logs, &Source::new(&bytes, false).logs()).into_bytes();
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
    fn whatever_is_read_is_what_protobuf_reads(json in "[\\[\\]{}:,\"a-z0-9.\\-\\\\]{0,60}", bytes: Vec<u8>) {
        for signal in Signal::ALL {
            drop(read(signal, &json));
            drop(read(signal, &bytes));
            drop(protobuf_to_json(signal, &bytes, LIMIT));
        }
    }
}
