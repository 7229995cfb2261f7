//! What a profile may say: every key, what it takes, and a line about it. One description serves the checks, the
//! guesses at what was meant, and the JSON Schema.

use jiff::{Span, SpanRelativeTo};

use super::diagnostic::Diagnostic;
use super::tree::{Entries, Node, Value};

/// A key of a table.
#[derive(Debug)]
pub(super) struct Key {
    pub(super) name: &'static str,
    pub(super) kind: Kind,
    /// What it means, for people and for the JSON Schema.
    pub(super) about: &'static str,
}

/// What a value may be.
#[derive(Debug)]
pub(super) enum Kind {
    Text,
    Bool,
    /// `10s`, `1m 30s`: above zero.
    Duration,
    Choice(&'static [&'static str]),
    /// A list of words out of these.
    Choices(&'static [&'static str]),
    Texts,
    /// One name or a list of names.
    Names,
    /// A program and its arguments.
    Command,
    /// A string, or where to take one from before the program starts.
    Dynamic,
    /// A header's or a variable's value: a literal, a source, or a list of sources of which the first that has it counts.
    Source,
    /// A table of these keys.
    Table(&'static [Key]),
    /// A table of any names.
    Map(&'static Kind),
    /// Anything: another program's business.
    Any,
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

/// The names of the signals.
pub(super) const SIGNALS: &[&str] = &["metrics", "logs", "traces"];

/// A profile.
pub(super) const PROFILE: &[Key] = &[
    key("description", Kind::Text, "one line for people"),
    key("require", Kind::Bool, "the program only starts with this profile in force"),
    key("extends", Kind::Names, "a profile, or a list of profiles applied in order, that this one is laid over"),
    key("unset", Kind::Texts, "keys of lower layers to take out, such as \"destination.x\""),
    key("profile", Kind::Text, "in a project's file: the profile that it is laid over"),
    key("vars", Kind::Map(&Kind::Dynamic), "what `${name}` stands for in any string"),
    key("team", Kind::Table(TEAM), "shorthand for the resource attributes that people segment by"),
    key("resource", Kind::Map(&Kind::Dynamic), "resource attributes"),
    key("signals", Kind::Table(SIGNAL_KEYS), "what the client emits, and how often it hands over"),
    key("content", Kind::Table(CONTENT), "what may leave the machine beyond numbers"),
    key("cardinality", Kind::Table(CARDINALITY), "which attributes metrics carry"),
    key("redact", Kind::Table(REDACT), "attributes to drop or to hash before anything is stored"),
    key("destination", Kind::Map(&Kind::Table(DESTINATION)), "where telemetry goes"),
    key("env", Kind::Map(&Kind::Source), "variables for the program"),
    key("settings", Kind::Map(&Kind::Any), "keys of Claude Code's own settings"),
    key("collector", Kind::Table(COLLECTOR), "how a session's collector behaves"),
];

const TEAM: &[Key] = &[
    key("id", Kind::Dynamic, "the resource attribute team.id"),
    key("department", Kind::Dynamic, "the resource attribute department"),
    key("cost_center", Kind::Dynamic, "the resource attribute cost_center"),
];

const SIGNAL_KEYS: &[Key] = &[
    key("metrics", Kind::Bool, "data points"),
    key("logs", Kind::Bool, "Claude Code's events"),
    key("traces", Kind::Bool, "spans; beta"),
    key("metric_interval", Kind::Duration, "how often the client hands over metrics"),
    key("log_interval", Kind::Duration, "how often the client hands over events"),
    key("trace_interval", Kind::Duration, "how often the client hands over spans"),
];

const CONTENT: &[Key] = &[
    key("user_prompts", Kind::Bool, "what the user typed"),
    key("assistant_responses", Kind::Bool, "what the model answered"),
    key("tool_details", Kind::Bool, "a tool's input: paths, commands, parameters"),
    key("tool_content", Kind::Bool, "a tool's output, in spans"),
    key("raw_api_bodies", Kind::Bool, "whole requests and answers of the model's API"),
];

const CARDINALITY: &[Key] = &[
    key("session_id", Kind::Bool, "session.id"),
    key("account_uuid", Kind::Bool, "user.account_uuid"),
    key("version", Kind::Bool, "app.version"),
    key("entrypoint", Kind::Bool, "app.entrypoint"),
    key("resource_attributes", Kind::Bool, "the resource's own attributes, on every data point"),
    key("repository", Kind::Bool, "repository and branch, to destinations"),
];

const REDACT: &[Key] = &[
    key("drop", Kind::Texts, "attributes to take out"),
    key("hash", Kind::Texts, "attributes to replace by a keyed hash"),
    key("key", Kind::Source, "the hash's key, to be the same over a team"),
];

const DESTINATION: &[Key] = &[
    key("endpoint", Kind::Text, "scheme, host, port and path"),
    key("protocol", Kind::Choice(&["http/protobuf", "http/json", "grpc"]), "how it is spoken to"),
    key("signals", Kind::Choices(SIGNALS), "the signals that it is given"),
    key("temporality", Kind::Choice(&["delta", "cumulative"]), "how it is given sums"),
    key("compression", Kind::Choice(&["gzip", "none"]), "how requests are compressed"),
    key("timeout", Kind::Duration, "how long a request may take"),
    key("batch", Kind::Duration, "how long to wait for more before sending"),
    key("series_ttl", Kind::Duration, "cumulative: a series unchanged for so long is forgotten"),
    key("verify", Kind::Text, "where a person looks whether something arrived"),
    key("headers", Kind::Map(&Kind::Source), "headers of every request"),
    key("headers_helper", Kind::Table(HELPER), "a command that prints a JSON object of headers"),
    key("tls", Kind::Table(TLS), "certificates"),
];

const HELPER: &[Key] = &[
    key("command", Kind::Command, "the program and its arguments"),
    key("ttl", Kind::Duration, "how long an answer is good for"),
    key("timeout", Kind::Duration, "how long it may take"),
    key("interactive", Kind::Bool, "it talks to the user, on the terminal, before the program starts"),
];

const TLS: &[Key] = &[
    key("ca", Kind::Text, "PEM file of the authorities to trust instead of the system's"),
    key("cert", Kind::Text, "PEM file of our certificate"),
    key("key", Kind::Text, "PEM file of our key"),
    key("server_name", Kind::Text, "the name that its certificate must be for"),
    key("insecure", Kind::Bool, "secret headers may go over http:// to another host"),
];

const COLLECTOR: &[Key] = &[
    key("mode", Kind::Choice(&["session", "direct"]), "direct: no collector, headers go into the environment"),
    key("accept", Kind::Texts, "patterns of service.name that are taken"),
    key("drain_timeout", Kind::Duration, "how long to go on delivering when the session is over"),
];

/// What may stand where a value is fetched instead of written. The first key of each says what it is.
pub(super) const SOURCES: &[&[Key]] = &[
    &[key("env", Kind::Text, "a variable of the launcher's environment"), FORMAT],
    &[key("file", Kind::Text, "a file's first line"), FORMAT],
    &[
        key("command", Kind::Command, "a program and its arguments; what it prints"),
        FORMAT,
        key("ttl", Kind::Duration, "how long an answer is good for"),
        key("timeout", Kind::Duration, "how long it may take"),
        key("interactive", Kind::Bool, "it talks to the user, on the terminal, before the program starts"),
    ],
    &[key("keyring", Kind::Text, "an entry of the keyring, as `ccrun secret set` names it"), FORMAT],
    &[key("basic", Kind::Table(BASIC), "HTTP Basic authentication")],
    &[key("oauth2", Kind::Table(OAUTH2), "OAuth2 client credentials")],
];

const FORMAT: Key = key("format", Kind::Text, "what is made of it: `Bearer {}`");

const BASIC: &[Key] =
    &[key("user", Kind::Text, "the user's name"), key("password", Kind::Source, "the user's password")];

const OAUTH2: &[Key] = &[
    key("token_url", Kind::Text, "where a token is asked for"),
    key("client_id", Kind::Text, "who asks"),
    key("client_secret", Kind::Source, "with which secret"),
    key("scopes", Kind::Texts, "for what"),
];

/// The kinds of source that a dynamic value may have: those that the launcher can ask before it execs.
pub(super) const DYNAMIC: &[&str] = &["env", "file", "command"];

/// Checks a tree against the keys of a table: unknown keys, wrong types, words that are none of those allowed.
pub(super) fn check(table: &Entries, keys: &'static [Key], place: &str, faults: &mut Vec<Diagnostic>) {
    for (name, node) in table {
        match keys.iter().find(|key| key.name == name) {
            Some(key) => check_value(node, &key.kind, &below(place, name), faults),
            None => faults.push(unknown(name, node, &keys.iter().map(|key| key.name).collect::<Vec<_>>(), place)),
        }
    }
}

fn below(place: &str, name: &str) -> String {
    if place.is_empty() { name.to_owned() } else { format!("{place}.{name}") }
}

fn unknown(name: &str, node: &Node, known: &[&str], place: &str) -> Diagnostic {
    let place = if place.is_empty() { String::new() } else { format!(" in `{place}`") };
    let fault = Diagnostic::at(&node.key, format!("unknown key `{name}`{place}"));
    fault.help(match guess(name, known) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("allowed here: {}", known.join(", ")),
    })
}

fn check_value(node: &Node, kind: &'static Kind, place: &str, faults: &mut Vec<Diagnostic>) {
    match (kind, &node.value) {
        (Kind::Any, _)
        | (Kind::Text | Kind::Names | Kind::Dynamic | Kind::Source, Value::Text(_))
        | (Kind::Bool, Value::Bool(_)) => {}
        (Kind::Duration, Value::Text(text)) if duration(text).is_some() => {}
        (Kind::Duration, Value::Text(text)) => {
            let fault = Diagnostic::at(&node.origin, format!("`{text}` is no duration for `{place}`"));
            faults.push(fault.help("write for example \"10s\" or \"1m 30s\", above zero"));
        }
        (Kind::Choice(words), Value::Text(text)) => check_choice(node, text, words, place, faults),
        (Kind::Choices(words), Value::List(items)) => {
            for item in items {
                match &item.value {
                    Value::Text(text) => check_choice(item, text, words, place, faults),
                    _ => faults.push(wrong_type(item, kind, place)),
                }
            }
        }
        (Kind::Texts | Kind::Names | Kind::Command, Value::List(items)) => {
            let strangers = items.iter().filter(|item| !matches!(item.value, Value::Text(_)));
            faults.extend(strangers.map(|item| wrong_type(item, kind, place)));
            if matches!(kind, Kind::Command) && items.is_empty() {
                faults.push(Diagnostic::at(&node.origin, format!("`{place}` names no program")));
            }
        }
        (Kind::Source, Value::List(items)) => {
            for item in items {
                check_value(item, &Kind::Source, place, faults);
            }
        }
        (Kind::Dynamic | Kind::Source, Value::Table(table)) => check_source(node, table, kind, place, faults),
        (Kind::Table(keys), Value::Table(table)) => check(table, keys, place, faults),
        (Kind::Map(kind), Value::Table(table)) => {
            for (name, node) in table {
                check_value(node, kind, &below(place, name), faults);
            }
        }
        _ => faults.push(wrong_type(node, kind, place)),
    }
}

fn check_choice(node: &Node, text: &str, words: &[&str], place: &str, faults: &mut Vec<Diagnostic>) {
    if !words.contains(&text) {
        let fault = Diagnostic::at(&node.origin, format!("`{text}` is none of what `{place}` can be"));
        faults.push(fault.help(match guess(text, words) {
            Some(meant) => format!("did you mean \"{meant}\"?"),
            None => format!("allowed: {}", quoted(words)),
        }));
    }
}

/// A source is known by its first key.
fn check_source(node: &Node, table: &Entries, kind: &Kind, place: &str, faults: &mut Vec<Diagnostic>) {
    let dynamic = matches!(kind, Kind::Dynamic);
    let allowed = SOURCES.iter().filter(|keys| !dynamic || DYNAMIC.contains(&keys[0].name));
    let allowed: Vec<&[Key]> = allowed.copied().collect();
    if let Some(keys) = allowed.iter().find(|keys| table.contains_key(keys[0].name)) {
        return check(table, keys, place, faults);
    }
    let names: Vec<&str> = allowed.iter().map(|keys| keys[0].name).collect();
    let written = table.keys().next().map(String::as_str).unwrap_or_default();
    let fault = Diagnostic::at(&node.origin, format!("`{place}` says no source for its value"));
    faults.push(fault.help(match guess(written, &names) {
        Some(meant) => format!("did you mean `{meant}`?"),
        None => format!("allowed: a string, or a table with one of {}", names.join(", ")),
    }));
}

fn wrong_type(node: &Node, kind: &Kind, place: &str) -> Diagnostic {
    let allowed = match kind {
        Kind::Text | Kind::Duration | Kind::Choice(_) => "a string",
        Kind::Bool => "`true` or `false`",
        Kind::Choices(_) | Kind::Texts | Kind::Command => "a list of strings",
        Kind::Names => "a string or a list of strings",
        Kind::Dynamic => "a string or a source",
        Kind::Source => "a string, a source or a list of sources",
        Kind::Table(_) | Kind::Map(_) => "a table",
        Kind::Any => "anything",
    };
    Diagnostic::at(&node.origin, format!("`{place}` is {} where {allowed} belongs", node.value.kind()))
}

/// A duration of a profile, if the text is one. A day is 24 hours.
pub(super) fn duration(text: &str) -> Option<std::time::Duration> {
    let span: Span = text.parse().ok()?;
    let duration = span.to_duration(SpanRelativeTo::days_are_24_hours()).ok()?;
    let duration = std::time::Duration::try_from(duration).ok()?;
    (!duration.is_zero()).then_some(duration)
}

fn quoted(words: &[&str]) -> String {
    words.iter().map(|word| format!("\"{word}\"")).collect::<Vec<_>>().join(" or ")
}

/// The known word nearest to what was written, if it is near enough to have been meant.
pub(super) fn guess<'a>(written: &str, known: &[&'a str]) -> Option<&'a str> {
    let scored = known.iter().map(|word| (strsim::jaro_winkler(written, word), *word));
    scored.filter(|(score, _)| *score > 0.8).max_by(|a, b| a.0.total_cmp(&b.0)).map(|(_, word)| word)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_word_is_guessed() {
        assert_eq!(guess("endpont", &["endpoint", "protocol"]), Some("endpoint"));
        assert_eq!(guess("zebra", &["endpoint", "protocol"]), None);
    }

    #[test]
    fn durations_are_above_zero() {
        assert_eq!(duration("1m 30s"), Some(std::time::Duration::from_secs(90)));
        for bad in ["", "0s", "-1s", "soon", "1"] {
            assert_eq!(duration(bad), None, "{bad}");
        }
    }
}
