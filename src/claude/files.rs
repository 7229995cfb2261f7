//! Claude Code's own settings files, and the variables that they set.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::hooks::{PLUGINS, URLS};
use super::{MAXIMUM_SIZE, settings_schema};
use crate::system::bounded;
use crate::system::hidden::Names;

/// The directory of managed settings, which override everything.
const MANAGED: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// How many managed files are read.
const MAXIMUM_FILES: usize = 256;

/// A settings file that names variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is managed, and overrides `--settings`.
    pub managed: bool,
    /// Its `env`.
    pub variables: BTreeMap<String, String>,
    /// Its other keys with scalar values.
    pub scalars: BTreeMap<String, Value>,
    /// The URLs to which hooks may send requests, if it restricts them.
    pub hook_urls: Option<Vec<String>>,
    /// Whether it allows hooks only in plugins.
    pub plugins_only: bool,
}

/// Shows only the names of variables: values may be keys.
impl fmt::Debug for SettingsFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SettingsFile")
            .field("path", &self.path)
            .field("variables", &Names(&self.variables))
            .finish_non_exhaustive()
    }
}

/// The settings files that Claude Code reads when it starts in a directory, in increasing order of precedence. `claude`
/// is its configuration directory. Also returns a note for each file that exists but cannot be read.
pub fn settings_files(claude: &Path, directory: &Path) -> (Vec<SettingsFile>, Vec<String>) {
    let project = directory.join(".claude");
    let user = claude.join("settings.json");
    let mut places = vec![(user.clone(), false)];
    let below = ["settings.json", "settings.local.json"].map(|name| (project.join(name), false));
    places.extend(below.into_iter().filter(|(path, _)| *path != user));
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for (path, managed) in places {
        // A repository's directory could be a link to anywhere, like its files.
        let link = path.parent() == Some(&project) && project != claude && project.is_symlink();
        let read = if link { Err(bounded::Refusal::Link.to_string()) } else { foreign(&path) };
        take(read, path, managed, &mut files, &mut notes);
    }
    let (managed, others) = managed_files();
    files.extend(managed);
    notes.extend(others);
    (files, notes)
}

/// Managed files: `managed-settings.json`, and the files of `managed-settings.d` by name on top. They may be links,
/// because tools that manage machines create links.
pub fn managed_files() -> (Vec<SettingsFile>, Vec<String>) {
    let directory = Path::new(MANAGED);
    let entries = std::fs::read_dir(directory.join("managed-settings.d")).into_iter().flatten().flatten();
    let is_one = |name: &str| !name.starts_with('.') && Path::new(name).extension().is_some_and(|end| end == "json");
    let added = entries.filter(|entry| entry.file_name().to_str().is_some_and(is_one)).map(|entry| entry.path());
    let mut places: Vec<_> = added.take(MAXIMUM_FILES).collect();
    places.sort();
    places.insert(0, directory.join("managed-settings.json"));
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for path in places {
        let (file, note) = managed_file(&path);
        files.extend(file);
        notes.extend(note);
    }
    (files, notes)
}

/// One managed file, or nothing if it does not exist.
pub fn managed_file(path: &Path) -> (Vec<SettingsFile>, Vec<String>) {
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    if path.is_file() {
        let read = bounded::read(path, MAXIMUM_SIZE).map_err(|error| format!("cannot be read: {error}"));
        take(read, path.to_owned(), true, &mut files, &mut notes);
    }
    (files, notes)
}

fn foreign(path: &Path) -> Result<Vec<u8>, String> {
    bounded::read_foreign(path, MAXIMUM_SIZE).map(|(bytes, _)| bytes).map_err(|refusal| refusal.to_string())
}

/// Adds a file, or a note on why it cannot be read.
fn take(
    read: Result<Vec<u8>, String>,
    path: PathBuf,
    managed: bool,
    files: &mut Vec<SettingsFile>,
    notes: &mut Vec<String>,
) {
    match read.and_then(|bytes| object(&bytes)).and_then(|content| sound(content, managed)) {
        Ok(content) => {
            let variables = content.get("env").and_then(Value::as_object).into_iter().flatten();
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let variables = variables.map(|(name, value)| (name.clone(), text(value))).collect();
            let texts = |list: &Vec<Value>| list.iter().filter_map(Value::as_str).map(str::to_owned).collect();
            let hook_urls = content.get(URLS).and_then(Value::as_array).map(texts);
            let plugins_only = content.get(PLUGINS).is_some_and(|only| match only {
                Value::Array(surfaces) => surfaces.iter().any(|surface| surface == "hooks"),
                only => *only == true,
            });
            let scalars = content.into_iter().filter(|(_, value)| !value.is_object() && !value.is_array()).collect();
            files.push(SettingsFile { path, managed, variables, scalars, hook_urls, plugins_only });
        }
        Err(_) if path.symlink_metadata().is_err() => {}
        Err(reason) => notes.push(format!("Claude Code's settings `{}`: the file {reason}", path.display())),
    }
}

/// The settings that Claude Code accepts. In a managed file it ignores only the faulty ones.
fn sound(content: Map<String, Value>, managed: bool) -> Result<Map<String, Value>, String> {
    match settings_schema::fault(&content).filter(|_| !managed) {
        Some(fault) => Err(format!("is ignored as a whole: {fault}")),
        None => Ok(content),
    }
}

/// A JSON object as Claude Code reads it: an empty file has no keys, and comments are not allowed.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.strip_prefix('\u{feff}').unwrap_or(text);
    if text.trim().is_empty() {
        return Ok(Map::new());
    }
    match serde_json::from_str(text) {
        Ok(Value::Object(content)) => Ok(content),
        Ok(_) => Err("is not a JSON object".to_owned()),
        Err(error) => Err(format!("is not valid JSON (line {}, column {})", error.line(), error.column())),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn files_are_read_in_order_and_unreadable_ones_are_noted() {
        let root = tempfile::tempdir().unwrap();
        let (claude, project) = (root.path().join("claude"), root.path().join("project"));
        std::fs::create_dir_all(project.join(".claude")).unwrap();
        std::fs::create_dir_all(&claude).unwrap();
        let ours = |files: Vec<SettingsFile>| files.into_iter().filter(|file| !file.managed).collect::<Vec<_>>();
        let (files, notes) = settings_files(&claude, &project);
        assert_eq!((ours(files), notes), (vec![], vec![]));
        std::fs::write(claude.join("settings.json"), r#"{"env": {"A": "1", "B": 2}}"#).unwrap();
        std::fs::write(project.join(".claude/settings.json"), "{\n  \"sk-secret\": sk-secret").unwrap();
        symlink("/etc/passwd", project.join(".claude/settings.local.json")).unwrap();
        let (files, notes) = settings_files(&claude, &project);
        let files = ours(files);
        assert_eq!(files.len(), 1);
        assert_eq!(files[0].variables, [("A", "1"), ("B", "2")].map(|(a, b)| (a.to_owned(), b.to_owned())).into());
        assert!(notes[0].ends_with("the file is not valid JSON (line 2, column 16)"), "{notes:?}");
        assert!(notes[1].ends_with("the file is a link, which is never followed"), "{notes:?}");
    }

    #[test]
    fn a_file_is_parsed_as_by_the_client() {
        assert_eq!(object("\u{feff}{\"env\": {\"A\": \"1\"}}".as_bytes()).unwrap()["env"]["A"], "1");
        assert!(object(b"").unwrap().is_empty() && object(b" \n").unwrap().is_empty());
        for broken in ["{", "[]", "null", "{\"a\": }", "{} {}", "{\"a\": 1,}", "{} // why"] {
            assert!(object(broken.as_bytes()).is_err(), "{broken}");
        }
    }

    #[test]
    fn a_file_that_the_client_ignores_is_noted() {
        let root = tempfile::tempdir().unwrap();
        let (claude, project) = (root.path().join("claude"), root.path().join("project"));
        std::fs::create_dir(&claude).unwrap();
        std::fs::write(claude.join("settings.json"), r#"{"env": {"A": "1"}, "model": 4}"#).unwrap();
        let (files, notes) = settings_files(&claude, &project);
        assert!(!files.iter().any(|file| file.variables.contains_key("A")));
        let expected = "settings.json`: the file is ignored as a whole: `model` must be a string, not a number";
        assert!(notes[0].ends_with(expected), "{notes:?}");
    }

    #[test]
    fn a_project_in_the_home_directory_has_one_file_only() {
        let root = tempfile::tempdir().unwrap();
        let claude = root.path().join(".claude");
        std::fs::create_dir(&claude).unwrap();
        std::fs::write(claude.join("settings.json"), "{}").unwrap();
        let (files, _) = settings_files(&claude, root.path());
        assert_eq!(files.iter().filter(|file| !file.managed).count(), 1);
    }
}
