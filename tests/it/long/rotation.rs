//! Keys that rotate every few seconds for a minute, under a steady load over both protocols.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use super::{number, say};
use crate::support::backend::Received;
use crate::support::emitter::{ids, ids_in};
use crate::support::keys::{Helper, Locked};
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::session::Session;

/// How long keys rotate, unless `TEST_SECONDS` is set.
const SECONDS: u64 = 60;

/// The shortest lifetime of a key.
const BETWEEN_ROTATIONS: Duration = Duration::from_secs(3);

/// The number of sessions. Each has a destination for either protocol.
const SESSIONS: usize = 3;

/// The pause of a client between two exports.
const BETWEEN_EXPORTS: Duration = Duration::from_millis(50);

#[test]
#[ignore = "takes a minute; scripts/test.sh --all runs it"]
fn nothing_is_lost_while_keys_rotate() {
    let sandbox = Sandbox::new();
    let (http, grpc) = (Locked::start(), Locked::start());
    let both = [&http, &grpc];
    let helper = Helper::new(&sandbox, "");
    let exchange = |key: &str| {
        helper.give(key);
        for backend in both {
            backend.accept(key);
        }
    };
    exchange("key-0");
    let destination = |name: &str, backend: &Locked, protocol: &str| {
        backend.destination(&Helper::source("")).replace("destination.d", &format!("destination.{name}"))
            + &format!("protocol = \"{protocol}\"\n")
    };
    let profile = destination("http", &http, "http/protobuf") + &destination("grpc", &grpc, "grpc");
    sandbox.profile("team", profile);
    let sessions: Vec<_> = (0..SESSIONS).map(|_| Session::start(&sandbox, &["-p", "team"])).collect();
    let over = AtomicBool::new(false);
    let end = Instant::now() + Duration::from_secs(number("TEST_SECONDS").unwrap_or(SECONDS));
    let mut rotations = 0;
    let mut acknowledged: Vec<String> = scope(|scope| {
        let loads: Vec<_> = sessions.iter().map(|session| scope.spawn(|| load(session, &over))).collect();
        // Every session must have used a key over both protocols before the next rotation, so that the count is exact.
        let met = |key: &str| {
            sessions.iter().all(|session| {
                both.iter().all(|backend| backend.accepted().iter().any(|received| is_from(received, session, key)))
            })
        };
        wait_until("the first key to be used", || met("key-0"));
        while Instant::now() < end {
            sleep(BETWEEN_ROTATIONS);
            rotations += 1;
            let key = format!("key-{rotations}");
            exchange(&key);
            wait_until("every session to use the new key", || met(&key));
        }
        over.store(true, Ordering::Relaxed);
        loads.into_iter().flat_map(|load| load.join().unwrap()).collect()
    });
    acknowledged.sort();
    let mut duplicates = 0;
    for (name, backend) in [("http", &http), ("grpc", &grpc)] {
        wait_until("all records to arrive", || counts(backend).len() >= acknowledged.len());
        let counts = counts(backend);
        let lost = acknowledged.iter().filter(|id| !counts.contains_key(*id)).count();
        let twice: usize = counts.values().map(|times| times - 1).sum();
        say(&format!(
            "{name}: {} records acknowledged, {lost} lost, {twice} duplicates; {} requests accepted, {} refused",
            acknowledged.len(),
            backend.accepted().len(),
            backend.refused()
        ));
        assert_eq!(lost, 0);
        // One rejection for each session and key, unless another session's probe prevented it.
        assert!(backend.refused() <= SESSIONS * rotations, "{} refusals", backend.refused());
        duplicates += twice;
    }
    let expected = SESSIONS * 2 * (rotations + 1);
    say(&format!("{rotations} rotations, {} helper runs, {expected} expected", helper.runs()));
    assert_eq!((helper.runs(), duplicates), (expected, 0));
    for session in sessions {
        session.end();
    }
    sandbox.wait_for_end();
    assert!(sandbox.queue().is_empty());
}

/// Exports until told to stop, and returns the acknowledged records.
fn load(session: &Session, over: &AtomicBool) -> Vec<String> {
    let (mut client, mut acknowledged, mut number) = (session.client(), Vec::new(), 0);
    while !over.load(Ordering::Relaxed) {
        number += 1;
        let records = ids(&format!("{}-{number}", session.id), 3);
        client.export(&records);
        acknowledged.extend(records);
        sleep(BETWEEN_EXPORTS);
    }
    acknowledged
}

fn is_from(received: &Received, session: &Session, key: &str) -> bool {
    received.header("authorization") == format!("Bearer {key}")
        && ids_in(received).iter().any(|id| id.starts_with(&session.id))
}

/// How often each record arrived with an accepted key.
fn counts(backend: &Locked) -> BTreeMap<String, usize> {
    let mut counts = BTreeMap::new();
    for id in backend.accepted().iter().flat_map(ids_in) {
        *counts.entry(id).or_default() += 1;
    }
    counts
}
