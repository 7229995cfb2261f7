//! A ledger of any size, as years of work would fill it.

use std::path::PathBuf;
use std::time::Instant;

use ccrun::ledger::{LEDGER, Origin, insert};
use ccrun::store::{self, Store};
use ccrun::usage::{Extract, Fact, Kind, Owner, Prompt, Request, ToolCall, What};
use jiff::Timestamp;
use rusqlite::Connection;

/// Fill a ledger with requests over two years, and print their number, the facts stored per second, and the bytes per
/// fact
#[derive(clap::Args)]
pub(crate) struct Options {
    /// Created if it does not exist
    ledger: PathBuf,
    /// Number of requests; each comes with 1.6 tool calls and a fifth of a prompt
    requests: u64,
}

/// The number of requests in a session, and in a prompt.
const SESSION: u64 = 50;
const PROMPT: u64 = 5;

/// The time between two requests of a session, in milliseconds.
const APART: i64 = 20_000;

/// The number of sessions in a commit: some thousand facts, as in an import.
const GROUP: u64 = 20;

const MODELS: [&str; 4] = ["claude-opus-5-5", "claude-haiku-5", "claude-sonnet-5", "claude-opus-5-5[1m]"];
const TOOLS: [&str; 6] = ["Bash", "Edit", "Read", "Grep", "Write", "mcp__tracker__search"];
const SOURCES: [&str; 3] = ["repl_main_thread", "agent:builtin:general-purpose", "compact"];

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    // The first commit creates the tables.
    let made = Store::start(&options.ledger, LEDGER, |_| {})?;
    tokio::runtime::Builder::new_current_thread().build()?.block_on(made.commit(|_| Ok(())))?;
    drop(made);
    let ledger = store::open(&options.ledger)?;
    ledger.pragma_update(None, "wal_autocheckpoint", 4000)?;
    let sessions = options.requests.div_ceil(SESSION);
    let now = Timestamp::now().as_millisecond();
    let begin = now - 2 * 365 * 24 * 3_600_000;
    let apart = (now - begin) / i64::try_from(sessions)?;
    let (started, mut facts) = (Instant::now(), 0);
    for first in (0..sessions).step_by(usize::try_from(GROUP)?) {
        ledger.execute_batch("BEGIN IMMEDIATE")?;
        for number in first..(first + GROUP).min(sessions) {
            facts += add(&ledger, number, begin + apart * i64::try_from(number)?)?;
        }
        ledger.execute_batch("COMMIT")?;
    }
    let seconds = started.elapsed().as_secs_f64();
    ledger.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()))?;
    let bytes = std::fs::metadata(&options.ledger)?.len();
    let (requests, sums): (i64, i64) =
        ledger.query_row("SELECT (SELECT count(*) FROM request), (SELECT count(*) FROM sum)", [], |row| {
            Ok((row.get(0)?, row.get(1)?))
        })?;
    #[expect(clippy::cast_precision_loss, reason = "what is shown has few digits")]
    let (a_second, each) = (facts as f64 / seconds, bytes as f64 / facts as f64);
    super::say(format_args!(
        "{requests} requests, {facts} facts, {sums} sums, {a_second:.0} facts/s, {each:.0} bytes a fact"
    ))
}

/// Adds a session and returns the number of its facts.
fn add(ledger: &Connection, number: u64, begin: i64) -> rusqlite::Result<u64> {
    let session = format!("{:08x}-1c3a-4d5e-8f60-{number:012x}", number.wrapping_mul(2_654_435_761) & 0xffff_ffff);
    let prompts: Vec<_> = (0..SESSION / PROMPT)
        .map(|prompt| {
            format!("{:08x}-2b4c-4e6f-9a80-{number:08x}{prompt:04x}", number.wrapping_mul(40_503) & 0xffff_ffff)
        })
        .collect();
    let (project, branch) = (format!("/home/me/work/project-{}", number % 40), format!("feature-{}", number % 300));
    let (team, person) = (format!("team-{}", number % 5), format!("person-{}@example.org", number % 20));
    let ours = format!("{number:016x}");
    let origin = Origin {
        session: &ours,
        profile: "local",
        project: &project,
        branch: &branch,
        persons: true,
        ..Origin::default()
    };
    let owner = Owner { session: &session, person: &person, team: &team, version: "2.1.332", ..Owner::default() };
    let mut extract = Extract::default();
    for request in 0..SESSION {
        let prompt = prompts[usize::try_from(request / PROMPT).unwrap_or_default()].as_str();
        let at = begin + APART * i64::try_from(request).unwrap_or_default();
        let whats = whats(number, request);
        for (place, what) in whats.into_iter().enumerate() {
            let mixed = (number * 1000 + request * 8 + place as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
            let identity = mixed.cast_signed();
            extract.facts.push(Fact { identity, at, owner: owner.clone(), prompt, what });
        }
    }
    insert(ledger, &origin, &[extract])
}

/// A request, one or two tool calls, and a prompt before every fifth request.
fn whats(session: u64, request: u64) -> Vec<What<'static>> {
    let pick = |list: &[&'static str], number: u64| list[usize::try_from(number).unwrap_or_default() % list.len()];
    let kind = Kind { source: pick(&SOURCES, request / 9), effort: "medium", speed: "normal", ..Kind::default() };
    let number = i64::try_from(request).unwrap_or_default();
    let mut whats = vec![What::Request(Box::new(Request {
        model: pick(&MODELS, session / 3 + request / 20),
        kind,
        input: 1_203 + number,
        output: 417 + number,
        cache_read: 50_021 + 900 * number,
        cache_creation: 4_007,
        cost: 18_734_500 + 1000 * number,
        duration: 4_321,
        first_token: 654,
        ..Request::default()
    }))];
    for call in 0..if request % 5 < 3 { 2 } else { 1 } {
        let (tool, succeeded) = (pick(&TOOLS, request + call), !request.is_multiple_of(17));
        whats.push(What::Tool(ToolCall {
            tool,
            succeeded,
            duration: 108,
            input_size: 55,
            output_size: 1_170,
            ..ToolCall::default()
        }));
    }
    if request.is_multiple_of(PROMPT) {
        whats.push(What::Prompt(Prompt { length: 120, ..Prompt::default() }));
    }
    whats
}
