//! Batches that a backend rejects as too large are split. A single record that is too large becomes a dead letter.

use super::{accepted, has, patient, prompt, send_in_a_session, start};
use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::{ids, ids_in, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};

#[test]
fn a_413_splits_down_to_one_record() {
    splits(&|_| Reply::http(413, "too much"), "http/protobuf");
}

#[test]
fn resource_exhausted_without_retry_info_also_splits_the_batch() {
    splits(&|_| Reply::grpc(8, "too much"), "grpc");
}

fn splits(refusal: &'static (impl Fn(&Received) -> Reply + Sync), protocol: &str) {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let is_refused = |received: &Received| ids_in(received).len() > 1;
    backend.reply_with(move |received| if is_refused(received) { refusal(received) } else { Reply::accept() });
    let profile = format!("{}protocol = \"{protocol}\"\n", patient(&backend));
    let received = send_in_a_session(&sandbox, &backend, &profile, &[ids("a", 5), ids("b", 1), ids("c", 2)]);
    let mut all = [ids("a", 5), ids("b", 1), ids("c", 2)].concat();
    all.sort();
    assert_eq!(accepted(&received, is_refused), all, "each record arrives once");
    assert_eq!(ids_in(&received[0]).len(), 8, "the first request has all records");
    assert!(sandbox.queue().is_empty());
}

#[test]
fn a_single_record_that_is_too_large_is_a_dead_letter_with_the_reason() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_with(|received| if has(received, "large") { Reply::http(413, "too much") } else { Reply::accept() });
    let requests = [ids("a", 2), [ids("b", 2), ids("large", 1), ids("c", 2)].concat()];
    let received = send_in_a_session(&sandbox, &backend, &patient(&backend), &requests);
    let mut others = [ids("a", 2), ids("b", 2), ids("c", 2)].concat();
    others.sort();
    assert_eq!(accepted(&received, |received| has(received, "large")), others);
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
    assert_eq!(queue[0]["last_error"], "413 payload too large: too much");
}

#[test]
fn a_size_rejection_does_not_affect_other_batches() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    // Backends check the size before decompression.
    let is_refused = |received: &Received| received.raw.len() > 4_000;
    backend
        .reply_with(move |received| if is_refused(received) { Reply::http(413, "too much") } else { Reply::accept() });
    let profile = format!("{}compression = \"gzip\"\n", prompt(&backend));
    let session = start(&sandbox, &profile);
    let mut client = session.client();
    // A single record that does not compress and is rejected.
    client.export(&[format!("noise-{}", noise(99, 20_000))]);
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    // Larger than the limit before compression, and a few hundred bytes after it.
    let large: Vec<_> = (0..20).map(|number| format!("large-{number:02}-{}", "x".repeat(40_000))).collect();
    for record in &large {
        client.export(std::slice::from_ref(record));
    }
    // The learned limit avoids requests that would be rejected, and only those.
    let mixed: Vec<_> = (0..8).map(|number| format!("mixed-{number}-{}", noise(number, 1_500))).collect();
    client.export(&mixed);
    client.export(&mixed.iter().map(|id| format!("again-{id}")).collect::<Vec<_>>());
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let received = backend.received();
    let accepted = accepted(&received, is_refused);
    assert_eq!(accepted.iter().filter(|id| id.starts_with("large-")).count(), 20);
    assert_eq!(accepted.iter().filter(|id| id.contains("mixed-")).count(), 16);
    assert!(received.iter().filter(|one| is_refused(one)).all(|one| !has(one, "again-")), "known to be too large");
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
}

/// Text that hardly compresses.
fn noise(seed: u64, length: usize) -> String {
    let mut state = 0x2545_f491_4f6c_dd1d_u64 ^ (seed << 32);
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        char::from(b'!' + u8::try_from(state % 90).unwrap())
    };
    (0..length).map(|_| next()).collect()
}

#[test]
fn a_grpc_quota_drops_nothing() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply_always(Reply::grpc(8, "quota"));
    let profile = format!("{}protocol = \"grpc\"\n", prompt(&backend));
    let session = start(&sandbox, &profile);
    session.client().export(&ids("record", 2));
    wait_until("the reason", || sandbox.queue().first().is_some_and(|entry| entry["next_try"].is_string()));
    backend.reply_always(Reply::accept());
    backend.clear();
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ids("record", 2));
    assert!(sandbox.queue().is_empty(), "the split batch is delivered and nothing is dropped");
}
