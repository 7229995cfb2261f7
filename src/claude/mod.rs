//! What Claude Code reads: the `--settings` file, which overrides every other source except managed settings.

pub mod account;
pub mod background;
mod files;
mod given;
pub mod hooks;
pub mod known_sessions;
pub mod live_session;
mod managed;
pub mod rollout;
pub mod settings_schema;
pub mod status_line;
mod subcommands;
pub mod transcript;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

use serde_json::{Map, Value, json};

use crate::environment::{self, Changes};
use crate::system::bounded;
use crate::system::process_environment::ProcessEnvironment;
use crate::{profile, state};

pub use files::{SettingsFile, managed_file, managed_files, settings_files};
pub use given::{UserSettings, are_of_a_session, sound};
pub use managed::{Overruling, overruled, overruling};
pub use subcommands::Use;

/// The maximum size of a user's settings file, in bytes.
const MAXIMUM_SIZE: u64 = 4 * 1024 * 1024;

/// A variable that Claude Code reads at its start: the options to print after "Resume this session with" at its end.
/// Without it, Claude Code prints those it was started with, including the ones that `ccrun` added.
pub const RESUME_OPTIONS: &str = "CLAUDE_CODE_RELAUNCH_RESUME_HINT_FLAGS";

/// First arguments of parts of Claude Code's background service. Nothing may precede them.
const PARTS_OF_THE_SERVICE: [&str; 4] = ["--bg-pty-host", "--bg-spare", "--daemon-worker", "--preload"];

/// Whether these arguments run a part of Claude Code's background service. That is not a session: what runs in it
/// already knows where to export.
pub fn is_part_of_the_service(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| PARTS_OF_THE_SERVICE.iter().any(|word| first == word))
}

/// Whether these arguments start that service.
pub fn is_the_service(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| first == "daemon")
}

/// Whether a program is Claude Code, by its file name.
pub fn is_claude(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == "claude")
}

/// Patterns for the `service.name` of Claude Code's telemetry: its own names, and those that it is given.
pub fn services(given: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once("claude-code*".to_owned()).chain(given).collect()
}

/// Whether these arguments may be preceded by `--settings`.
pub fn takes_settings(arguments: &[OsString]) -> bool {
    Use::of(arguments) == Use::Session && !is_part_of_the_service(arguments)
}

/// Whether Claude Code with these arguments prints an answer and exits.
pub fn prints(arguments: &[OsString]) -> bool {
    options(arguments).any(|word| ["-p", "--print", "-cp", "-pc"].contains(&word))
}

/// Whether Claude Code with these arguments shows messages of hooks. One that only prints its last answer does not.
pub fn shows_messages(arguments: &[OsString]) -> bool {
    let words: Vec<_> = options(arguments).collect();
    let is_stream = |pair: &[&str]| matches!(pair, ["--output-format", "stream-json"]);
    !prints(arguments) || words.contains(&"--output-format=stream-json") || words.windows(2).any(is_stream)
}

/// The options among arguments.
fn options(arguments: &[OsString]) -> impl Iterator<Item = &str> {
    arguments.iter().filter_map(|word| word.to_str()).take_while(|word| *word != "--")
}

/// The maximum length of these options together, in bytes. A variable that repeats a prompt may exceed the system's
/// limit.
const MAXIMUM_RESUME_OPTIONS: usize = 1024;

/// The value of [`RESUME_OPTIONS`] for the user's arguments. Empty, which prints none, if one of them is not an option
/// that Claude Code would print.
pub fn resume_options(arguments: &[OsString]) -> String {
    let is_plain = |word: &&str| word.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_./:@=+-".contains(&byte));
    let words: Option<Vec<_>> = arguments.iter().map(|word| word.to_str().filter(is_plain)).collect();
    let length: usize = arguments.iter().map(|word| word.len() + 1).sum();
    words.filter(|_| length <= MAXIMUM_RESUME_OPTIONS).unwrap_or_default().join(" ")
}

/// The paths where installers put Claude Code, most likely first: its own installer, npm with each global prefix, its
/// earlier installer, and Homebrew.
pub fn known_places(process: &ProcessEnvironment) -> Vec<PathBuf> {
    let below = |variable: &str, places: &[&str]| -> Vec<PathBuf> {
        let base = process.variable(variable).map(Path::new).filter(|base| base.is_absolute());
        base.into_iter().flat_map(|base| places.iter().map(|place| base.join(place))).collect()
    };
    let mut places = below("HOME", &[".local/bin/claude", ".claude/local/claude"]);
    places.extend(below("NVM_BIN", &["claude"]));
    places.extend(["NPM_CONFIG_PREFIX", "npm_config_prefix"].iter().flat_map(|name| below(name, &["bin/claude"])));
    places.extend(below("HOME", &[".npm-global/bin/claude", ".volta/bin/claude", ".bun/bin/claude"]));
    places.extend(SHARED_PLACES.map(PathBuf::from));
    places
}

/// Where Homebrew and a system's own npm put it.
const SHARED_PLACES: [&str; 4] =
    ["/opt/homebrew/bin/claude", "/usr/local/bin/claude", "/home/linuxbrew/.linuxbrew/bin/claude", "/usr/bin/claude"];

/// The telemetry settings of the user: the variables in `env`, and the headers helper by its own name. Unreadable
/// settings count as empty; Claude Code itself reports them.
pub fn user_telemetry(directory: &Path) -> BTreeMap<String, String> {
    let text = bounded::read(&directory.join("settings.json"), MAXIMUM_SIZE).unwrap_or_default();
    let Ok(settings) = files::object(&text) else { return BTreeMap::new() };
    // A file that Claude Code ignores sets nothing.
    if settings_schema::fault(&settings).is_some() {
        return BTreeMap::new();
    }
    let helper = settings.get(profile::HELPER).and_then(Value::as_str);
    let helper = helper.map(|helper| (profile::HELPER.to_owned(), helper.to_owned()));
    text_variables(&settings).into_iter().chain(helper).collect()
}

/// The settings of a running session: the user's, with `ccrun`'s merged on top.
///
/// Every variable that another settings file might set is set here, to nothing if there is no value for it, so that
/// those files need not be read. The same goes for the headers helper, because a failing helper stops the export.
pub fn running(user: &Map<String, Value>, telemetry: &Changes) -> Value {
    let mut variables = variables(user);
    for name in environment::taken_back() {
        variables.insert(name.to_owned(), json!(""));
    }
    variables.insert(environment::SERVICE_NAME.into(), json!("claude-code"));
    for (name, value) in &telemetry.set {
        variables.insert(name.clone(), json!(value));
    }
    let mut settings = user.clone();
    settings.insert("env".into(), Value::Object(variables));
    settings.insert("otelHeadersHelper".into(), json!(""));
    Value::Object(settings)
}

/// The settings after the session has ended: telemetry is off, and the user's part is kept except for telemetry.
pub fn ended(running: &Map<String, Value>) -> Value {
    let mut variables = variables(running);
    let is_ours = |name: &str| {
        let is_taken_back = environment::taken_back().any(|taken_back| taken_back == name);
        name.starts_with("OTEL_") || is_taken_back || OURS.contains(&name) || environment::keeps(name)
    };
    variables.retain(|name, _| !is_ours(name));
    variables.insert("CLAUDE_CODE_ENABLE_TELEMETRY".into(), json!("0"));
    let mut settings = running.clone();
    settings.remove("otelHeadersHelper");
    if settings.get(STATUS_LINE).is_some_and(status_line::is_ours) {
        settings.remove(STATUS_LINE);
    }
    settings.insert("env".into(), Value::Object(variables));
    hooks::remove(&mut settings);
    Value::Object(settings)
}

/// The setting that names the command of the status line.
pub const STATUS_LINE: &str = "statusLine";

/// `ccrun`'s variables whose names do not show that.
const OURS: [&str; 2] = [environment::SESSION, "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"];

/// Removes `ccrun`'s part from a session's settings file, which a background job may read again. If that fails, the
/// file names an endpoint where nothing listens.
pub fn end_settings(path: &Path) {
    let text = bounded::read(path, MAXIMUM_SIZE).unwrap_or_default();
    if let Ok(Value::Object(running)) = serde_json::from_slice(&text) {
        drop(state::write(path, ended(&running).to_string().as_bytes()));
    }
}

/// The settings of a session without telemetry: the user's, with all telemetry off.
pub fn off(user: &Map<String, Value>) -> Value {
    let mut settings = ended(user);
    for name in environment::second_pipeline() {
        settings["env"][name] = json!("");
    }
    settings
}

/// The variables that settings set.
fn variables(settings: &Map<String, Value>) -> Map<String, Value> {
    settings.get("env").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// The same as text, which is how Claude Code sets them.
pub fn text_variables(settings: &Map<String, Value>) -> BTreeMap<String, String> {
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    variables(settings).into_iter().filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn session_settings_override_the_users_and_are_removed_again() {
        let user = json!({
            "permissions": {"deny": ["Bash(rm:*)"]},
            "env": {
                "MINE": "1",
                "OTEL_RESOURCE_ATTRIBUTES": "a=1,team.id=forged",
                "OTEL_EXPORTER_OTLP_ENDPOINT": "x",
                "OTEL_SPAN_EVENT_COUNT_LIMIT": "1",
                "BETA_TRACING_ENDPOINT": "x",
            }
        });
        let user = user.as_object().unwrap();
        let changes = Changes {
            set: BTreeMap::from([
                ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:1/t".to_owned()),
                ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), "team.id=platform".to_owned()),
                ("OTEL_TRACES_SAMPLER".to_owned(), "always_on".to_owned()),
                ("CCRUN_OWN_RESOURCE_ATTRIBUTES".to_owned(), "a=1".to_owned()),
            ]),
            ..Changes::default()
        };
        let settings = running(user, &changes);
        assert_eq!(settings["permissions"], user["permissions"]);
        assert_eq!(settings["otelHeadersHelper"], "");
        assert_eq!(settings["env"]["MINE"], "1");
        assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://127.0.0.1:1/t");
        assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], "");
        assert_eq!(settings["env"]["OTEL_SERVICE_NAME"], "claude-code");
        assert_eq!(settings["env"]["OTEL_RESOURCE_ATTRIBUTES"], "team.id=platform");
        assert_eq!(settings["env"]["OTEL_TRACES_SAMPLER"], "always_on");
        for taken_back in ["OTEL_SPAN_EVENT_COUNT_LIMIT", "BETA_TRACING_ENDPOINT", "OTEL_BLRP_MAX_QUEUE_SIZE"] {
            assert_eq!(settings["env"][taken_back], "", "{taken_back}");
        }
        assert_eq!(
            ended(settings.as_object().unwrap()),
            json!({
                "permissions": {"deny": ["Bash(rm:*)"]},
                "env": {"MINE": "1", "CLAUDE_CODE_ENABLE_TELEMETRY": "0"}
            })
        );
        assert_eq!(off(user)["env"]["BETA_TRACING_ENDPOINT"], "");
    }

    #[test]
    fn subcommands_get_no_settings_argument() {
        assert!(!takes_settings(&words(&["respawn", "abc"])) && !takes_settings(&words(&["--bg-pty-host", "x"])));
        assert!(!takes_settings(&words(&["mcp", "list"])) && !takes_settings(&words(&["--version"])));
        assert!(takes_settings(&words(&["-p", "stop"])));
        assert!(takes_settings(&[]));
    }
}
