//! A project's file can only lower a budget. Its own budget is kept apart from those of the user's files, so that all
//! of them apply.

use std::collections::BTreeSet;

use super::diagnostic::{Diagnostic, Faults};
use super::placeholders::names_in;
use super::schema::{PROFILE, check};
use super::tree::{Entries, Node, Value};

/// The key of the profile's own budget.
const OWN: &str = "budget";

/// The key under which further budgets are kept in a merged tree, each by its source. No file can have it.
pub(super) const FURTHER: &str = "budgets";

/// The source of a project's budget. No profile can have this name.
const PROJECT: &str = ".ccrun.toml";

/// Sets the budget of a project's layer apart, and keeps the layer from removing another one.
pub(super) fn set_apart(project: &mut Node) -> Result<(), Faults> {
    refuse_further(project)?;
    let Value::Table(entries) = &mut project.value else { return Ok(()) };
    if let Some(Node { value: Value::List(paths), .. }) = entries.get_mut("unset") {
        let is_budget = |path: &str| path.split('.').next() == Some(OWN);
        paths.retain(|path| !path.text().is_some_and(is_budget));
    }
    if let Some(budget) = entries.remove(OWN) {
        add(project, PROJECT, budget);
    }
    Ok(())
}

/// Adds the budget of the profile `name`, which would apply without the project.
pub(super) fn add_of(root: &mut Node, name: &str, other: &Node) {
    let Some(mut budget) = other.get(OWN).cloned() else { return };
    // Of those who are told, the ones that only the other profile's fetched variables could complete are left out.
    let is_complete = |node: &Node| {
        let mut wanted = BTreeSet::new();
        names_in(node, &mut wanted);
        wanted.is_empty()
    };
    if let Value::Table(keys) = &mut budget.value
        && let Some(Node { value: Value::List(receivers), .. }) = keys.get_mut("notify")
    {
        receivers.retain(is_complete);
    }
    add(root, name, budget);
}

fn add(root: &mut Node, source: &str, budget: Node) {
    let Value::Table(entries) = &mut root.value else { return };
    let empty = || Node { value: Value::Table(Entries::new()), ..budget.clone() };
    let further = entries.entry(FURTHER.to_owned()).or_insert_with(empty);
    if let Value::Table(sources) = &mut further.value {
        sources.insert(source.to_owned(), budget);
    }
}

/// Refuses a layer that has the key of further budgets, like any unknown key.
pub(super) fn refuse_further(layer: &Node) -> Result<(), Faults> {
    let Some(node) = layer.get(FURTHER) else { return Ok(()) };
    let mut faults = Vec::new();
    check(&Entries::from([(FURTHER.to_owned(), node.clone())]), PROFILE, "", &mut faults);
    Err(Faults(faults))
}

/// All budgets of a merged tree.
pub(super) fn all(root: &Node) -> impl Iterator<Item = &Node> {
    let further = root.get(FURTHER).and_then(Node::entries).into_iter().flat_map(Entries::values);
    root.get(OWN).into_iter().chain(further)
}

/// Who is told about a budget, as written.
pub(super) fn receivers(budget: &Node) -> &[Node] {
    match budget.get("notify").map(|notify| &notify.value) {
        Some(Value::List(receivers)) => receivers,
        _ => &[],
    }
}

/// Takes further budgets out of a merged tree, whose other keys are all from files.
pub(super) fn take_further(root: &mut Node) -> Option<Node> {
    let Value::Table(entries) = &mut root.value else { return None };
    entries.remove(FURTHER)
}

/// Checks further budgets like the profile's own, and puts them back.
pub(super) fn check_further(root: &mut Node, further: Option<Node>, faults: &mut Vec<Diagnostic>) {
    let (Value::Table(entries), Some(further)) = (&mut root.value, further) else { return };
    for budget in further.entries().into_iter().flat_map(Entries::values) {
        check(&Entries::from([(OWN.to_owned(), budget.clone())]), PROFILE, "", faults);
    }
    entries.insert(FURTHER.to_owned(), further);
}
