//! Expands `${name}` in strings.

use std::collections::{BTreeMap, BTreeSet};

use super::diagnostic::Diagnostic;
use super::placeholders::{has_variables, names};
use super::tree::{Node, Value};
use super::variables;

/// Expands the variables of a tree's own `[vars]` in all of its strings. Faults are collected and leave the string
/// unchanged. A variable cannot refer to another: variables are values, not a language.
///
/// A string that consists only of a variable takes the origin of the variable's value, because that is what the user
/// would have to correct.
pub(super) fn expand(root: &mut Node, faults: &mut Vec<Diagnostic>) {
    let mut wanted = BTreeSet::new();
    names(root, &mut wanted);
    let values = wanted.iter().filter_map(|name| Some((name.clone(), variables::value(root, name)?.clone())));
    let values = values.filter(|(_, node)| node.text().is_some()).collect();
    let known = Known { values, help: wanted.iter().map(|name| (name.clone(), help(root, name))).collect() };
    let Value::Table(entries) = &mut root.value else { return };
    for (key, node) in entries.iter_mut().filter(|(key, _)| has_variables(key)) {
        let may_be_secret = ["destination", "source", "budget", super::budgets::FURTHER].contains(&key.as_str());
        expand_node(node, &known, may_be_secret, faults);
    }
    variables::settle(root);
}

/// Keys of paths. They are relative to the file that contains them, even if a variable in them is set elsewhere.
const PATHS: [&str; 4] = ["ca", "cert", "file", "key"];

/// The variables that strings use.
struct Known {
    /// Variables with a value.
    values: BTreeMap<String, Node>,
    /// For each variable, its name for people, and what to do if it is not set.
    help: BTreeMap<String, (String, String)>,
}

impl Known {
    fn text(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(Node::text)
    }
}

/// The name of a variable for people, and what to do if it is not set.
fn help(root: &Node, name: &str) -> (String, String) {
    let shown = variables::shown(root, name);
    if let Some(declared) = variables::declaration(root, name) {
        let example = declared.values.first().map_or("VALUE", String::as_str);
        return (shown.clone(), format!("{}; `--var {shown}={example}` sets it", declared.about()));
    }
    let known: BTreeSet<String> = variables::known(root).into_iter().filter(|known| known != name).collect();
    let known: BTreeSet<String> = known.iter().map(|name| variables::shown(root, name)).collect();
    let set: Vec<String> = known.into_iter().filter(|known| variables::value(root, known).is_some()).collect();
    let help = match set.as_slice() {
        [] => "the profile has no `[vars]`; `--var NAME=VALUE` sets one".to_owned(),
        names => format!("variables here: {}; `--var NAME=VALUE` sets one", names.join(", ")),
    };
    (shown, help)
}

/// `secret`: whether the line may hold a secret and must not be shown.
fn expand_node(node: &mut Node, known: &Known, secret: bool, faults: &mut Vec<Diagnostic>) {
    match &mut node.value {
        Value::Text(text) if text.contains("${") => match substitute(text, &|name| known.text(name)) {
            Ok(expanded) => {
                if let Some(value) = whole(text).and_then(|name| known.values.get(name)) {
                    node.origin = value.origin.clone();
                }
                *text = expanded;
            }
            Err(wrong) => faults.push(fault(node, &wrong, known, secret)),
        },
        Value::List(items) => items.iter_mut().for_each(|item| expand_node(item, known, secret, faults)),
        Value::Table(entries) => {
            for (key, below) in entries.iter_mut() {
                let place = below.origin.clone();
                expand_node(below, known, secret && !["endpoint", "url"].contains(&key.as_str()), faults);
                if PATHS.contains(&key.as_str()) {
                    below.origin = place;
                }
            }
        }
        _ => {}
    }
}

/// The name of the variable if it is the whole text.
fn whole(text: &str) -> Option<&str> {
    let name = text.strip_prefix("${")?.strip_suffix('}')?;
    (!name.contains(['$', '{', '}'])).then_some(name)
}

/// What is wrong with a string.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Wrong {
    Unclosed,
    /// A variable that is not set.
    Unset(String),
    /// A variable that could move a request to another host.
    InHost(String),
}

fn fault(node: &Node, wrong: &Wrong, known: &Known, secret: bool) -> Diagnostic {
    let (name, help) = match wrong {
        Wrong::Unclosed => (None, None),
        Wrong::Unset(name) | Wrong::InHost(name) => known.help.get(name).cloned().unzip(),
    };
    let name = name.unwrap_or_default();
    let fault = Diagnostic::at(
        &node.origin,
        match wrong {
            Wrong::Unclosed => "`${` without its `}`".to_owned(),
            Wrong::Unset(_) => format!("variable `{name}` is not defined"),
            Wrong::InHost(_) => {
                format!("variable `{name}` is part of a host name, which allows only letters, digits and `-`")
            }
        },
    );
    let fault = fault.help(help.unwrap_or_else(|| "write a literal `${` as `$${`".to_owned()));
    if secret { fault.secret() } else { fault }
}

/// Replaces `${name}` by the variable; `$${` is a literal `${`. Within the host and port of a URL, a value may contain
/// only letters, digits and `-`, so that a variable cannot redirect a request and its secrets to another host. A
/// variable at the beginning of the text may contain scheme, host and port.
fn substitute<'v>(text: &str, variable: &dyn Fn(&str) -> Option<&'v str>) -> Result<String, Wrong> {
    let mut expanded = String::with_capacity(text.len());
    let mut rest = text;
    // Positions of variables that contain other characters.
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
        let (name, after) = from[2..].split_once('}').ok_or(Wrong::Unclosed)?;
        let value = variable(name).ok_or_else(|| Wrong::Unset(name.to_owned()))?;
        let is_tame = value.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
        let is_base = expanded.is_empty()
            && (after.is_empty() || after.starts_with(['/', '?', ':']) && !after.starts_with("://"));
        if !is_tame && !is_base {
            if in_authority(&expanded) {
                return Err(Wrong::InHost(name.to_owned()));
            }
            wild.push((expanded.len(), name));
        }
        expanded.push_str(value);
        rest = after;
    }
    expanded.push_str(rest);
    // Variables can also turn other text into a URL.
    let end = authority_end(&expanded);
    match wild.into_iter().find(|(start, _)| *start <= end) {
        Some((_, name)) if end > 0 => Err(Wrong::InHost(name.to_owned())),
        _ => Ok(expanded),
    }
}

/// Whether the next character belongs to a URL's host or port.
fn in_authority(before: &str) -> bool {
    before.split_once("://").is_some_and(|(_, authority)| !authority.contains(['/', '?', '#']))
}

/// The end of a URL's host and port, or zero if the text is not a URL.
fn authority_end(text: &str) -> usize {
    let in_scheme = |c: char| c.is_ascii_alphanumeric() || "+-.".contains(c);
    match text.split_once("://") {
        Some((scheme, after)) if !scheme.is_empty() && scheme.chars().all(in_scheme) => {
            scheme.len() + 3 + after.find(['/', '?', '#']).unwrap_or(after.len())
        }
        _ => 0,
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
            ("https://${evil}", Err("InHost")),
            ("https://h:${evil}", Err("InHost")),
            ("https://h:${region}", Ok("https://h:eu")),
            ("${url}/v1", Ok("http://h:1/v1")),
            ("${url}.company.com", Err("InHost")),
            ("see ${url}", Ok("see http://h:1")),
            ("https:/${slash}.company.com", Err("InHost")),
            ("${url}://company.com", Err("InHost")),
            ("${no}", Err("Unset")),
            ("${region", Err("Unclosed")),
        ];
        for (text, expected) in cases {
            let variables = variables();
            let expanded = substitute(text, &|name| variables.get(name).map(String::as_str));
            match (expanded.map_err(|wrong| format!("{wrong:?}")), expected) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{text}"),
                (Err(got), Err(wanted)) => assert!(got.contains(wanted), "{text}: {got}"),
                (got, wanted) => panic!("{text}: {got:?} instead of {wanted:?}"),
            }
        }
    }

    /// A part of a template: a literal, or a variable given by its value.
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
            // Hosts cannot contain what `$${` produces.
            let variables: BTreeMap<String, String> = variables.collect();
            let variable = |name: &str| variables.get(name).map(String::as_str);
            let expanded = substitute(&template, &variable).ok().filter(|_| !template.contains("$${"));
            let Some(expanded) = expanded else { return Ok(()) };
            prop_assert_eq!(&expanded, &pieces.iter().map(|(_, text)| *text).collect::<String>());
            let url = expanded.split_once("://").filter(|(scheme, _)| ["http", "https"].contains(scheme));
            let Some((scheme, rest)) = url else { return Ok(()) };
            let end = scheme.len() + 3 + rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let mut start = 0;
            for (at, (is_variable, text)) in pieces.iter().enumerate() {
                let is_tame = text.chars().all(|c| c.is_ascii_alphanumeric() || c == '-');
                if *is_variable && !is_tame && start <= end {
                    // A variable at the beginning may be the base of everything else.
                    let after: String = pieces.iter().enumerate().skip(at + 1).map(written).collect();
                    prop_assert!(start == 0 && (after.is_empty() || after.starts_with(['/', '?', ':'])), "{}", template);
                }
                start += text.len();
            }
        }
    }
}
