//! What arrived, as the store has it once the session is over.

use std::time::Duration;

use super::session::Ran;
use super::{Client, Finding, Subject};
use crate::backlog::{self, Entry, State};
use crate::printable::printable;
use crate::store::outcomes::{self, Outcome};
use crate::store::{self, sessions};

/// How many lines of what was said are shown.
const LINES: usize = 5;

/// What is to be said of the session and of each of its destinations.
pub(super) fn findings(subject: &Subject, client: &Client, ran: &Ran, took: Duration) -> Vec<Finding> {
    let Some(session) = &ran.session else {
        let finding = Finding::failed("a launch here begins no session, so nothing of it arrives anywhere");
        return vec![with_words(finding, ran).fix("mend what is said above, or what that says")];
    };
    let Ok(Some(connection)) = store::open_to_read(&subject.setting.places.store()) else {
        let finding = Finding::failed("the session's collector has kept nothing: there is no store");
        return vec![with_words(finding, ran).fix("see what is said of the store above")];
    };
    let record = sessions::beginning(&connection, session, 1).unwrap_or_default().pop();
    let received = record.map_or(0, |record| record.received);
    let mut findings = vec![of_session(client, ran, received, took)];
    let entries = backlog::entries(&subject.setting).unwrap_or_default();
    let mine: Vec<_> = entries.into_iter().filter(|entry| entry.session == *session).collect();
    let outcomes = outcomes::of(&connection, session).unwrap_or_default();
    if outcomes.is_empty() && received > 0 {
        findings
            .push(Finding::ok("they are recorded on this machine, for `ccrun report`; the profile sends them nowhere"));
    }
    for outcome in &outcomes {
        let waits: Vec<_> = mine.iter().filter(|entry| entry.destination == outcome.destination).collect();
        findings.push(of_destination(outcome, &waits));
    }
    findings
}

/// Whether anything came from the program to its collector.
fn of_session(client: &Client, ran: &Ran, received: u64, took: Duration) -> Finding {
    let who = match client {
        Client::Claude => "Claude Code, with its model",
        Client::StandIn => "Claude Code, with a stand-in for its model",
        Client::Own(_) => "a program of ours",
    };
    let mut finding = if received > 0 {
        let seconds = took.as_secs_f32();
        Finding::ok(format!("a session of {who} handed over {} within {seconds:.1} s", records(received)))
    } else if let Some(refused) = &ran.refused {
        Finding::failed(format!("the session's collector takes nothing: {}", printable(refused)))
            .fix("see `accept` in the profile's `[collector]`, and the session's log: `ccrun sessions`")
    } else {
        let finding = Finding::failed(format!("a session of {who} handed over nothing"));
        finding.fix("see what is said of Claude Code's settings and of the environment above")
    };
    if let Client::Own(why) = client {
        finding = finding.detail(format!("its records are marked ones, and not Claude Code's: {why}"));
    }
    match ran.status {
        Some(status) if status.success() && received > 0 => finding,
        Some(status) if status.success() => with_words(finding, ran),
        Some(status) => with_words(finding.detail(format!("it ended with {status}")), ran),
        None => with_words(finding.detail("it took too long and was ended"), ran),
    }
}

/// What became of it at a destination. Pure.
fn of_destination(outcome: &Outcome, waits: &[&Entry]) -> Finding {
    let (name, counts) = (printable(&outcome.destination), outcome.counts);
    let why = waits.iter().find_map(|entry| entry.last_error.as_deref()).map(printable);
    let is_refused = waits.iter().any(|entry| entry.state == State::Refused);
    if counts.delivered >= counts.received && counts.received > 0 {
        return Finding::ok(format!("`{name}` has acknowledged {}", records(counts.delivered)));
    }
    let delivered = format!("`{name}` has acknowledged {} of {}", counts.delivered, records(counts.received));
    match why {
        Some(why) if is_refused => Finding::failed(format!("{delivered}, and refused the rest for good: {why}"))
            .fix("do as its message says; `ccrun queue retry` sends it again"),
        Some(why) => Finding::failed(format!("{delivered}; the rest waits: {why}"))
            .fix("mend that; it goes out with the next session, or by `ccrun queue flush`"),
        None if counts.dropped > 0 => Finding::failed(format!("{delivered}, and rejected {}", counts.dropped))
            .fix("`ccrun sessions` has its message"),
        None => Finding::failed(format!("{delivered} in this time; the rest waits"))
            .fix("look again by `ccrun queue status`: it may be slow"),
    }
}

/// With what launch and program said, the last lines of each.
fn with_words(finding: Finding, ran: &Ran) -> Finding {
    let of_launch = ran.said.iter().filter(|line| !is_usual(line)).map(|line| format!("ccrun: {}", printable(line)));
    let of_program = ran.program_said.iter().filter(|line| !line.trim().is_empty()).map(|line| printable(line));
    let words: Vec<_> = of_launch.chain(of_program).collect();
    let last = words.len().saturating_sub(LINES);
    words.into_iter().skip(last).fold(finding, Finding::detail)
}

/// What `-v` says of every launch.
fn is_usual(line: &str) -> bool {
    ["the program is ", "the profile is ", "Claude Code's settings file is ", "ccrun stays until"]
        .iter()
        .any(|beginning| line.starts_with(beginning))
}

fn records(number: u64) -> String {
    if number == 1 { "1 record".to_owned() } else { format!("{number} records") }
}
