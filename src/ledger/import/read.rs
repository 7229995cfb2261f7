//! Reads a session's files: converts rows to items, in bounded memory.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::fs::File;
use std::ops::ControlFlow;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Arc;

use nix::fcntl::OFlag;

use super::item::{Asked, Item, Texts, Told, Wherever};
use crate::claude::transcript::{Answer, CostState, Lines, ModelCost, Place, Prompted, Row, row};
use crate::usage::identity::{identity, of_request};

/// How many answers may still get another block, and how many tool runs may still end.
const OPEN: usize = 4096;

/// How many prompts may wait until it is known whether they are copies.
const WAITING: usize = 1000;

/// How many costs of one session are kept: forks continue from earlier ones.
const COSTS: usize = 256;

/// How far rows of the same time may be out of order, in milliseconds.
const JITTER: i64 = 1000;

/// The parts of a file that were not valid rows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Faults {
    /// Lines that are cut off, or of types that Claude Code does not write.
    pub faulty: u64,
    /// Lines that are too long.
    pub too_long: u64,
    /// Files that cannot be read.
    pub unreadable: u64,
}

impl Faults {
    pub(super) fn add(&mut self, more: Self) {
        self.faulty += more.faulty;
        self.too_long += more.too_long;
        self.unreadable += more.unreadable;
    }
}

/// The data of a session once all its files have been read.
#[derive(Clone, Debug, Default)]
pub(super) struct Summary {
    /// Its id, as recorded in its rows.
    pub(super) session: Arc<str>,
    /// The times of its first and last row, in Unix milliseconds.
    pub(super) span: Option<(i64, i64)>,
    /// The session of which it is a fork, if recorded.
    pub(super) parent: Option<Arc<str>>,
    /// The time when the last copied row was written; zero if there are none.
    pub(super) copied_until: i64,
    /// The tokens of copied answers by model.
    pub(super) copied: BTreeMap<Arc<str>, [i64; 5]>,
    pub(super) costs: VecDeque<Cost>,
}

/// The cost of a session at a given time.
#[derive(Clone, Debug)]
pub(super) struct Cost {
    /// The time of the last row before it, and of the first row that it does not include any more, in Unix
    /// milliseconds.
    pub(super) at: i64,
    pub(super) until: Option<i64>,
    pub(super) started: i64,
    pub(super) is_guessed: bool,
    pub(super) models: Vec<(Arc<str>, ModelCost)>,
}

/// Reads one session's files.
#[derive(Default)]
pub(super) struct Reading {
    texts: Texts,
    pub(super) items: Vec<Item>,
    pub(super) summary: Summary,
    pub(super) faults: Faults,
    /// Bytes read.
    pub(super) bytes: u64,
    /// The number of prompts under each id.
    prompts: HashMap<Arc<str>, u32>,
    /// The memory that files are read into.
    pub(super) buffer: Vec<u8>,
}

/// The state of one file while it is read.
#[derive(Default)]
struct InFile {
    is_main: bool,
    /// The current prompt.
    prompt: Arc<str>,
    /// The sources of requests to the model, by the reference of their answers.
    sources: VecDeque<(Arc<str>, Arc<str>)>,
    /// Answers that may get another block, by their messages.
    answers: VecDeque<(Arc<str>, Item)>,
    /// Tool runs that may still end, and their tools.
    tools: VecDeque<(Arc<str>, Arc<str>)>,
    /// Prompts that may be copies.
    waiting: Vec<Item>,
    /// The earliest time in the file.
    first: Option<i64>,
    /// The place of the last row.
    place: Option<Arc<Wherever>>,
}

impl Reading {
    /// Reads a file. Calls `flush` after each row, so that it may take the items. It may end the reading.
    pub(super) fn file(
        &mut self,
        path: &Path,
        is_main: bool,
        mut flush: impl FnMut(&mut Self) -> ControlFlow<()>,
    ) -> ControlFlow<()> {
        // It may have been replaced by another kind of file since it was found.
        let flags = OFlag::O_NOFOLLOW | OFlag::O_NONBLOCK;
        let opened = File::options().read(true).custom_flags(flags.bits()).open(path);
        let file = match opened.and_then(|file| Ok((file.metadata()?, file))) {
            Ok((metadata, file)) if metadata.is_file() => file,
            _ => {
                self.faults.unreadable += 1;
                return ControlFlow::Continue(());
            }
        };
        let before = self.bytes;
        let mut lines = Lines::new(file, std::mem::take(&mut self.buffer));
        let mut state = InFile { is_main, ..InFile::default() };
        loop {
            match lines.next() {
                Ok(Some(line)) => match row(line) {
                    Ok(None) => {}
                    Ok(Some(row)) => self.row(&mut state, row),
                    Err(_) => self.faults.faulty += 1,
                },
                Ok(None) => break,
                Err(_) => {
                    self.faults.unreadable += 1;
                    break;
                }
            }
            self.bytes = before + lines.bytes;
            flush(self)?;
        }
        self.faults.too_long += lines.too_long;
        self.bytes = before + lines.bytes;
        self.buffer = lines.into_buffer();
        self.release(&mut state);
        self.items.extend(state.answers.into_iter().map(|(_, item)| item));
        // No row of the session is later than its last cost, unless a row of its own says so.
        if let (Some(cost), Some((_, last))) = (self.summary.costs.back_mut(), self.summary.span)
            && cost.until.is_none()
        {
            cost.at = last;
        }
        flush(self)
    }

    fn row(&mut self, file: &mut InFile, row: Row<'_>) {
        match row {
            Row::Answer(answer) => self.answer(file, &answer),
            Row::Prompted(prompted) => self.prompted(file, &prompted),
            Row::Cost(cost) if file.is_main => self.cost(file, &cost),
            Row::Cost(_) => {}
            Row::Source(source) => {
                bounded(&mut file.sources, (self.texts.text(&source.id), self.texts.text(&source.name)));
            }
            Row::Queued { at, length } => {
                file.first.get_or_insert(at);
                let (Some(length), Some(wherever)) = (length, file.place.clone()) else { return };
                let prompt = Arc::clone(&file.prompt);
                let number = self.number(&prompt);
                self.tell(file, Item { wherever, at, prompt, what: Told::Prompt { length, number } });
            }
        }
    }

    fn answer(&mut self, file: &mut InFile, answer: &Answer<'_>) {
        let at = answer.place.at;
        let first = *file.first.get_or_insert(at);
        let is_copy = answer.copied_from.is_some() || at + JITTER < first;
        let mut wherever = self.wherever(&answer.place);
        if is_copy {
            // Waiting prompts came before it, and are copies, too.
            file.waiting.clear();
            self.copy(answer);
            if let Some(parent) = &answer.copied_from {
                wherever.session = self.texts.text(parent);
            }
        } else {
            self.release(file);
            self.touch(file, at);
            answer.tools.iter().for_each(|tool| {
                bounded(&mut file.tools, (self.texts.text(&tool.id), self.texts.text(&tool.tool)));
            });
        }
        // Some gateways give every message the same id.
        let message = self.texts.text(&[&*answer.message, &*answer.request, &*answer.reference].concat());
        let is_new = !file.answers.iter().rev().any(|(known, _)| *known == message && !message.is_empty());
        if is_copy && is_new {
            let tokens = self.summary.copied.entry(self.texts.text(&answer.model)).or_default();
            tokens.iter_mut().zip(answer.tokens).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        // In some versions only the last block has the final count.
        if let Some((_, known)) =
            file.answers.iter_mut().rev().find(|(known, _)| *known == message && !message.is_empty())
            && let Told::Request(asked) = &mut known.what
        {
            let larger = asked.tokens.iter().zip(answer.tokens).map(|(one, other)| (*one).max(other));
            let larger: Vec<i64> = larger.collect();
            asked.tokens.copy_from_slice(&larger);
            return;
        }
        let asked = self.asked(file, answer, &message);
        if self.summary.session.is_empty() {
            self.summary.session = self.texts.text(&answer.place.session);
        }
        // A copied answer would get the prompt of the fork.
        let prompt = if is_copy { Arc::default() } else { Arc::clone(&file.prompt) };
        let wherever = self.texts.place(wherever);
        let item = Item { wherever, at, prompt, what: Told::Request(Box::new(asked)) };
        if file.answers.len() >= OPEN
            && let Some((_, item)) = file.answers.pop_front()
        {
            self.items.push(item);
        }
        file.answers.push_back((message, item));
    }

    /// The request that an answer belongs to. `message` identifies the answer within its file.
    fn asked(&mut self, file: &InFile, answer: &Answer<'_>, message: &str) -> Asked {
        let reference = answer.reference.as_ref();
        let source = file.sources.iter().rev().find(|(id, _)| **id == *reference).map(|(_, name)| Arc::clone(name));
        let known = match (answer.request.as_ref(), answer.id.as_ref()) {
            ("", "") => {
                let at = answer.place.at.to_le_bytes();
                identity(&[b"at", answer.place.session.as_bytes(), &at, message.as_bytes()])
            }
            ("", id) => identity(&[b"row", id.as_bytes()]),
            // The failed answer has an id, too, and all its attempts share the id.
            (id, _) if answer.failed.is_some() => identity(&[b"failed", id.as_bytes()]),
            (id, _) => of_request(id),
        };
        Asked {
            identity: known,
            model: self.texts.text(answer.model.as_ref()),
            source: source.unwrap_or_default(),
            agent: self.texts.text(&answer.agent),
            effort: self.texts.text(&answer.effort),
            // The same value as in events.
            speed: self.texts.text(if answer.speed == "standard" { "normal" } else { &answer.speed }),
            tokens: answer.tokens,
            cost: answer.cost,
            failed: answer.failed,
        }
    }

    /// Records an answer that was copied from another session.
    fn copy(&mut self, answer: &Answer<'_>) {
        let summary = &mut self.summary;
        if let Some(parent) = &answer.copied_from {
            summary.parent = Some(self.texts.text(parent));
        }
        if answer.place.at > summary.copied_until {
            summary.copied_until = answer.place.at;
        }
    }

    fn prompted(&mut self, file: &mut InFile, row: &Prompted<'_>) {
        let at = row.place.at;
        let first = *file.first.get_or_insert(at);
        let is_copy = row.is_copy || at + JITTER < first;
        if !row.prompt.is_empty() {
            file.prompt = self.texts.text(&row.prompt);
        }
        if is_copy {
            return;
        }
        let wherever = self.wherever(&row.place);
        let wherever = self.texts.place(wherever);
        let prompt = Arc::clone(&file.prompt);
        file.place = Some(Arc::clone(&wherever));
        let item = |what| Item { wherever: Arc::clone(&wherever), at, prompt: Arc::clone(&prompt), what };
        for result in &row.results {
            let id = self.texts.text(&result.id);
            let place = file.tools.iter().rposition(|(known, _)| *known == id);
            let Some((_, tool)) = place.and_then(|place| file.tools.remove(place)) else { continue };
            if let Some((decision, source)) = &row.decision {
                let (accepted, source) = (decision == "accept", self.texts.text(source));
                let (id, tool) = (Arc::clone(&id), Arc::clone(&tool));
                self.tell(file, item(Told::Decision { id, tool, accepted, source }));
                if !accepted {
                    continue;
                }
            }
            self.tell(file, item(Told::Tool { id, tool, failed: result.failed }));
        }
        if let (Some(length), false) = (row.length, prompt.is_empty()) {
            if file.waiting.len() >= WAITING {
                self.release(file);
            }
            file.waiting.push(item(Told::Prompt { length, number: 0 }));
        }
    }

    fn cost(&mut self, file: &mut InFile, cost: &CostState<'_>) {
        self.release(file);
        let at = self.summary.span.map_or(0, |(_, last)| last);
        if self.summary.costs.back().is_some_and(|before| before.at == at) {
            self.summary.costs.pop_back();
        }
        if self.summary.costs.len() >= COSTS {
            self.summary.costs.pop_front();
        }
        let mut models: BTreeMap<Arc<str>, ModelCost> = BTreeMap::new();
        for (model, cost) in &cost.models {
            // `opus[1m]` is the same model with a larger window.
            let known = models.entry(self.texts.text(model.split('[').next().unwrap_or(model))).or_default();
            known.cost = known.cost.saturating_add(cost.cost);
            known.tokens.iter_mut().zip(cost.tokens).for_each(|(sum, more)| *sum = sum.saturating_add(more));
        }
        let (started, is_guessed) = (cost.started, cost.is_guessed);
        let models = models.into_iter().collect();
        self.summary.costs.push_back(Cost { at, until: None, started, is_guessed, models });
    }

    /// Emits the waiting prompts: they are not copies.
    fn release(&mut self, file: &mut InFile) {
        for mut item in std::mem::take(&mut file.waiting) {
            if let Told::Prompt { number, .. } = &mut item.what {
                *number = self.number(&item.prompt);
            }
            self.tell(file, item);
        }
    }

    fn number(&mut self, prompt: &Arc<str>) -> u32 {
        if self.prompts.len() >= 16 * OPEN {
            self.prompts.clear();
        }
        let next = self.prompts.entry(Arc::clone(prompt)).or_default();
        *next += 1;
        *next - 1
    }

    fn tell(&mut self, file: &InFile, item: Item) {
        self.touch(file, item.at);
        if self.summary.session.is_empty() {
            self.summary.session = Arc::clone(&item.wherever.session);
        }
        self.items.push(item);
    }

    /// Records that the session itself wrote a row at that time.
    fn touch(&mut self, file: &InFile, at: i64) {
        let (first, last) = self.summary.span.unwrap_or((at, at));
        self.summary.span = Some((first.min(at), last.max(at)));
        if file.is_main {
            // Costs from here on are not in any cost that was written before.
            self.summary.costs.iter_mut().filter(|cost| cost.until.is_none()).for_each(|cost| cost.until = Some(at));
        }
    }

    fn wherever(&mut self, place: &Place<'_>) -> Wherever {
        Wherever {
            session: self.texts.text(&place.session),
            directory: self.texts.text(&place.directory),
            branch: self.texts.text(if place.branch == "HEAD" { "" } else { &place.branch }),
            version: self.texts.text(&place.version),
            entrypoint: self.texts.text(&place.entrypoint),
        }
    }
}

/// Adds a value, and drops the oldest beyond the limit.
fn bounded<T>(queue: &mut VecDeque<T>, value: T) {
    if queue.len() >= OPEN {
        queue.pop_front();
    }
    queue.push_back(value);
}
