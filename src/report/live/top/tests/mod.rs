mod view;

use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::*;
use crate::ledger::{Origin, empty, insert};
use crate::otlp::Signal;
use crate::report::live::{Event, Following, Wanted};
use crate::spool::{Disk, Entry as Frame, Source, Writer};
use crate::terminal::keys::Key;
use crate::usage::samples::{api_request, event as record, logs, morning, text};
use crate::usage::{Entry, Measure, entries, extract};

const OURS: &str = "3f0a11de00000000";

fn now() -> Timestamp {
    morning().checked_add(30.minutes()).unwrap()
}

fn model(wanted: Wanted) -> Model {
    Model::new(wanted, TimeZone::UTC, now())
}

/// A request of a session, this many milliseconds before now.
fn request(session: &str, number: u64, before: i64, source: &str) -> Event {
    let entry = Entry {
        identity: i64::try_from(number).unwrap(),
        at: now().as_millisecond() - before,
        session: session.to_owned(),
        event: "api_request".to_owned(),
        model: "claude-opus-5-5".to_owned(),
        source: source.to_owned(),
        input: Some(1000),
        cache_read: Some(8000),
        cache_creation: Some(1000),
        output: Some(100),
        cost: Some(500_000_000),
        success: Some(true),
        ..Entry::default()
    };
    Event { session: OURS.to_owned(), project: "/home/me/api".to_owned(), entry }
}

fn named(session: &str, number: u64, name: &str, change: impl FnOnce(&mut Entry)) -> Event {
    let mut event = request(session, number, 0, "");
    let Entry { identity, at, session, .. } = event.entry;
    event.entry = Entry { identity, at, session, event: name.to_owned(), ..Entry::default() };
    change(&mut event.entry);
    event
}

fn found(pid: i32, session: &str) -> Found {
    Found {
        pid: Some(pid),
        claude_session: session.to_owned(),
        session: OURS.to_owned(),
        project: "/home/me/api".to_owned(),
        name: "api-1b".to_owned(),
        version: "2.1.332".to_owned(),
        state: State::Idle,
        since: now().as_millisecond() - 3 * 60_000,
        started_at: now().as_millisecond() - 3_720_000,
        ..Found::default()
    }
}

#[test]
fn events_count_once_and_for_their_session_their_hour_and_today() {
    let mut model = model(Wanted::default());
    model.find(vec![found(7, "one")]);
    for event in [request("one", 1, 1000, "repl_main_thread"), request("one", 1, 1000, "repl_main_thread")] {
        model.follow(&event);
    }
    model.follow(&request("two", 2, 0, "sdk"));
    // What a subagent asks is no part of the conversation's context.
    let mut of_agent = request("one", 3, 0, "agent:builtin:Explore");
    of_agent.entry.agent = "a1".to_owned();
    model.follow(&of_agent);
    model.follow(&named("one", 4, "api_error", |_| {}));
    let row = model.rows().remove(0);
    assert_eq!((row.line.amount(Measure::Cost), row.hour), (1_000_000_000, 1_000_000_000));
    assert_eq!((row.context, row.agents, row.line.amount(Measure::Errors)), (Some(10_000), (1, 0), 1));
    assert_eq!((row.minutes.iter().sum::<i64>(), row.minutes.len()), (20_200, 60));
    assert_eq!((model.today().amount(Measure::Requests), model.hour().0), (3, 1_500_000_000));
    model.follow(&named("one", 5, "subagent_completed", |entry| "a1".clone_into(&mut entry.agent)));
    assert_eq!(model.rows()[0].agents, (0, 1));
    // At midnight today begins again, and the session's sum does not.
    model.tick(now().checked_add(24.hours()).unwrap());
    assert!(model.today().is_empty());
    assert_eq!(model.rows()[0].line.amount(Measure::Requests), 2);
}

#[test]
fn sessions_come_and_go_and_clear_keeps_their_place() {
    let mut model = model(Wanted::default());
    model.find(vec![found(7, "one")]);
    let key = model.rows()[0].key();
    model.follow(&request("one", 1, 0, ""));
    // `/clear` gives the process another session.
    model.find(vec![found(7, "two")]);
    let rows = model.rows();
    assert_eq!((rows.len(), rows[0].key(), rows[0].line.amount(Measure::Cost)), (1, key, 0));
    // A collector without a file about its session: nothing has arrived, then `claude -p` asks.
    let collector = Found { pid: None, claude_session: String::new(), session: "other".to_owned(), ..found(0, "") };
    model.find(vec![collector.clone()]);
    assert_eq!(model.rows()[0].found.claude_session, "");
    let mut event = request("three", 2, 5 * 60_000, "sdk");
    "other".clone_into(&mut event.session);
    model.follow(&event);
    assert_eq!(model.rows()[0].found.claude_session, "three");
    // Beside one with a file, one without is shown only while it is active.
    model.find(vec![Found { session: "other".to_owned(), ..found(9, "four") }, collector.clone()]);
    assert_eq!(model.rows().len(), 1);
    let mut event = request("three", 3, 0, "sdk");
    "other".clone_into(&mut event.session);
    model.follow(&event);
    assert_eq!(model.rows().len(), 2);
    // One with a file that has ended is not shown as one without.
    model.find(vec![Found { session: OURS.to_owned(), ..collector }]);
    assert!(model.rows().is_empty(), "{:?}", model.rows());
    model.find(Vec::new());
    assert!(model.rows().is_empty());
}

#[test]
fn a_filter_of_the_command_line_narrows_the_rows() {
    let project = Wanted { project: Some("project=web".parse().unwrap()), ..Wanted::default() };
    let session = Wanted { session: Some("on".to_owned()), ..Wanted::default() };
    for (wanted, count) in [(Wanted::default(), 1), (project, 0), (session, 1)] {
        let mut model = model(wanted);
        model.find(vec![found(7, "one")]);
        assert_eq!(model.rows().len(), count);
    }
}

/// A request with this many events of a session, as the client sends them.
fn body(session: &str, numbers: std::ops::Range<i64>) -> Vec<u8> {
    let record = |number: i64| {
        let own = api_request("claude-opus-5-5", [1000, 100, 8000, 1000], 0.5);
        record(
            session,
            number,
            u64::try_from(number).unwrap(),
            "api_request",
            [own, vec![text("request_id", &format!("{session}-{number}"))]].concat(),
        )
    };
    logs(numbers.map(record).collect())
}

/// Fifty sessions and a day of 20,000 requests: what is read after the start depends on what happens, not on what has
/// happened.
#[test]
fn a_refresh_reads_only_what_is_new() {
    let directory = tempfile::tempdir().unwrap();
    let disk = Disk::new(directory.path());
    let received = morning().as_millisecond() + 60_000;
    let ledger = empty().unwrap();
    let mut open = Vec::new();
    for session in 0..50 {
        let (ours, claude) = (format!("ours-{session}"), format!("{session:08}-client"));
        let body = body(&claude, 0..400);
        let origin = Origin { session: &ours, project: "/home/me/api", ..Origin::default() };
        insert(&ledger, &origin, &[extract(Signal::Logs, &body, received)]).unwrap();
        open.push(Found { session: ours, ..found(session, &claude) });
    }
    let mut model = model(Wanted::default());
    model.find(open.clone());
    let positions = history::begin(&ledger, &mut model, &TimeZone::UTC, now().as_millisecond()).unwrap();
    assert_eq!((model.today().amount(Measure::Requests), model.unread().len()), (20_000, 0));
    assert!(model.rows().iter().all(|row| row.line.amount(Measure::Requests) == 400 && row.context == Some(10_000)));

    let mut following = Following::new(Source::live(directory.path()), positions);
    let mut writer = Writer::new(disk, "ours-7", 1, Vec::new());
    for number in 400..410 {
        assert!(following.events().unwrap().is_none());
        let body = body("00000007-client", number..number + 1);
        let frame = Frame { signal: Signal::Logs, time: received, records: 1, refused: 0, ledger: b"", body: &body };
        writer.append(&[frame]).pop().unwrap().unwrap();
        let events = following.events().unwrap().unwrap();
        assert_eq!(events.len(), 1);
        for event in &events {
            model.follow(event);
        }
        model.tick(now());
        model.find(open.clone());
        assert!(model.unread().is_empty(), "the ledger is not read again");
    }
    let cost = |row: &Row| row.line.amount(Measure::Cost);
    assert_eq!(model.rows().iter().map(cost).max(), Some(205_000_000_000));
    assert_eq!(model.today().amount(Measure::Requests), 20_010);
    // One that goes on with a session of before is read once, up to what was followed.
    let old = body("old-client", 0..3);
    insert(&ledger, &Origin { session: "ours-1", ..Origin::default() }, &[extract(Signal::Logs, &old, received)])
        .unwrap();
    let mut model = self::model(Wanted::default());
    history::begin(&ledger, &mut model, &TimeZone::UTC, now().as_millisecond()).unwrap();
    model.find(vec![found(1, "old-client")]);
    let again = body("old-client", 2..5);
    let follow = |model: &mut Model| {
        let event = |entry| Event { session: "ours-1".to_owned(), project: String::new(), entry };
        entries(&again, received).skip(1).map(event).for_each(|event| model.follow(&event));
        Ok::<(), crate::report::SourceError>(())
    };
    assert_eq!(model.unread().len(), 1);
    insert(&ledger, &Origin { session: "ours-1", ..Origin::default() }, &[extract(Signal::Logs, &again, received)])
        .unwrap();
    history::catch_up(&ledger, &mut model, &TimeZone::UTC, follow).unwrap();
    assert_eq!((model.unread().len(), model.rows()[0].line.amount(Measure::Requests)), (0, 5));
}

#[test]
fn keys_sort_filter_select_and_open() {
    let row = |pid: i32, project: &str, cost: i64, state: State| {
        let mut row = Row { found: Found { project: project.to_owned(), state, ..found(pid, "s") }, ..Row::default() };
        row.line.amounts[Measure::Cost.index()] = cost;
        row
    };
    let rows = [row(1, "/b", 5, State::Idle), row(2, "/a", 1, State::Waiting), row(3, "/c", 9, State::Busy)].to_vec();
    let mut controls = Controls::default();
    let order = |controls: &Controls| {
        controls.arrange(rows.clone()).iter().map(|row| row.found.pid.unwrap()).collect::<Vec<_>>()
    };
    assert_eq!(order(&controls), [2, 3, 1]);
    controls.press(Key::Character('s'), &rows);
    assert_eq!(order(&controls), [3, 1, 2]);
    controls.press(Key::Down, &rows);
    controls.press(Key::Character('s'), &rows);
    let arranged = controls.arrange(rows.clone());
    assert_eq!(arranged[controls.selected(&arranged)].found.pid, Some(1), "the selection follows its row");
    for key in
        [Key::Character('/'), Key::Character('/'), Key::Character('b'), Key::Character('q'), Key::Backspace, Key::Enter]
    {
        assert_eq!(controls.press(key, &rows), Action::Show);
    }
    assert_eq!(order(&controls), [1]);
    controls.press(Key::Escape, &rows);
    assert_eq!(order(&controls).len(), 3);
    controls.press(Key::Enter, &rows);
    assert!(controls.is_open);
    controls.settle(&rows[1..]);
    assert!(!controls.is_open, "a session that has gone has no details");
    assert_eq!(controls.press(Key::Character('q'), &rows), Action::Quit);
    assert_eq!(controls.press(Key::Control('c'), &rows), Action::Interrupt);
    assert_eq!(controls.press(Key::Control('z'), &rows), Action::Stop);
}
