//! Settings of Claude Code's for those who start it without us, a user's or what an administrator hands out: what a
//! profile says without a launcher, and what keeps Claude from a launcher's dangerous verbs.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use crate::credential::Source;
use crate::environment;
use crate::profile::{HELPER, Profile, Protocol, Selection};
use crate::quoting;

/// Where Claude Code reads managed settings, by platform.
pub const PLACES: [(&str, &str); 3] = [
    ("Linux, WSL", "/etc/claude-code/managed-settings.json"),
    ("macOS", "/Library/Application Support/ClaudeCode/managed-settings.json"),
    ("Windows", r"C:\Program Files\ClaudeCode\managed-settings.json"),
];

/// Verbs with which a process could take secrets out, or change where telemetry goes. They refuse inside Claude Code's
/// own shell anyway; a rule that denies them is shown to the user before it comes to that.
const DANGEROUS: [&str; 13] = [
    "secret",
    "headers",
    "trust",
    "untrust",
    "wire",
    "unwire",
    "setup",
    "profile new",
    "profile add",
    "profile edit",
    "queue purge",
    "queue flush --to",
    "env --reveal",
];

/// What tells Claude Code to export by itself as a profile says. Headers with secrets come from `ccrun headers`, which is
/// at `ccrun` on those machines and is given what was selected here.
///
/// Errors are whole sentences: what cannot be said in a file that is the same everywhere.
pub fn without_launcher(profile: &Profile, selection: &Selection, ccrun: &Path) -> Result<Map<String, Value>, String> {
    let Some(destination) =
        environment::only_destination(profile).map_err(|reason| format!("without a collector {reason}"))?
    else {
        return Err(format!("the profile `{}` sends nothing anywhere: there is nothing to write down", profile.name));
    };
    let literals = destination.headers.iter().filter_map(|(name, sources)| match sources.as_slice() {
        [Source::Literal(value), ..] => Some((name.clone(), value.clone())),
        _ => None,
    });
    let literals: BTreeMap<_, _> = literals.collect();
    let asks = literals.len() < destination.headers.len() || destination.headers_helper.is_some();
    if asks && destination.protocol == Protocol::Grpc {
        return Err(format!(
            "destination `{}` speaks grpc, over which Claude Code asks nobody for headers: its secrets would have to \
             stand in the settings; use `protocol = \"http/protobuf\"`, or `ccrun claude`",
            destination.name
        ));
    }
    // What the helper prints is all of them.
    let headers = if asks { BTreeMap::new() } else { literals };
    let telemetry = environment::direct(profile, &headers, &BTreeMap::new());
    let telemetry = telemetry.map_err(|reason| format!("without a collector {reason}"))?;
    let own = environment::own(profile, |name, sources| match sources {
        [Source::Literal(value), ..] => Ok(value.clone()),
        _ => {
            Err(format!("`env.{name}` is fetched at each launch, which settings cannot do: that wants `ccrun claude`"))
        }
    })?;
    let variables: Map<_, _> = own.and(telemetry).set.into_iter().map(|(name, value)| (name, json!(value))).collect();
    let mut settings = profile.settings.clone();
    settings.insert("env".to_owned(), Value::Object(variables));
    if asks {
        settings.insert(HELPER.to_owned(), json!(helper(selection, ccrun)));
    }
    Ok(settings)
}

/// The command, as a shell takes it, that prints the headers of what was selected.
fn helper(selection: &Selection, ccrun: &Path) -> String {
    let mut words = vec![ccrun.display().to_string(), "headers".to_owned()];
    words.extend(selection.profiles.iter().flat_map(|name| ["-p".to_owned(), name.clone()]));
    let variables = selection.variables.iter();
    words.extend(variables.flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")]));
    words.iter().map(|word| quoting::word(word)).collect::<Vec<_>>().join(" ")
}

/// What goes with a launcher: nothing about telemetry, which is the launcher's, and rules for Claude Code's own shell.
pub fn with_launcher(ccrun: &Path) -> Value {
    let ccrun = ccrun.display().to_string();
    let rules = DANGEROUS.iter().flat_map(|verb| ["ccrun", &ccrun].map(|program| format!("Bash({program} {verb}:*)")));
    json!({ "permissions": { "deny": rules.collect::<Vec<_>>() } })
}
