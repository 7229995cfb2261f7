//! The hooks by which budgets speak in a session, and the reason why they do not.

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Map, Value, json};

use super::Program;
use super::policy::{Mode, Policy};
use crate::claude::hooks::{self, Caller, Obstacles};
use crate::claude::{self, SettingsFile};
use crate::collector::Hook;
use crate::editor;
use crate::environment::{self, Changes};
use crate::profile::Profile;
use crate::secret::Secret;
use crate::state;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::random;
use crate::workspace::Workspace;

/// The hooks of a session.
pub(super) struct Hooks {
    /// What the collector has to know.
    pub hook: Hook,
    /// The hook as Claude Code reads it.
    settings: Value,
    /// The lists of hosts that are reached without a proxy.
    exceptions: BTreeMap<String, String>,
    /// The file for the verb, and its content.
    file: Option<(PathBuf, Value)>,
}

/// Everything that decides about the hooks of a session.
#[derive(Clone, Copy)]
pub(super) struct Setting<'a> {
    pub program: &'a Program,
    pub profile: &'a Profile,
    /// The settings from `--settings` and the profile; `None` if the program takes none.
    pub given: Option<&'a Map<String, Value>>,
    /// The changes to the program's environment.
    pub changes: &'a Changes,
    pub workspace: &'a Workspace,
    pub process: &'a ProcessEnvironment,
}

/// The hooks of a session whose collector has this port, if a budget applies, or a line that says why there are none.
pub(super) fn of_session(setting: Setting<'_>, port: u16, session: &str) -> (Option<Hooks>, Option<String>) {
    let Setting { program, profile, given, process, .. } = setting;
    if profile.budgets.is_empty() {
        return (None, None);
    }
    let Some(given) = given else {
        let is_silent = program.is_editor && !editor::is_wrapped(&program.name, &program.arguments, process);
        let reason = "an editor's Claude Code has no hooks without `ccrun wire code`";
        return (None, is_silent.then(|| without(profile, reason)));
    };
    match of_claude_code(setting, given, port, session) {
        Ok(hooks) => (Some(hooks), None),
        Err(reason) => (None, Some(without(profile, &reason))),
    }
}

/// The hooks of a session of Claude Code, or the reason why there are none.
fn of_claude_code(setting: Setting<'_>, given: &Map<String, Value>, port: u16, session: &str) -> Result<Hooks, String> {
    let Setting { program, workspace, process, .. } = setting;
    let (files, _) = claude::settings_files(&workspace.places.claude, &process.directory);
    let mut variables = workspace.variables.clone();
    variables.extend(setting.changes.set.clone());
    let obstacles = Obstacles { arguments: &program.arguments, given, files: &files, variables: &variables };
    let caller = obstacles.caller(&hooks::url(port)).map_err(|what| format!("{what} turns hooks off"))?;
    let token: Secret = random::hex::<16>().map_err(|error| error.to_string())?.into();
    Ok(Hooks::new(setting, given, &files, caller, token, (port, session)))
}

impl Hooks {
    fn new(
        setting: Setting<'_>,
        given: &Map<String, Value>,
        files: &[SettingsFile],
        caller: Caller,
        token: Secret,
        (port, session): (u16, &str),
    ) -> Self {
        let Setting { program, workspace, changes, process, .. } = setting;
        let own = claude::text_variables(given);
        let value = |name: &str| {
            let of_files = || files.iter().rev().filter(|file| !file.managed).find_map(|file| file.variables.get(name));
            let of_environment = || changes.set.get(name).or_else(|| workspace.variables.get(name));
            own.get(name).or_else(of_files).or_else(of_environment).cloned()
        };
        let file = workspace.places.hook(session);
        let (settings, exceptions, file) = match caller {
            Caller::Client => {
                let mut exceptions = environment::exceptions(value);
                // Managed ones override ours, and keep requests from a proxy as well.
                let is_managed =
                    |name: &str| files.iter().any(|file| file.managed && file.variables.contains_key(name));
                exceptions.retain(|name, _| !is_managed(name));
                (hooks::request(port, &token), exceptions, None)
            }
            Caller::Verb => {
                let content = json!({"port": port, "token": token.expose()});
                (hooks::command(&process.executable, &file), BTreeMap::new(), Some((file, content)))
            }
        };
        let is_shown = claude::shows_messages(&program.arguments);
        let shared = hooks::events_with(given, caller.kind());
        Self { hook: Hook { token, caller, is_shown, shared }, settings, exceptions, file }
    }

    /// Adds them to the content of the `--settings` file.
    pub(super) fn add_to(&self, settings: &mut Value) {
        if let Value::Object(settings) = settings {
            hooks::add(settings, &self.settings, &self.exceptions);
        }
    }

    /// Writes the file that they need besides the settings, if any.
    pub(super) fn write(&self) -> Result<()> {
        let Some((path, content)) = &self.file else { return Ok(()) };
        let written = state::private_directory(path.parent().unwrap_or(path))
            .and_then(|()| Ok(state::write_unsettled(path, content.to_string().as_bytes())?));
        written.with_context(|| format!("cannot write `{}`", path.display()))
    }
}

/// One line if a budget applies but a launch has no collector that could tell about it.
pub(super) fn notice(program: &Program, profile: &Profile, policy: &Policy) -> Option<String> {
    let is_silent = !profile.budgets.is_empty() && program.takes_settings() && policy.mode == Mode::Direct;
    is_silent.then(|| without(profile, "there is no collector in direct mode"))
}

fn without(profile: &Profile, reason: &str) -> String {
    let stop = if profile.budgets.iter().any(|budget| budget.stop) { " and stop no work" } else { "" };
    format!("budgets give no warning{stop} in this session: {reason}")
}
