//! Claude Code's own settings files: which variables they name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::{Map, Value};

use super::MAXIMUM_SIZE;
use crate::bounded;
use crate::hidden::Names;

/// Where an administrator's settings are, which beat everything.
const MANAGED: &str =
    if cfg!(target_os = "macos") { "/Library/Application Support/ClaudeCode" } else { "/etc/claude-code" };

/// How many files of an administrator's are read.
const MAXIMUM_FILES: usize = 256;

/// A settings file that names variables.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is an administrator's, which beats `--settings`.
    pub managed: bool,
    /// Its `env`.
    pub variables: BTreeMap<String, String>,
    /// Its other keys, those that have one value.
    pub scalars: BTreeMap<String, Value>,
}

/// Shows which variables there are: people keep keys in their values.
impl fmt::Debug for SettingsFile {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SettingsFile")
            .field("path", &self.path)
            .field("variables", &Names(&self.variables))
            .finish_non_exhaustive()
    }
}

/// The files that Claude Code reads, with its configuration in `claude`, when it starts in a directory; later ones win.
/// A line for each that is there and cannot be read.
pub fn settings_files(claude: &Path, directory: &Path) -> (Vec<SettingsFile>, Vec<String>) {
    let project = directory.join(".claude");
    let user = claude.join("settings.json");
    let mut places = vec![(user.clone(), false)];
    let below = ["settings.json", "settings.local.json"].map(|name| (project.join(name), false));
    places.extend(below.into_iter().filter(|(path, _)| *path != user));
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for (path, managed) in places {
        // A repository's directory could lead anywhere as its files could.
        let link = path.parent() == Some(&project) && project != claude && project.is_symlink();
        let read = if link { Err(bounded::Refusal::Link.to_string()) } else { foreign(&path) };
        take(read, path, managed, &mut files, &mut notes);
    }
    let (managed, others) = managed_files();
    files.extend(managed);
    notes.extend(others);
    (files, notes)
}

/// The administrator's own: `managed-settings.json`, and over it those of `managed-settings.d` by their names. They may
/// be links, as what manages a machine's files makes them.
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

/// One file of an administrator's; nothing where there is none.
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

/// Adds a file, or a line on why it cannot be read.
fn take(
    read: Result<Vec<u8>, String>,
    path: PathBuf,
    managed: bool,
    files: &mut Vec<SettingsFile>,
    notes: &mut Vec<String>,
) {
    match read.and_then(|bytes| object(&bytes)) {
        Ok(content) => {
            let variables = content.get("env").and_then(Value::as_object).into_iter().flatten();
            let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
            let variables = variables.map(|(name, value)| (name.clone(), text(value))).collect();
            let scalars = content.into_iter().filter(|(_, value)| !value.is_object() && !value.is_array()).collect();
            files.push(SettingsFile { path, managed, variables, scalars });
        }
        Err(_) if path.symlink_metadata().is_err() => {}
        Err(reason) => notes.push(format!("Claude Code's settings `{}`: the file {reason}", path.display())),
    }
}

/// A JSON object, in which people may have left comments and commas at an end.
pub(super) fn object(bytes: &[u8]) -> Result<Map<String, Value>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    let text = text.trim_start_matches('\u{feff}');
    // What is JSON is read as such: the other reader is the more generous one, and the slower.
    let value = serde_json::from_str(text).or_else(|error| {
        let generous = jsonc_parser::parse_to_serde_value::<Value>(text, &jsonc_parser::ParseOptions::default());
        generous.map_err(|_| format!("holds no JSON (line {}, column {})", error.line(), error.column()))
    })?;
    if let Value::Object(content) = value { Ok(content) } else { Err("holds no JSON object".to_owned()) }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn later_files_follow_and_what_cannot_be_read_is_told() {
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
        assert!(notes[0].ends_with("the file holds no JSON (line 2, column 16)"), "{notes:?}");
        assert!(notes[1].ends_with("the file is a link, which is never followed"), "{notes:?}");
    }

    #[test]
    fn comments_and_commas_at_an_end_are_no_fault() {
        let text = "\u{feff}{\n  // why\n  \"env\": {\"A\": \"1\",}, /* so */\n}\n";
        assert_eq!(object(text.as_bytes()).unwrap()["env"]["A"], "1");
        for broken in ["{", "[]", "", "null", "{\"a\": }", "{} {}"] {
            assert!(object(broken.as_bytes()).is_err(), "{broken}");
        }
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
