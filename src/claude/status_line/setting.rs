//! The setting `statusLine`: ours in a session's settings file, and the one that it replaces.

use std::ffi::OsString;
use std::fmt;
use std::path::{Path, PathBuf};
use std::str::FromStr;

use serde_json::{Value, json};

use crate::claude::{MAXIMUM_SIZE, files, settings_schema};
use crate::environment::quoting;
use crate::profile::Format;
use crate::system::bounded;

/// The option by which the command of a session's own settings file is recognised.
const REPLACED: &str = "--replaced";

/// Claude Code's option that says which layers of settings it reads.
const SOURCES: &str = "--setting-sources";

/// A layer of Claude Code's settings, in increasing order of precedence.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layer {
    /// The user's.
    User,
    /// The project's, which its repository contains.
    Project,
    /// The user's for the project.
    Local,
}

impl Layer {
    const ALL: [Self; 3] = [Self::User, Self::Project, Self::Local];

    fn name(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Project => "project",
            Self::Local => "local",
        }
    }

    /// The file, given Claude Code's configuration directory and the project's.
    fn file(self, claude: &Path, project: Option<&Path>) -> Option<PathBuf> {
        match self {
            Self::User => Some(claude.join("settings.json")),
            Self::Project => Some(project?.join(".claude/settings.json")),
            Self::Local => Some(project?.join(".claude/settings.local.json")),
        }
    }
}

/// Layers in increasing order of precedence. As text, their names with commas between them.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Layers(Vec<Layer>);

impl FromStr for Layers {
    type Err = std::convert::Infallible;

    /// Other names count for nothing.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let is_named = |layer: &Layer| text.split(',').any(|name| name.trim() == layer.name());
        Ok(Self(Layer::ALL.into_iter().filter(is_named).collect()))
    }
}

impl fmt::Display for Layers {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.0.iter().map(|layer| layer.name()).collect();
        formatter.write_str(&names.join(","))
    }
}

/// The layers that Claude Code reads with these arguments.
pub fn layers(arguments: &[OsString]) -> Layers {
    let mut named: Option<&str> = None;
    let mut words = arguments.iter().take_while(|word| *word != "--").filter_map(|word| word.to_str());
    while let Some(word) = words.next() {
        match word.strip_prefix(SOURCES).map(|rest| rest.strip_prefix('=')) {
            Some(Some(value)) => named = Some(value),
            Some(None) if word == SOURCES => named = words.next(),
            _ => {}
        }
    }
    let Ok(named) = named.map(str::parse).transpose();
    named.unwrap_or_else(|| Layers(Layer::ALL.to_vec()))
}

/// The value of `statusLine` in a session's settings file. `ccrun` is the path of this program, `ledger` that of the
/// ledger, and `budgets` the value of its option `--budgets`. The line that it replaces is looked for in these layers
/// each time, so that changes take effect.
pub fn setting(
    ccrun: &Path,
    ledger: &Path,
    layers: &Layers,
    budgets: Option<String>,
    format: Option<&Format>,
) -> Value {
    let mut options =
        vec![REPLACED.to_owned(), layers.to_string(), "--ledger".to_owned(), ledger.display().to_string()];
    options.extend(budgets.into_iter().flat_map(|budgets| ["--budgets".to_owned(), budgets]));
    json!({ "type": "command", "command": command(ccrun, &options, format) })
}

/// The shell command of a status line.
pub fn command(ccrun: &Path, options: &[String], format: Option<&Format>) -> String {
    let mut words = vec![ccrun.display().to_string(), "statusline".to_owned()];
    words.extend_from_slice(options);
    words.extend(format.into_iter().flat_map(|format| ["--format".to_owned(), format.to_string()]));
    words.iter().map(|word| quoting::word(word)).collect::<Vec<_>>().join(" ")
}

/// Whether a value of `statusLine` is one that [`setting`] has made.
pub fn is_ours(setting: &Value) -> bool {
    let command = setting["command"].as_str().unwrap_or_default();
    command.contains(&format!(" statusline {REPLACED} "))
}

/// The command of the status line that Claude Code would show without `--settings`, from these layers.
pub fn replaced(layers: &Layers, claude: &Path, project: Option<&Path>) -> Option<String> {
    layers.0.iter().rev().filter_map(|layer| layer.file(claude, project)).find_map(|file| command_in(&file))
}

/// The command in a file, if Claude Code accepts the file. It follows links, as Claude Code does.
fn command_in(file: &Path) -> Option<String> {
    // Opening a pipe would block.
    if !std::fs::metadata(file).ok()?.is_file() {
        return None;
    }
    let settings = files::object(&bounded::read(file, MAXIMUM_SIZE).ok()?).ok()?;
    let command = settings.get("statusLine")?.get("command")?.as_str()?.to_owned();
    (settings_schema::fault(&settings).is_none() && !command.trim().is_empty()).then_some(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(words: &[&str]) -> Vec<OsString> {
        words.iter().map(OsString::from).collect()
    }

    #[test]
    fn only_the_layers_that_the_client_reads_count() {
        let read = |arguments: &[&str]| layers(&words(arguments)).to_string();
        assert_eq!(read(&[]), "user,project,local");
        assert_eq!(read(&["--setting-sources", "local, user,other", "-p"]), "user,local");
        assert_eq!(read(&["--setting-sources=project", "--", "--setting-sources=user"]), "project");
        assert_eq!(read(&["--setting-sources="]), "");
    }

    #[test]
    fn the_line_of_the_highest_layer_is_replaced() {
        let root = tempfile::tempdir().unwrap();
        let (claude, project) = (root.path().join("claude"), root.path().join("project"));
        std::fs::create_dir_all(project.join(".claude")).unwrap();
        std::fs::create_dir_all(&claude).unwrap();
        let found = |layers: &[Layer]| replaced(&Layers(layers.to_vec()), &claude, Some(&project));
        let line = |command: &str| json!({"statusLine": {"type": "command", "command": command}}).to_string();
        assert_eq!(found(&Layer::ALL), None);
        std::fs::write(claude.join("settings.json"), line("user")).unwrap();
        std::fs::write(project.join(".claude/settings.json"), line("project")).unwrap();
        std::fs::write(project.join(".claude/settings.local.json"), line("local")).unwrap();
        assert_eq!(found(&Layer::ALL).as_deref(), Some("local"));
        assert_eq!(found(&[Layer::User, Layer::Project]).as_deref(), Some("project"));
        assert_eq!(replaced(&Layers(Layer::ALL.to_vec()), &claude, None).as_deref(), Some("user"));
        // The client ignores the whole file.
        let faulty = json!({"model": 4, "statusLine": {"type": "command", "command": "faulty"}});
        std::fs::write(project.join(".claude/settings.local.json"), faulty.to_string()).unwrap();
        assert_eq!(found(&Layer::ALL).as_deref(), Some("project"));
        std::fs::remove_file(project.join(".claude/settings.json")).unwrap();
        nix::unistd::mkfifo(&project.join(".claude/settings.json"), nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert_eq!(found(&Layer::ALL).as_deref(), Some("user"));
    }

    #[test]
    fn our_own_setting_is_recognised() {
        let format: Format = "{cost} · it's {today}".parse().unwrap();
        let layers = Layers(vec![Layer::User, Layer::Project]);
        let ours = setting(Path::new("/my bin/ccrun"), Path::new("/state/ledger-1.db"), &layers, None, Some(&format));
        let expected = r"'/my bin/ccrun' statusline --replaced user,project --ledger /state/ledger-1.db --format '{cost} · it'\''s {today}'";
        assert_eq!((ours["type"].as_str(), ours["command"].as_str()), (Some("command"), Some(expected)));
        assert!(is_ours(&ours));
        assert!(!is_ours(&json!({"type": "command", "command": "ccrun statusline"})) && !is_ours(&json!(null)));
        assert!(crate::claude::settings_schema::fault(json!({"statusLine": ours}).as_object().unwrap()).is_none());
    }
}
