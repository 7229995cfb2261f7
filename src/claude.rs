//! What Claude Code itself reads: the `--settings` file that beats every other source but managed settings.

mod files;
mod managed;
pub mod rollout;

use std::collections::BTreeMap;
use std::ffi::{OsStr, OsString};
use std::fmt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value, json};

use crate::environment::{self, Changes};
use crate::hidden::Names;
use crate::surroundings::Surroundings;
use crate::{bounded, profile, state};

pub use files::{SettingsFile, managed_file, managed_files, settings_files};
pub use managed::{Overruling, overruled, overruling};

/// How large a settings file of the user's may be, in bytes.
const MAXIMUM_SIZE: u64 = 4 * 1024 * 1024;

/// What Claude Code reads once at its start, and takes for the options that it names at its end in "Resume this session
/// with": else those it was started with, ours among them.
pub const RESUME_OPTIONS: &str = "CLAUDE_CODE_RELAUNCH_RESUME_HINT_FLAGS";

/// Subcommands before which `--settings` would turn the words that follow into a prompt, or which refuse it.
const WITHOUT_SETTINGS: [&str; 9] =
    ["attach", "daemon", "kill", "logs", "rc", "remote-control", "respawn", "rm", "stop"];

/// First arguments by which Claude Code runs parts of its background service: nothing may stand before them.
const PARTS_OF_THE_SERVICE: [&str; 4] = ["--bg-pty-host", "--bg-spare", "--daemon-worker", "--preload"];

/// Whether these arguments are a part's of Claude Code's background service, which is no session: what runs in it has
/// been told where to export by whoever handed it over.
pub fn is_part_of_the_service(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| PARTS_OF_THE_SERVICE.iter().any(|word| first == word))
}

/// Whether these arguments start that service.
pub fn is_the_service(arguments: &[OsString]) -> bool {
    arguments.first().is_some_and(|first| first == "daemon")
}

/// Whether a program is Claude Code, by the name of its file.
pub fn is_claude(program: &OsStr) -> bool {
    Path::new(program).file_name().is_some_and(|name| name == "claude")
}

/// Patterns of what Claude Code's telemetry may say as `service.name`: its own names, and those that it is given.
pub fn services(given: impl Iterator<Item = String>) -> Vec<String> {
    std::iter::once("claude-code*".to_owned()).chain(given).collect()
}

/// Whether `--settings` may stand in front of these arguments.
pub fn takes_settings(arguments: &[OsString]) -> bool {
    let is_without = arguments.first().is_some_and(|first| WITHOUT_SETTINGS.iter().any(|word| first == word));
    !is_without && !is_part_of_the_service(arguments)
}

/// The value of [`RESUME_OPTIONS`] for these arguments of the user's. Claude Code names none if they are not options
/// that it would name itself, word for word.
pub fn resume_options(arguments: &[OsString]) -> String {
    let words: Option<Vec<_>> = arguments.iter().map(|word| word.to_str()).collect();
    words.unwrap_or_default().join(" ")
}

/// The places where Claude Code's installers put it, likeliest first: its own, npm's wherever it installs globally, the
/// one that its own installer used before, and Homebrew's.
pub fn known_places(surroundings: &Surroundings) -> Vec<PathBuf> {
    let below = |variable: &str, places: &[&str]| -> Vec<PathBuf> {
        let base = surroundings.variable(variable).map(Path::new).filter(|base| base.is_absolute());
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

/// What of the user's settings concerns telemetry: the variables in `env`, and the headers helper by its own name.
/// Settings that cannot be read say nothing here; Claude Code itself complains.
pub fn user_telemetry(directory: &Path) -> BTreeMap<String, String> {
    let text = bounded::read(&directory.join("settings.json"), MAXIMUM_SIZE).unwrap_or_default();
    let Ok(settings) = files::object(&text) else { return BTreeMap::new() };
    let helper = settings.get(profile::HELPER).map(|helper| (profile::HELPER.to_owned(), helper.clone()));
    let text = |value: Value| match value {
        Value::String(text) => Some(text),
        Value::Bool(_) | Value::Number(_) => Some(value.to_string()),
        _ => None,
    };
    let named = user_variables(&settings).into_iter().chain(helper);
    named.filter_map(|(name, value)| Some((name, text(value)?))).collect()
}

/// The user's own `--settings`, taken out of the arguments, for only the last one given counts.
#[derive(Clone, Default)]
pub struct UserSettings {
    /// What the user's file or inline JSON says.
    pub content: Map<String, Value>,
    /// The arguments without it.
    pub arguments: Vec<OsString>,
}

/// Shows which keys there are: people keep keys of another kind in their values.
impl fmt::Debug for UserSettings {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("UserSettings")
            .field("content", &Names(&self.content))
            .field("arguments", &self.arguments.len())
            .finish_non_exhaustive()
    }
}

impl UserSettings {
    /// Finds them. Fails where Claude Code would not understand them either.
    pub fn extract(arguments: &[OsString], directory: &Path) -> Result<Self> {
        let (given, arguments) = part(arguments)?;
        let content = given.map(|given| read(&given, directory)).transpose()?.unwrap_or_default();
        Ok(Self { content, arguments })
    }
}

/// Whether these arguments bring the settings file of a session that runs, from the directory where these are: they
/// were given to Claude Code by us, and what it hands over to its background service keeps them.
pub fn are_of_a_session(arguments: &[OsString], directory: &Path) -> bool {
    let Ok((Some(given), _)) = part(arguments) else { return false };
    let settings = || read(&given, directory).map(|settings| user_variables(&settings));
    Path::new(&given).parent() == Some(directory)
        && settings().is_ok_and(|variables| variables.contains_key("OTEL_EXPORTER_OTLP_ENDPOINT"))
}

/// The last `--settings`, and the arguments without any.
fn part(arguments: &[OsString]) -> Result<(Option<OsString>, Vec<OsString>)> {
    let mut rest = Vec::new();
    let mut given: Option<OsString> = None;
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let inline = word.to_str().and_then(|word| word.strip_prefix("--settings="));
        if let Some(value) = inline {
            given = Some(OsString::from(value));
        } else if word == "--settings" {
            given = Some(words.next().context("--settings stands without a value")?.clone());
        } else {
            rest.push(word.clone());
            if word == "--" {
                rest.extend(words.by_ref().cloned());
            }
        }
    }
    Ok((given, rest))
}

/// Inline JSON, or the JSON in a file.
fn read(given: &OsStr, directory: &Path) -> Result<Map<String, Value>> {
    let inline = given.to_str().filter(|text| text.trim_start().starts_with('{')).map(str::to_owned);
    let text = if let Some(text) = inline {
        text
    } else {
        let path = directory.join(given);
        let size = std::fs::metadata(&path).with_context(|| format!("--settings `{}`", path.display()))?.len();
        if size > MAXIMUM_SIZE {
            bail!("--settings `{}` is larger than {} MiB", path.display(), MAXIMUM_SIZE >> 20);
        }
        std::fs::read_to_string(&path).with_context(|| format!("--settings `{}`", path.display()))?
    };
    match serde_json::from_str(&text) {
        Ok(Value::Object(content)) => Ok(content),
        Ok(_) => bail!("--settings holds no JSON object"),
        Err(error) => bail!("--settings holds no JSON: line {}, column {}", error.line(), error.column()),
    }
}

/// The settings of a running session: the user's, with ours over them.
///
/// Every variable that some other settings file may name is set, to nothing where we have no value for it, so that no
/// file need be read to know which it names; so is the headers helper, which stops the export when it fails.
pub fn running(user: &Map<String, Value>, changes: &Changes, inherited: &BTreeMap<String, String>) -> Value {
    let mut variables = user_variables(user);
    for name in environment::taken_back() {
        variables.insert(name, json!(""));
    }
    let service = inherited.get("OTEL_SERVICE_NAME").filter(|name| !name.is_empty());
    variables.insert("OTEL_SERVICE_NAME".into(), json!(service.map_or("claude-code", String::as_str)));
    let own = variables.get("OTEL_RESOURCE_ATTRIBUTES").and_then(Value::as_str).unwrap_or_default().to_owned();
    for (name, value) in &changes.set {
        variables.insert(name.clone(), json!(value));
    }
    if let Some(ours) = changes.set.get("OTEL_RESOURCE_ATTRIBUTES") {
        let joined = join_attributes(&own, ours);
        variables.insert("OTEL_RESOURCE_ATTRIBUTES".into(), json!(joined));
    }
    let mut settings = user.clone();
    settings.insert("env".into(), Value::Object(variables));
    settings.insert("otelHeadersHelper".into(), json!(""));
    Value::Object(settings)
}

/// The same settings once the session is over: telemetry off, and of the user's part everything that is not about
/// telemetry.
pub fn ended(running: &Map<String, Value>) -> Value {
    let mut variables = user_variables(running);
    let is_ours = |name: &str| name.starts_with("OTEL_") || OURS.contains(&name) || environment::keeps(name);
    variables.retain(|name, _| !is_ours(name));
    variables.insert("CLAUDE_CODE_ENABLE_TELEMETRY".into(), json!("0"));
    let mut settings = running.clone();
    settings.remove("otelHeadersHelper");
    settings.insert("env".into(), Value::Object(variables));
    Value::Object(settings)
}

/// Variables of ours whose name does not say so.
const OURS: [&str; 2] = [environment::SESSION, "CLAUDE_CODE_ENHANCED_TELEMETRY_BETA"];

/// Takes our part out of a session's settings file, for a background job may read it again. One that is gone, or cannot
/// be written, names an endpoint on which nobody listens.
pub fn end_settings(path: &Path) {
    let text = bounded::read(path, MAXIMUM_SIZE).unwrap_or_default();
    if let Ok(Value::Object(running)) = serde_json::from_slice(&text) {
        drop(state::write(path, ended(&running).to_string().as_bytes()));
    }
}

/// What turns telemetry off where no file can be written; it holds no secret, so it may stand in an argument.
pub fn off() -> String {
    json!({ "env": { "CLAUDE_CODE_ENABLE_TELEMETRY": "0" } }).to_string()
}

fn user_variables(user: &Map<String, Value>) -> Map<String, Value> {
    user.get("env").and_then(Value::as_object).cloned().unwrap_or_default()
}

/// Two values of `OTEL_RESOURCE_ATTRIBUTES` in one; the second wins. Entries are encoded already.
fn join_attributes(first: &str, second: &str) -> String {
    let key = |entry: &str| entry.split_once('=').map(|(key, _)| key.trim().to_owned());
    let ours: Vec<_> = second.split(',').filter_map(key).collect();
    let first = first.split(',').filter(|entry| key(entry).is_some_and(|key| !ours.contains(&key)));
    first.chain(second.split(',').filter(|entry| !entry.is_empty())).collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn the_last_settings_of_the_user_count() {
        let arguments = words(&["-p", "--settings", r#"{"a":1}"#, r#"--settings={"b":2}"#, "--", "--settings"]);
        let settings = UserSettings::extract(&arguments, Path::new("/")).unwrap();
        assert_eq!(Value::Object(settings.content), json!({"b": 2}));
        assert_eq!(settings.arguments, words(&["-p", "--", "--settings"]));
    }

    #[test]
    fn settings_of_a_session_are_known_while_it_runs() {
        let directory = tempfile::tempdir().unwrap();
        let write = |name: &str, content: &Value| {
            let path = directory.path().join(name);
            std::fs::write(&path, content.to_string()).unwrap();
            path.into_os_string()
        };
        let running = write("running.json", &json!({"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "http://127.0.0.1:1/t"}}));
        let over = write("over.json", &json!({"env": {"CLAUDE_CODE_ENABLE_TELEMETRY": "0"}}));
        let are = |file: &OsStr, directory| are_of_a_session(&["--settings".into(), file.to_owned()], directory);
        assert!(are(&running, directory.path()));
        assert!(!are(&over, directory.path()) && !are(&running, Path::new("/elsewhere")));
        assert!(!are(OsStr::new("{}"), directory.path()) && !are_of_a_session(&words(&["-p"]), directory.path()));
    }

    #[test]
    fn broken_settings_are_named_and_not_shown() {
        let error = UserSettings::extract(&words(&["--settings", "{\"key\": sk-secret"]), Path::new("/")).unwrap_err();
        assert_eq!(error.to_string(), "--settings holds no JSON: line 1, column 9");
    }

    #[test]
    fn ours_lie_over_the_users_and_go_again() {
        let user = json!({
            "permissions": {"deny": ["Bash(rm:*)"]},
            "env": {"MINE": "1", "OTEL_RESOURCE_ATTRIBUTES": "a=1,team.id=forged", "OTEL_EXPORTER_OTLP_ENDPOINT": "x"}
        });
        let user = user.as_object().unwrap();
        let changes = Changes {
            set: BTreeMap::from([
                ("OTEL_EXPORTER_OTLP_ENDPOINT".to_owned(), "http://127.0.0.1:1/t".to_owned()),
                ("OTEL_RESOURCE_ATTRIBUTES".to_owned(), "team.id=platform".to_owned()),
                ("CCRUN_OWN_RESOURCE_ATTRIBUTES".to_owned(), "a=1".to_owned()),
            ]),
            ..Changes::default()
        };
        let settings = running(user, &changes, &BTreeMap::new());
        assert_eq!(settings["permissions"], user["permissions"]);
        assert_eq!(settings["otelHeadersHelper"], "");
        assert_eq!(settings["env"]["MINE"], "1");
        assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_ENDPOINT"], "http://127.0.0.1:1/t");
        assert_eq!(settings["env"]["OTEL_EXPORTER_OTLP_LOGS_ENDPOINT"], "");
        assert_eq!(settings["env"]["OTEL_SERVICE_NAME"], "claude-code");
        assert_eq!(settings["env"]["OTEL_RESOURCE_ATTRIBUTES"], "a=1,team.id=platform");
        assert_eq!(
            ended(settings.as_object().unwrap()),
            json!({
                "permissions": {"deny": ["Bash(rm:*)"]},
                "env": {"MINE": "1", "CLAUDE_CODE_ENABLE_TELEMETRY": "0"}
            })
        );
    }

    #[test]
    fn subcommands_that_would_take_settings_for_a_prompt_get_none() {
        assert!(!takes_settings(&words(&["stop", "abc"])) && !takes_settings(&words(&["--bg-pty-host", "x"])));
        assert!(takes_settings(&words(&["-p", "stop"])));
        assert!(takes_settings(&[]));
    }
}
