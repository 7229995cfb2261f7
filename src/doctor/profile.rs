//! Checks whether the profile is valid, applies, and means what its author meant.

use super::environment::crossed;
use super::{Check, Finding, Group, Subject, names};
use crate::credential::FetchedHeaders;
use crate::launch::direct::HEADERS;
use crate::profile::{DEFAULT, Diagnostic, Faults, INHERITED};
use crate::state::Places;
use crate::workspace::{IgnoredProject, unknown_variables};
use crate::{claude, launch};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "profile.valid", group: Group::Profile, look: valid },
    Check { id: "profile.off", group: Group::Profile, look: off },
    Check { id: "profile.configuration", group: Group::Profile, look: configuration },
    Check { id: "profile.project", group: Group::Profile, look: project },
    Check { id: "profile.inherited", group: Group::Profile, look: inherited },
    Check { id: "profile.typo", group: Group::Profile, look: typo },
    Check { id: "profile.port", group: Group::Profile, look: port },
    Check { id: "profile.direct", group: Group::Profile, look: direct },
];

/// Every fault of the selected profile, or a summary if it is valid.
fn valid(subject: &Subject) -> Vec<Finding> {
    match &subject.profile {
        Ok(resolved) => {
            let profile = &resolved.profile;
            let destinations: Vec<_> = profile.destinations.iter().map(|one| format!("`{}`", one.name)).collect();
            let to = match destinations.as_slice() {
                [] => "records on this machine and sends nothing".to_owned(),
                all => format!("sends to {}", all.join(", ")),
            };
            let finding = Finding::ok(format!("the profile `{}` is valid and {to}", profile.name));
            let is_unchosen = subject.selection.profiles.is_empty() && subject.config.defaults.profile.is_none();
            if profile.name == DEFAULT && is_unchosen {
                let how = format!(
                    "it is the default: choose another with `-p NAME`, CCRUN_PROFILE or `profile` in {}",
                    config(subject)
                );
                return vec![finding.detail(how)];
            }
            vec![finding]
        }
        Err(Faults(faults)) => faults.iter().map(|one| fault(one, subject)).collect(),
    }
}

/// Shows the line of a fault, unless it may contain a secret.
fn fault(fault: &Diagnostic, subject: &Subject) -> Finding {
    let place = fault.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let mut finding = Finding::failed(format!("telemetry is off: {place}{}", fault.message));
    finding.details.extend(fault.line());
    let selection = &subject.selection;
    // `profile check` takes names alone.
    let check = if selection.variables.is_empty() {
        format!("ccrun profile check{}", selection.profiles.iter().flat_map(|name| [" ", name]).collect::<String>())
    } else {
        selection.command("doctor", false)
    };
    let again = || format!("correct it, then run `{check}`");
    finding.fix(fault.help.clone().unwrap_or_else(again))
}

fn off(subject: &Subject) -> Vec<Finding> {
    let finding = if subject.process.switch(launch::OFF) {
        Finding::failed("ccrun is switched off by CCRUN_OFF: launches have no telemetry from it").fix("unset CCRUN_OFF")
    } else if subject.config.off {
        Finding::failed(format!(
            "ccrun is switched off by `off` in {}: launches have no telemetry from it",
            off_file(subject)
        ))
        .fix("remove `off = true`")
    } else {
        return Vec::new();
    };
    vec![finding]
}

/// The user's `config.toml`, as shown to people.
fn config(subject: &Subject) -> String {
    Places::shortened(&subject.workspace.places.config.join("config.toml"))
}

/// The file that sets `off`: the user's if it does, because it takes precedence.
fn off_file(subject: &Subject) -> String {
    let system = subject.workspace.places.system.join("config.toml");
    let own = subject.workspace.places.config.join("config.toml");
    Places::shortened(if own.exists() { &own } else { &system })
}

/// Unknown keys in `config.toml` and unknown `CCRUN_` variables.
fn configuration(subject: &Subject) -> Vec<Finding> {
    let fix = "correct the name, or remove it";
    let warnings = subject.config.warnings.iter().cloned().chain(unknown_variables(&subject.process));
    warnings.map(|warning| Finding::warning(warning).fix(fix)).collect()
}

/// A project file that does not apply.
fn project(subject: &Subject) -> Vec<Finding> {
    let Some(ignored) = &subject.ignored else { return Vec::new() };
    let trust = "`ccrun trust` shows what it would do and lets you trust it";
    vec![match ignored {
        IgnoredProject::Untrusted(path) => {
            Finding::warning(format!("the project's file `{}` is not trusted, so it is ignored", path.display()))
                .fix(trust)
        }
        IgnoredProject::Changed(path) => {
            let path = path.display();
            let what = format!("the project's file `{path}` has changed since it was trusted, so it is ignored");
            Finding::warning(what).fix(trust)
        }
        IgnoredProject::Unreadable(_) | IgnoredProject::Invalid(_) => {
            Finding::warning(ignored.to_string()).fix("fix it, or delete it")
        }
    }]
}

/// What is lost of telemetry that was configured without `ccrun`.
fn inherited(subject: &Subject) -> Vec<Finding> {
    let is_used = subject.meaning().is_some_and(|profile| [INHERITED, DEFAULT].contains(&profile.name.as_str()));
    let Some(found) = subject.workspace.inherited().filter(|_| is_used) else { return Vec::new() };
    let lost = |remark: &String| {
        let finding = Finding::warning(format!("in the telemetry that was configured without ccrun, {remark}"));
        finding.fix("`ccrun profile new NAME --from-env` writes the rest to a profile for you to complete")
    };
    found.remarks().iter().map(lost).collect()
}

/// Unknown names in `[env]` and `[settings.env]`.
fn typo(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let env = resolved.profile.env.keys().map(|name| (vec!["env", name], name));
    let settings = resolved.profile.settings.get("env").and_then(serde_json::Value::as_object).into_iter().flatten();
    let all = env.chain(settings.map(|(name, _)| (vec!["settings", "env", name], name)));
    let finding = |(path, name): (Vec<&str>, &String)| {
        let meant = names::meant(name)?;
        let place = resolved.origin(path).unwrap_or_else(|| "the profile".to_owned());
        Some(Finding::warning(format!("{place}: {name} is not a known variable")).fix(format!("did you mean {meant}?")))
    };
    all.filter_map(finding).collect()
}

/// A port that by convention belongs to the other protocol.
fn port(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let finding = |destination: &crate::profile::Destination| {
        let (spoken, custom, other) = crossed(&destination.endpoint, destination.protocol.name())?;
        let place = resolved.origin(["destination", &destination.name, "endpoint"]).unwrap_or_default();
        let what = format!("`{}` is used with {spoken}, but its port is usually {custom}'s", destination.name);
        let protocol = if spoken == "HTTP" { "grpc" } else { "http/protobuf" };
        Some(Finding::warning(what).detail(place).fix(format!("use port {other}, or set `protocol = \"{protocol}\"`")))
    };
    resolved.profile.destinations.iter().filter_map(finding).collect()
}

/// What the profile asks for and direct mode cannot do.
fn direct(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning().filter(|profile| profile.collector.direct) else { return Vec::new() };
    let stay = "set `mode = \"session\"` in `[collector]`, which uses a collector";
    if claude::user_telemetry(&subject.workspace.places.claude).contains_key(HEADERS) {
        let what =
            format!("telemetry is off: without a collector, {HEADERS} from Claude Code's user settings would be sent");
        return vec![Finding::failed(what).fix("remove it from them")];
    }
    if profile.destinations.is_empty() {
        let what = "telemetry is off: without a collector, nothing is recorded, and there is no destination";
        return vec![Finding::warning(what).fix("add a destination, or remove `mode = \"direct\"`")];
    }
    let headers = profile.destinations.first().and_then(|destination| subject.fetched(destination).ok());
    let headers = headers
        .into_iter()
        .flat_map(FetchedHeaders::into_values)
        .map(|(name, value)| (name, value.expose().to_owned()))
        .collect();
    match launch::direct::telemetry(profile, &headers, &subject.workspace) {
        Ok(_) => vec![
            Finding::ok("the program exports by itself, without a collector")
                .detail("its environment contains the headers, and what the backend does not accept at once is lost"),
        ],
        Err(reason) => vec![Finding::failed(format!("telemetry is off: {reason}")).fix(stay)],
    }
}
