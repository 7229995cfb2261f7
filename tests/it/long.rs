//! What takes long: a thousand kills at random moments, under load; in `isolation` many sessions at once; in `rotation`
//! keys that are exchanged meanwhile.

#[path = "long/isolation.rs"]
mod isolation;
#[path = "long/rotation.rs"]
mod rotation;

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

/// How many kills there are unless `TEST_KILLS` says otherwise.
const KILLS: usize = 1000;

/// How many sessions there are at any time.
const LANES: usize = 2;

/// How many clients a session has.
const CLIENTS: usize = 3;

/// How often a keeper replaces its worker before it gives up.
const REPLACED: usize = 5;

/// How long a kill is waited for at most.
const BETWEEN_KILLS: Duration = Duration::from_millis(60);

/// How long a client may rest between two exports.
const BETWEEN_EXPORTS: Duration = Duration::from_millis(10);

/// How long it may take to deliver everything in the end: only bounds a failure.
const DELIVERED_WITHIN: Duration = Duration::from_mins(5);

/// Every id that the backend was given, and how often.
type Delivered = Arc<Mutex<HashMap<String, usize>>>;

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
        tally: Mutex::default(),
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
    // From here on the backend takes everything, so that the end does not depend on luck.
    record_into(&backend, &delivered, |_| Reply::accept());
    deliver_the_rest(&sandbox);
    run.report(&delivered, waiting, killed, begun.elapsed());
    assert_store_is_empty(&sandbox);
}

#[expect(clippy::print_stdout, reason = "figures that whoever runs this by hand wants to see")]
fn say(text: &str) {
    println!("{text}");
}

fn number(variable: &str) -> Option<u64> {
    std::env::var(variable).ok().map(|text| text.parse().unwrap())
}

/// Makes the backend remember what it was given. Now and then it hangs up on what it has taken, or takes nothing for
/// a while, so that sessions are killed with much and with little in the store.
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
        // What it hangs up on it has got, and what it is too busy for it has not.
        if !reply.is_failure() {
            let mut delivered = delivered.lock().unwrap();
            for id in ids_in(received) {
                *delivered.entry(id).or_default() += 1;
            }
        }
        reply
    });
}

struct Run<'a> {
    sandbox: &'a Sandbox,
    backend: &'a Backend,
    acknowledged: Mutex<Vec<String>>,
    /// How many kills are still to come.
    left: AtomicUsize,
    tally: Mutex<Tally>,
}

/// What was done.
#[derive(Debug, Default)]
struct Tally {
    sessions: usize,
    workers: usize,
    keepers: usize,
    both: usize,
    /// Sessions that were left to end by themselves.
    ended: usize,
}

/// Whom a kill is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Victim {
    Worker,
    Keeper,
    Both,
}

impl Tally {
    fn count(&mut self, victim: Victim) {
        match victim {
            Victim::Worker => self.workers += 1,
            Victim::Keeper => self.keepers += 1,
            Victim::Both => self.both += 1,
        }
    }
}

impl Run<'_> {
    /// One session after the other until there were kills enough.
    fn lane(&self, lane: usize, mut random: Random) {
        let mut number = 0;
        while self.left.load(Ordering::Relaxed) > 0 {
            self.session(&format!("{lane}-{number}"), &mut random);
            number += 1;
            // What arrived is counted already.
            self.backend.clear();
        }
    }

    /// A session under load, until its collector has been killed for good or is left to end.
    fn session(&self, name: &str, random: &mut Random) {
        self.tally.lock().unwrap().sessions += 1;
        let session = Session::to(self.sandbox, &self.backend.endpoint());
        let (over, may_refuse) = (AtomicBool::new(false), AtomicBool::new(false));
        let session = scope(|scope| {
            for client in 0..CLIENTS {
                let load = Load { client: session.client(), over: &over, may_refuse: &may_refuse };
                let load = if client == 0 { Load { client: load.client.gzip().chunked(), ..load } } else { load };
                let random = random.fork();
                scope.spawn(move || self.export(&format!("{name}-{client}"), load, random));
            }
            // However this ends: the scope waits for the clients.
            let _over = Over(&over);
            self.kill(session, random, &may_refuse)
        });
        // What was killed may have been told of.
        drop(session.end_saying());
    }

    /// Kills what there is at random moments, until nothing is left of the collector, the kills are used up, or the
    /// session may end as sessions do.
    fn kill(&self, mut session: Session, random: &mut Random, may_refuse: &AtomicBool) -> Session {
        let mut replaced = 0;
        let mut has_keeper = true;
        loop {
            sleep(random.moment(BETWEEN_KILLS));
            if random.below(20) == 0 || !self.take_one() {
                self.tally.lock().unwrap().ended += 1;
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
            self.tally.lock().unwrap().count(victim);
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

    /// Exports until the session is over or its endpoint has gone, and notes what was acknowledged. What was not is
    /// sent again, as real clients do.
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
    }

    /// Says what came of it, and fails if anything is lost.
    fn report(&self, delivered: &Delivered, waiting: u64, killed: Duration, rest: Duration) {
        let (tally, acknowledged) = (self.tally.lock().unwrap(), self.acknowledged.lock().unwrap());
        let delivered = delivered.lock().unwrap();
        let lost: BTreeSet<_> = acknowledged.iter().filter(|id| !delivered.contains_key(*id)).collect();
        let duplicates: usize = delivered.values().map(|times| times - 1).sum();
        say(&format!("{tally:?}"));
        say(&format!(
            "{} records acknowledged, {} lost, {} delivered, {duplicates} duplicates; {killed:.1?} of kills, then \
             {waiting} batches waited and took {rest:.1?}",
            acknowledged.len(),
            lost.len(),
            delivered.len(),
        ));
        assert!(!acknowledged.is_empty());
        assert!(lost.is_empty(), "lost, among others: {:?}", lost.iter().take(20).collect::<Vec<_>>());
    }
}

/// Says that a session is over when it is dropped.
struct Over<'a>(&'a AtomicBool);

impl Drop for Over<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

/// What a client thread sends with.
struct Load<'a> {
    client: Emitter,
    /// The session is over: no more is sent.
    over: &'a AtomicBool,
    /// The last of the collector's processes may have been killed. Before, a refused connection is a fault.
    may_refuse: &'a AtomicBool,
}

impl Load<'_> {
    /// Sends until it is acknowledged; false if there is nobody any more to do so.
    fn send(&mut self, records: &[String]) -> bool {
        loop {
            match self.client.send(records) {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    return true;
                }
                Err(error) if error.kind() == ErrorKind::ConnectionRefused => {
                    assert!(self.may_refuse.load(Ordering::SeqCst), "refused while there was a keeper or a worker");
                    return false;
                }
                Err(_) => {}
            }
        }
    }
}

/// Lets the sessions that were left to end do so, and flushes what remains.
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

/// The store is sound after all that, and holds nothing that nobody waits for.
fn assert_store_is_empty(sandbox: &Sandbox) {
    let store = rusqlite::Connection::open(sandbox.state().join("store-1.db")).unwrap();
    let ask = |query: &str| store.query_row(query, [], |row| row.get::<_, i64>(0)).unwrap();
    let check: String = store.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(check, "ok");
    assert_eq!(ask("SELECT count(*) FROM batch"), 0);
    assert_eq!(ask("SELECT count(*) FROM delivery"), 0);
    assert_eq!(ask("SELECT count(*) FROM dead_letter"), 0);
    assert_eq!(ask("SELECT bytes FROM waiting"), 0);
    assert_eq!(std::fs::read_dir(sandbox.state().join("locks")).unwrap().count(), 0);
    assert_eq!(sandbox.collectors(), [0; 0]);
}
