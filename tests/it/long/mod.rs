//! Tests that take long: a thousand kills at random moments under load. `isolation` runs many sessions at once,
//! `rotation` rotates keys, and `silence` has a program that exports nothing.

mod chaos;
mod isolation;
mod rotation;
mod silence;

use std::collections::{BTreeSet, HashMap};
use std::io::ErrorKind;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::{scope, sleep};
use std::time::{Duration, Instant};

use nix::sys::signal::Signal;

use crate::support::backend::{Backend, Received, Reply};
use crate::support::emitter::{Emitter, ids, ids_in};
use crate::support::random::Random;
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

/// The number of kills, unless `TEST_KILLS` is set.
const KILLS: usize = 1000;

/// The number of concurrent sessions.
const LANES: usize = 2;

/// The number of clients in a session.
const CLIENTS: usize = 3;

/// How often a keeper replaces its worker before it gives up.
const REPLACED: usize = 5;

/// The longest pause before a kill.
const BETWEEN_KILLS: Duration = Duration::from_millis(60);

/// The longest pause of a client between two exports.
const BETWEEN_EXPORTS: Duration = Duration::from_millis(10);

/// The limit for the final delivery. It only applies on failure.
const DELIVERED_WITHIN: Duration = Duration::from_mins(20);

/// What the backend received.
#[derive(Debug, Default)]
struct Given {
    /// The number of deliveries of each id.
    times: HashMap<String, usize>,
    /// For each request with repeated ids, these ids.
    repeated: Vec<Vec<String>>,
    /// The number of requests that it accepted without an answer.
    unanswered: usize,
}

type Delivered = Arc<Mutex<Given>>;

#[test]
#[ignore = "takes minutes; scripts/test.sh --all runs it"]
fn nothing_acknowledged_is_lost_over_random_kills() {
    let kills = number("TEST_KILLS").map_or(KILLS, |kills| usize::try_from(kills).unwrap());
    let seed = number("TEST_SEED").unwrap_or_else(|| std::process::id().into());
    say(&format!("seed {seed}: TEST_SEED={seed} chooses the same kills; the moments are the machine's own"));
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let delivered = record(&backend, Random::new(seed));
    let run = Run {
        sandbox: &sandbox,
        backend: &backend,
        acknowledged: Mutex::default(),
        left: AtomicUsize::new(kills),
        counts: Mutex::default(),
    };
    let mut random = Random::new(seed);
    let begun = Instant::now();
    scope(|scope| {
        for lane in 0..LANES {
            let (run, random) = (&run, random.fork());
            scope.spawn(move || run.lane(lane, random));
        }
    });
    let (killed, begun) = (begun.elapsed(), Instant::now());
    let waiting = sandbox.queue().iter().map(|entry| entry["batches"].as_u64().unwrap()).sum();
    // From here on, the backend accepts everything, so that the result does not depend on chance.
    record_into(&backend, &delivered, |_| Reply::accept());
    deliver_the_rest(&sandbox);
    run.report(&delivered, waiting, killed, begun.elapsed());
    assert_store_is_empty(&sandbox);
}

#[expect(clippy::print_stdout, reason = "figures for manual runs")]
fn say(text: &str) {
    println!("{text}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Makes the backend record what it receives. Sometimes it closes the connection after accepting a request, or rejects
/// everything for a while, so that kills meet both full and empty stores.
fn record(backend: &Backend, mut random: Random) -> Delivered {
    let delivered = Delivered::default();
    let mut busy = 0;
    record_into(backend, &delivered, move |_| {
        match random.below(500) {
            0 => return Reply::close(),
            1..4 => busy = random.below(100),
            _ => busy = busy.saturating_sub(1),
        }
        if busy > 0 { Reply::http(503, "busy") } else { Reply::accept() }
    });
    delivered
}

fn record_into(backend: &Backend, delivered: &Delivered, mut reply: impl FnMut(&Received) -> Reply + Send + 'static) {
    let delivered = Arc::clone(delivered);
    backend.reply_with(move |received| {
        let reply = reply(received);
        // A request counts as received if the connection is closed after it, but not if the backend is busy.
        if !reply.is_failure() {
            let mut given = delivered.lock().unwrap();
            given.unanswered += usize::from(reply.is_hang_up());
            let ids = ids_in(received);
            let before: Vec<_> = ids.iter().filter(|id| given.times.contains_key(*id)).cloned().collect();
            given.repeated.extend(Some(before).filter(|before| !before.is_empty()));
            for id in ids {
                *given.times.entry(id).or_default() += 1;
            }
        }
        reply
    });
}

struct Run<'a> {
    sandbox: &'a Sandbox,
    backend: &'a Backend,
    acknowledged: Mutex<Vec<String>>,
    /// The number of kills still to come.
    left: AtomicUsize,
    counts: Mutex<Counts>,
}

/// Statistics of the run.
#[derive(Debug, Default)]
struct Counts {
    sessions: usize,
    workers: usize,
    keepers: usize,
    both: usize,
    /// Sessions that ended normally.
    ended: usize,
    /// Records that were exported again because they were not acknowledged.
    sent_again: BTreeSet<String>,
}

/// The process to kill.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    Keeper,
    Both,
}

impl Counts {
    fn count(&mut self, victim: Victim) {
        match victim {
            Victim::Worker => self.workers += 1,
            Victim::Keeper => self.keepers += 1,
            Victim::Both => self.both += 1,
        }
    }
}

impl Run<'_> {
    /// Runs one session after another until there were enough kills.
    fn lane(&self, lane: usize, mut random: Random) {
        let mut number = 0;
        while self.left.load(Ordering::Relaxed) > 0 {
            self.session(&format!("{lane}-{number}"), &mut random);
            number += 1;
            // These requests are counted already.
            self.backend.clear();
        }
    }

    /// Runs a session under load until its collector has been killed for good, or the session ends normally.
    fn session(&self, name: &str, random: &mut Random) {
        self.counts.lock().unwrap().sessions += 1;
        let session = Session::to(self.sandbox, &self.backend.endpoint());
        let (over, may_refuse) = (AtomicBool::new(false), AtomicBool::new(false));
        let session = scope(|scope| {
            for client in 0..CLIENTS {
                let load =
                    Load { client: session.client(), over: &over, may_refuse: &may_refuse, sent_again: Vec::new() };
                let load = if client == 0 { Load { client: load.client.gzip().chunked(), ..load } } else { load };
                let random = random.fork();
                scope.spawn(move || self.export(&format!("{name}-{client}"), load, random));
            }
            // Set on every exit, because the scope waits for the clients.
            let _over = Over(&over);
            self.kill(session, random, &may_refuse)
        });
        // The launch may have reported on killed sessions.
        drop(session.end_saying());
    }

    /// Kills processes at random moments, until the collector is gone, all kills are used, or the session may end
    /// normally.
    fn kill(&self, mut session: Session, random: &mut Random, may_refuse: &AtomicBool) -> Session {
        let mut replaced = 0;
        let mut has_keeper = true;
        loop {
            sleep(random.moment(BETWEEN_KILLS));
            if random.below(20) == 0 || !self.take_one() {
                self.counts.lock().unwrap().ended += 1;
                return session;
            }
            let victim = match random.below(10) {
                0 | 1 if has_keeper => Victim::Both,
                2 if has_keeper => Victim::Keeper,
                _ => Victim::Worker,
            };
            let is_last = match victim {
                Victim::Both => true,
                Victim::Keeper => false,
                Victim::Worker => !has_keeper || replaced == REPLACED,
            };
            may_refuse.store(is_last, Ordering::SeqCst);
            match victim {
                Victim::Both => session.kill_both(),
                Victim::Keeper => session.kill_keeper(),
                Victim::Worker => session.end_worker(Signal::SIGKILL),
            }
            self.counts.lock().unwrap().count(victim);
            if is_last {
                return session;
            }
            has_keeper &= victim != Victim::Keeper;
            replaced += usize::from(victim == Victim::Worker);
        }
    }

    fn take_one(&self) -> bool {
        self.left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1)).is_ok()
    }

    /// Exports until the session ends or its endpoint is gone, and records the acknowledged ids. Unacknowledged records
    /// are sent again, as real clients do.
    fn export(&self, name: &str, mut load: Load<'_>, mut random: Random) {
        let mut acknowledged = Vec::new();
        let mut number = 0;
        while !load.over.load(Ordering::Relaxed) {
            number += 1;
            let records = ids(&format!("{name}-{number}"), 1 + usize::try_from(random.below(8)).unwrap());
            if !load.send(&records) {
                break;
            }
            acknowledged.extend(records);
            sleep(random.moment(BETWEEN_EXPORTS));
        }
        self.acknowledged.lock().unwrap().extend(acknowledged);
        self.counts.lock().unwrap().sent_again.extend(load.sent_again);
    }

    /// Prints the statistics, and fails if anything is lost.
    fn report(&self, delivered: &Delivered, waiting: u64, killed: Duration, rest: Duration) {
        let (counts, acknowledged) = (self.counts.lock().unwrap(), self.acknowledged.lock().unwrap());
        let given = delivered.lock().unwrap();
        let lost: BTreeSet<_> = acknowledged.iter().filter(|id| !given.times.contains_key(*id)).collect();
        let duplicates: usize = given.times.values().map(|times| times - 1).sum();
        // A kill, a closed connection or the end of a session can cut a request short. Records that were exported again
        // are in the log twice.
        let Counts { sessions, workers, keepers, both, ended, sent_again } = &*counts;
        let cut_short = workers + both + ended + given.unanswered;
        let is_repeated = |ids: &&Vec<String>| ids.iter().any(|id| !sent_again.contains(id));
        let repeated = given.repeated.iter().filter(is_repeated).count();
        say(&format!(
            "{sessions} sessions; killed {workers} workers, {keepers} keepers, {both} of both; {ended} ended"
        ));
        say(&format!(
            "{} records acknowledged, {} lost, {} delivered, {duplicates} duplicates; {killed:.1?} of kills, then \
             {waiting} batches waited and took {rest:.1?}",
            acknowledged.len(),
            lost.len(),
            given.times.len(),
        ));
        say(&format!("{repeated} requests came again, of {cut_short} that may have been cut short"));
        assert!(repeated <= cut_short, "each interruption repeats at most one request");
        assert!(!acknowledged.is_empty());
        assert!(lost.is_empty(), "lost records, the first few: {:?}", lost.iter().take(20).collect::<Vec<_>>());
    }
}

/// Marks a session as over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a client thread needs.
struct Load<'a> {
    client: Emitter,
    /// Whether the session is over and the client stops.
    over: &'a AtomicBool,
    /// Whether the last process of the collector may have been killed. Until then, a refused connection is an error.
    may_refuse: &'a AtomicBool,
    /// The records that were sent again.
    sent_again: Vec<String>,
}

impl Load<'_> {
    /// Sends until the records are acknowledged. Returns false if no collector is left.
    fn send(&mut self, records: &[String]) -> bool {
        loop {
            match self.client.send(records) {
                // The keeper gave up, and holds the port while the program lives.
                Ok(answer) if answer.status == 500 && self.may_refuse.load(Ordering::SeqCst) => return false,
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    assert!(
                        self.may_refuse.load(Ordering::SeqCst),
                        "connection refused while a keeper or worker was running"
                    );
                    return false;
                }
                Err(_) => self.sent_again.extend_from_slice(records),
            }
        }
    }
}

/// Waits for the sessions that end normally, and flushes the rest.
fn deliver_the_rest(sandbox: &Sandbox) {
    sandbox.wait_for_end();
    let end = Instant::now() + DELIVERED_WITHIN;
    loop {
        let output = sandbox.run(["queue", "flush"]);
        if output.status.success() && text(&output.stdout) == "everything is delivered\n" {
            return;
        }
        assert!(Instant::now() < end, "{}{}", text(&output.stdout), text(&output.stderr));
    }
}

/// Checks that the store is sound and holds only what is needed.
fn assert_store_is_empty(sandbox: &Sandbox) {
    let store = rusqlite::Connection::open(sandbox.state().join("store-2.db")).unwrap();
    let ask = |query: &str| store.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert_eq!(ask("SELECT count(*) FROM cursor"), 0);
    assert_eq!(ask("SELECT count(*) FROM set_aside"), 0);
    assert_eq!(std::fs::read_dir(sandbox.state().join("spool")).unwrap().count(), 0);
    assert_eq!(std::fs::read_dir(sandbox.state().join("locks")).unwrap().count(), 0);
    assert_eq!(sandbox.collectors(), [0; 0]);
}
