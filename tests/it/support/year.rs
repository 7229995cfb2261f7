//! A ledger of invented work. Everything except its dates is the same every time.

use std::fs::DirBuilder;
use std::os::unix::fs::DirBuilderExt;

use ccrun::ledger::{LEDGER, Origin, insert};
use ccrun::store::{self, Store};
use ccrun::usage::{Counter, Decision, Extract, Fact, Kind, Measure, Owner, Prompt, Request, ToolCall, What};
use jiff::tz::TimeZone;
use jiff::{Timestamp, ToSpan};

use super::random::Random;
use super::sandbox::Sandbox;

/// Projects with a branch, how often they are worked on, and the model that is mostly used.
pub const PROJECTS: [(&str, &str, u64, &str); 9] = [
    ("work/checkout-api", "main", 9, "claude-opus-5-5"),
    ("work/checkout-api", "fix/retries", 5, "claude-opus-5-5"),
    ("work/web", "feature/new-checkout-page", 6, "claude-sonnet-5"),
    ("work/infrastructure", "main", 3, "claude-sonnet-5"),
    ("work/clients/acme/reporting-service", "release/2.4", 3, "claude-opus-5-5"),
    ("notes", "main", 2, "claude-haiku-5"),
    ("work/data-pipeline", "spike/columnar", 2, "claude-opus-4-5"),
    ("dotfiles", "main", 1, "claude-haiku-5"),
    ("work/mobile", "main", 1, "claude-sonnet-4-5"),
];

/// Fills a sandbox's ledger with this many days of work until now, in the home directory's projects. One of the branches
/// gets another name, if one is given.
pub fn work(sandbox: &Sandbox, days: i32, branch: Option<&str>) {
    let path = sandbox.state().join("ledger-1.db");
    DirBuilder::new().recursive(true).mode(0o700).create(sandbox.state()).unwrap();
    // The first commit creates the tables.
    let made = Store::start(&path, LEDGER, |_| {}).unwrap();
    let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
    runtime.block_on(made.commit(|_| Ok(()))).unwrap();
    drop(made);
    let ledger = store::open(&path).unwrap();
    ledger.execute_batch("BEGIN IMMEDIATE").unwrap();
    let now = Timestamp::now().to_zoned(TimeZone::UTC);
    let mut random = Random::new(11);
    for back in (0..days).rev() {
        let day = now.date().checked_sub(back.days()).unwrap();
        // Two weeks of holidays, few weekends, and more from month to month.
        let is_free = day.weekday().to_monday_zero_offset() > 4 && random.below(6) > 0 || (140..154).contains(&back);
        let busy = 1 + random.below(4) + u64::try_from(days - back).unwrap() * 3 / u64::try_from(days).unwrap();
        let begin = day.at(8, 0, 0, 0).to_zoned(TimeZone::UTC).unwrap().timestamp().as_millisecond();
        for session in 0..if is_free { 0 } else { busy } {
            let begin = begin + i64::try_from(session * 80 * 60_000 + random.below(3_600_000)).unwrap();
            if begin + 3_600_000 < now.timestamp().as_millisecond() {
                self::session(&ledger, sandbox, &mut random, begin, branch);
            }
        }
    }
    ledger.execute_batch("COMMIT").unwrap();
}

fn session(ledger: &rusqlite::Connection, sandbox: &Sandbox, random: &mut Random, begin: i64, other: Option<&str>) {
    let weight = random.below(PROJECTS.iter().map(|(_, _, weight, _)| weight).sum());
    let mut left = weight;
    let chosen = PROJECTS.iter().find(|(_, _, weight, _)| {
        let is_it = left < *weight;
        left = left.saturating_sub(*weight);
        is_it
    });
    let (project, branch, _, model) = *chosen.unwrap();
    let project = sandbox.home().join(project).display().to_string();
    let branch = if branch == "fix/retries" { other.unwrap_or(branch) } else { branch };
    let session = format!("{:08x}-5c1d-4e2f-8a3b-{:012x}", random.below(1 << 32), random.below(1 << 48));
    let origin = Origin { profile: "local", project: &project, branch, persons: true, user: "me", ..Origin::default() };
    let owner = Owner { session: &session, version: "2.1.332", terminal: "tmux", ..Owner::default() };
    let prompts: Vec<_> = (0..=random.below(6)).map(|_| format!("{:016x}", random.next())).collect();
    let mut facts = Vec::new();
    let mut at = begin;
    for prompt in &prompts {
        let mut whats = vec![What::Prompt(Prompt { length: 90, ..Prompt::default() })];
        for number in 0..=random.below(7) {
            let model = if random.below(12) == 0 { "claude-haiku-5" } else { model };
            whats.extend([request(random, model), tool(random, number)]);
            let source = if random.below(3) > 0 { "config" } else { "user_temporary" };
            whats.push(What::Decision(Decision {
                tool: "Edit",
                accepted: random.below(8) > 0,
                source,
                mode: "default",
            }));
        }
        for (measure, most) in [
            (Measure::ActiveUser, 240_000),
            (Measure::ActiveCli, 400_000),
            (Measure::LinesAdded, 90),
            (Measure::LinesRemoved, 30),
            (Measure::Commits, 2),
        ] {
            let amount = i64::try_from(random.below(most)).unwrap();
            let (name, is_tool, kind) = ("", false, Kind::default());
            whats.push(What::Counter(Counter { name, is_tool, kind, measure, amount, is_cumulative: false }));
        }
        for what in whats {
            at += i64::try_from(random.below(20_000)).unwrap();
            let identity = random.next().cast_signed();
            facts.push(Fact { identity, at, owner: owner.clone(), prompt, what });
        }
    }
    insert(ledger, &origin, &[Extract { facts, refused: 0 }]).unwrap();
}

fn request(random: &mut Random, model: &'static str) -> What<'static> {
    let mut below = |limit| i64::try_from(random.below(limit)).unwrap();
    let (input, output, cache_read, cache_creation) = (below(3000), 50 + below(1500), below(140_000), below(8000));
    // In thousandths of a dollar for a million tokens.
    let price = if model.contains("opus") { 5000 } else { 1800 };
    let weights = input + 5 * output + cache_read / 10 + cache_creation * 5 / 4;
    What::Request(Box::new(Request {
        model,
        input,
        output,
        cache_read,
        cache_creation,
        cost: weights * price,
        duration: 4_000,
        first_token: 700,
        is_named: true,
        ..Request::default()
    }))
}

fn tool(random: &mut Random, number: u64) -> What<'static> {
    let tool = ["Bash", "Edit", "Read", "Grep", "Write"][usize::try_from(number % 5).unwrap()];
    What::Tool(ToolCall { tool, succeeded: random.below(15) > 0, duration: 300, ..ToolCall::default() })
}
