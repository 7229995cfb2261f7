//! The keys of a profile: the type and a description of each. The checks, the guesses and the JSON Schema all use it.

mod check;
mod value;

pub(crate) use check::{check, take_unknown};
pub(crate) use value::{amount, duration, guess, percentage, quoted};

/// A key of a table.
#[derive(Debug)]
pub(crate) struct Key {
    pub(crate) name: &'static str,
    pub(crate) kind: Kind,
    /// Its description, for people and for the JSON Schema.
    pub(crate) about: &'static str,
}

/// The type of a value.
#[derive(Debug)]
pub(crate) enum Kind {
    Text,
    Bool,
    /// `10s`, `1m 30s`: above zero.
    Duration,
    Choice(&'static [&'static str]),
    /// A list of these words.
    Choices(&'static [&'static str]),
    Texts,
    /// One name or a list of names.
    Names,
    /// A program and its arguments.
    Command,
    /// US dollars, above zero.
    Amount,
    /// A list of percentages, such as `[50, 90]`.
    Percentages,
    /// The format of a status line.
    Format,
    /// A string, or a source that is read before the program starts.
    Dynamic,
    /// The same, or a table of [`VARIABLE`] that declares a variable.
    Variable,
    /// The value of a header or variable: a literal, a source, or a list of sources of which the first that has the
    /// value is used.
    Source,
    /// A table of these keys.
    Table(&'static [Key]),
    /// A list of tables, each with the keys of one of these. The first key of each identifies it.
    Tables(&'static [&'static [Key]]),
    /// A table with arbitrary keys.
    Map(&'static Kind),
    /// Anything: it belongs to another program.
    Any,
}

const fn key(name: &'static str, kind: Kind, about: &'static str) -> Key {
    Key { name, kind, about }
}

/// The names of the signals.
pub(crate) const SIGNALS: &[&str] = &["metrics", "logs", "traces"];

/// A profile.
pub(crate) const PROFILE: &[Key] = &[
    key("description", Kind::Text, "a one-line description"),
    key("require", Kind::Bool, "start programs only with this profile in force"),
    key("extends", Kind::Names, "the profile that this one extends, or a list of profiles applied in order"),
    key("unset", Kind::Texts, "keys of lower layers to remove, such as \"destination.x\""),
    key("profile", Kind::Text, "in a project's file: the profile that it extends"),
    key("vars", Kind::Map(&Kind::Variable), "variables, used as `${name}` in any string"),
    key("team", Kind::Table(TEAM), "shorthand for the resource attributes that people segment by"),
    key("resource", Kind::Map(&Kind::Dynamic), "resource attributes"),
    key("signals", Kind::Table(SIGNAL_KEYS), "the signals that the client emits, and how often it exports them"),
    key("content", Kind::Table(CONTENT), "what may leave the machine besides numbers"),
    key("cardinality", Kind::Table(CARDINALITY), "which attributes metrics carry"),
    key("redact", Kind::Table(REDACT), "attributes to drop or hash before anything is stored"),
    key("destination", Kind::Map(&Kind::Table(DESTINATION)), "where telemetry goes"),
    key("source", Kind::Map(&Kind::Table(SOURCE)), "teams' stores that `ccrun report --from` reads"),
    key("env", Kind::Map(&Kind::Source), "variables for the program"),
    key("settings", Kind::Map(&Kind::Any), "keys of Claude Code's own settings"),
    key("budget", Kind::Table(BUDGET), "how much Claude Code may cost"),
    key("collector", Kind::Table(COLLECTOR), "how a session's collector behaves"),
    key("statusline", Kind::Table(STATUS_LINE), "the status line that Claude Code shows"),
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
    key("metric_interval", Kind::Duration, "how often the client exports metrics"),
    key("log_interval", Kind::Duration, "how often the client exports events"),
    key("trace_interval", Kind::Duration, "how often the client exports spans"),
];

const CONTENT: &[Key] = &[
    key("user_prompts", Kind::Bool, "the user's prompts"),
    key("assistant_responses", Kind::Bool, "the model's answers"),
    key("tool_details", Kind::Bool, "a tool's input: paths, commands, parameters"),
    key("tool_content", Kind::Bool, "a tool's output, in spans"),
    key("raw_api_bodies", Kind::Bool, "whole requests and responses of the model's API"),
];

const CARDINALITY: &[Key] = &[
    key("session_id", Kind::Bool, "session.id"),
    key("account_uuid", Kind::Bool, "user.account_uuid"),
    key("version", Kind::Bool, "app.version"),
    key("entrypoint", Kind::Bool, "app.entrypoint"),
    key("resource_attributes", Kind::Bool, "the resource's own attributes, on every data point"),
    key("repository", Kind::Bool, "repository and branch, sent to destinations"),
];

const REDACT: &[Key] = &[
    key("drop", Kind::Texts, "attributes to drop"),
    key("hash", Kind::Texts, "attributes to replace by a keyed hash"),
    key("key", Kind::Source, "the key of the hash, shared by a team"),
];

const DESTINATION: &[Key] = &[
    key("endpoint", Kind::Text, "scheme, host, port and path"),
    key("protocol", Kind::Choice(&["http/protobuf", "http/json", "grpc"]), "the protocol"),
    key("signals", Kind::Choices(SIGNALS), "the signals that it gets"),
    key("temporality", Kind::Choice(&["delta", "cumulative"]), "the temporality of sums"),
    key("compression", Kind::Choice(&["gzip", "none"]), "the compression of requests"),
    key("timeout", Kind::Duration, "how long a request may take"),
    key("batch", Kind::Duration, "how long to wait for more before sending"),
    key("series_ttl", Kind::Duration, "cumulative: how long a series without changes is kept"),
    key("verify", Kind::Text, "where a person can check that data arrived"),
    key("headers", Kind::Map(&Kind::Source), "headers of every request"),
    key("headers_helper", Kind::Table(HELPER), "a command that prints a JSON object of headers"),
    key("tls", Kind::Table(TLS), "certificates"),
];

const HELPER: &[Key] = &[
    key("command", Kind::Command, "the program and its arguments"),
    key("ttl", Kind::Duration, "how long its output is valid"),
    key("timeout", Kind::Duration, "how long it may take"),
    key("interactive", Kind::Bool, "it interacts with the user on the terminal before the program starts"),
];

const TLS: &[Key] = &[
    key("ca", Kind::Text, "PEM file of the authorities to trust instead of the system's"),
    key("cert", Kind::Text, "PEM file of the client certificate"),
    key("key", Kind::Text, "PEM file of its key"),
    key("server_name", Kind::Text, "the name in the server's certificate"),
    key("insecure", Kind::Bool, "allow secret headers over http:// to another host"),
];

/// A team's store, in a profile and in `config.toml`.
pub(crate) const SOURCE: &[Key] = &[
    key(
        "url",
        Kind::Text,
        "where it is, as \"clickhouse://host:8443/database?secure=1\" or \"prometheus://host:9090\"",
    ),
    key("user", Kind::Text, "the user's name"),
    key("password", Kind::Source, "the user's password"),
    key("timeout", Kind::Duration, "how long a query may take"),
    key("headers", Kind::Map(&Kind::Source), "headers of every request"),
    key("tls", Kind::Table(TLS), "certificates"),
];

const COLLECTOR: &[Key] = &[
    key("mode", Kind::Choice(&["session", "direct"]), "direct: no collector, with headers in the environment"),
    key("accept", Kind::Texts, "patterns of service.name to accept"),
    key("drain_timeout", Kind::Duration, "how long to keep delivering when the session is over"),
];

/// A budget, in a profile and in `config.toml`.
pub(crate) const BUDGET: &[Key] = &[
    key("daily", Kind::Amount, "US dollars a day"),
    key("weekly", Kind::Amount, "US dollars a week, from Monday"),
    key("monthly", Kind::Amount, "US dollars a month"),
    key("per", Kind::Choice(SCOPES), "whose spend counts"),
    key("warn", Kind::Percentages, "the percentages at which to warn"),
    key("stop", Kind::Bool, "let no work begin beyond 100 %"),
    key("notify", Kind::Tables(NOTIFY), "what else to tell"),
];

/// Whose spend a budget may limit.
pub(crate) const SCOPES: &[&str] = &["person", "project", "branch", "team", "profile", "session"];

/// Where to send a message about a budget.
const NOTIFY: &[&[Key]] = &[
    &[key("command", Kind::Command, "a program and its arguments, which gets the message on stdin")],
    &[
        key("webhook", Kind::Source, "the URL that the message is posted to"),
        key("headers", Kind::Map(&Kind::Source), "headers of the request"),
    ],
];

/// Also of `config.toml`.
pub(crate) const STATUS_LINE: &[Key] = &[
    key("show", Kind::Bool, "show ccrun's status line in Claude Code"),
    key("format", Kind::Format, "what it shows, such as `{cost} · today {today}`"),
];

/// The tables that stand for a fetched value. The first key of each identifies it.
pub(crate) const SOURCES: &[&[Key]] = &[
    &[key("env", Kind::Text, "a variable of the launcher's environment"), FORMAT],
    &[key("file", Kind::Text, "a file's first line"), FORMAT],
    &[
        key("command", Kind::Command, "a program and its arguments, which prints the value"),
        FORMAT,
        key("ttl", Kind::Duration, "how long its output is valid"),
        key("timeout", Kind::Duration, "how long it may take"),
        key("interactive", Kind::Bool, "it interacts with the user on the terminal before the program starts"),
    ],
    &[key("keyring", Kind::Text, "an entry of the keyring, as `ccrun secret set` names it"), FORMAT],
    &[key("basic", Kind::Table(BASIC), "HTTP Basic authentication")],
    &[key("oauth2", Kind::Table(OAUTH2), "OAuth2 client credentials")],
];

const FORMAT: Key = key("format", Kind::Text, "a format for the value, such as `Bearer {}`");

const BASIC: &[Key] =
    &[key("user", Kind::Text, "the user's name"), key("password", Kind::Source, "the user's password")];

const OAUTH2: &[Key] = &[
    key("token_url", Kind::Text, "the token endpoint"),
    key("client_id", Kind::Text, "the client's id"),
    key("client_secret", Kind::Source, "the client's secret"),
    key("scopes", Kind::Texts, "the requested scopes"),
];

/// The declaration of a variable in the file that introduces it.
pub(crate) const VARIABLE: &[Key] = &[
    key("values", Kind::Texts, "the allowed values; any value if omitted"),
    key("description", Kind::Text, "a description"),
    key("default", Kind::Text, "the default; required if omitted"),
];

/// The sources that a dynamic value may have: those that the launcher can read before it execs.
pub(crate) const DYNAMIC: &[&str] = &["env", "file", "command"];
