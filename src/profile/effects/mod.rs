//! What a merged tree would do, before anything in it is fetched or run, for a user who decides whether to trust it.

mod changes;

use std::collections::BTreeSet;
use std::sync::Arc;

pub use self::changes::Change;

use super::budgets;
use super::document::Document;
use super::tree::{Entries, Node, Value};

/// The effects of a tree, as far as they are shown. All of it may be foreign text.
#[derive(Clone, Debug, Default)]
pub struct Effects {
    /// Commands that are run, each with its arguments.
    pub commands: Vec<Vec<String>>,
    /// Which secret goes to which host because of the project. This is recorded, too.
    pub secrets: BTreeSet<(String, String)>,
    /// Destinations and their endpoints.
    pub destinations: Vec<(String, String)>,
    /// Teams' stores and their addresses.
    pub stores: Vec<(String, String)>,
    /// Every value that the project changes. Changes that may run something or send more out come first.
    pub changes: Vec<Change>,
}

/// The effects of a tree that includes a project's document, in contrast to the same tree without it. The tree is given
/// as written and with variables expanded.
pub(super) fn effects((written, root): (&Node, &Node), without: Option<&Node>, project: &Arc<Document>) -> Effects {
    let mut effects = Effects::default();
    commands(root, &mut effects.commands);
    for (name, destination) in entries(root, "destination") {
        effects.destinations.push((name.clone(), destination.get("endpoint").map(self::written).unwrap_or_default()));
    }
    for (name, store) in entries(root, "source") {
        effects.stores.push((name.clone(), store.get("url").map(self::written).unwrap_or_default()));
    }
    effects.secrets = secrets(root, project);
    effects.changes = changes::changes(without, (written, root), project);
    effects
}

/// Which secret goes to which host because of the project: the project names the host, the header, or a variable, which
/// may be part of either. Pairs that exist without the project are the user's own choice.
fn secrets(root: &Node, project: &Arc<Document>) -> BTreeSet<(String, String)> {
    let theirs = |node: &Node| Arc::ptr_eq(&node.origin.document, project);
    let any_variable = entries(root, "vars").any(|(_, node)| theirs(node));
    let mode = root.get("collector").and_then(|collector| collector.get("mode"));
    let is_direct = mode.is_some_and(|mode| mode.text() == Some("direct") && theirs(mode));
    let mut pairs = BTreeSet::new();
    for (_, destination) in entries(root, "destination") {
        let Some(endpoint) = destination.get("endpoint") else { continue };
        if let Some(helper) = destination.get("headers_helper") {
            let has_hand =
                any_variable || theirs(endpoint) || helper.entries().is_some_and(|keys| keys.values().any(theirs));
            if is_direct {
                pairs.insert((format!("headers_helper: {}", written(helper)), "the program's environment".to_owned()));
            }
            if has_hand {
                pairs.insert((format!("headers_helper: {}", written(helper)), written(endpoint)));
            }
        }
        // A file that chooses the certificate authorities can impersonate the host.
        let any_certificate = entries(destination, "tls").any(|(_, node)| theirs(node));
        if let Some(cert) = destination.get("tls").and_then(|tls| tls.get("cert"))
            && (any_variable || theirs(endpoint) || any_certificate)
        {
            pairs.insert((format!("the client certificate {}", written(cert)), written(endpoint)));
        }
        for (header, source) in entries(destination, "headers") {
            if is_direct {
                pairs.insert((format!("{header}: {}", named(source)), "the program's environment".to_owned()));
            }
            let is_literal = source.text().is_some();
            if is_literal && theirs(endpoint) && !theirs(source) {
                // A literal, or a value found with the profile `inherited`, may be a key.
                pairs.insert((format!("{header}: what {} says", source.origin.document.label), written(endpoint)));
            } else if !is_literal && (any_variable || any_certificate || theirs(endpoint) || theirs(source)) {
                pairs.insert((format!("{header}: {}", named(source)), written(endpoint)));
            }
            if any_variable || theirs(source) {
                pairs.extend(clients(header, source));
            }
        }
    }
    pairs.extend(told(root, project, any_variable));
    pairs.extend(of_stores(root, project, any_variable));
    // A secret in the program's environment goes to every host that its other variables name.
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

/// Which secret the messages about a budget carry, and where to.
fn told(root: &Node, project: &Arc<Document>, any_variable: bool) -> Vec<(String, String)> {
    let theirs = |node: &Node| any_variable || Arc::ptr_eq(&node.origin.document, project);
    let mut pairs = Vec::new();
    for receiver in budgets::all(root).flat_map(budgets::receivers) {
        let Some(webhook) = receiver.get("webhook") else { continue };
        if webhook.text().is_none() && theirs(webhook) {
            pairs.push((format!("webhook: {}", named(webhook)), "the host that it names".to_owned()));
            pairs.extend(clients("webhook", webhook));
        }
        let host = if webhook.text().is_some() { written(webhook) } else { "the host of the webhook".to_owned() };
        for (header, source) in entries(receiver, "headers").filter(|(_, source)| source.text().is_none()) {
            if theirs(webhook) || theirs(source) {
                pairs.push((format!("{header}: {}", named(source)), host.clone()));
                pairs.extend(clients(header, source));
            }
        }
    }
    pairs
}

/// Which secret goes to a team's store.
fn of_stores(root: &Node, project: &Arc<Document>, any_variable: bool) -> Vec<(String, String)> {
    let theirs = |node: &Node| any_variable || Arc::ptr_eq(&node.origin.document, project);
    let mut pairs = Vec::new();
    for (_, store) in entries(root, "source") {
        let Some(url) = store.get("url") else { continue };
        let any_certificate = entries(store, "tls").any(|(_, node)| theirs(node));
        let has_hand = theirs(url) || any_certificate;
        if let Some(cert) = store.get("tls").and_then(|tls| tls.get("cert")).filter(|_| has_hand) {
            pairs.push((format!("the client certificate {}", written(cert)), written(url)));
        }
        let password = store.get("password").into_iter().map(|source| ("password", source));
        let headers = entries(store, "headers").map(|(name, source)| (name.as_str(), source));
        for (name, source) in password.chain(headers) {
            if has_hand || theirs(source) && source.text().is_none() {
                pairs.push((format!("{name}: {}", named(source)), written(url)));
            }
            if theirs(source) {
                pairs.extend(clients(name, source));
            }
        }
    }
    pairs
}

/// The client secrets of sources that request a token, and the host that each goes to.
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

/// A source as written, without the text of literals, which may be keys.
fn named(source: &Node) -> String {
    match &source.value {
        Value::Text(_) => format!("what {} says", source.origin.document.label),
        Value::List(sources) => format!("[{}]", sources.iter().map(named).collect::<Vec<_>>().join(", ")),
        Value::Table(entries) => {
            let entry = |(key, node): (&String, &Node)| match (key.as_str(), node.entries()) {
                ("client_secret" | "password" | "webhook", _) | ("basic" | "oauth2" | "headers", Some(_)) => {
                    format!("{key} = {}", named(node))
                }
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

/// Every list under a `command` key, at any depth.
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
