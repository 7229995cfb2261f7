//! Removes private data from findings, so that they can be pasted into a public issue. Pure.

use std::collections::BTreeSet;

use super::Subject;
use crate::profile::Notify;
use crate::secret::Source;
use crate::terminal::mask::{HIDDEN, SCHEMES, is_secret_name, may_be_secret, tokens, urls};

/// The shortest fetched value that is treated as a secret, in bytes. A shorter one would match inside ordinary words.
const SHORTEST_SECRET: usize = 6;

/// User and host names that identify no one and occur in ordinary messages.
const ANYBODY: [&str; 17] = [
    "root",
    "user",
    "claude",
    "ccrun",
    "node",
    "code",
    "admin",
    "runner",
    "ubuntu",
    "vscode",
    "app",
    "home",
    "dev",
    "otel",
    "localhost",
    "local",
    "linux",
];

/// What to remove.
#[derive(Clone, Default)]
pub struct Mask {
    /// Secret values, longest first.
    secrets: Vec<String>,
    home: String,
    /// The user's name.
    user: Option<String>,
    /// The machine's names, longest first.
    hosts: Vec<String>,
}

/// Shows nothing of what it hides.
impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Mask").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Mask {
    /// The private data of this subject, with the secrets fetched so far.
    pub fn of(subject: &Subject) -> Self {
        let variables = &subject.workspace.variables;
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
        let user = user.or_else(|| variables.get("USER").cloned());
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let mut secrets = subject.secrets();
        let named = variables.iter().filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.clone());
        secrets.extend(named);
        if let Some(profile) = subject.meaning() {
            let headers = profile.destinations.iter().flat_map(|destination| &destination.headers);
            let written =
                headers.chain(&profile.env).flat_map(|(name, sources)| sources.iter().map(move |it| (name, it)));
            let literals = written.filter_map(|(name, source)| Some((name, source.literal()?)));
            let is_secret = |(name, value): &(&String, &str)| is_secret_name(name) || may_be_secret(value);
            secrets.extend(literals.filter(is_secret).map(|(_, value)| value.to_owned()));
            let notifications = profile.budgets.iter().flat_map(|budget| &budget.notify).flat_map(Notify::sources);
            secrets.extend(notifications.filter_map(Source::literal).map(str::to_owned));
        }
        Self::new(&secrets, &subject.workspace.places.home.to_string_lossy(), user.as_deref(), host.as_deref())
    }

    /// A mask of these values. Each part of a header value (`Bearer sk-…`) is a secret too.
    pub fn new(secrets: &[String], home: &str, user: Option<&str>, host: Option<&str>) -> Self {
        let parts =
            secrets.iter().flat_map(|secret| {
                secret.split([' ', ',', '=', ':', '"']).chain([secret.as_str()]).map(str::trim).filter(|part| {
                    part.len() >= SHORTEST_SECRET && !SCHEMES.contains(&part.to_ascii_lowercase().as_str())
                })
            });
        let is_own = |name: &&str| name.len() > 1 && !ANYBODY.contains(&name.to_ascii_lowercase().as_str());
        let host = host.unwrap_or_default();
        let mut hosts = vec![host];
        hosts.extend(host.split_once('.').map(|(first, _)| first));
        let mut secrets: Vec<_> = parts.map(str::to_owned).collect::<BTreeSet<_>>().into_iter().collect();
        secrets.sort_by_key(|secret| std::cmp::Reverse(secret.len()));
        Self {
            secrets,
            home: if home.len() > 1 { home.trim_end_matches('/').to_owned() } else { String::new() },
            user: user.filter(is_own).map(str::to_owned),
            hosts: hosts.into_iter().filter(is_own).map(str::to_owned).collect(),
        }
    }

    /// The text without private data.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        if !self.home.is_empty() {
            text = replace_word(&text, &self.home, "~", |c| c.is_alphanumeric() || "_-.".contains(c));
        }
        text = addresses(&urls(&text));
        text = tokens(&text);
        let is_word = |c: char| c.is_alphanumeric() || "_-".contains(c);
        for host in &self.hosts {
            text = replace_word(&text, host, "<host>", is_word);
        }
        match &self.user {
            Some(user) => replace_word(&text, user, "<user>", is_word),
            None => text,
        }
    }
}

/// Replaces a word wherever it stands alone.
fn replace_word(text: &str, word: &str, by: &str, is_word: impl Fn(char) -> bool) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(word) {
        let (before, after) = (&rest[..at], &rest[at + word.len()..]);
        let left = before.chars().next_back().or_else(|| out.chars().next_back());
        let alone = !left.is_some_and(&is_word) && !after.chars().next().is_some_and(&is_word);
        out.push_str(before);
        out.push_str(if alone { by } else { word });
        rest = after;
    }
    out + rest
}

/// Removes e-mail addresses.
fn addresses(text: &str) -> String {
    let is_local = |c: char| c.is_alphanumeric() || "._%+-".contains(c);
    let is_domain = |c: char| c.is_alphanumeric() || ".-".contains(c);
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find('@') {
        let (before, after) = (&rest[..at], &rest[at + 1..]);
        let local = before.len() - before.trim_end_matches(is_local).len();
        let domain = after.len() - after.trim_start_matches(is_domain).len();
        let is_one = local > 0 && after[..domain].trim_end_matches('.').contains('.');
        if is_one {
            out.push_str(&before[..at - local]);
            out.push_str("<e-mail>");
            rest = &after[after[..domain].trim_end_matches('.').len()..];
        } else {
            out.push_str(before);
            out.push('@');
            rest = after;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let secrets = ["Bearer sk-secret".to_owned(), "Basic dTpwOnB3".to_owned(), "abc".to_owned()];
        Mask::new(&secrets, "/home/maxine", Some("maxine"), Some("blackbird.corp.example"))
    }

    #[test]
    fn private_data_is_removed() {
        for (text, expected) in [
            (
                "`/home/maxine/.config/ccrun` and /home/maxine: and /home/maxine2",
                "`~/.config/ccrun` and ~: and /home/maxine2",
            ),
            ("key sk-secret, dTpwOnB3", "key <hidden>, <hidden>"),
            ("maxine@blackbird is maxine on blackbird.corp.example", "<user>@<host> is <user> on <host>"),
            ("write to max.ine+a@mail.example.org.", "write to <e-mail>."),
            (
                "https://me:hunter2@h.example/x http://a:b!c@litellm:4000",
                "https://<hidden>@h.example/x http://<hidden>@litellm:4000",
            ),
            ("got Bearer abcdefgh and basic YTpi, no more", "got Bearer <hidden> and basic YTpi, no more"),
            ("a JWT eyJhbGciOi.eyJzdWIi.c2ln.", "a JWT <hidden>"),
            ("key=0123456789abcdef0123456789abcdef!", "<hidden>!"),
            ("http://127.0.0.1:4318/0123456789abcdef0123456789abcdef", "http://127.0.0.1:4318/<hidden>"),
            ("id 123e4567-e89b-12d3-a456-426614174000", "id <hidden>"),
        ] {
            assert_eq!(mask().text(text), expected);
        }
    }

    #[test]
    fn useful_details_are_kept() {
        for text in [
            "npm's @anthropic-ai/claude-code 2.1.332 at `/usr/lib/node_modules`",
            "https://ingest.eu2.signoz.cloud:443 answers 401: `missing header`",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is cumulative in /etc/claude-code/managed-settings.json:12",
            "the session 0123456789abcdef, x86_64-unknown-linux-gnu, claude-opus-4-5-20251101",
            "the basic idea of the bearer is abc",
        ] {
            assert_eq!(mask().text(text), text);
        }
        assert_eq!(Mask::new(&[], "/", Some("root"), Some("localhost")).text("/root is root"), "/root is root");
    }
}
