//! `${name}` in strings: what variables stand for, put in.

use std::collections::{BTreeMap, BTreeSet};

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

/// Puts variables in for `${name}`; `$${` is a literal `${`. Within the host and port of a URL a value may hold letters,
/// digits and `-` alone, so that a variable can never move a request, and its secrets, to another host. One that begins
/// the text may be the whole of scheme, host and port.
fn substitute(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    // Where variables begin that hold other characters.
    let mut wild = Vec::new();
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
        let is_tame = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_base = expanded.is_empty()
            && (after.is_empty() || after.starts_with(['/', '?', ':']) && !after.starts_with("://"));
        if !is_tame && !is_base {
            if in_authority(&expanded) {
                return Err(in_host(name));
            }
            wild.push((expanded.len(), name));
        }
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    // Variables may also make a URL of what was none.
    let end = authority_end(&expanded);
    match wild.into_iter().find(|(start, _)| *start <= end) {
        Some((_, name)) if end > 0 => Err(in_host(name)),
        _ => Ok(expanded),
    }
}

fn in_host(name: &str) -> String {
    format!("variable `{name}` stands in a host name, where only letters, digits and `-` may")
}

/// Whether what comes next belongs to a URL's host or port.
fn in_authority(before: &str) -> bool {
    before.split_once("://").is_some_and(|(_, authority)| !authority.contains(['/', '?', '#']))
}

/// Where host and port of a URL end; zero in what is no URL.
fn authority_end(text: &str) -> usize {
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    match text.split_once("://") {
        Some((scheme, after)) if !scheme.is_empty() && scheme.chars().all(in_scheme) => {
            scheme.len() + 3 + after.find(['/', '?', '#']).unwrap_or(after.len())
        }
        _ => 0,
    }
}

/// The names of the variables that a value's strings want.
pub(super) fn names(node: &Node, found: &mut BTreeSet<String>) {
    match &node.value {
        Value::Text(text) => {
            let wanted = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            found.extend(wanted.map(|(name, _)| name.to_owned()));
        }
        Value::List(items) => items.iter().for_each(|item| names(item, found)),
        Value::Table(entries) => entries.values().for_each(|below| names(below, found)),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;
    use proptest::sample::select;

    use super::*;

    fn variables() -> BTreeMap<String, String> {
        [("region", "eu"), ("url", "http://h:1"), ("evil", "x.example/"), ("slash", "/x.example/")]
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
            ("https://h:${evil}", Err("host name")),
            ("https://h:${region}", Ok("https://h:eu")),
            ("${url}/v1", Ok("http://h:1/v1")),
            ("${url}.company.com", Err("host name")),
            ("see ${url}", Ok("see http://h:1")),
            ("https:/${slash}.company.com", Err("host name")),
            ("${url}://company.com", Err("host name")),
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

    /// A part of a template: a literal, or a variable by what it holds.
    fn piece() -> impl Strategy<Value = (bool, &'static str)> {
        let literals =
            ["https://", "http:/", "in.", ".company.com", ":443", ":", "/", "//", "?q=", "#", "@", "\\", "$", " "];
        let values =
            ["eu", "", "a-1", "evil.example", "evil.example/", "/evil.example", "//evil.example", "u@evil", "1@e"];
        let values =
            values.into_iter().chain(["https://evil.example/", "https:", "https://", "://e", "?", "#", ".", ":1"]);
        let literals = literals.into_iter().map(|text| (false, text));
        select(literals.chain(values.map(|text| (true, text))).collect::<Vec<_>>())
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(5000))]

        #[test]
        fn no_variable_moves_a_request_to_another_host(pieces in vec(piece(), 1..7)) {
            let variables = pieces.iter().enumerate().map(|(at, (_, text))| (format!("v{at}"), (*text).to_owned()));
            let written = |(at, (is_variable, text)): (usize, &(bool, &str))| {
                if *is_variable { format!("${{v{at}}}") } else { (*text).to_owned() }
            };
            let template: String = pieces.iter().enumerate().map(written).collect();
            // What `$${` makes of a template is no question of hosts.
            let expanded = substitute(&template, &variables.collect()).ok().filter(|_| !template.contains("$${"));
            let Some(expanded) = expanded else { return Ok(()) };
            prop_assert_eq!(&expanded, &pieces.iter().map(|(_, text)| *text).collect::<String>());
            let url = expanded.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
            let Some((scheme, rest)) = url else { return Ok(()) };
            let end = scheme.len() + 3 + rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let mut start = 0;
            for (at, (is_variable, text)) in pieces.iter().enumerate() {
                let is_tame = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                if *is_variable && !is_tame && start <= end {
                    // It may be the base that everything else is behind.
                    let after: String = pieces.iter().enumerate().skip(at + 1).map(written).collect();
                    prop_assert!(start == 0 && (after.is_empty() || after.starts_with(['/', '?', ':'])), "{}", template);
                }
                start += text.len();
            }
        }
    }
}
