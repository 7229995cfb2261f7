//! Claude Code settings for use without the launcher, by a user or an administrator: a profile's telemetry settings,
//! and rules that deny Claude the dangerous verbs of `ccrun`.

use std::collections::BTreeMap;
use std::path::Path;

use serde_json::{Map, Value, json};

use super::settings_schema;
use crate::environment;
use crate::environment::quoting;
use crate::profile::{HELPER, Profile, Protocol, Selection};
use crate::secret::Source;

/// The paths of managed settings by platform.
pub const PLACES: [(&str, &str); 3] = [
    ("Linux, WSL", "/etc/claude-code/managed-settings.json"),
    ("macOS", "/Library/Application Support/ClaudeCode/managed-settings.json"),
    ("Windows", r"C:\Program Files\ClaudeCode\managed-settings.json"),
];

/// Verbs that could reveal secrets, change where telemetry goes, or change what was recorded. They refuse inside Claude Code's own shell anyway,
/// but a deny rule shows the user the attempt.
const DANGEROUS: [&str; 18] = [
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
    "import",
    "budget lift",
    "ledger forget",
    "ledger import",
    "ledger sync",
];

/// Settings that make Claude Code export by itself as the profile says. Headers with secrets come from `ccrun headers`,
/// at the path `ccrun` on the target machines, with the same selection.
///
/// Errors are whole sentences about what a file that is the same on all machines cannot express.
pub fn without_launcher(profile: &Profile, selection: &Selection, ccrun: &Path) -> Result<Map<String, Value>, String> {
    if let Some(fault) = settings_schema::fault(&profile.settings) {
        return Err(format!("`[settings]`: {fault}; Claude Code would ignore the whole file"));
    }
    let Some(destination) =
        environment::only_destination(profile).map_err(|reason| format!("without a collector, {reason}"))?
    else {
        return Err(format!("the profile `{}` has no destination, so there is nothing to write", profile.name));
    };
    let literals = destination.headers.iter().filter_map(|(name, sources)| match sources.as_slice() {
        [Source::Literal(value), ..] => Some((name.clone(), value.clone())),
        _ => None,
    });
    let literals: BTreeMap<_, _> = literals.collect();
    let asks = literals.len() < destination.headers.len() || destination.headers_helper.is_some();
    if asks && destination.protocol == Protocol::Grpc {
        return Err(format!(
            "destination `{}` uses gRPC, for which Claude Code calls no header helper: its secrets would have to \
             be in the settings; use `protocol = \"http/protobuf\"`, or `ccrun claude`",
            destination.name
        ));
    }
    // The helper prints all of them.
    let headers = if asks { BTreeMap::new() } else { literals };
    let telemetry = environment::direct(profile, &headers, &BTreeMap::new());
    let telemetry = telemetry.map_err(|reason| format!("without a collector, {reason}"))?;
    let own = environment::own(profile, |name, sources| match sources {
        [Source::Literal(value), ..] => Ok(value.clone()),
        _ => Err(format!("`env.{name}` is fetched at each launch, which settings cannot do: use `ccrun claude`")),
    })?;
    let variables: Map<_, _> = own.and(telemetry).set.into_iter().map(|(name, value)| (name, json!(value))).collect();
    let mut settings = profile.settings.clone();
    settings.insert("env".to_owned(), Value::Object(variables));
    if asks {
        settings.insert(HELPER.to_owned(), json!(helper(selection, ccrun)));
    }
    Ok(settings)
}

/// The shell command that prints the headers of the selection.
fn helper(selection: &Selection, ccrun: &Path) -> String {
    let mut words = vec![ccrun.display().to_string(), "headers".to_owned()];
    words.extend(selection.profiles.iter().flat_map(|name| ["-p".to_owned(), name.clone()]));
    let variables = selection.variables.iter();
    words.extend(variables.flat_map(|(name, value)| ["--var".to_owned(), format!("{name}={value}")]));
    words.iter().map(|word| quoting::word(word)).collect::<Vec<_>>().join(" ")
}

/// Settings for use with a launcher: nothing about telemetry, and deny rules for Claude Code's own shell.
pub fn with_launcher(ccrun: &Path) -> Value {
    let ccrun = ccrun.display().to_string();
    let rules = DANGEROUS.iter().flat_map(|verb| ["ccrun", &ccrun].map(|program| format!("Bash({program} {verb}:*)")));
    json!({ "permissions": { "deny": rules.collect::<Vec<_>>() } })
}
