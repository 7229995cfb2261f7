//! Hooks that can block actions, in places where the client does not read hooks. The client assumes they were intended,
//! refuses to work without them, and ignores the whole file.

use serde_json::{Map, Value};

use super::Fault;

/// How deep the client searches.
const DEPTH: usize = 3;

/// The table's data about hooks.
pub(super) struct Guards<'a> {
    /// Events whose hooks can block something.
    forbidding: Vec<&'a str>,
    /// All events.
    events: Vec<&'a str>,
    /// Keys with arbitrary names below them.
    unscanned: Vec<&'a str>,
}

/// How the client reads a value.
#[derive(Clone, Copy)]
struct Look {
    depth: usize,
    /// Whether anything that looks like a matcher counts as one.
    matchers: bool,
    /// Whether keys with arbitrary names are skipped.
    is_top: bool,
    /// Whether the value is in a list of hooks.
    in_hooks: bool,
}

impl<'a> Guards<'a> {
    /// From the table.
    pub(super) fn of(table: &'a Value) -> Self {
        let words = |key: &str| table[key].as_array().into_iter().flatten().filter_map(Value::as_str).collect();
        Self { forbidding: words("guards"), events: words("events"), unscanned: words("unscanned") }
    }

    /// The place of such hooks, if there are any.
    pub(super) fn fault(&self, settings: &Map<String, Value>) -> Option<Fault> {
        let key = self.outside(settings).or_else(|| self.inside(settings.get("hooks")?));
        let reason =
            format!("contains hooks of {} in a place where the client does not read hooks", self.forbidding.join(", "));
        Some(Fault { key: key?, reason })
    }

    /// Beside `hooks`, at the top or below another key.
    fn outside(&self, settings: &Map<String, Value>) -> Option<String> {
        let at_top = settings.iter().find(|(key, value)| self.is_guard(key, value));
        let below = || {
            settings.iter().find(|(key, value)| {
                let look = Look { depth: DEPTH, matchers: !self.is_event(key), is_top: true, in_hooks: false };
                *key != "hooks" && !self.is_unscanned(key) && self.holds(value, look)
            })
        };
        at_top.or_else(below).map(|(key, _)| key.clone())
    }

    /// Below `hooks`, but not in a list of matchers under their event.
    fn inside(&self, hooks: &Value) -> Option<String> {
        let Some(entries) = hooks.as_object() else {
            let is_meant = |item: &Value| item.is_object() || self.is_nested(item);
            let is_meant = hooks.as_array().is_some_and(|items| items.iter().any(is_meant));
            return is_meant.then(|| "hooks".to_owned());
        };
        if self.is_matcher(hooks) {
            return Some("hooks".to_owned());
        }
        let look = |matchers| Look { depth: DEPTH, matchers, is_top: false, in_hooks: false };
        let is_stray = |(event, value): &(&String, &Value)| match value {
            Value::Array(items) if self.is_event(event) => items.iter().any(|item| self.holds(item, look(false))),
            _ if self.is_event(event) => self.holds(value, look(false)),
            _ => self.holds(value, look(!value.is_array())),
        };
        entries.iter().find(is_stray).map(|(event, _)| format!("hooks.{event}"))
    }

    fn holds(&self, value: &Value, look: Look) -> bool {
        if self.has_guards(value) || look.matchers && self.is_matcher(value) {
            return true;
        }
        let Some(depth) = look.depth.checked_sub(1) else { return false };
        match value {
            Value::Array(items) => items.iter().any(|item| self.holds(item, Look { depth, ..look })),
            Value::Object(entries) if look.in_hooks && entries.get("type").is_some_and(Value::is_string) => false,
            Value::Object(entries) => entries.iter().any(|(key, value)| {
                let in_hooks = key == "hooks" && value.is_array();
                let inner = Look { depth, matchers: look.matchers && !self.is_event(key), in_hooks, ..look };
                !(look.is_top && self.is_unscanned(key)) && self.holds(value, inner)
            }),
            _ => false,
        }
    }

    fn has_guards(&self, value: &Value) -> bool {
        value.as_object().is_some_and(|entries| entries.iter().any(|(key, value)| self.is_guard(key, value)))
    }

    fn is_guard(&self, key: &str, value: &Value) -> bool {
        self.forbidding.contains(&key) && !value.is_null() && value.as_array().is_none_or(|items| !items.is_empty())
    }

    /// Whether a value looks like an element of the list under an event.
    fn is_matcher(&self, value: &Value) -> bool {
        let Some(entries) = value.as_object() else { return false };
        let has_matcher = entries.contains_key("matcher");
        if !has_matcher && entries.keys().any(|key| self.is_event(key)) {
            return false;
        }
        match entries.get("hooks") {
            Some(Value::Array(items)) => !items.is_empty(),
            Some(Value::Object(hook)) => has_matcher || hook.get("type").is_some_and(Value::is_string),
            _ => false,
        }
    }

    /// Whether it is a matcher or contains guards at any depth of lists.
    fn is_nested(&self, value: &Value) -> bool {
        let inner = value.as_array().into_iter().flatten();
        self.is_matcher(value) || self.has_guards(value) || inner.into_iter().any(|item| self.is_nested(item))
    }

    fn is_event(&self, key: &str) -> bool {
        self.events.contains(&key)
    }

    fn is_unscanned(&self, key: &str) -> bool {
        self.unscanned.contains(&key)
    }
}
