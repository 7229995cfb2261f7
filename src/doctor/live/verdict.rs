//! The verdict on a test session, read from the store when the session is over.

use std::time::Duration;

use super::session::LiveSession;
use super::{Finding, LiveProgram, Subject};
use crate::collector::backlog;
use crate::collector::backlog::{Entry, State};
use crate::launch::OverBudget;
use crate::store::counters::{self, Outcome};
use crate::store::{self, sessions};
use crate::terminal::printable::printable;

/// How many lines of output are shown.
const LINES: usize = 5;

/// The findings on the session and each of its destinations.
pub(super) fn findings(subject: &Subject, client: &LiveProgram, ran: &LiveSession, took: Duration) -> Vec<Finding> {
    let Some(session) = &ran.session else {
        if ran.status.and_then(|status| status.code()) == Some(OverBudget::EXIT_CODE.into()) {
            let finding = with_words(Finding::ok("not tested: a budget stops work"), ran);
            return vec![
                finding.fix("test with `--offline`, which costs nothing, or run `ccrun budget lift 10m` first"),
            ];
        }
        let finding = Finding::failed("a launch here starts no session, so nothing is sent");
        return vec![with_words(finding, ran).fix("fix the findings above, or the error that the launch printed")];
    };
    let Ok(Some(connection)) = store::open_to_read(&subject.workspace.places.store()) else {
        let finding = Finding::failed("the session's collector stored nothing: there is no store");
        return vec![with_words(finding, ran).fix("see the findings on the store above")];
    };
    let record = sessions::beginning(&connection, session, 1).unwrap_or_default().pop();
    let received = record.map_or(0, |record| record.received);
    let mut findings = vec![of_session(client, ran, received, took)];
    let entries = backlog::entries(&subject.workspace).unwrap_or_default();
    let mine: Vec<_> = entries.into_iter().filter(|entry| entry.session == *session).collect();
    let outcomes = counters::of(&connection, session).unwrap_or_default();
    if outcomes.is_empty() && received > 0 {
        findings
            .push(Finding::ok("they are recorded on this machine for `ccrun report`; the profile has no destination"));
    }
    for outcome in &outcomes {
        let waits: Vec<_> = mine.iter().filter(|entry| entry.destination == outcome.destination).collect();
        findings.push(of_destination(outcome, &waits, session));
    }
    findings
}

/// Whether the collector received anything from the program.
fn of_session(client: &LiveProgram, ran: &LiveSession, received: u64, took: Duration) -> Finding {
    let who = match client {
        LiveProgram::Claude => "Claude Code with its model",
        LiveProgram::StandIn => "Claude Code with a stand-in for its model",
        LiveProgram::Own(_) => "a test program",
    };
    let mut finding = if received > 0 {
        let seconds = took.as_secs_f32();
        Finding::ok(format!("a session of {who} sent {} within {seconds:.1} s", records(received)))
    } else if let Some(refused) = &ran.refused {
        Finding::failed(format!("the session's collector rejects everything: {}", printable(refused))).fix(format!(
            "check `accept` in the profile's `[collector]`, and the session's log: `ccrun sessions {}`",
            ran.session.as_deref().unwrap_or_default()
        ))
    } else {
        let finding = Finding::failed(format!("a session of {who} sent nothing"));
        finding.fix("see the findings on Claude Code's settings and the environment above")
    };
    if let LiveProgram::Own(why) = client {
        finding = finding.detail(format!("test records were used instead of Claude Code's: {why}"));
    }
    match ran.status {
        Some(status) if status.success() && received > 0 => finding,
        Some(status) if status.success() => with_words(finding, ran),
        Some(status) => with_words(finding.detail(format!("it exited with {status}")), ran),
        None => with_words(finding.detail("it took too long and was stopped"), ran),
    }
}

/// What became of the session's records at a destination. Pure.
fn of_destination(outcome: &Outcome, waits: &[&Entry], session: &str) -> Finding {
    let (name, counts) = (printable(&outcome.destination), outcome.counts);
    let why = waits.iter().find_map(|entry| entry.last_error.as_deref()).map(printable);
    let is_refused = waits.iter().any(|entry| entry.state == State::Refused);
    if counts.delivered >= counts.received && counts.received > 0 {
        return Finding::ok(format!("`{name}` acknowledged {}", records(counts.delivered)));
    }
    let delivered = format!("`{name}` acknowledged {} of {}", counts.delivered, records(counts.received));
    match why {
        Some(why) if is_refused => Finding::failed(format!("{delivered}, and permanently rejected the rest: {why}"))
            .fix("follow its message; `ccrun queue retry` sends it again"),
        Some(why) => Finding::failed(format!("{delivered}; the rest waits: {why}"))
            .fix("once that is fixed, it is sent with the next session, or by `ccrun queue flush`"),
        None if counts.dropped > 0 => Finding::failed(format!("{delivered}, and rejected {}", counts.dropped))
            .fix(format!("`ccrun sessions {session}` shows its message")),
        None => Finding::failed(format!("{delivered} so far; the rest waits"))
            .fix("it may be slow: check `ccrun queue status` later"),
    }
}

/// Adds the last lines that the launch and the program printed.
fn with_words(finding: Finding, ran: &LiveSession) -> Finding {
    let words: Vec<_> = ran.said.iter().filter(|line| !line.trim().is_empty()).map(|line| printable(line)).collect();
    let last = words.len().saturating_sub(LINES);
    words.into_iter().skip(last).fold(finding, Finding::detail)
}

fn records(number: u64) -> String {
    if number == 1 { "1 record".to_owned() } else { format!("{number} records") }
}
