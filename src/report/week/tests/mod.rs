//! Each number of the page against sessions whose value is worked out by hand.

mod lines;
mod period;
mod privacy;
mod recount;

use jiff::Zoned;
use rusqlite::Connection;

use super::*;
use crate::ledger::tests::origin;
use crate::ledger::{Origin, empty, insert};
use crate::report::ledger::LedgerSource;
use crate::usage::{
    Counter, Decision, Extract, Fact, Kind, Measure, Moment, Outcome, Owner, Prompt, Request, ToolCall, What,
};

/// Billionths of a US dollar.
const DOLLAR: i64 = 1_000_000_000;

/// A ledger that is written by hand.
pub(crate) struct Hand {
    pub(crate) ledger: Connection,
    facts: i64,
}

/// A session, with who it belongs to.
#[derive(Clone, Copy, Debug)]
pub(crate) struct At<'a> {
    /// As 2026-11-23T10:00, UTC.
    pub(crate) time: &'a str,
    pub(crate) session: &'a str,
    pub(crate) person: &'a str,
    pub(crate) team: &'a str,
    pub(crate) repository: &'a str,
    pub(crate) branch: &'a str,
    pub(crate) source: &'a str,
    pub(crate) agent: &'a str,
    pub(crate) entrypoint: &'a str,
}

/// A session of a person at a time.
pub(crate) fn at<'a>(time: &'a str, person: &'a str, session: &'a str) -> At<'a> {
    At {
        time,
        session,
        person,
        team: "",
        repository: "api",
        branch: "main",
        source: "repl_main_thread",
        agent: "",
        entrypoint: "",
    }
}

impl Hand {
    pub(crate) fn new() -> Self {
        Self { ledger: empty().unwrap(), facts: 0 }
    }

    pub(crate) fn take(&mut self, at: At<'_>, what: What<'_>) {
        self.facts += 1;
        let owner = Owner {
            session: at.session,
            person: at.person,
            team: at.team,
            version: "2.1.332",
            entrypoint: at.entrypoint,
            repository: at.repository,
            branch: at.branch,
            ..Owner::default()
        };
        let time = format!("{}Z", at.time).parse::<jiff::Timestamp>().unwrap().as_millisecond();
        let fact = Fact { identity: self.facts, at: time, owner, prompt: "", what };
        let origin = Origin { user: "", ..origin("one") };
        insert(&self.ledger, &origin, &[Extract { facts: vec![fact], refused: 0 }]).unwrap();
    }

    /// An answered request that cost so many cents.
    pub(crate) fn request(&mut self, at: At<'_>, cents: i64) {
        self.asked(at, Request { cost: cents * DOLLAR / 100, model: "claude-opus-5-5", ..Request::default() });
    }

    #[expect(clippy::needless_pass_by_value, reason = "callers make it where they pass it")]
    pub(crate) fn asked<'a>(&mut self, at: At<'a>, request: Request<'a>) {
        let kind = Kind { source: at.source, agent: at.agent, ..Kind::default() };
        self.take(at, What::Request(Box::new(Request { kind, ..request })));
    }

    pub(crate) fn prompt(&mut self, at: At<'_>) {
        self.take(at, What::Prompt(Prompt::default()));
    }

    /// A prompt and a request.
    pub(crate) fn works(&mut self, at: At<'_>, cents: i64) {
        self.prompt(at);
        self.request(at, cents);
    }

    pub(crate) fn counts(&mut self, at: At<'_>, measure: Measure, amount: i64) {
        let kind = Kind::default();
        self.take(at, What::Counter(Counter { name: "", is_tool: false, kind, measure, amount, is_cumulative: false }));
    }

    pub(crate) fn tool(&mut self, at: At<'_>, tool: &str, succeeded: bool) {
        self.take(at, What::Tool(ToolCall { tool, succeeded, ..ToolCall::default() }));
    }

    pub(crate) fn decides(&mut self, at: At<'_>, accepted: bool, source: &str) {
        self.take(at, What::Decision(Decision { tool: "Edit", accepted, source, ..Decision::default() }));
    }

    /// The page as seen at a time.
    pub(crate) fn page(&self, now: &str, when: Option<&str>, options: &Options) -> Page {
        let now: Zoned = format!("{now}[UTC]").parse().unwrap();
        let period = Period::parse(when, false, &now).unwrap();
        page(&LedgerSource::new(&self.ledger).unwrap(), &period, options).unwrap()
    }
}

/// A number of the page: a line's own, or one beside it, as `spend` or `spend.before`.
pub(crate) fn figure<'a>(page: &'a Page, name: &str) -> &'a Figure {
    let (line, beside) = name.split_once('.').unwrap_or((name, ""));
    let line = page.lines.iter().find(|found| found.figure.id == line).unwrap_or_else(|| panic!("no line {name}"));
    if beside.is_empty() {
        return &line.figure;
    }
    line.beside.iter().find(|found| found.id == beside).unwrap_or_else(|| panic!("no number {name}"))
}

pub(crate) fn value(page: &Page, name: &str) -> Value {
    figure(page, name).value.clone()
}

/// A number's numerator and denominator.
fn sides(page: &Page, name: &str) -> (Value, Value) {
    let side = |side: &Option<Quantity>| side.as_ref().map_or(Value::None, |quantity| quantity.value.clone());
    let figure = figure(page, name);
    (side(&figure.numerator), side(&figure.denominator))
}

fn cents(cents: i64) -> Value {
    Value::Dollars(cents * DOLLAR / 100)
}

/// The rows of a table of the page, as text; empty if it has none.
fn rows(page: &Page, id: &str) -> Vec<String> {
    let found = page.sections.iter().find(|section| section.id == id);
    let text = |value: &Value| match value {
        Value::None => "-".to_owned(),
        Value::Text(text) => text.clone(),
        Value::Count(count) => count.to_string(),
        Value::Dollars(billionths) => format!("${}", crate::usage::to_double(*billionths) / 1e9),
        Value::Share(share) => format!("{share:.2}"),
        Value::Time(time) => format!("{time}ms"),
        other => format!("{other:?}"),
    };
    let row = |row: &Vec<Value>| row.iter().map(text).collect::<Vec<_>>().join(" ");
    found.map(|section| section.rows.iter().map(row).collect()).unwrap_or_default()
}

fn caveats(page: &Page, name: &str) -> String {
    page.lines.iter().find(|line| line.figure.id == name).unwrap().caveats.join("; ")
}
