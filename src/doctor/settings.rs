//! What Claude Code's own settings make of a launch: what is stronger than it, and what is left over.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde_json::Value;

use super::names::place;
use super::{Check, Finding, Group, Subject};
use crate::claude::{self, SettingsFile};
use crate::environment::{self, Changes};
use crate::explanation::{Parties, explain};
use crate::profile::{HELPER, Profile};
use crate::surroundings::Places;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "settings.files", group: Group::Settings, look: files },
    Check { id: "settings.managed", group: Group::Settings, look: managed },
    Check { id: "settings.stronger", group: Group::Settings, look: stronger },
    Check { id: "settings.project", group: Group::Settings, look: project },
    Check { id: "settings.helper", group: Group::Settings, look: helper },
    Check { id: "settings.login", group: Group::Settings, look: login },
    Check { id: "settings.windows", group: Group::Settings, look: windows },
];

/// Where Claude Code keeps what its owner's server has sent, below its configuration.
const REMOTE: &str = "remote-settings.json";

/// Where Claude Code for Windows looked for managed settings once, and nobody looks any more, as WSL sees it.
const STALE_WINDOWS: &str = "ProgramData/ClaudeCode/managed-settings.json";

/// All that is read, weaker files first.
pub(super) fn read(subject: &Subject) -> (Vec<SettingsFile>, Vec<String>) {
    let claude = &subject.setting.places.claude;
    let (mut files, mut notes) = claude::settings_files(claude, &subject.surroundings.directory);
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
            number => format!("Claude Code's settings are in {number} files, and can be read"),
        };
        return vec![Finding::ok(what)];
    }
    let unread = |note| Finding::warning(note).fix("mend it: Claude Code takes nothing of it, or does not start");
    notes.into_iter().map(unread).collect()
}

/// What a launch sets, with nothing fetched for it: in the settings file, and in the environment.
fn launched(profile: &Profile, subject: &Subject) -> (Value, Changes) {
    let inherited = &subject.setting.variables;
    let telemetry = environment::on_in_general(profile, inherited);
    let settings = claude::running(&profile.settings, &telemetry, inherited);
    let written = |_: &str, sources: &[crate::credential::Source]| {
        Ok::<_, std::convert::Infallible>(sources.iter().find_map(|source| source.literal()).unwrap_or("…").to_owned())
    };
    let Ok(own) = environment::own(profile, written);
    (settings, own.and(telemetry))
}

/// An administrator's settings beat everything.
fn managed(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning() else { return Vec::new() };
    let (settings, changes) = launched(profile, subject);
    let found = claude::overruling(&read(subject).0, &settings, &changes.set);
    let finding = |one: claude::Overruling| {
        let (key, place) = (&one.key, place(&one.file, &one.key));
        let administrator = "ask whoever manages this machine's Claude Code";
        if one.decides_where() {
            let what = format!("{place} sets {key} for everybody, and beats ccrun: telemetry does not come through it");
            Finding::failed(what).fix(format!("{administrator} to take it out, or for what it should say"))
        } else {
            let what = format!("{place} sets {key} for everybody, and beats the profile");
            Finding::warning(what).fix(format!("{administrator}, or have the profile say the same"))
        }
    };
    found.into_iter().map(finding).collect()
}

/// Variables of the profile's own that a settings file has, too: Claude Code takes that.
fn stronger(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let (_, changes) = launched(&resolved.profile, subject);
    let telemetry = environment::on_in_general(&resolved.profile, &subject.setting.variables);
    let (files, _) = read(subject);
    let weaker: Vec<_> = files.into_iter().filter(|file| !file.managed).collect();
    let enforced = &subject.config.enforce;
    let inherited = &subject.setting.variables;
    let explained =
        explain(&changes, &telemetry, Parties { resolved, enforced, inherited, files: &weaker, reveal: false });
    let own = explained.into_iter().filter(|one| resolved.profile.env.contains_key(&one.name));
    let finding = |name: &str, other: &Path| {
        let finding =
            Finding::warning(format!("Claude Code takes {name} from {}, not from the profile", place(other, name)));
        finding.fix("take it out there, or write it under `[settings.env]` in the profile, which is stronger")
    };
    own.filter_map(|one| Some(finding(&one.name, Path::new(&one.overruled_by?.place)))).collect()
}

/// What a repository says of telemetry. Most of it is not heard by Claude Code; `ccrun` takes back the rest.
fn project(subject: &Subject) -> Vec<Finding> {
    let below = subject.surroundings.directory.join(".claude");
    let (files, _) = read(subject);
    let of_project = files.into_iter().filter(|file| !file.managed && file.path.starts_with(&below));
    let of_user = subject.setting.places.claude.join("settings.json");
    let mut found = Vec::new();
    for file in of_project.filter(|file| file.path != of_user) {
        let off = file.variables.iter().filter(|(name, value)| switches_off(name, value));
        found.extend(off.map(|(name, value)| {
            let what = format!("{} turns telemetry off in this project: {name} is `{value}`", place(&file.path, name));
            Finding::warning(what)
                .detail("a session of ccrun's is told otherwise, and sends it all the same")
                .fix("take it out; or, where it is meant, start Claude Code there with CCRUN_OFF=1")
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

/// One that fails stops the export, and one that is slow holds it up: a session of ours has none.
fn helper(subject: &Subject) -> Vec<Finding> {
    let (files, _) = read(subject);
    let named = files.iter().filter(|file| !file.managed);
    let left = named.filter_map(|file| {
        let command = file.scalars.get(HELPER)?.as_str()?.trim();
        (!command.is_empty() && !command.contains("ccrun")).then(|| {
            let what = format!("{} names an `{HELPER}`, which ccrun's sessions do without", place(&file.path, HELPER));
            Finding::warning(what)
                .detail("a Claude Code that ccrun does not start asks it, and sends nothing where it fails")
                .fix("take it out; a profile's `headers_helper` does the same")
        })
    });
    left.collect()
}

/// Who signs in by the apps gateway hands it the telemetry, whatever else is said.
fn login(subject: &Subject) -> Vec<Finding> {
    let (files, _) = read(subject);
    let by_gateway =
        |file: &&SettingsFile| file.scalars.get("forceLoginMethod").is_some_and(|method| method == "gateway");
    let found = files.iter().filter(by_gateway).map(|file| {
        let place = place(&file.path, "forceLoginMethod");
        Finding::failed(format!(
            "{place} has everybody sign in by the apps gateway, which takes the telemetry: none comes here"
        ))
        .fix("have the gateway pass it on, or ask whoever manages it for another way to sign in")
    });
    found.collect()
}

/// What is managed on Windows where it was once, is managed by nobody.
fn windows(_subject: &Subject) -> Vec<Finding> {
    stale_windows(Path::new("/mnt")).into_iter().collect()
}

fn stale_windows(drives: &Path) -> Option<Finding> {
    let drive: PathBuf = drives.join("c");
    let stale = drive.join(STALE_WINDOWS);
    stale.is_file().then(|| {
        Finding::warning(format!(
            "`{}` is where Claude Code for Windows looked once, and does no more",
            stale.display()
        ))
        .fix(r"move it to C:\Program Files\ClaudeCode; inside WSL it is /etc/claude-code that counts")
    })
}

/// The variables that Claude Code would have, with the places that say so, as far as they are the user's, the
/// profile's or an administrator's: a repository is not heard here, for what is looked at may be given a key.
pub(super) fn effective(subject: &Subject) -> BTreeMap<String, (String, String)> {
    let mut variables: BTreeMap<String, (String, String)> = BTreeMap::new();
    let mut put = |name: &str, value: &str, place: String| {
        if !value.is_empty() {
            variables.insert(name.to_owned(), (value.to_owned(), place));
        }
    };
    for (name, value) in &subject.setting.variables {
        put(name, value, "the environment".to_owned());
    }
    let of_profile = |path: [&str; 2]| {
        let origin = subject.profile.as_ref().ok().and_then(|resolved| resolved.origin(path));
        origin.unwrap_or_else(|| "the profile".to_owned())
    };
    let profile = subject.meaning();
    for (name, sources) in profile.into_iter().flat_map(|profile| &profile.env) {
        let value = subject.fetch(sources).map(|fetched| fetched.value.0).unwrap_or_default();
        put(name, &value, of_profile(["env", name]));
    }
    let (files, _) = read(subject);
    let user = subject.setting.places.claude.join("settings.json");
    for file in files.iter().filter(|file| file.path == user) {
        for (name, value) in &file.variables {
            put(name, value, place(&file.path, name));
        }
    }
    let given = profile.and_then(|profile| profile.settings.get("env")).and_then(Value::as_object);
    for (name, value) in given.into_iter().flatten() {
        put(name, value.as_str().unwrap_or_default(), of_profile(["settings", "env"]));
    }
    for file in files.iter().filter(|file| file.managed) {
        for (name, value) in &file.variables {
            put(name, value, place(&file.path, name));
        }
    }
    variables
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_windows_reads_no_more_is_found_where_wsl_sees_it() {
        let drives = tempfile::tempdir().unwrap();
        assert_eq!(stale_windows(drives.path()), None);
        let stale = drives.path().join("c").join(STALE_WINDOWS);
        std::fs::create_dir_all(stale.parent().unwrap()).unwrap();
        std::fs::write(&stale, "{}").unwrap();
        let found = stale_windows(drives.path()).unwrap();
        assert!(found.summary.contains("ProgramData") && found.fix.unwrap().contains("Program Files"));
    }
}
