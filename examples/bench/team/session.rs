//! A session: prompts, requests, tool calls, decisions, and what metrics count of it.

use ccrun::usage::{Counter, Decision, Fact, Kind, Measure, Moment, Outcome, Owner, Prompt, Request, ToolCall, What};

use super::dice::Dice;
use super::people::Person;

const TOOLS: [&str; 7] = ["Bash", "Edit", "Read", "Read", "Grep", "Write", "mcp__tracker__search"];
const AGENTS: [&str; 2] = ["Explore", "general-purpose"];

/// Milliseconds of a minute.
const MINUTE: i64 = 60_000;

/// A branch is worked on for so many days.
const BRANCH_DAYS: i64 = 3;

/// A session that is about to happen.
pub(super) struct Session {
    person: &'static Person,
    /// Ccrun's id of it.
    pub(super) ours: String,
    /// Claude Code's.
    theirs: String,
    pub(super) project: String,
    repository: &'static str,
    branch: String,
    /// Whether its branch is finished with it.
    is_last: bool,
    number: u64,
    start: i64,
    /// The ids of its prompts.
    prompts: Vec<String>,
}

/// The facts so far.
struct Facts<'a> {
    session: &'a Session,
    at: i64,
    prompt: &'a str,
    told: Vec<Fact<'a>>,
}

impl Session {
    /// A session of someone, on a day counted from the first Monday; the time is in Unix milliseconds.
    pub(super) fn new(person: &'static Person, day: i64, number: u64, start: i64, dice: &mut Dice) -> Self {
        let repository = dice.pick(person.repositories);
        let ticket = 200 + day / BRANCH_DAYS * 7 + i64::try_from(person.name.len()).unwrap_or_default() * 3;
        let is_main = person.is_automation || dice.chance(8);
        let mixed = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        Self {
            person,
            ours: format!("{mixed:016x}"),
            theirs: format!("{:08x}-1c3a-4d5e-8f60-{number:012x}", mixed >> 32),
            project: format!("{}/work/{repository}", person.home),
            repository,
            branch: if is_main { "main".to_owned() } else { format!("feature/{repository}-{ticket}") },
            is_last: !is_main && day % BRANCH_DAYS == BRANCH_DAYS - 1 && dice.chance(45),
            number,
            start,
            prompts: (0..if person.is_automation { 1 } else { dice.around(6).max(1) })
                .map(|prompt| format!("{:08x}-2b4c-4e6f-9a80-{number:08x}{prompt:04x}", mixed & 0xffff_ffff))
                .collect(),
        }
    }

    /// Everything that happens in it.
    pub(super) fn facts(&self, dice: &mut Dice) -> Vec<Fact<'_>> {
        let mut all = Facts { session: self, at: self.start, prompt: "", told: Vec::new() };
        let (model, mut context) = (dice.pick(self.person.models), 18_000);
        for prompt in &self.prompts {
            all.prompt = prompt;
            all.push(What::Prompt(Prompt { length: dice.around(140), ..Prompt::default() }));
            for _ in 0..dice.around(5).clamp(1, 40) {
                all.at += dice.around(16_000);
                context += dice.around(2_200);
                if context > 160_000 {
                    all.push(What::Moment(Moment { event: "compaction", name: "auto", ..Moment::default() }));
                    context = 30_000;
                }
                all.asks(model, context, dice);
                all.tool(dice);
            }
            all.at += dice.around(2 * MINUTE);
        }
        all.counted(dice);
        all.told
    }
}

impl<'a> Facts<'a> {
    fn push(&mut self, what: What<'a>) {
        let (session, person) = (self.session, self.session.person);
        let owner = Owner {
            session: &session.theirs,
            person: person.name,
            team: person.team,
            version: person.version,
            entrypoint: if person.is_automation { "sdk-cli" } else { "cli" },
            repository: session.repository,
            branch: &session.branch,
            ..Owner::default()
        };
        let mixed = (session.number * 100_000 + self.told.len() as u64).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        self.told.push(Fact { identity: mixed.cast_signed(), at: self.at, owner, prompt: self.prompt, what });
    }

    /// A request to the model.
    fn asks(&mut self, model: &'static str, context: i64, dice: &mut Dice) {
        let person = self.session.person;
        let agent = if dice.chance(9) { dice.pick(&AGENTS) } else { "" };
        let source = match agent {
            _ if person.is_automation => "sdk",
            "" => "repl_main_thread",
            _ => "agent:builtin",
        };
        let kind = Kind { source, agent, effort: "medium", ..Kind::default() };
        if dice.chance(person.trouble) && dice.chance(40) {
            let failed = Request { model, kind, outcome: Outcome::Failed, status: 529, ..Request::default() };
            return self.push(What::Request(Box::new(failed)));
        }
        let cache_read = context * (person.cached + dice.from(-6, 5)).clamp(0, 99) / 100;
        let (input, output) = ((context - cache_read) / 6, dice.around(420));
        let cache_creation = context - cache_read - input;
        // Billionths of a dollar for an input token; an output token costs five times as much.
        let price = if model.contains("opus") {
            5_000
        } else if model.contains("sonnet") {
            3_000
        } else {
            1_000
        };
        let weighed = input * 100 + output * 500 + cache_creation * 125 + cache_read * 10;
        let first_token = dice.around(if model.contains("opus") { 1_400 } else { 700 });
        let request = Request {
            model,
            kind,
            input,
            output,
            cache_read,
            cache_creation,
            cost: weighed * price / 100,
            first_token,
            duration: first_token + output * dice.from(9, 18),
            ..Request::default()
        };
        self.push(What::Request(Box::new(request)));
    }

    /// A call of a tool, with the decision on it if it edits.
    fn tool(&mut self, dice: &mut Dice) {
        let (person, tool) = (self.session.person, dice.pick(&TOOLS));
        if ["Edit", "Write"].contains(&tool) {
            let is_asked = dice.chance(person.asked);
            let accepted = !is_asked || dice.chance(person.accepts);
            let source = match (is_asked, accepted) {
                (true, true) => "user_temporary",
                (true, false) => "user_reject",
                _ => "config",
            };
            self.push(What::Decision(Decision { tool, accepted, source, ..Decision::default() }));
            if !accepted {
                return;
            }
        }
        let succeeded = !dice.chance(person.trouble * 2 + 2);
        self.push(What::Tool(ToolCall { tool, succeeded, duration: dice.around(900), ..ToolCall::default() }));
    }

    /// What metrics count of the whole session.
    fn counted(&mut self, dice: &mut Dice) {
        let (session, long) = (self.session, self.at - self.session.start);
        let commits = if dice.chance(55) { dice.from(1, 3) } else { 0 };
        let mut amounts = vec![
            (Measure::ActiveCli, long / 3),
            (Measure::LinesAdded, dice.around(90)),
            (Measure::LinesRemoved, dice.around(35)),
        ];
        if !session.person.is_automation {
            amounts.extend([(Measure::ActiveUser, long / 5), (Measure::Commits, commits)]);
            amounts.push((Measure::PullRequests, i64::from(session.is_last && commits > 0)));
        }
        for (measure, amount) in amounts.into_iter().filter(|(_, amount)| *amount > 0) {
            let kind = Kind::default();
            let counter = Counter { name: "", is_tool: false, kind, measure, amount, is_cumulative: false };
            self.push(What::Counter(counter));
        }
    }
}
