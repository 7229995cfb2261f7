//! Reading single values out of a tree: types, `${name}`, durations, and every fault kept for later.

use std::collections::BTreeMap;
use std::time::Duration;

use jiff::SignedDuration;

use super::diagnostic::Diagnostic;
use super::tree::{Node, Value};

/// What is read along the way: the variables that strings may name, and all faults met so far.
#[derive(Default)]
pub(super) struct Reader {
    pub(super) variables: BTreeMap<String, String>,
    pub(super) faults: Vec<Diagnostic>,
}

/// The entries of a table, or of one that is not there.
pub(super) type Entries = BTreeMap<String, Node>;

impl Reader {
    /// Notes a fault.
    pub(super) fn fault(&mut self, fault: Diagnostic) {
        self.faults.push(fault);
    }

    /// The table under `key`, empty if there is none. Keys other than `known` are faults; no `known`, no limit.
    pub(super) fn table<'a>(&mut self, entries: &'a Entries, key: &str, known: &[&str]) -> Option<&'a Entries> {
        let node = entries.get(key)?;
        let Value::Table(table) = &node.value else {
            self.wrong_type(node, "a table");
            return None;
        };
        if !known.is_empty() {
            self.known(table, known, &format!(" in `[{key}]`"));
        }
        Some(table)
    }

    /// Notes every key of a table that is not among the known ones, with a guess at what was meant.
    pub(super) fn known(&mut self, table: &Entries, known: &[&str], place: &str) {
        for (key, node) in table.iter().filter(|(key, _)| !known.contains(&key.as_str())) {
            let fault = Diagnostic::at(&node.key, format!("unknown key `{key}`{place}"));
            let help = match guess(key, known) {
                Some(meant) => format!("did you mean `{meant}`?"),
                None => format!("allowed here: {}", known.join(", ")),
            };
            self.fault(fault.help(help));
        }
    }

    pub(super) fn bool(&mut self, entries: Option<&Entries>, key: &str, default: bool) -> bool {
        let Some(node) = entries.and_then(|entries| entries.get(key)) else { return default };
        if let Value::Bool(truth) = node.value {
            return truth;
        }
        self.wrong_type(node, "`true` or `false`");
        default
    }

    /// The string under `key`, with its variables put in.
    pub(super) fn text(&mut self, entries: Option<&Entries>, key: &str) -> Option<String> {
        let node = entries?.get(key)?;
        self.string(node)
    }

    /// The string that a node is, with its variables put in.
    pub(super) fn string(&mut self, node: &Node) -> Option<String> {
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, "a string");
            return None;
        };
        match expand(text, &self.variables) {
            Ok(text) => Some(text),
            Err(message) => {
                let names = self.variables.keys().map(String::as_str).collect::<Vec<_>>().join(", ");
                let help = match names.as_str() {
                    "" => "the profile has no `[vars]`; `--var NAME=VALUE` sets one".to_owned(),
                    names => format!("variables here: {names}; `--var NAME=VALUE` sets one"),
                };
                self.fault(Diagnostic::at(&node.origin, message).help(help));
                None
            }
        }
    }

    /// A list of strings.
    pub(super) fn strings(&mut self, node: &Node) -> Vec<String> {
        let Value::List(items) = &node.value else {
            self.wrong_type(node, "a list of strings");
            return Vec::new();
        };
        items.iter().filter_map(|item| self.string(item)).collect()
    }

    /// A duration such as `10s` or `1m 30s`, above zero and at most a day.
    pub(super) fn duration(&mut self, entries: Option<&Entries>, key: &str, default: Duration) -> Duration {
        let Some(node) = entries.and_then(|entries| entries.get(key)) else { return default };
        let Some(text) = self.string(node) else { return default };
        let parsed = text.parse::<SignedDuration>().ok().and_then(|duration| Duration::try_from(duration).ok());
        match parsed {
            Some(duration) if !duration.is_zero() && duration <= Duration::from_hours(24) => duration,
            _ => {
                let fault = Diagnostic::at(&node.origin, format!("`{text}` is no duration for `{key}`"));
                self.fault(fault.help("write for example \"10s\" or \"1m 30s\", above zero and at most 24h"));
                default
            }
        }
    }

    /// Notes that a value is of another type than its key takes.
    pub(super) fn wrong_type(&mut self, node: &Node, allowed: &str) {
        let found = node.value.kind();
        self.fault(Diagnostic::at(&node.origin, format!("{found} where {allowed} belongs")));
    }
}

/// The known word nearest to what was written, if it is near enough to have been meant.
pub(super) fn guess<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(written, word), *word));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

/// Puts variables in for `${name}`; `$${` is a literal `${`. Within the host of a URL a value may hold letters,
/// digits and `-` alone, so that a variable can never move a request, and its secrets, to another host.
fn expand(text: &str, variables: &BTreeMap<String, String>) -> Result<String, String> {
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
            match (expand(text, &variables()), expected) {
                (Ok(got), Ok(wanted)) => assert_eq!(got, wanted, "{text}"),
                (Err(got), Err(wanted)) => assert!(got.contains(wanted), "{text}: {got}"),
                (got, wanted) => panic!("{text}: {got:?} instead of {wanted:?}"),
            }
        }
    }

    #[test]
    fn the_nearest_word_is_guessed() {
        assert_eq!(guess("endpont", &["endpoint", "protocol"]), Some("endpoint"));
        assert_eq!(guess("zebra", &["endpoint", "protocol"]), None);
    }
}
