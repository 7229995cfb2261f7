//! Claude Code's own settings files: which variables they name.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::MAXIMUM_SIZE;
use crate::bounded;
use crate::hidden::Names;

/// Where an administrator's settings are, which beat everything.
const MANAGED: &str = if cfg!(target_os = "macos") {
    "/Library/Application Support/ClaudeCode/managed-settings.json"
} else {
    "/etc/claude-code/managed-settings.json"
};

/// A settings file that names variables.
#[derive(Clone, PartialEq, Eq)]
pub struct SettingsFile {
    /// Where it is.
    pub path: PathBuf,
    /// Whether it is an administrator's, which beats `--settings`.
    pub managed: bool,
    /// Its `env`.
    pub variables: BTreeMap<String, String>,
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
    places.push((Path::new(MANAGED).to_owned(), true));
    let (mut files, mut notes) = (Vec::new(), Vec::new());
    for (path, managed) in places {
        // A repository's directory could lead anywhere as its files could.
        let link = path.parent() == Some(&project) && project != claude && project.is_symlink();
        let read = if link { Err(bounded::Refusal::Link.to_string()) } else { variables(&path) };
        match read {
            Ok(variables) => files.push(SettingsFile { path, managed, variables }),
            Err(_) if path.symlink_metadata().is_err() => {}
            Err(reason) => notes.push(format!("Claude Code's settings `{}`: the file {reason}", path.display())),
        }
    }
    (files, notes)
}

fn variables(path: &Path) -> Result<BTreeMap<String, String>, String> {
    let (bytes, _) = bounded::read_foreign(path, MAXIMUM_SIZE).map_err(|refusal| refusal.to_string())?;
    let content: Value = serde_json::from_slice(&bytes)
        .map_err(|error| format!("holds no JSON (line {}, column {})", error.line(), error.column()))?;
    let content = content.as_object().ok_or("holds no JSON object")?;
    let variables = content.get("env").and_then(Value::as_object).into_iter().flatten();
    let text = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    Ok(variables.map(|(name, value)| (name.clone(), text(value))).collect())
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
    fn a_project_in_the_home_directory_has_one_file_only() {
        let root = tempfile::tempdir().unwrap();
        let claude = root.path().join(".claude");
        std::fs::create_dir(&claude).unwrap();
        std::fs::write(claude.join("settings.json"), "{}").unwrap();
        let (files, _) = settings_files(&claude, root.path());
        assert_eq!(files.iter().filter(|file| !file.managed).count(), 1);
    }
}
