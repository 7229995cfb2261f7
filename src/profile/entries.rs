//! The keyring entries that a profile names, in any place where a value may be fetched.

use std::collections::BTreeSet;

use super::budgets;
use super::tree::{Entries, Node, Value};

/// The entries that a tree names. An entry whose name contains an undefined variable is left out.
pub(crate) fn entries(root: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for destination in values(root.get("destination")) {
        values(destination.get("headers")).for_each(|header| collect(header, &mut found));
    }
    for store in values(root.get("source")) {
        store.get("password").into_iter().chain(values(store.get("headers"))).for_each(|one| collect(one, &mut found));
    }
    values(root.get("env")).for_each(|variable| collect(variable, &mut found));
    if let Some(key) = root.get("redact").and_then(|redact| redact.get("key")) {
        collect(key, &mut found);
    }
    for receiver in budgets::all(root).flat_map(budgets::receivers) {
        receiver
            .get("webhook")
            .into_iter()
            .chain(values(receiver.get("headers")))
            .for_each(|source| collect(source, &mut found));
    }
    found.retain(|name| !name.contains("${"));
    found
}

fn values(table: Option<&Node>) -> impl Iterator<Item = &Node> {
    table.and_then(Node::entries).into_iter().flat_map(Entries::values)
}

/// The entries of a source, of several, or of a source within a source.
fn collect(source: &Node, found: &mut BTreeSet<String>) {
    if let Value::List(sources) = &source.value {
        for source in sources {
            collect(source, found);
        }
    }
    found.extend(source.get("keyring").and_then(Node::text).map(str::to_owned));
    for (table, key) in [("basic", "password"), ("oauth2", "client_secret")] {
        if let Some(source) = source.get(table).and_then(|table| table.get(key)) {
            collect(source, found);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::super::document::Document;
    use super::super::tree;
    use super::*;

    #[test]
    fn every_source_is_searched_and_literals_are_not_sources() {
        let text = r#"
            description = "keyring"
            [destination.d.headers]
            A = { keyring = "a", format = "Bearer {}" }
            B = [{ env = "B" }, { keyring = "b" }]
            C = { basic = { user = "u", password = [{ keyring = "c" }] } }
            D = { oauth2 = { token_url = "u", client_id = "i", client_secret = { keyring = "d" } } }
            keyring = "sk-literal"
            [source.s]
            password = { keyring = "k" }
            headers = { X = { keyring = "l" } }
            [env]
            E = { keyring = "e" }
            F = { keyring = "${undefined}" }
            [redact]
            key = { keyring = "g" }
            [settings]
            x = { keyring = "h" }
            [budget]
            notify = [{ command = ["c"] }, { webhook = { keyring = "i" }, headers = { F = { keyring = "j" } } }]
        "#;
        let tree = tree::parse(&Arc::new(Document { label: String::new(), text: text.to_owned() })).unwrap();
        assert_eq!(entries(&tree), ["a", "b", "c", "d", "e", "g", "i", "j", "k", "l"].map(str::to_owned).into());
    }
}
