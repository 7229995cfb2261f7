//! The hooks that `ccrun` adds to Claude Code, by which budgets speak: their part of the `--settings` file.
//!
//! Claude Code asks before it sends a prompt to the model, and before it runs a tool. It runs these hooks besides the
//! user's own.

mod input;
mod obstacles;

use std::collections::BTreeMap;
use std::path::Path;

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::environment;
use crate::secret::Secret;

pub use input::{Call, MAXIMUM_INPUT, Malformed, Scan};
pub use obstacles::{Caller, Obstacles};
pub(super) use obstacles::{PLUGINS, URLS};

/// The header with the token that opens only the hook. A header, because URLs are written into every transcript.
pub const TOKEN_HEADER: &str = "x-ccrun-hook";

/// The path of the hook on the collector's port.
pub const PATH: &str = "/hook";

/// The verb that asks the collector where Claude Code may not.
pub const VERB: &str = "hook";

/// The directory of the files for [`VERB`], by which its hooks are recognised.
pub const DIRECTORY: &str = "hooks";

/// How long Claude Code waits for an answer, in seconds. It would wait for 30.
const TIMEOUT: u64 = 1;

/// How long Claude Code waits for the verb, in seconds: its start takes a moment as well.
const COMMAND_TIMEOUT: u64 = 2;

/// What Claude Code asks about.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Event {
    /// A prompt, before it is sent.
    UserPromptSubmit,
    /// A tool, before it runs.
    PreToolUse,
}

impl Event {
    /// All of them.
    pub const ALL: [Self; 2] = [Self::UserPromptSubmit, Self::PreToolUse];

    /// Claude Code's name.
    pub fn name(self) -> &'static str {
        match self {
            Self::UserPromptSubmit => "UserPromptSubmit",
            Self::PreToolUse => "PreToolUse",
        }
    }
}

impl Caller {
    /// Claude Code's name for this type of hook.
    pub fn kind(self) -> &'static str {
        match self {
            Self::Client => "http",
            Self::Verb => "command",
        }
    }
}

/// The URL of the hook on the collector's port.
pub fn url(port: u16) -> String {
    format!("http://127.0.0.1:{port}{PATH}")
}

/// The hook in which Claude Code itself asks the collector.
pub fn request(port: u16, token: &Secret) -> Value {
    json!({
        "type": Caller::Client.kind(),
        "url": url(port),
        "headers": {TOKEN_HEADER: token.expose()},
        "timeout": TIMEOUT,
    })
}

/// The hook in which the verb asks, with the port and the token in a file.
pub fn command(program: &Path, file: &Path) -> Value {
    json!({
        "type": Caller::Verb.kind(),
        "command": program,
        "args": [VERB, file],
        "timeout": COMMAND_TIMEOUT,
    })
}

/// The events for which these settings have hooks of a type themselves.
pub fn events_with(settings: &Map<String, Value>, kind: &str) -> Vec<Event> {
    let of_kind = |matcher: &Value| {
        let hooks = matcher["hooks"].as_array();
        hooks.is_some_and(|hooks| hooks.iter().any(|hook| hook["type"] == kind))
    };
    let has = |event: &Event| {
        let matchers = settings.get("hooks").and_then(|hooks| hooks[event.name()].as_array());
        matchers.is_some_and(|matchers| matchers.iter().any(of_kind))
    };
    Event::ALL.into_iter().filter(has).collect()
}

/// Adds a hook to settings, besides the hooks that they have, and the variables that keep its requests from a proxy.
pub fn add(settings: &mut Map<String, Value>, hook: &Value, exceptions: &BTreeMap<String, String>) {
    change(settings, "hooks", |hooks| {
        for event in Event::ALL {
            // Claude Code ignores anything but a list.
            let mut matchers = match hooks.remove(event.name()) {
                Some(Value::Array(matchers)) => matchers,
                _ => Vec::new(),
            };
            matchers.push(json!({"matcher": "*", "hooks": [hook]}));
            hooks.insert(event.name().to_owned(), Value::Array(matchers));
        }
    });
    change(settings, "env", |variables| {
        for (name, value) in exceptions {
            if let Some(own) = variables.insert(name.clone(), json!(value)) {
                variables.insert(environment::own_exceptions(name), own);
            }
        }
    });
}

/// Changes the object below a key. Any other value there, which Claude Code ignores, is replaced.
fn change(settings: &mut Map<String, Value>, key: &str, change: impl FnOnce(&mut Map<String, Value>)) {
    let mut object = match settings.remove(key) {
        Some(Value::Object(object)) => object,
        _ => Map::new(),
    };
    change(&mut object);
    settings.insert(key.to_owned(), Value::Object(object));
}

/// Removes from settings what [`add`] has added.
pub fn remove(settings: &mut Map<String, Value>) {
    let Some(hooks) = settings.get_mut("hooks").and_then(Value::as_object_mut) else { return };
    let mut is_ours = false;
    hooks.retain(|_, matchers| {
        let Some(matchers) = matchers.as_array_mut() else { return true };
        let before = matchers.len();
        matchers.retain(|matcher| !is_own(matcher));
        is_ours |= matchers.len() < before;
        !(matchers.is_empty() && before > 0)
    });
    if !is_ours {
        return;
    }
    if hooks.is_empty() {
        settings.remove("hooks");
    }
    let Some(variables) = settings.get_mut("env").and_then(Value::as_object_mut) else { return };
    for name in environment::EXCEPTIONS {
        variables.remove(name);
        if let Some(own) = variables.remove(&environment::own_exceptions(name)) {
            variables.insert(name.to_owned(), own);
        }
    }
}

/// Whether an entry in an event's list is one of [`add`]'s.
fn is_own(matcher: &Value) -> bool {
    let Some([hook]) = matcher["hooks"].as_array().map(Vec::as_slice) else { return false };
    let is_of_the_verb = || {
        let file = hook["args"][1].as_str().map(Path::new);
        let directory = file.and_then(Path::parent).and_then(Path::file_name);
        hook["args"][0] == VERB && directory.is_some_and(|directory| directory == DIRECTORY)
    };
    !hook["headers"][TOKEN_HEADER].is_null() || is_of_the_verb()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn exceptions(list: &str) -> BTreeMap<String, String> {
        environment::EXCEPTIONS.map(|name| (name.to_owned(), list.to_owned())).into()
    }

    #[test]
    fn hooks_join_the_users_and_are_removed_again() {
        let own = json!({"matcher": "Bash", "hooks": [{"type": "http", "url": "http://127.0.0.1:9/x"}]});
        let user = json!({"env": {"NO_PROXY": "corp", "A": "1"}, "hooks": {"PreToolUse": [own], "Stop": []}});
        for hook in [
            request(4711, &"secret".into()),
            command(Path::new("/bin/ccrun"), Path::new("/state/hooks/0123456789abcdef")),
        ] {
            let mut settings = user.as_object().unwrap().clone();
            add(&mut settings, &hook, &exceptions("corp,127.0.0.1"));
            assert_eq!(settings["hooks"]["PreToolUse"][0], own);
            assert_eq!(settings["hooks"]["PreToolUse"][1], json!({"matcher": "*", "hooks": [hook]}));
            assert_eq!(settings["hooks"]["UserPromptSubmit"][0]["hooks"][0], hook);
            assert_eq!(settings["env"]["NO_PROXY"], "corp,127.0.0.1");
            remove(&mut settings);
            assert_eq!(Value::Object(settings), user);
        }
    }

    #[test]
    fn settings_without_hooks_are_restored_and_odd_ones_are_accepted() {
        for odd in [json!({}), json!({"hooks": 7, "env": null}), json!({"hooks": {"PreToolUse": "x"}})] {
            let mut settings = odd.as_object().unwrap().clone();
            add(&mut settings, &request(1, &"t".into()), &exceptions("localhost"));
            assert!(settings["hooks"]["PreToolUse"][0]["hooks"][0]["headers"][TOKEN_HEADER] == "t", "{odd}");
            remove(&mut settings);
            assert_eq!(Value::Object(settings), json!({"env": {}}));
        }
        let user = json!({"env": {"NO_PROXY": "mine"}, "hooks": {"PreToolUse": []}});
        let mut settings = user.clone();
        remove(settings.as_object_mut().unwrap());
        assert_eq!(settings, user, "nothing was added to it");
    }

    #[test]
    fn hooks_of_a_type_are_found_in_settings() {
        let settings = json!({"hooks": {
            "UserPromptSubmit": [{"hooks": [{"type": "command", "command": "x"}]}],
            "PreToolUse": [{"hooks": [{"type": "http", "url": "http://x"}]}],
        }});
        let settings = settings.as_object().unwrap();
        assert_eq!(events_with(settings, "http"), [Event::PreToolUse]);
        assert_eq!(events_with(settings, "command"), [Event::UserPromptSubmit]);
    }
}
