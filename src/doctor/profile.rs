//! Whether the profile means what its author meant, and applies at all.

use super::environment::crossed;
use super::{Check, Finding, Group, Subject, names};
use crate::launch::direct::HEADERS;
use crate::profile::{DEFAULT, Diagnostic, Faults, INHERITED};
use crate::{claude, launch};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "profile.valid", group: Group::Profile, look: valid },
    Check { id: "profile.off", group: Group::Profile, look: off },
    Check { id: "profile.project", group: Group::Profile, look: project },
    Check { id: "profile.inherited", group: Group::Profile, look: inherited },
    Check { id: "profile.typo", group: Group::Profile, look: typo },
    Check { id: "profile.port", group: Group::Profile, look: port },
    Check { id: "profile.direct", group: Group::Profile, look: direct },
];

/// Every fault of what was chosen, or what it is.
fn valid(subject: &Subject) -> Vec<Finding> {
    match &subject.profile {
        Ok(resolved) => {
            let profile = &resolved.profile;
            let destinations: Vec<_> = profile.destinations.iter().map(|one| format!("`{}`", one.name)).collect();
            let to = match destinations.as_slice() {
                [] => "records on this machine and sends nothing anywhere".to_owned(),
                all => format!("sends to {}", all.join(", ")),
            };
            let finding = Finding::ok(format!("the profile `{}` is valid and {to}", profile.name));
            let is_unchosen = subject.selection.profiles.is_empty() && subject.config.profile.is_none();
            if profile.name == DEFAULT && is_unchosen {
                let how = "nobody chose another: `-p NAME`, CCRUN_PROFILE and `profile` in config.toml do";
                return vec![finding.detail(how)];
            }
            vec![finding]
        }
        Err(Faults(faults)) => faults.iter().map(fault).collect(),
    }
}

/// The line that a fault stands in is shown, as long as no secret can be in it.
fn fault(fault: &Diagnostic) -> Finding {
    let place = fault.origin.as_ref().map(|origin| format!("{origin}: ")).unwrap_or_default();
    let mut finding = Finding::failed(format!("telemetry is off: {place}{}", fault.message));
    finding.details.extend(fault.line().map(str::to_owned));
    finding.fix(fault.help.clone().unwrap_or_else(|| "mend that; `ccrun profile check` looks again".to_owned()))
}

fn off(subject: &Subject) -> Vec<Finding> {
    let finding = if subject.surroundings.switch("CCRUN_OFF") {
        Finding::failed("ccrun is switched off by CCRUN_OFF: launches go without telemetry of its")
            .fix("unset CCRUN_OFF")
    } else if subject.config.off {
        Finding::failed("ccrun is switched off by `off` in config.toml: launches go without telemetry of its")
            .fix("take `off = true` out")
    } else {
        return Vec::new();
    };
    vec![finding]
}

/// A project's file that takes no part.
fn project(subject: &Subject) -> Vec<Finding> {
    let Some(reason) = &subject.unheard else { return Vec::new() };
    match reason.split_once(": `ccrun trust` ") {
        Some((what, _)) => vec![
            Finding::warning(format!("the project's file {what}"))
                .fix("`ccrun trust` shows what it would do, and asks whether it may"),
        ],
        None => vec![Finding::warning(reason.clone()).fix("mend it, or take it away")],
    }
}

/// What of telemetry that was set up without `ccrun` is lost.
fn inherited(subject: &Subject) -> Vec<Finding> {
    let is_used = subject.meaning().is_some_and(|profile| [INHERITED, DEFAULT].contains(&profile.name.as_str()));
    let Some(found) = subject.setting.inherited().filter(|_| is_used) else { return Vec::new() };
    let lost = |remark: &String| {
        let finding = Finding::warning(format!("of the telemetry that was set up without ccrun, {remark}"));
        finding.fix("`ccrun profile new NAME --from-env` writes a profile of the rest, to be completed")
    };
    found.remarks().iter().map(lost).collect()
}

/// Names in `[env]` and `[settings.env]` that mean nothing.
fn typo(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let env = resolved.profile.env.keys().map(|name| (vec!["env", name], name));
    let settings = resolved.profile.settings.get("env").and_then(serde_json::Value::as_object).into_iter().flatten();
    let all = env.chain(settings.map(|(name, _)| (vec!["settings", "env", name], name)));
    let finding = |(path, name): (Vec<&str>, &String)| {
        let meant = names::meant(name)?;
        let place = resolved.origin(path).unwrap_or_else(|| "the profile".to_owned());
        Some(
            Finding::warning(format!("{place}: {name} means nothing to anybody")).fix(format!("did you mean {meant}?")),
        )
    };
    all.filter_map(finding).collect()
}

/// A port that by custom is the other protocol's.
fn port(subject: &Subject) -> Vec<Finding> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let finding = |destination: &crate::profile::Destination| {
        let (spoken, custom, other) = crossed(&destination.endpoint, destination.protocol.name())?;
        let place = resolved.origin(["destination", &destination.name, "endpoint"]).unwrap_or_default();
        let what = format!("`{}` is spoken to as {spoken}, and its port is {custom}'s by custom", destination.name);
        let protocol = if spoken == "HTTP" { "grpc" } else { "http/protobuf" };
        Some(Finding::warning(what).detail(place).fix(format!("port {other}, or `protocol = \"{protocol}\"`")))
    };
    resolved.profile.destinations.iter().filter_map(finding).collect()
}

/// Without a collector not everything can be done that a profile may want.
fn direct(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning().filter(|profile| profile.collector.direct) else { return Vec::new() };
    let stay = "`mode = \"session\"` in `[collector]` does with a collector what cannot be done without";
    if claude::user_telemetry(&subject.setting.places.claude).contains_key(HEADERS) {
        let what =
            format!("telemetry is off: without a collector {HEADERS} in Claude Code's user settings would be sent");
        return vec![Finding::failed(what).fix("take it out of them")];
    }
    if profile.destinations.is_empty() {
        let what = "without a collector nothing is recorded, and there is no destination: telemetry is off";
        return vec![Finding::warning(what).fix("name a destination, or take `mode = \"direct\"` out")];
    }
    let headers = profile.destinations.first().and_then(|destination| subject.headers(destination).ok());
    let headers = headers.into_iter().flatten().map(|(name, value)| (name, value.0)).collect();
    match launch::direct::telemetry(profile, &headers, &subject.setting) {
        Ok(_) => vec![
            Finding::ok("the program exports by itself, without a collector")
                .detail("its environment holds the headers, and what the backend does not take at once is lost"),
        ],
        Err(reason) => vec![Finding::failed(format!("telemetry is off: {reason}")).fix(stay)],
    }
}
