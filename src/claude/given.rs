//! The user's own `--settings`. It is merged into the session's file, because Claude Code reads only the last one.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::fs::File;
use std::io::Read;
use std::path::Path;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use super::settings_schema::{self, MAXIMUM_FILE};
use super::variables;
use crate::system::hidden::Names;

/// The user's own `--settings`, removed from the arguments.
#[derive(Clone, Default)]
pub struct UserSettings {
    /// The content of the user's file or inline JSON, as far as Claude Code accepts it.
    pub content: Map<String, Value>,
    /// The arguments without `--settings`.
    pub arguments: Vec<OsString>,
    /// Why Claude Code would ignore all of it.
    pub left_out: Option<String>,
}

/// Shows only the keys: values may be secrets.
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
    /// Extracts the settings. Fails if Claude Code would not start with them either.
    pub fn extract(arguments: &[OsString], directory: &Path) -> Result<Self> {
        let (given, arguments) = part(arguments)?;
        let text = given.map(|given| read(&given, directory)).transpose()?.unwrap_or_default();
        let (content, left_out) = match parse(&text) {
            Ok(content) => sound(content, "--settings"),
            Err(reason) => (Map::new(), Some(format!("--settings {reason}{LEFT_OUT}"))),
        };
        Ok(Self { content, arguments, left_out })
    }
}

/// The consequence of a faulty setting.
const LEFT_OUT: &str = "; Claude Code would ignore all of them, so ccrun leaves them out";

/// The settings, or nothing and the reason if Claude Code would ignore them. The reason begins with `source`.
pub fn sound(content: Map<String, Value>, source: &str) -> (Map<String, Value>, Option<String>) {
    match settings_schema::fault(&content) {
        Some(fault) => (Map::new(), Some(format!("{source}: {fault}{LEFT_OUT}"))),
        None => (content, None),
    }
}

/// Whether these arguments contain the settings file of a running session: `ccrun` gave them to Claude Code, and Claude
/// Code passes them to its background service.
pub fn are_of_a_session(arguments: &[OsString], directory: &Path) -> bool {
    let Ok((Some(given), _)) = part(arguments) else { return false };
    let settings = || read(&given, directory).ok().and_then(|text| parse(&text).ok());
    Path::new(&given).parent() == Some(directory)
        && settings().is_some_and(|settings| variables(&settings).contains_key("OTEL_EXPORTER_OTLP_ENDPOINT"))
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
            given = Some(words.next().context("--settings has no value")?.clone());
        } else {
            rest.push(word.clone());
            if word == "--" {
                rest.extend(words.by_ref().cloned());
            }
        }
    }
    Ok((given, rest))
}

/// Inline JSON, or the text of a file. Claude Code does not start if the file is missing or too large.
fn read(given: &OsStr, directory: &Path) -> Result<String> {
    let text = given.to_str().unwrap_or_default();
    if text.trim().starts_with('{') && text.trim().ends_with('}') {
        return parse(text).map(|_| text.to_owned()).map_err(|reason| anyhow::anyhow!("--settings {reason}"));
    }
    if given.is_empty() {
        return Ok(String::new());
    }
    let path = directory.join(given);
    let named = || format!("--settings `{}`", path.display());
    // Opening a pipe would block.
    if !std::fs::metadata(&path).with_context(named)?.is_file() {
        bail!("{} is not a regular file", named());
    }
    let mut bytes = Vec::new();
    File::open(&path).with_context(named)?.take(MAXIMUM_FILE as u64 + 1).read_to_end(&mut bytes).with_context(named)?;
    if bytes.len() > MAXIMUM_FILE {
        bail!("{} is larger than {} MiB", named(), MAXIMUM_FILE >> 20);
    }
    Ok(decoded(&bytes))
}

/// Decodes a text as Claude Code does: UTF-16 with a byte order mark, else UTF-8 with replacement characters.
fn decoded(bytes: &[u8]) -> String {
    let text = match bytes.strip_prefix(&[0xff, 0xfe]) {
        Some(wide) => {
            let units: Vec<_> = wide.chunks_exact(2).map(|pair| u16::from_le_bytes([pair[0], pair[1]])).collect();
            String::from_utf16_lossy(&units)
        }
        None => String::from_utf8_lossy(bytes).into_owned(),
    };
    text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text)
}

/// Parses a JSON object. An empty text has no keys. The error continues the name of its container.
fn parse(text: &str) -> Result<Map<String, Value>, String> {
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(content)) => Ok(content),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(error) => Err(format!("is not valid JSON: line {}, column {}", error.line(), error.column())),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    fn extract(words_given: &[&str], directory: &Path) -> (Value, Option<String>) {
        let found = UserSettings::extract(&words(words_given), directory).unwrap();
        (Value::Object(found.content), found.left_out)
    }

    #[test]
    fn the_users_last_settings_argument_applies() {
        let arguments = words(&["-p", "--settings", r#"{"a":1}"#, r#"--settings={"b":2}"#, "--", "--settings"]);
        let settings = UserSettings::extract(&arguments, Path::new("/")).unwrap();
        assert_eq!(Value::Object(settings.content), json!({"b": 2}));
        assert_eq!(settings.arguments, words(&["-p", "--", "--settings"]));
    }

    #[test]
    fn settings_of_a_running_session_are_recognised() {
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
    fn settings_that_the_client_can_parse_are_accepted() {
        let directory = tempfile::tempdir().unwrap();
        let one = json!({"a": "é"});
        let wide: Vec<u8> = "\u{feff}{\"a\": \"é\"}".encode_utf16().flat_map(u16::to_le_bytes).collect();
        let texts: [(&[u8], &Value); 6] = [
            ("{\"a\": \"é\"}".as_bytes(), &one),
            ("\u{feff}{\"a\": \"é\"}".as_bytes(), &one),
            (&wide, &one),
            (b"", &json!({})),
            (b" \r\n", &json!({})),
            (b"{\"a\": \"\xff\"}", &json!({"a": "\u{fffd}"})),
        ];
        for (bytes, expected) in texts {
            std::fs::write(directory.path().join("s.json"), bytes).unwrap();
            assert_eq!(extract(&["--settings", "s.json"], directory.path()), (expected.clone(), None));
        }
        assert_eq!(extract(&["--settings", ""], directory.path()), (json!({}), None));
        assert_eq!(extract(&["--settings= {\"a\": \"é\"} "], directory.path()), (one, None));
    }

    #[test]
    fn settings_that_the_client_ignores_are_left_out_with_a_note() {
        let directory = tempfile::tempdir().unwrap();
        for (text, reason) in [
            ("{\"a\": 1,}", "--settings is not valid JSON: line 1, column 9; "),
            ("[]", "--settings is not a JSON object; "),
            ("{\"model\": 1, \"a\": 2}", "--settings: `model` must be a string, not a number; "),
        ] {
            std::fs::write(directory.path().join("s.json"), text).unwrap();
            let (content, left_out) = extract(&["--settings", "s.json"], directory.path());
            assert_eq!((content, left_out), (json!({}), Some(format!("{reason}{}", &LEFT_OUT[2..]))));
        }
        let (content, left_out) = extract(&["--settings={\"model\": 1}"], Path::new("/"));
        assert!(content == json!({}) && left_out.is_some());
    }

    #[test]
    fn settings_that_stop_the_client_are_an_error_without_their_content() {
        let directory = tempfile::tempdir().unwrap();
        let error = |word: &str| UserSettings::extract(&words(&["--settings", word]), directory.path()).unwrap_err();
        assert_eq!(error("{\"key\": sk-secret}").to_string(), "--settings is not valid JSON: line 1, column 9");
        nix::unistd::mkfifo(&directory.path().join("pipe"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(
            error("pipe").to_string().ends_with("is not a regular file")
                && error(".").to_string().contains("not a regular")
        );
        std::fs::write(directory.path().join("large.json"), " ".repeat(MAXIMUM_FILE + 1)).unwrap();
        assert!(error("large.json").to_string().ends_with("is larger than 2 MiB"));
        assert!(error("{\"a\": 1").to_string().starts_with("--settings `"));
        assert!(UserSettings::extract(&words(&["--settings"]), directory.path()).is_err());
    }
}
