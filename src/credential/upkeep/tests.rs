use proptest::prelude::*;

use super::*;

const LITERAL: Kind = Kind { changes: false, runs: false, is_bare: false, is_strict: false };
const FILE: Kind = Kind { changes: true, ..LITERAL };
const COMMAND: Kind = Kind { runs: true, ..FILE };
const NONE: Kind = Kind { is_bare: true, ..LITERAL };

/// One session's upkeep with its own shared state and clock.
struct World {
    shared: Acceptance,
    now: i64,
    upkeep: Upkeep<u32>,
}

impl World {
    fn new(kind: Kind) -> Self {
        Self { shared: Acceptance::default(), now: 1_000_000, upkeep: Upkeep::new(kind, Occasion::Session) }
    }

    fn look(&mut self) -> Next<u32> {
        self.upkeep.look(&mut self.shared, self.now)
    }

    fn fetched(&mut self, value: u32, fresh_for: Option<u64>) {
        let fresh_for = fresh_for.map(Duration::from_secs);
        self.upkeep.fetched(&mut self.shared, Ok((value, fresh_for)), self.now, 1.0);
    }

    fn missed(&mut self) {
        self.upkeep.fetched(&mut self.shared, Err("no".to_owned()), self.now, 1.0);
    }

    #[track_caller]
    fn issued(&mut self) -> Issued<u32> {
        match self.look() {
            Next::Send(issued, _) => issued,
            other => panic!("{other:?}"),
        }
    }

    fn refused(&mut self, issued: &Issued<u32>) -> bool {
        self.upkeep.refused(&mut self.shared, issued, "401", self.now, 1.0)
    }

    fn accepted(&mut self, issued: &Issued<u32>) {
        self.upkeep.accepted(&mut self.shared, issued);
    }

    #[track_caller]
    fn waits(&mut self, seconds: u64) {
        match self.look() {
            Next::Wait(_, Some(wait)) => assert_eq!(wait, Duration::from_secs(seconds)),
            other => panic!("{other:?}"),
        }
    }

    fn pass(&mut self, seconds: i64) {
        self.now += seconds * 1000;
    }
}

#[test]
fn one_rejection_causes_one_refresh_and_one_retry() {
    let mut world = World::new(COMMAND);
    assert_eq!(world.look(), Next::Fetch);
    assert_eq!(world.look(), Next::Fetching, "single flight");
    world.fetched(1, None);
    let issued = world.issued();
    world.accepted(&issued);
    let issued = world.issued();
    assert!(world.refused(&issued));
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(2, None);
    let issued = world.issued();
    assert_eq!(issued.value, 2);
    assert!(!world.refused(&issued), "there is only one immediate retry");
    world.waits(1);
    world.pass(1);
    assert_eq!(world.look(), Next::Fetch, "later retries have a back-off and a fresh value");
    world.fetched(2, None);
    let issued = world.issued();
    assert!(!world.refused(&issued));
    world.waits(2);
    world.pass(2);
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(3, None);
    let issued = world.issued();
    world.accepted(&issued);
    let issued = world.issued();
    assert!(world.refused(&issued), "the first rejection after an accepted value is retried at once");
}

#[test]
fn an_unchanged_value_is_not_retried_at_once() {
    let mut world = World::new(COMMAND);
    world.look();
    world.fetched(1, None);
    let issued = world.issued();
    assert!(world.refused(&issued));
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(1, None);
    world.waits(1);
    world.pass(1);
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(1, None);
    assert_eq!(world.issued().value, 1, "it is retried when due, because the destination may have been fixed");
}

#[test]
fn a_constant_value_is_retried_without_a_fetch() {
    let mut world = World::new(LITERAL);
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(1, None);
    for pause in [1, 2, 4] {
        let issued = world.issued();
        assert!(!world.refused(&issued));
        world.waits(pause);
        world.pass(pause.cast_signed());
    }
    let issued = world.issued();
    world.accepted(&issued);
    assert!(!world.issued().is_trial);
}

#[test]
fn a_corrected_file_waits_for_a_minute_at_most() {
    let mut world = World::new(FILE);
    world.look();
    world.fetched(1, None);
    let mut issued = world.issued();
    assert!(world.refused(&issued));
    assert_eq!(world.look(), Next::Fetch, "the file is read again at once");
    world.fetched(1, None);
    for pause in [1, 2, 4, 8, 16, 32, 64, 128] {
        world.pass(pause);
        assert_eq!(world.look(), Next::Fetch, "the file is read again for each attempt");
        world.fetched(1, None);
        issued = world.issued();
        assert!(!world.refused(&issued));
    }
    world.pass(30);
    assert_eq!(world.look(), Next::Fetch, "the file is read again while waiting");
    world.fetched(1, None);
    world.waits(226);
    world.pass(1);
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(2, None);
    world.waits(29);
    world.pass(29);
    let issued = world.issued();
    assert_eq!(issued.value, 2);
    world.accepted(&issued);
    assert!(world.shared.is_open());
}

#[test]
fn a_value_is_refreshed_before_it_expires() {
    let mut world = World::new(COMMAND);
    world.look();
    world.fetched(1, Some(900));
    let issued = world.issued();
    world.accepted(&issued);
    world.pass(809);
    assert!(matches!(world.look(), Next::Send(_, false)));
    world.pass(1);
    assert!(matches!(world.look(), Next::Send(_, true)), "the old value is still valid");
    assert!(matches!(world.look(), Next::Send(_, false)), "single flight");
    world.pass(90);
    assert_eq!(world.look(), Next::Fetching, "the old value has expired");
    world.fetched(2, Some(900));
    assert_eq!(world.issued().value, 2);
}

#[test]
fn a_refresh_comes_at_most_once_a_minute() {
    for fresh_for in [0, 1, 10] {
        let mut world = World::new(COMMAND);
        world.look();
        world.fetched(0, Some(fresh_for));
        let issued = world.issued();
        world.accepted(&issued);
        let mut fetches = 1;
        for _ in 0..600 {
            world.pass(1);
            if world.look() == Next::Fetch {
                fetches += 1;
                world.fetched(fetches, Some(fresh_for));
            }
            let issued = world.issued();
            world.accepted(&issued);
        }
        assert_eq!(fetches, 11, "ten minutes");
    }
}

#[test]
fn a_failed_refresh_keeps_the_valid_value() {
    let mut world = World::new(COMMAND);
    world.look();
    world.fetched(1, Some(600));
    let issued = world.issued();
    world.accepted(&issued);
    world.pass(550);
    assert!(matches!(world.look(), Next::Send(_, true)));
    world.missed();
    assert_eq!(world.issued().value, 1);
    world.pass(60);
    assert_eq!(world.look(), Next::Fetch);
}

#[test]
fn a_failing_command_runs_less_and_less_often() {
    let mut world = World::new(COMMAND);
    for pause in [0, 1, 2, 4, 8] {
        world.pass(pause);
        assert_eq!(world.look(), Next::Fetch);
        world.missed();
    }
    assert_eq!(world.look(), Next::Wait(Why::Missing("no".to_owned()), Some(Duration::from_secs(16))));
    // Another session runs it at once, and adds to the shared pause.
    world.upkeep = Upkeep::new(COMMAND, Occasion::Session);
    assert_eq!(world.look(), Next::Fetch);
    world.missed();
    world.waits(32);
    // Data of ended sessions waits, but a user does not.
    world.upkeep = Upkeep::new(COMMAND, Occasion::Leftovers);
    world.waits(32);
    world.upkeep = Upkeep::new(COMMAND, Occasion::Flush);
    assert_eq!(world.look(), Next::Fetch);
    world.fetched(1, None);
    assert_eq!(world.issued().value, 1);
}

#[test]
fn an_expired_interactive_value_is_not_used() {
    let mut world = World::new(Kind { is_strict: true, ..LITERAL });
    world.look();
    world.fetched(1, Some(60));
    let issued = world.issued();
    world.accepted(&issued);
    world.pass(60);
    assert_eq!(world.look(), Next::Fetch);
    world.missed();
    assert_eq!(world.look(), Next::Wait(Why::Missing("no".to_owned()), None));
}

#[test]
fn one_session_tries_while_the_others_wait() {
    let mut world = World::new(LITERAL);
    world.look();
    world.fetched(1, None);
    let issued = world.issued();
    let mut other = Upkeep::new(LITERAL, Occasion::Session);
    assert_eq!(other.look(&mut world.shared, world.now), Next::Fetch);
    other.fetched(&mut world.shared, Ok((1, None)), world.now, 1.0);
    assert!(matches!(other.look(&mut world.shared, world.now), Next::Wait(Why::Claimed, Some(_))));
    issued.undecided(&mut world.shared);
    let Next::Send(issued, _) = other.look(&mut world.shared, world.now) else { panic!() };
    other.accepted(&mut world.shared, &issued);
    assert!(!world.issued().is_trial);
}

#[test]
fn without_credentials_all_send_until_one_is_rejected() {
    let mut world = World::new(NONE);
    world.look();
    world.fetched(0, None);
    let mut other = Upkeep::new(NONE, Occasion::Session);
    other.look(&mut world.shared, world.now);
    other.fetched(&mut world.shared, Ok((0, None)), world.now, 1.0);
    let issued = world.issued();
    let Next::Send(others, _) = other.look(&mut world.shared, world.now) else { panic!() };
    world.accepted(&issued);
    assert_eq!(world.shared, Acceptance::default(), "a first success is not recorded");
    assert!(!world.refused(&issued));
    other.refused(&mut world.shared, &others, "401", world.now, 1.0);
    world.waits(1);
    world.pass(1);
    assert!(world.issued().is_trial);
}

/// Several sessions that always have something to send, and what they did.
struct Crowd {
    upkeeps: Vec<Upkeep<u32>>,
    shared: Acceptance,
    requests: usize,
    runs: usize,
    /// A number that grows with every fetch, or `None` for a constant value.
    answers: Option<u32>,
}

impl Crowd {
    fn new(sessions: usize, kind: Kind, changing: bool) -> Self {
        let upkeeps = (0..sessions).map(|_| Upkeep::new(kind, Occasion::Session)).collect();
        Self { upkeeps, shared: Acceptance::default(), requests: 0, runs: 0, answers: changing.then_some(0) }
    }

    /// Each session acts once; `delay` is the duration of a request and a run.
    fn act(&mut self, now: i64, jitter: f64, accepts: impl Fn(u32) -> bool) {
        for upkeep in &mut self.upkeeps {
            let mut retried = false;
            loop {
                match upkeep.look(&mut self.shared, now) {
                    Next::Fetch => {
                        self.runs += 1;
                        self.answers = self.answers.map(|number| number + 1);
                        let answer = self.answers.unwrap_or_default();
                        upkeep.fetched(&mut self.shared, Ok((answer, None)), now, jitter);
                    }
                    Next::Send(issued, _) => {
                        self.requests += 1;
                        if accepts(issued.value) {
                            upkeep.accepted(&mut self.shared, &issued);
                            break;
                        }
                        let again = upkeep.refused(&mut self.shared, &issued, "401", now, jitter);
                        if !again || retried {
                            break;
                        }
                        retried = true;
                    }
                    _ => break,
                }
            }
        }
    }
}

proptest! {
    /// Ten minutes in steps of a tenth of a second: fewer than twenty requests over all sessions, and few runs.
    #[test]
    fn a_backend_that_always_rejects_gets_fewer_than_twenty_requests(
        sessions in 1_usize..21, seed: u64, changing: bool, which in 0_usize..3,
    ) {
        let kind = [COMMAND, FILE, LITERAL][which];
        let mut crowd = Crowd::new(sessions, kind, changing);
        let mut seed = seed | 1;
        for step in 0..6000 {
            seed ^= seed << 13;
            seed ^= seed >> 7;
            seed ^= seed << 17;
            let jitter = 0.5 + f64::from(u8::try_from(seed >> 56).unwrap()) / 255.0;
            crowd.act(step * 100, jitter, |_| false);
        }
        prop_assert!(crowd.requests < 20, "{} requests", crowd.requests);
        prop_assert!(crowd.requests >= 8, "{} requests", crowd.requests);
        if kind == COMMAND {
            // One for each session that starts, and one for each attempt.
            prop_assert!(crowd.runs <= sessions + 20, "{} runs", crowd.runs);
        }
    }

    /// Regardless of earlier rejections, once the backend accepts again, all sessions send within the longest pause.
    #[test]
    fn when_credentials_work_again_all_sessions_send(sessions in 1_usize..11, refusing in 1_i64..3000) {
        let mut crowd = Crowd::new(sessions, COMMAND, true);
        for second in 0..refusing {
            crowd.act(second * 1000, 1.0, |_| false);
        }
        for second in refusing..refusing + 600 + 61 {
            crowd.act(second * 1000, 1.0, |_| true);
        }
        prop_assert!(crowd.upkeeps.iter().all(|upkeep| upkeep.own.failures() == 0 && upkeep.refusal.is_none()));
        prop_assert!(crowd.shared.is_open());
    }
}

#[test]
fn a_rotation_costs_each_session_one_run_and_at_most_one_rejection() {
    let mut crowd = Crowd::new(10, COMMAND, true);
    for rotation in 0..20_u32 {
        let valid = crowd.answers.unwrap() + 1;
        for second in 0..30 {
            crowd.act((i64::from(rotation) * 30 + second) * 1000, 1.0, |answer| answer >= valid);
        }
    }
    assert_eq!(crowd.runs, 10 * 20);
    assert_eq!(crowd.requests, 10 * 20 * 30 + 10 * 19, "none was rejected before the first rotation");
}
