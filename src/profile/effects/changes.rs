//! The values that a project's file changes, for a reader who decides whether to trust it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::named;
use crate::profile::document::Document;
use crate::profile::leaves::{Leaf, leaves, written};
use crate::profile::tree::{Node, Value};

/// Switches that are on by default.
const ON: [&str; 5] = [
    "cardinality.account_uuid",
    "cardinality.resource_attributes",
    "cardinality.session_id",
    "signals.logs",
    "signals.metrics",
];

/// A value that the project changes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Change {
    /// Its dotted key.
    pub key: String,
    /// Its value without the project, in TOML syntax.
    pub before: Option<String>,
    /// Its value with the project.
    pub after: Option<String>,
    /// Whether the change may run something, or send more out.
    pub opens: bool,
}

/// The differences of two trees with variables expanded. Changes that may run something or send more out come first.
pub(super) fn changes(
    without: Option<&Node>,
    (unexpanded, with): (&Node, &Node),
    project: &Arc<Document>,
) -> Vec<Change> {
    let unexpanded = by_key(unexpanded);
    let before = without.map(by_key).unwrap_or_default();
    let after = by_key(with);
    let keys: BTreeSet<&String> = before.keys().chain(after.keys()).collect();
    let mut changes: Vec<_> = keys
        .into_iter()
        .filter_map(|key| {
            let (before, after) = (before.get(key), after.get(key));
            let plain = |leaf: Option<&Leaf<'_>>| leaf.map(|leaf| written(leaf.node, false));
            (plain(before) != plain(after)).then(|| Change {
                key: key.clone(),
                before: before.map(|leaf| shown(leaf, None, project)),
                after: after.map(|leaf| shown(leaf, unexpanded.get(key), project)),
                opens: opens(key, before.map(|leaf| leaf.node), after.map(|leaf| leaf.node)),
            })
        })
        .collect();
    changes.sort_by_key(|change| !change.opens);
    changes
}

fn by_key(root: &Node) -> BTreeMap<String, Leaf<'_>> {
    leaves(root).into_iter().map(|leaf| (leaf.key.clone(), leaf)).collect()
}

/// A value for a reader. What the project itself says is shown. What may be one of the user's keys is not, nor text
/// that one of the user's variables produces.
fn shown(leaf: &Leaf<'_>, unexpanded: Option<&Leaf<'_>>, project: &Arc<Document>) -> String {
    let is_theirs = |leaf: &Leaf<'_>| Arc::ptr_eq(&leaf.node.origin.document, project);
    let may_be_key = leaf.hidden || ["vars.", "settings.env."].iter().any(|table| leaf.key.starts_with(table));
    if !may_be_key {
        return written(leaf.node, false);
    }
    match unexpanded.filter(|leaf| is_theirs(leaf)) {
        Some(unexpanded) => written(unexpanded.node, false),
        None if is_theirs(leaf) => written(leaf.node, false),
        None => named(leaf.node),
    }
}

/// Whether a change may run something, or send more out of the machine.
fn opens(key: &str, before: Option<&Node>, after: Option<&Node>) -> bool {
    let is_on = |node: Option<&Node>| match node.map(|node| &node.value) {
        Some(Value::Bool(truth)) => *truth,
        _ => ON.contains(&key),
    };
    let texts = |node: Option<&Node>| {
        let texts = node.into_iter().flat_map(Node::texts).map(|(text, _)| text.to_owned());
        texts.collect::<BTreeSet<_>>()
    };
    match key.split('.').next().unwrap_or_default() {
        "destination" | "env" | "settings" | "source" => true,
        "budget" | "budgets" => key.ends_with(".notify"),
        "signals" if key.ends_with("_interval") => false,
        "content" | "cardinality" | "signals" => is_on(after) && !is_on(before),
        "redact" => !matches!(key, "redact.drop" | "redact.hash") || !texts(before).is_subset(&texts(after)),
        "require" => !is_on(after),
        "collector" => key != "collector.drain_timeout",
        _ => false,
    }
}
