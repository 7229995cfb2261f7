//! Sessions under chaos: workers and keepers are killed, backends stop, databases are damaged, and files are deleted.
//! All acknowledged data is delivered in the end.

use std::collections::BTreeSet;
use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use nix::sys::signal::Signal;

use super::{deliver_the_rest, number, say};
use crate::support::backend::{Backend, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::random::Random;
use crate::support::sandbox::Sandbox;
use crate::support::session::Session;

/// The number of sessions, unless `TEST_CHAOS` is set.
const SESSIONS: usize = 134;

/// The number of concurrent sessions.
const LANES: usize = 6;

#[test]
#[ignore = "takes minutes; scripts/test.sh --all runs it"]
fn nothing_acknowledged_is_lost_in_chaos() {
    let sessions = number("TEST_CHAOS").map_or(SESSIONS, |sessions| usize::try_from(sessions).unwrap());
    let seed = number("TEST_SEED").unwrap_or_else(|| std::process::id().into());
    say(&format!("seed {seed}"));
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let moods = Mutex::new(Random::new(seed));
    backend.reply_with(move |_| match moods.lock().unwrap().below(6) {
        0 => Reply::http(503, "busy"),
        1 => Reply::close(),
        _ => Reply::accept(),
    });
    let (left, acknowledged) = (AtomicUsize::new(sessions), Mutex::new(BTreeSet::new()));
    std::thread::scope(|scope| {
        let mut random = Random::new(seed);
        for _ in 0..LANES {
            let mut random = random.fork();
            let (sandbox, backend, left, acknowledged) = (&sandbox, &backend, &left, &acknowledged);
            scope.spawn(move || {
                while let Ok(number) =
                    left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1))
                {
                    let kept = session(sandbox, backend, number, &mut random);
                    acknowledged.lock().unwrap().extend(kept);
                }
            });
        }
    });
    backend.reply_always(Reply::accept());
    deliver_the_rest(&sandbox);
    let delivered: BTreeSet<_> = ids_of(&backend.received()).into_iter().collect();
    let acknowledged = acknowledged.into_inner().unwrap();
    let lost: Vec<_> = acknowledged.difference(&delivered).collect();
    assert!(lost.is_empty(), "seed {seed}: {} of {} are lost: {lost:?}", lost.len(), acknowledged.len());
    say(&format!("{sessions} sessions, {} records", acknowledged.len()));
}

/// Runs one session, to which several things happen. Returns the acknowledged records.
fn session(sandbox: &Sandbox, backend: &Backend, number: usize, random: &mut Random) -> Vec<String> {
    let mut session = Session::to(sandbox, &backend.endpoint());
    let (mut client, mut kept) = (session.client(), Vec::new());
    for round in 0..6 {
        let records = ids(&format!("session-{number}-{round}"), 3);
        if client.send(&records).is_ok_and(|answer| answer.status == 200) {
            kept.extend(records);
        }
        match random.below(8) {
            0 => session.end_worker(Signal::SIGKILL),
            1 => {
                session.kill_both();
                return kept;
            }
            2 => damage(sandbox, random),
            3 => drop(fs::remove_file(sandbox.state().join("locks").join(&session.id))),
            4 => drop(fs::remove_file(sandbox.state().join("store-2.lock"))),
            _ => {}
        }
    }
    drop(client);
    session.end_saying();
    kept
}

/// Overwrites a page of a database.
fn damage(sandbox: &Sandbox, random: &mut Random) {
    let name = if random.below(2) == 0 { "store-2.db" } else { "ledger-1.db" };
    let path = sandbox.state().join(name);
    let pages = fs::metadata(&path).map_or(0, |found| found.len() / 4096);
    if pages > 0
        && let Ok(file) = OpenOptions::new().write(true).open(path)
    {
        file.write_all_at(&[0xa5; 4096], random.below(pages) * 4096).unwrap();
    }
}
