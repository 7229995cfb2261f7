//! `${name}` in strings: what variables stand for, put in.

use std::collections::BTreeMap;

use super::diagnostic::Diagnostic;
use super::tree::{Node, Value};

/// Puts the variables of a tree's own `[vars]` into every string of it; all faults are noted and leave the string as it
/// is. A variable may not name another: they are values, not a language.
pub(super) fn expand(root: &mut Node, faults: &mut Vec<Diagnostic>) {
    let vars = root.get("vars").and_then(Node::entries).into_iter().flatten();
    let variables: BTreeMap<String, String> =
        vars.filter_map(|(name, node)| Some((name.clone(), node.text()?.to_owned()))).collect();
    let Value::Table(entries) = &mut root.value else { return };
    for (key, node) in entries.iter_mut().filter(|(key, _)| !["vars", "extends", "unset"].contains(&key.as_str())) {
        expand_node(node, &variables, key == "destination", faults);
    }
}

/// `secret`: the line may hold a secret and is not shown.
fn expand_node(node: &mut Node, variables: &BTreeMap<String, String>, secret: bool, faults: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match substitute(text, variables) {
            Ok(expanded) => *text = expanded,
            Err(message) => faults.push(fault(node, message, variables, secret)),
        },
        Value::List(items) => items.iter_mut().for_each(|item| expand_node(item, variables, secret, faults)),
        Value::Table(entries) => {
            for (key, below) in entries.iter_mut() {
                expand_node(below, variables, secret && key != "endpoint", faults);
            }
        }
        _ => {}
    }
}

fn fault(node: &Node, message: String, variables: &BTreeMap<String, String>, secret: bool) -> Diagnostic {
    let names = variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
    let help = match names.as_str() {
        "" => "the profile has no `[vars]`; `--var NAME=VALUE` sets one".to_owned(),
        names => format!("variables here: {names}; `--var NAME=VALUE` sets one"),
    };
    let fault = Diagnostic::at(&node.origin, message).help(help);
    if secret { fault.secret() } else { fault }
}

/// Puts variables in for `${name}`; `$${` is a literal `${`. Within the host of a URL a value may hold letters,
/// digits and `-` alone, so that a variable can never move a request, and its secrets, to another host.
fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find("${") {
        let (before, from) = rest.split_at(start);
        if let Some(literal) = before.strip_suffix('$') {
            expanded.push_str(literal);
            expanded.push_str("${");
            rest = &from[2..];
            continue;
        }
        expanded.push_str(before);
        let (name, after) = from[2..].split_once('}').ok_or("`${` without its `}`")?;
        let value = variables.get(name).ok_or_else(|| format!("variable `{name}` is not defined"))?;
        let tame = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        if !tame && in_host(&expanded) {
            return Err(format!("variable `{name}` stands in a host name, where only letters, digits and `-` may"));
        }
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    Ok(expanded)
}
/// Whether what comes next belongs to a URL's host.
fn in_host(before: &str) -> bool {
    before.split_once("://").is_some_and(|(_, authority)| !authority.contains(['/', ':', '?', '#']))
}
#[cfg(test)]
mod tests {
    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [("region", "eu"), ("url", "http://h:1"), ("evil", "x.example/")]
            .map(|(k, v)| (k.to_owned(), v.to_owned()))
            .into()
    }

    #[test]
    fn variables_expand() {
        let cases = [
            ("https://in.${region}.x:443", Ok("https://in.eu.x:443")),
            ("${url}", Ok("http://h:1")),
            ("$${region}", Ok("${region}")),
            ("$$${region}", Ok("$${region}")),
            ("cost $5 ${region}", Ok("cost $5 eu")),
            ("https://h/${evil}", Ok("https://h/x.example/")),
            ("https://${evil}", Err("host name")),
            ("https://h:${evil}", Ok("https://h:x.example/")),
            ("${no}", Err("not defined")),
            ("${region", Err("without its")),
        ];
        for (text, expected) in cases {
            match (substitute(text, &variables()), expected) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{text}"),
                (Err(got), Err(wanted)) => assert!(got.contains(wanted), "{text}: {got}"),
                (got, wanted) => panic!("{text}: {got:?} instead of {wanted:?}"),
            }
        }
    }
}
