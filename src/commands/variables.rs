//! A program's variables as shown to people, without secrets, for `ccrun env` and `ccrun --dry-run`.

use std::collections::BTreeMap;

use anyhow::Result;

use crate::claude;
use crate::environment::{self, Changes};
use crate::launch::explain::Explained;
use crate::launch::{direct, sentinel};
use crate::profile::Profile;
use crate::secret::Source;
use crate::terminal::mask::{HIDDEN, is_secret_name, may_be_secret};
use crate::terminal::printable::visible;
use crate::workspace::Workspace;

/// A literal that is not secret, or the source of the value. Nothing is fetched, because fetching may start a program.
pub(super) fn shown(name: &str, sources: &[Source]) -> String {
    match sources {
        [Source::Literal(value), ..] if is_secret_name(name) || may_be_secret(value) => HIDDEN.to_owned(),
        sources => named(sources),
    }
}

/// A literal, or the source of the value.
pub(super) fn named(sources: &[Source]) -> String {
    match sources {
        [Source::Literal(value), ..] => value.clone(),
        sources => format!("<{}>", sources.iter().map(Source::to_string).collect::<Vec<_>>().join(", else ")),
    }
}

/// Adds the variables that a launch sets for itself.
pub(super) fn with_launchs(mut changes: Changes) -> Changes {
    changes.set.insert(sentinel::VARIABLE.to_owned(), "<launch>".to_owned());
    changes.set.insert(claude::RESUME_OPTIONS.to_owned(), "<Claude Code's options>".to_owned());
    changes
}

/// Variables without an explanation.
pub(super) fn plain(changes: Changes) -> Vec<Explained> {
    let bare = |name, value| Explained { name, value, origins: Vec::new(), overrides: Vec::new(), overruled_by: None };
    let set = changes.set.into_iter().map(|(name, value)| bare(name, Some(value)));
    set.chain(changes.removed.into_iter().map(|name| bare(name, None))).collect()
}

pub(super) fn as_text(variables: &[Explained]) -> String {
    let mut out = String::new();
    let mut line = |text: String| out.extend([visible(&text).as_str(), "\n"]);
    for variable in variables {
        match &variable.value {
            Some(value) => line(format!("{}={value}", variable.name)),
            None => line(format!("{} is removed", variable.name)),
        }
        for origin in &variable.origins {
            line(format!("    from {origin}"));
        }
        for other in &variable.overrides {
            line(format!("    overrides {}: {}", other.place, other.value));
        }
        if let Some(other) = &variable.overruled_by {
            line(format!("    but Claude Code takes it from {}: {}", other.place, other.value));
        }
    }
    out
}

/// The telemetry variables of a launch without a collector, with the source of each header instead of its value.
pub(super) fn masked_telemetry(profile: &Profile, workspace: &Workspace) -> Result<Changes> {
    let mut changes = direct::telemetry(profile, &BTreeMap::new(), workspace)?;
    let destination = environment::only_destination(profile).ok().flatten();
    let headers = destination.into_iter().flat_map(|destination| &destination.headers);
    let mut list: Vec<_> = headers.map(|(name, sources)| format!("{name}={}", shown(name, sources))).collect();
    list.extend(
        destination
            .and_then(|destination| destination.headers_helper.as_ref())
            .map(|helper| format!("<the headers that `{}` prints>", helper.argv.first().map_or("", String::as_str))),
    );
    if !list.is_empty() {
        changes.set.insert(direct::HEADERS.to_owned(), list.join(","));
    }
    Ok(changes)
}
