//! What a merged tree would do, before anything in it is fetched or run: for somebody who decides whether it may.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::document::Document;
use super::expand::expand;
use super::tree::{Entries, Node, Value};

/// What is resolved, as far as it is shown. All of it may be foreign.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    /// Commands that are run, each with its arguments.
    pub commands: Vec<Vec<String>>,
    /// Which secret goes to which host because of the project. This is recorded, too.
    pub secrets: BTreeSet<(String, String)>,
    /// What content leaves the machine.
    pub content: Vec<String>,
    /// The program's variables.
    pub variables: Vec<String>,
    /// Keys of Claude Code's own settings, and their values.
    pub settings: Vec<(String, String)>,
    /// Destinations and their endpoints.
    pub destinations: Vec<(String, String)>,
    /// Resource attributes.
    pub attributes: Vec<(String, String)>,
}

/// Reads the plan of a merged tree in which a project's document takes part.
pub(super) fn plan(merged: &Node, project: &Arc<Document>) -> Plan {
    let mut root = merged.clone();
    // A variable that is not defined stays as it is written, and is a fault where the profile is used.
    expand(&mut root, &mut Vec::new());
    let mut plan = Plan::default();
    commands(&root, &mut plan.commands);
    for (name, destination) in entries(&root, "destination") {
        plan.destinations.push((name.clone(), destination.get("endpoint").map(written).unwrap_or_default()));
    }
    plan.secrets = secrets(&root, project);
    let on = |node: &Node| matches!(node.value, Value::Bool(true));
    plan.content = entries(&root, "content").filter(|(_, node)| on(node)).map(|(key, _)| key.clone()).collect();
    plan.variables = entries(&root, "env")
        .map(|(name, node)| format!("{name} = {}", if node.text().is_some() { written(node) } else { named(node) }))
        .collect();
    plan.settings = entries(&root, "settings").map(|(key, node)| (key.clone(), written(node))).collect();
    let attributes = ["team", "resource"].into_iter().flat_map(|table| entries(&root, table));
    plan.attributes = attributes.map(|(key, node)| (key.clone(), written(node))).collect();
    plan
}

/// Which secret goes to which host where the project has a hand in it: it names the host, or the header, or any
/// variable, for that may be part of either. What goes where without it is the user's own business.
fn secrets(root: &Node, project: &Arc<Document>) -> BTreeSet<(String, String)> {
    let theirs = |node: &Node| Arc::ptr_eq(&node.origin.document, project);
    let any_variable = entries(root, "vars").any(|(_, node)| theirs(node));
    let mut pairs = BTreeSet::new();
    for (_, destination) in entries(root, "destination") {
        let Some(endpoint) = destination.get("endpoint") else { continue };
        if let Some(helper) = destination.get("headers_helper") {
            let has_hand =
                any_variable || theirs(endpoint) || helper.entries().is_some_and(|keys| keys.values().any(theirs));
            if has_hand {
                pairs.insert((format!("headers_helper: {}", written(helper)), written(endpoint)));
            }
        }
        // Who says which certificates count says who may be the host.
        let any_certificate = entries(destination, "tls").any(|(_, node)| theirs(node));
        if let Some(cert) = destination.get("tls").and_then(|tls| tls.get("cert"))
            && (any_variable || theirs(endpoint) || any_certificate)
        {
            pairs.insert((format!("the client certificate {}", written(cert)), written(endpoint)));
        }
        for (header, source) in entries(destination, "headers") {
            let is_literal = source.text().is_some();
            if is_literal && theirs(endpoint) && !theirs(source) {
                // What somebody wrote, or what was found with the profile `inherited`, may be a key.
                pairs.insert((format!("{header}: what {} says", source.origin.document.label), written(endpoint)));
            } else if !is_literal && (any_variable || any_certificate || theirs(endpoint) || theirs(source)) {
                pairs.insert((format!("{header}: {}", named(source)), written(endpoint)));
            }
            if any_variable || theirs(source) {
                pairs.extend(clients(header, source));
            }
        }
    }
    // A secret of the program's goes wherever its other variables send it.
    let hosts: Vec<_> = entries(root, "env").filter(|(_, node)| node.text().is_some_and(is_url)).collect();
    for (name, secret) in entries(root, "env").filter(|(_, node)| node.text().is_none()) {
        if any_variable || theirs(secret) {
            pairs.extend(clients(name, secret));
        }
        for (_, host) in hosts.iter().filter(|(_, host)| any_variable || theirs(host) || theirs(secret)) {
            pairs.insert((format!("{name} = {}", named(secret)), written(host)));
        }
    }
    pairs
}

/// The secrets of clients that ask for a token on the way to a value, and where each goes for that.
fn clients(name: &str, source: &Node) -> Vec<(String, String)> {
    if let Value::List(sources) = &source.value {
        return sources.iter().flat_map(|source| clients(name, source)).collect();
    }
    let mut found = Vec::new();
    for (table, key) in [("basic", "password"), ("oauth2", "client_secret")] {
        let Some((table, secret)) = source.get(table).and_then(|table| Some((table, table.get(key)?))) else {
            continue;
        };
        found.extend(
            table.get("token_url").map(|url| (format!("{name}: the client's secret {}", named(secret)), written(url))),
        );
        found.extend(clients(name, secret));
    }
    found
}

/// A source as it is written, but for what literals say: they may be keys.
fn named(source: &Node) -> String {
    match &source.value {
        Value::Text(_) => format!("what {} says", source.origin.document.label),
        Value::List(sources) => format!("[{}]", sources.iter().map(named).collect::<Vec<_>>().join(", ")),
        Value::Table(entries) => {
            let entry = |(key, node): (&String, &Node)| match (key.as_str(), node.entries()) {
                ("client_secret" | "password", _) | ("basic" | "oauth2", Some(_)) => format!("{key} = {}", named(node)),
                _ => format!("{key} = {}", written(node)),
            };
            format!("{{ {} }}", entries.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        _ => written(source),
    }
}

fn is_url(text: &str) -> bool {
    text.contains("://")
}

fn entries<'a>(node: &'a Node, key: &str) -> impl Iterator<Item = (&'a String, &'a Node)> + use<'a> {
    node.get(key).and_then(Node::entries).into_iter().flat_map(Entries::iter)
}

/// Every list under `command`, wherever it stands.
fn commands(node: &Node, found: &mut Vec<Vec<String>>) {
    match &node.value {
        Value::Table(entries) => entries.iter().for_each(|(key, below)| match &below.value {
            Value::List(words) if key == "command" => found.push(words.iter().map(written).collect()),
            _ => commands(below, found),
        }),
        Value::List(items) => items.iter().for_each(|item| commands(item, found)),
        _ => {}
    }
}

/// A value as it is written, a string without its quotes.
fn written(node: &Node) -> String {
    match &node.value {
        Value::Text(text) | Value::Date(text) => text.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::Integer(number) => number.to_string(),
        Value::Float(number) => number.to_string(),
        Value::List(items) => format!("[{}]", items.iter().map(written).collect::<Vec<_>>().join(", ")),
        Value::Table(entries) => {
            let entries: Vec<_> = entries.iter().map(|(key, node)| format!("{key} = {}", written(node))).collect();
            format!("{{ {} }}", entries.join(", "))
        }
    }
}
