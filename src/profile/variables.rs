//! Variables: their declarations (`[vars.NAME]`), and the profile that each belongs to.
//!
//! A variable of a shipped profile belongs to that profile, with `PROFILE.NAME` as its full name. Layers on top can use
//! its plain name while that is unambiguous.

use std::collections::{BTreeMap, BTreeSet};

use super::built_in::BUILT_IN;
use super::diagnostic::{Diagnostic, Faults};
use super::leaves::is_same;
use super::placeholders;
use super::schema::{DYNAMIC, VARIABLE, check, guess, quoted};
use super::tree::{Entries, Node, Value};

/// The table of a tree that holds declarations. In a file it would be an unknown key.
const DECLARED: &str = "vars:declared";

/// A declaration of a variable.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Declaration {
    /// Its name.
    pub name: String,
    /// The allowed values; empty allows any.
    pub values: Vec<String>,
    /// Its description.
    pub description: String,
    /// Its default; without one it is required.
    pub default: Option<String>,
}

impl Declaration {
    /// Its description and allowed values: `your SigNoz region: us, eu or in`.
    pub fn about(&self) -> String {
        let values = one_of(&self.values);
        let parts = [self.description.as_str(), &values];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(": ")
    }

    fn read(name: &str, node: &Node) -> Self {
        let text = |key: &str| node.get(key).and_then(Node::text).map(str::to_owned);
        let values = node.get("values").into_iter().flat_map(Node::texts).map(|(text, _)| text.to_owned());
        Self {
            name: name.to_owned(),
            values: values.collect(),
            description: text("description").unwrap_or_default(),
            default: text("default"),
        }
    }
}

/// `us, eu or in`.
fn one_of(values: &[String]) -> String {
    match values {
        [] => String::new(),
        [one] => one.clone(),
        [others @ .., last] => format!("{} or {last}", others.join(", ")),
    }
}

/// Moves the declarations out of a document's `[vars]`. `shipped` is the name of the shipped profile, if the document
/// is one.
pub(super) fn declare(mut node: Node, shipped: Option<&str>) -> Node {
    let Value::Table(root) = &mut node.value else { return node };
    let Some(vars) = root.get_mut("vars") else { return node };
    let place = Node { value: Value::Table(Entries::new()), ..vars.clone() };
    let Value::Table(entries) = &mut vars.value else { return node };
    qualify(entries);
    let own = |name: &str| shipped.map_or_else(|| name.to_owned(), |profile| format!("{profile}.{name}"));
    let declared: Vec<String> =
        entries.iter().filter(|(_, node)| declares(node)).map(|(name, _)| name.clone()).collect();
    let declared: BTreeMap<String, Node> =
        declared.into_iter().filter_map(|name| Some((own(&name), entries.remove(&name)?))).collect();
    if shipped.is_some() {
        let names: BTreeMap<String, String> =
            declared.keys().map(|name| (plain(name).to_owned(), name.clone())).collect();
        rename(root, &names);
    }
    if !declared.is_empty() {
        root.insert(DECLARED.to_owned(), Node { value: Value::Table(declared), ..place });
    }
    node
}

/// `vars.PROFILE.NAME` as one name.
fn qualify(vars: &mut Entries) {
    let is_scope = |name: &str, node: &Node| is_shipped(name) && !declares(node) && !is_source(node);
    let scopes: Vec<String> =
        vars.iter().filter(|(name, node)| is_scope(name, node)).map(|(name, _)| name.clone()).collect();
    for scope in scopes {
        let Some(Node { value: Value::Table(below), .. }) = vars.get(&scope) else { continue };
        let below = below.clone();
        vars.remove(&scope);
        vars.extend(below.into_iter().map(|(name, node)| (format!("{scope}.{name}"), node)));
    }
}

fn is_source(node: &Node) -> bool {
    DYNAMIC.iter().any(|source| node.get(source).is_some())
}

fn declares(node: &Node) -> bool {
    !is_source(node) && VARIABLE.iter().any(|key| node.get(key.name).is_some())
}

fn is_shipped(name: &str) -> bool {
    BUILT_IN.iter().any(|(known, _)| *known == name)
}

/// A variable's name without the name of its shipped profile.
pub(super) fn plain(name: &str) -> &str {
    name.split_once('.').filter(|(profile, _)| is_shipped(profile)).map_or(name, |(_, plain)| plain)
}

/// Renames the variables of `upper` to their names in `lower`, which it is layered on.
pub(super) fn fitted(lower: &Node, mut upper: Node) -> Result<Node, Faults> {
    let declared: Vec<&String> = table(lower, DECLARED).map(|(name, _)| name).collect();
    if declared.is_empty() {
        return Ok(upper);
    }
    let own: BTreeSet<String> = table(&upper, DECLARED).map(|(name, _)| plain(name).to_owned()).collect();
    let meant =
        |name: &str| declared.iter().filter(|one| plain(one) == name && **one != name).copied().collect::<Vec<_>>();
    let mut names = BTreeMap::new();
    let mut faults = Vec::new();
    let set: BTreeSet<&String> = table(lower, "vars").map(|(name, _)| name).collect();
    let mut wanted: BTreeSet<String> = table(&upper, "vars").map(|(name, _)| name.clone()).collect();
    placeholders::names(&upper, &mut wanted);
    for name in wanted.iter().filter(|name| !own.contains(*name) && !set.contains(name)) {
        match (meant(name).as_slice(), table(&upper, "vars").find(|(set, _)| *set == name)) {
            ([one], _) => drop(names.insert(name.clone(), (*one).clone())),
            ([_, _, ..], Some((_, node))) => faults.push(ambiguous(name, node, &meant(name))),
            _ => {}
        }
    }
    if let Value::Table(root) = &mut upper.value {
        rename(root, &names);
    }
    if faults.is_empty() { Ok(upper) } else { Err(Faults(faults)) }
}

fn ambiguous(name: &str, node: &Node, meant: &[&String]) -> Diagnostic {
    let profiles: Vec<_> = meant.iter().filter_map(|name| Some(format!("`{}`", name.split_once('.')?.0))).collect();
    let fault = Diagnostic::at(&node.key, format!("`{name}` is a variable of {}", profiles.join(" and of ")));
    fault.help(format!("write {}", meant.iter().map(|name| quoted(&[name.as_str()])).collect::<Vec<_>>().join(" or ")))
}

/// Renames variables where they are set and in strings.
fn rename(root: &mut Entries, names: &BTreeMap<String, String>) {
    if names.is_empty() {
        return;
    }
    if let Some(Node { value: Value::Table(vars), .. }) = root.get_mut("vars") {
        for (from, to) in names {
            if let Some(node) = vars.remove(from) {
                vars.insert(to.clone(), node);
            }
        }
    }
    let others = root.iter_mut().filter(|(key, _)| !["vars", DECLARED, "extends", "unset"].contains(&key.as_str()));
    others.for_each(|(_, node)| rename_in(node, names));
}

fn rename_in(node: &mut Node, names: &BTreeMap<String, String>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => *text = placeholders::renamed(text, names),
        Value::List(items) => items.iter_mut().for_each(|item| rename_in(item, names)),
        Value::Table(entries) => entries.values_mut().for_each(|below| rename_in(below, names)),
        _ => {}
    }
}

/// The variables that two extended files set to different values.
pub(super) fn clashes(one: &Node, other: &Node, over: &Node, place: &Node) -> Vec<Diagnostic> {
    let settles = |name: &str| table(over, "vars").any(|(set, _)| set == name || set == plain(name));
    let both = table(one, "vars").filter_map(|(name, node)| Some((name, node, other.get("vars")?.get(name)?)));
    let differ = both.filter(|(name, one, other)| !settles(name) && !is_same(one, other));
    let fault = |(name, one, other): (&String, &Node, &Node)| {
        let message = format!("`{}` is set differently by {} and by {}", plain(name), one.origin, other.origin);
        Diagnostic::at(&place.origin, message).help("set it in the `[vars]` of this file")
    };
    differ.map(fault).collect()
}

/// The value of a variable, or its default.
pub(super) fn value<'a>(root: &'a Node, name: &str) -> Option<&'a Node> {
    let vars = root.get("vars");
    let set = |name: &str| vars.and_then(|vars| vars.get(name)).filter(|node| !declares(node));
    let default = || root.get(DECLARED)?.get(name)?.get("default");
    set(name).or_else(|| set(plain(name))).or_else(default)
}

/// The names of all variables of a tree: set, declared, or used in a string.
pub(super) fn known(root: &Node) -> BTreeSet<String> {
    let named = table(root, "vars").chain(table(root, DECLARED)).map(|(name, _)| name.clone());
    let mut known: BTreeSet<String> = named.collect();
    placeholders::names(root, &mut known);
    known.iter().map(|name| plain(name).to_owned()).chain(known.iter().cloned()).collect()
}

/// Checks that options set only known variables.
pub(super) fn check_known(root: &Node, options: &Node) -> Result<(), Faults> {
    let known = known(root);
    let plain: BTreeSet<&str> = known.iter().map(|name| plain(name)).collect();
    let plain: Vec<&str> = plain.into_iter().collect();
    let unknown = table(options, "vars").filter(|(name, _)| !known.contains(*name));
    let fault = |(name, node): (&String, &Node)| {
        let fault = Diagnostic::at(&node.key, format!("the profile has no variable `{name}`")).secret();
        fault.help(match (guess(name, &plain), plain.is_empty()) {
            (Some(meant), _) => format!("did you mean `{meant}`?"),
            (None, true) => "it has no variables at all".to_owned(),
            (None, false) => format!("its variables: {}", plain.join(", ")),
        })
    };
    let faults: Vec<_> = unknown.map(fault).collect();
    if faults.is_empty() { Ok(()) } else { Err(Faults(faults)) }
}

/// The declarations of a tree. Those of one file are in its order.
pub(super) fn declarations(root: &Node) -> Vec<Declaration> {
    let mut declared: Vec<_> = table(root, DECLARED).collect();
    declared.sort_by_key(|(_, node)| (node.key.document.label.clone(), node.key.span.start));
    declared.into_iter().map(|(name, node)| Declaration::read(&shown(root, name), node)).collect()
}

/// The declaration of the variable with this name.
pub(super) fn declaration(root: &Node, name: &str) -> Option<Declaration> {
    let node = root.get(DECLARED)?.get(name)?;
    Some(Declaration::read(&shown(root, name), node))
}

/// The name of a variable for people: its plain name while that is unambiguous.
pub(super) fn shown(root: &Node, name: &str) -> String {
    let is_clear = table(root, DECLARED).filter(|(other, _)| plain(other) == plain(name)).count() < 2;
    if is_clear { plain(name).to_owned() } else { name.to_owned() }
}

/// Checks declarations and the values of variables. `left_out` are the dotted keys of unknown values.
pub(super) fn check_values(root: &Node, left_out: &[String], faults: &mut Vec<Diagnostic>) {
    for (name, node) in table(root, DECLARED) {
        check(node.entries().unwrap_or(&Entries::new()), VARIABLE, &format!("vars.{}", plain(name)), faults);
        let declaration = Declaration::read(&shown(root, name), node);
        let Some((node, text)) = value(root, name).and_then(|node| Some((node, node.text()?))) else { continue };
        let is_known = ![name, plain(name)].iter().any(|name| left_out.contains(&format!("vars.{name}")));
        if is_known && !declaration.values.is_empty() && !declaration.values.iter().any(|value| value == text) {
            let fault =
                Diagnostic::at(&node.origin, format!("`{text}` is not a valid value of `{}`", declaration.name));
            faults.push(fault.help(format!("allowed: {}", one_of(&declaration.values))));
        }
    }
}

/// Sets a variable.
pub(super) fn set(root: &mut Node, name: String, value: Node) {
    let Value::Table(entries) = &mut root.value else { return };
    let vars = entries.entry("vars".to_owned());
    let vars = vars.or_insert_with(|| Node { value: Value::Table(Entries::new()), ..value.clone() });
    if let Value::Table(vars) = &mut vars.value {
        vars.insert(name, value);
    }
}

/// Moves every variable to its name for people, and removes the declarations.
pub(super) fn settle(root: &mut Node) {
    let names: Vec<String> = table(root, DECLARED).map(|(name, _)| name.clone()).collect();
    let values: Vec<_> = names.iter().map(|name| (name, shown(root, name), value(root, name).cloned())).collect();
    let place = root.get(DECLARED).cloned();
    let Value::Table(entries) = &mut root.value else { return };
    entries.remove(DECLARED);
    let Some(place) = place else { return };
    let vars =
        entries.entry("vars".to_owned()).or_insert_with(|| Node { value: Value::Table(Entries::new()), ..place });
    let Value::Table(vars) = &mut vars.value else { return };
    for (name, shown, value) in values {
        vars.remove(name);
        vars.extend(value.map(|value| (shown, value)));
    }
}

fn table<'a>(root: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
    root.get(key).and_then(Node::entries).into_iter().flatten()
}
