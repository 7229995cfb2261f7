//! Checks how Claude Code's own settings affect a launch: which of them override it, and which are left over.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::Value;

use super::names::Place;
use super::{Check, Finding, Group, Subject};
use crate::claude::{self, SettingsFile};
use crate::environment::{self, Changes};
use crate::launch::explain::{ExplainContext, explain};
use crate::profile::{HELPER, Profile};
use crate::state::Places;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "settings.files", group: Group::Settings, look: files },
    Check { id: "settings.profile", group: Group::Settings, look: of_the_profile },
    Check { id: "settings.managed", group: Group::Settings, look: managed },
    Check { id: "settings.stronger", group: Group::Settings, look: stronger },
    Check { id: "settings.project", group: Group::Settings, look: project },
    Check { id: "settings.helper", group: Group::Settings, look: helper },
    Check { id: "settings.login", group: Group::Settings, look: login },
];

/// The file in Claude Code's configuration that caches settings from its server.
const REMOTE: &str = "remote-settings.json";

/// All settings files that can be read, in increasing order of precedence, and notes on the others.
pub(super) fn read(subject: &Subject) -> (Vec<SettingsFile>, Vec<String>) {
    let claude = &subject.workspace.places.claude;
    let (mut files, mut notes) = claude::settings_files(claude, &subject.process.directory);
    let (remote, faults) = claude::managed_file(&claude.join(REMOTE));
    files.extend(remote);
    notes.extend(faults);
    (files, notes)
}

fn files(subject: &Subject) -> Vec<Finding> {
    let (files, notes) = read(subject);
    if notes.is_empty() {
        let what = match files.len() {
            0 => "Claude Code has no settings of its own here".to_owned(),
            1 => format!("Claude Code's settings are in {}", Places::shortened(&files[0].path)),
            number => format!("Claude Code's settings are in {number} files, all readable"),
        };
        return vec![Finding::ok(what)];
    }
    let unread = |note| Finding::warning(note).fix("correct it: Claude Code ignores the whole file, or does not start");
    notes.into_iter().map(unread).collect()
}

/// The profile's own `[settings]`.
fn of_the_profile(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning() else { return Vec::new() };
    let fault = claude::settings_schema::fault(&profile.settings);
    let finding = |fault| {
        Finding::warning(format!("Claude Code would ignore all of the profile's `[settings]`: {fault}"))
            .fix("correct the value; `ccrun profile check` shows its place")
    };
    fault.map(finding).into_iter().collect()
}

/// What a launch sets, with nothing fetched: the settings file, the telemetry variables, and the environment.
fn launched(profile: &Profile, subject: &Subject) -> (Value, Changes, Changes) {
    let inherited = &subject.workspace.variables;
    let written = |_: &str, sources: &[crate::secret::Source]| {
        Ok::<_, std::convert::Infallible>(sources.iter().find_map(|source| source.literal()).unwrap_or("…").to_owned())
    };
    let Ok(own) = environment::own(profile, written);
    let telemetry = environment::on_in_general(profile, inherited);
    let telemetry = subject.workspace.of_claude_code(profile, telemetry, &own);
    (claude::running(&profile.settings, &telemetry), telemetry.clone(), own.and(telemetry))
}

/// Managed settings override everything.
fn managed(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning() else { return Vec::new() };
    let (settings, _, changes) = launched(profile, subject);
    let found = claude::overruling(&read(subject).0, &settings, &changes.set);
    let finding = |one: claude::Overruling| {
        let (key, place) = (&one.key, Place::of_key(&one.file, &one.key));
        let administrator = "ask the administrator of this machine's Claude Code";
        if one.decides_where() {
            let what = format!("{place} sets {key} for all users and overrides ccrun: telemetry bypasses it");
            Finding::failed(what).fix(format!("{administrator} to remove or correct it"))
        } else {
            let what = format!("{place} sets {key} for all users and overrides the profile");
            Finding::warning(what).fix(format!("{administrator}, or set the same value in the profile"))
        }
    };
    found.into_iter().map(finding).collect()
}

/// Variables of the profile that a settings file also sets. Claude Code uses the file's.
fn stronger(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let (_, telemetry, changes) = launched(&resolved.profile, subject);
    let (files, _) = read(subject);
    let weaker: Vec<_> = files.into_iter().filter(|file| !file.managed).collect();
    let inherited = &subject.workspace.variables;
    let explained =
        explain(&changes, &telemetry, ExplainContext { resolved, inherited, files: &weaker, reveal: false });
    let own = explained.into_iter().filter(|one| resolved.profile.env.contains_key(&one.name));
    let finding = |name: &str, other: &Path| {
        let finding = Finding::warning(format!(
            "Claude Code takes {name} from {}, not from the profile",
            Place::of_key(other, name)
        ));
        finding.fix("remove it there, or set it under `[settings.env]` in the profile, which takes precedence")
    };
    own.filter_map(|one| Some(finding(&one.name, Path::new(&one.overruled_by?.place)))).collect()
}

/// A repository's telemetry settings. Claude Code ignores most of them, and `ccrun` overrides the rest.
fn project(subject: &Subject) -> Vec<Finding> {
    let below = subject.process.directory.join(".claude");
    let (files, _) = read(subject);
    let of_project = files.into_iter().filter(|file| !file.managed && file.path.starts_with(&below));
    let of_user = subject.workspace.places.claude.join("settings.json");
    let mut found = Vec::new();
    for file in of_project.filter(|file| file.path != of_user) {
        let off = file.variables.iter().filter(|(name, value)| switches_off(name, value));
        found.extend(off.map(|(name, value)| {
            let what =
                format!("{} turns telemetry off in this project: {name} is `{value}`", Place::of_key(&file.path, name));
            Finding::warning(what)
                .detail("a ccrun session overrides this and sends telemetry anyway")
                .fix("remove it; if it is intended, start Claude Code there with CCRUN_OFF=1")
        }));
    }
    found
}

fn switches_off(name: &str, value: &str) -> bool {
    let value = value.trim().to_ascii_lowercase();
    match name {
        "CLAUDE_CODE_ENABLE_TELEMETRY" => ["0", "false", "no", "off"].contains(&value.as_str()),
        "OTEL_METRICS_EXPORTER" | "OTEL_LOGS_EXPORTER" => value == "none",
        "OTEL_SDK_DISABLED" => value == "true",
        _ => false,
    }
}

/// A helper that fails stops the export, and a slow one delays it, so sessions of `ccrun` disable it.
fn helper(subject: &Subject) -> Vec<Finding> {
    let (files, _) = read(subject);
    let named = files.iter().filter(|file| !file.managed);
    let left = named.filter_map(|file| {
        let command = file.scalars.get(HELPER)?.as_str()?.trim();
        (!command.is_empty() && !command.contains("ccrun")).then(|| {
            let what =
                format!("{} sets an `{HELPER}`, which ccrun's sessions ignore", Place::of_key(&file.path, HELPER));
            Finding::warning(what)
                .detail("without ccrun, Claude Code runs it, and sends nothing if it fails")
                .fix("remove it; a profile's `headers_helper` does the same")
        })
    });
    left.collect()
}

/// With the apps gateway as login, the gateway receives the telemetry, and no setting changes that.
fn login(subject: &Subject) -> Vec<Finding> {
    let (files, _) = read(subject);
    let by_gateway =
        |file: &&SettingsFile| file.scalars.get("forceLoginMethod").is_some_and(|method| method == "gateway");
    let found = files.iter().filter(by_gateway).map(|file| {
        let place = Place::of_key(&file.path, "forceLoginMethod");
        Finding::failed(format!(
            "{place} makes all users sign in through the apps gateway, which receives the telemetry instead of ccrun"
        ))
        .fix("have the gateway forward it, or ask its administrator for another login method")
    });
    found.collect()
}

/// The variables that Claude Code would see, each with the place that sets it, from the user, the profile or an
/// administrator. A repository's settings are left out, because the check may send a key to the host found here.
pub(super) fn effective(subject: &Subject) -> BTreeMap<String, (String, String)> {
    let mut variables: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut put = |name: &str, value: &str, place: String| {
        if !value.is_empty() {
            variables.insert(name.to_owned(), (value.to_owned(), place));
        }
    };
    for (name, value) in &subject.workspace.variables {
        put(name, value, "the environment".to_owned());
    }
    let of_profile = |path: [&str; 2]| {
        let origin = subject.profile.as_ref().ok().and_then(|resolved| resolved.origin(path));
        origin.unwrap_or_else(|| "the profile".to_owned())
    };
    let profile = subject.meaning();
    for (name, sources) in profile.into_iter().flat_map(|profile| &profile.env) {
        let value = subject.fetch(sources).map(|fetched| fetched.value.expose().to_owned()).unwrap_or_default();
        put(name, &value, of_profile(["env", name]));
    }
    let (files, _) = read(subject);
    let user = subject.workspace.places.claude.join("settings.json");
    for file in files.iter().filter(|file| file.path == user) {
        for (name, value) in &file.variables {
            put(name, value, Place::of_key(&file.path, name).to_string());
        }
    }
    let given = profile.and_then(|profile| profile.settings.get("env")).and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        put(name, value.as_str().unwrap_or_default(), of_profile(["settings", "env"]));
    }
    for file in files.iter().filter(|file| file.managed) {
        for (name, value) in &file.variables {
            put(name, value, Place::of_key(&file.path, name).to_string());
        }
    }
    variables
}
