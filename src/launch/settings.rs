//! The settings file that Claude Code gets in front of its arguments.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde_json::{Map, Value};

use super::Program;
use super::hooks::Hooks;
use crate::budget::Watched;
use crate::claude::{self, UserSettings, status_line};
use crate::environment::{Changes, Said};
use crate::profile::Profile;
use crate::state::{self, Places};
use crate::system::process_environment::ProcessEnvironment;
use crate::system::random;
use crate::workspace::Workspace;

/// The user's and the profile's Claude Code settings.
#[derive(Debug)]
pub(super) struct Given {
    /// The program's arguments, without `--settings`.
    pub arguments: Vec<OsString>,
    /// The user's `--settings` merged over the profile's.
    content: Map<String, Value>,
    /// Settings left out because the client would ignore the whole file because of them, one per line.
    pub left_out: Vec<String>,
}

impl Given {
    /// The user's `--settings` merged over the profile's.
    pub(super) fn content(&self) -> &Map<String, Value> {
        &self.content
    }
}

/// The settings besides the telemetry variables, if the program takes a settings file.
pub(super) fn given(
    program: &Program,
    profile: &Profile,
    workspace: &Workspace,
    process: &ProcessEnvironment,
) -> Result<Option<Given>> {
    if !program.takes_settings() {
        return Ok(None);
    }
    let user = UserSettings::extract(&program.arguments, &process.directory)?;
    let source = format!("`[settings]` of the profile `{}`", profile.name);
    let (mut content, fault) = claude::sound(profile.settings.clone(), &source);
    content.extend(user.content);
    let line = &profile.status_line;
    if line.show == Some(true) && !content.contains_key(claude::STATUS_LINE) {
        let layers = status_line::layers(&user.arguments);
        let budgets = Watched::of(profile, workspace, process).map(|watched| watched.word());
        let ledger = workspace.places.ledger();
        let setting = status_line::setting(&process.called(), &ledger, &layers, budgets, line.format.as_ref());
        content.insert(claude::STATUS_LINE.to_owned(), setting);
    }
    Ok(Some(Given { arguments: user.arguments, content, left_out: fault.into_iter().chain(user.left_out).collect() }))
}

/// A session's telemetry variables for a program, where `own` is the profile's `[env]`. Claude Code gets more of them
/// than other programs, and through its settings as well.
pub(super) fn heard(
    telemetry: Changes,
    program: &Program,
    profile: &Profile,
    own: &Changes,
    given: Option<&Given>,
    workspace: &Workspace,
) -> Changes {
    if program.is_claude {
        let user = claude::user_telemetry(&workspace.places.claude);
        let given = given.map(|given| claude::text_variables(&given.content)).unwrap_or_default();
        let said = Said { given: &given, inherited: &workspace.variables, user: &user };
        telemetry.for_claude_code(profile, own, said)
    } else if program.is_editor {
        telemetry.hidden_from_claude_code(own, &workspace.variables)
    } else {
        telemetry
    }
}

/// What Claude Code gets besides its environment.
pub(super) struct AppliedSettings {
    /// The program's arguments, after the ones that ccrun adds.
    pub arguments: Vec<OsString>,
    /// The `--settings` file, if the program takes one.
    pub settings: Option<PathBuf>,
    /// Settings that are left out, or that managed settings override, one per line.
    pub remarks: Vec<String>,
}

/// Writes the `--settings` file at `path` with `telemetry` and `hooks` in it, if the program takes one.
pub(super) fn apply(
    program: &Program,
    given: Option<Given>,
    telemetry: &Changes,
    hooks: Option<&Hooks>,
    changes: &mut Changes,
    path: &Path,
) -> Result<AppliedSettings> {
    let Some(Given { arguments, content, left_out: mut remarks }) = given else {
        return Ok(AppliedSettings { arguments: program.arguments.clone(), settings: None, remarks: Vec::new() });
    };
    let (running, too_large) = running(&content, telemetry, hooks);
    remarks.extend(too_large);
    state::write_unsettled(path, running.to_string().as_bytes())
        .with_context(|| format!("cannot write `{}`", path.display()))?;
    hooks.map_or(Ok(()), Hooks::write)?;
    let (managed, overruled) = claude::managed_files();
    remarks.extend(overruled);
    remarks.extend(claude::overruled(&managed, &running, &changes.set));
    // The file is deleted eventually, and a session resumed through `ccrun` gets a new one.
    let options = claude::resume_options(&program.arguments);
    changes.set.insert(claude::RESUME_OPTIONS.to_owned(), options);
    Ok(AppliedSettings { arguments: in_front(path, arguments), settings: Some(path.to_owned()), remarks })
}

/// The whole file. If the user's part made it larger than Claude Code reads, it contains only `ccrun`'s.
fn running(content: &Map<String, Value>, telemetry: &Changes, hooks: Option<&Hooks>) -> (Value, Option<String>) {
    let with_hooks = |mut settings: Value| {
        if let Some(hooks) = hooks {
            hooks.add_to(&mut settings);
        }
        settings
    };
    let whole = with_hooks(claude::running(content, telemetry));
    if whole.to_string().len() <= claude::settings_schema::MAXIMUM_FILE {
        return (whole, None);
    }
    let reason =
        "--settings and the profile's `[settings]` together exceed what Claude Code reads; ccrun leaves them out";
    (with_hooks(claude::running(&Map::new(), telemetry)), Some(reason.to_owned()))
}

fn in_front(path: &Path, arguments: Vec<OsString>) -> Vec<OsString> {
    [OsString::from("--settings"), path.into()].into_iter().chain(arguments).collect()
}

/// Claude Code's arguments with a settings file that turns telemetry off and includes the user's own `--settings`. Also
/// returns the settings that are left out.
pub(super) fn off(
    program: &Program,
    places: &Places,
    process: &ProcessEnvironment,
) -> Result<(Vec<OsString>, Option<String>)> {
    state::prepare(places)?;
    let user = UserSettings::extract(&program.arguments, &process.directory)?;
    let path = places.settings(&random::hex::<8>()?);
    state::write_unsettled(&path, claude::off(&user.content).to_string().as_bytes())?;
    Ok((in_front(&path, user.arguments), user.left_out))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_that_are_too_large_are_left_out() {
        let mut content = Map::new();
        content.insert("claudeMd".to_owned(), Value::String("x".repeat(2 << 20)));
        let (file, remark) = running(&content, &Changes::default(), None);
        assert!(file.get("claudeMd").is_none() && file["otelHeadersHelper"] == "" && remark.is_some());
        content.insert("claudeMd".to_owned(), Value::String("x".repeat(1 << 20)));
        let (file, remark) = running(&content, &Changes::default(), None);
        assert!(file.get("claudeMd").is_some() && remark.is_none());
    }
}
