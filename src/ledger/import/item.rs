//! The single items of a transcript.

use std::collections::HashMap;
use std::sync::Arc;

use crate::usage::Identity;

/// The longest text that the ledger keeps, in bytes.
const LONGEST: usize = 256;

/// How many texts are held before they are dropped.
const MOST: usize = 10_000;

/// One item of a transcript.
#[derive(Clone, Debug)]
pub(super) struct Item {
    pub(super) wherever: Arc<Wherever>,
    /// In Unix milliseconds.
    pub(super) at: i64,
    /// Empty if there is no prompt.
    pub(super) prompt: Arc<str>,
    pub(super) what: Told,
}

/// The session and place of an item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(super) struct Wherever {
    pub(super) session: Arc<str>,
    pub(super) directory: Arc<str>,
    pub(super) branch: Arc<str>,
    pub(super) version: Arc<str>,
    pub(super) entrypoint: Arc<str>,
}

/// The event that an item describes.
#[derive(Clone, Debug)]
pub(super) enum Told {
    Request(Box<Asked>),
    Tool {
        id: Arc<str>,
        tool: Arc<str>,
        failed: bool,
    },
    Decision {
        id: Arc<str>,
        tool: Arc<str>,
        accepted: bool,
        source: Arc<str>,
    },
    /// `number` counts the prompts with the same id from zero.
    Prompt {
        length: i64,
        number: u32,
    },
}

/// A request to the model.
#[derive(Clone, Debug, Default)]
pub(super) struct Asked {
    pub(super) identity: Identity,
    pub(super) model: Arc<str>,
    pub(super) source: Arc<str>,
    pub(super) agent: Arc<str>,
    pub(super) effort: Arc<str>,
    pub(super) speed: Arc<str>,
    /// Tokens of input, output, cache reads, cache writes, and the part of the cache writes that lasts an hour.
    pub(super) tokens: [i64; 5],
    /// In billionths of a US dollar, if an old version recorded it.
    pub(super) cost: Option<i64>,
    /// The HTTP status of a request that failed permanently.
    pub(super) failed: Option<i64>,
}

/// Texts, each stored once, and truncated to the ledger's limit.
#[derive(Default)]
pub(super) struct Texts {
    known: HashMap<Box<str>, Arc<str>>,
    places: HashMap<Wherever, Arc<Wherever>>,
}

impl Texts {
    pub(super) fn text(&mut self, text: &str) -> Arc<str> {
        let text = &text[..text.floor_char_boundary(LONGEST)];
        if let Some(known) = self.known.get(text) {
            return Arc::clone(known);
        }
        if self.known.len() >= MOST {
            self.known.clear();
        }
        let shared: Arc<str> = text.into();
        self.known.insert(text.into(), Arc::clone(&shared));
        shared
    }

    pub(super) fn place(&mut self, place: Wherever) -> Arc<Wherever> {
        if let Some(known) = self.places.get(&place) {
            return Arc::clone(known);
        }
        if self.places.len() >= MOST {
            self.places.clear();
        }
        let shared = Arc::new(place.clone());
        self.places.insert(place, Arc::clone(&shared));
        shared
    }
}
