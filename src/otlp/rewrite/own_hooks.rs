//! Leaves out the events that Claude Code reports about the hooks which `ccrun` itself adds.

use std::borrow::Cow;

use super::attribute::{key_of, text_of};
use super::shape::Kind;
use super::{Named, PREFIX};
use crate::otlp::schema::log_record;
use crate::otlp::wire::{Malformed, fields};

/// The beginning of the names of events about hooks.
const HOOK: &[u8] = b"hook_";

/// The source of hooks in the `--settings` file.
const SOURCE: &[u8] = b"flagSettings";

/// The hooks that `ccrun` adds.
#[derive(Clone, Debug, Default)]
pub struct OwnHooks {
    /// The events on which they run, by Claude Code's names. They run on each.
    pub events: Vec<&'static str>,
    /// Their type.
    pub kind: &'static str,
    /// The events for which the user's settings have hooks of this type, which could be either's.
    pub shared: Vec<&'static str>,
}

/// The attributes that tell whose hooks an event is about.
#[derive(Default)]
struct About<'a> {
    event: Cow<'a, [u8]>,
    kind: Cow<'a, [u8]>,
    source: Cow<'a, [u8]>,
    count: Cow<'a, [u8]>,
    managed: Cow<'a, [u8]>,
}

impl OwnHooks {
    /// Whether a log record of Claude Code is about these hooks alone.
    pub(super) fn has(&self, record: &[u8]) -> Result<bool, Malformed> {
        if self.events.is_empty() {
            return Ok(false);
        }
        let names = Named::of(record, Kind::Event, b"")?.names;
        let name =
            names.iter().map(|name| name.strip_prefix(PREFIX).unwrap_or(name)).find(|name| name.starts_with(HOOK));
        let Some(name) = name else { return Ok(false) };
        let about = About::of(record)?;
        let is_among = |events: &[&str]| events.iter().any(|event| event.as_bytes() == &*about.event);
        if name == b"hook_registered" {
            let is_alike = *about.source == *SOURCE && *about.kind == *self.kind.as_bytes();
            return Ok(is_alike && is_among(&self.events) && !is_among(&self.shared));
        }
        // With one hook on an event, it is the one that runs on each.
        Ok(*about.count == *b"1" && *about.managed != *b"true" && is_among(&self.events))
    }
}

impl<'a> About<'a> {
    fn of(record: &'a [u8]) -> Result<Self, Malformed> {
        let mut about = Self::default();
        for field in fields(record) {
            let field = field?;
            if field.number != log_record::ATTRIBUTES {
                continue;
            }
            let attribute = field.bytes()?;
            let place = match key_of(attribute)? {
                b"hook_event" => &mut about.event,
                b"hook_type" => &mut about.kind,
                b"hook_source" => &mut about.source,
                b"num_hooks" => &mut about.count,
                b"managed_only" => &mut about.managed,
                _ => continue,
            };
            *place = text_of(attribute)?;
        }
        Ok(about)
    }
}
