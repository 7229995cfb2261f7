//! Which entries of the keyring are named, wherever a value may be fetched from one.

use std::collections::BTreeSet;

use super::tree::{Entries, Node, Value};

/// The entries that a tree names; one whose name holds a variable that is not defined is left out.
pub(super) fn entries(root: &Node) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for destination in values(root.get("destination")) {
        values(destination.get("headers")).for_each(|header| collect(header, &mut found));
    }
    values(root.get("env")).for_each(|variable| collect(variable, &mut found));
    if let Some(key) = root.get("redact").and_then(|redact| redact.get("key")) {
        collect(key, &mut found);
    }
    found.retain(|name| !name.contains("${"));
    found
}

fn values(table: Option<&Node>) -> impl Iterator<Item = &Node> {
    table.and_then(Node::entries).into_iter().flat_map(Entries::values)
}

/// Those of a source, of several, or of what a source is made of.
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
    fn every_source_is_looked_at_and_no_literal_is_taken_for_one() {
        let text = r#"
            description = "keyring"
            [destination.d.headers]
            A = { keyring = "a", format = "Bearer {}" }
            B = [{ env = "B" }, { keyring = "b" }]
            C = { basic = { user = "u", password = [{ keyring = "c" }] } }
            D = { oauth2 = { token_url = "u", client_id = "i", client_secret = { keyring = "d" } } }
            keyring = "sk-literal"
            [env]
            E = { keyring = "e" }
            F = { keyring = "${undefined}" }
            [redact]
            key = { keyring = "g" }
            [settings]
            x = { keyring = "h" }
        "#;
        let tree = tree::parse(&Arc::new(Document { label: String::new(), text: text.to_owned() })).unwrap();
        assert_eq!(entries(&tree), ["a", "b", "c", "d", "e", "g"].map(str::to_owned).into());
    }
}
