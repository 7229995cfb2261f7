//! What of a finding is nobody else's business, taken out of it: after that it may be pasted into a public issue. Pure.

use std::collections::BTreeSet;

use super::Subject;

/// What stands for something that is not shown.
const HIDDEN: &str = "<hidden>";

/// The shortest value that is taken for a secret because it was fetched as one, in bytes: a shorter one is found in
/// every other word.
const SHORTEST_SECRET: usize = 6;

/// The shortest run of letters and digits that is taken for a token because it looks like one.
const SHORTEST_TOKEN: usize = 20;

/// How tokens of services that people use with Claude Code begin.
const BEGINNINGS: [&str; 16] = [
    "sk-",
    "pk-lf-",
    "ghp_",
    "gho_",
    "ghs_",
    "github_pat_",
    "glpat-",
    "glc_",
    "glsa_",
    "hcaik_",
    "eyJ",
    "dt0c01",
    "AKIA",
    "ASIA",
    "xoxb-",
    "ya29",
];

/// What stands in front of a secret (RFC 9110, 11.4, and what backends make of it).
const SCHEMES: [&str; 5] = ["bearer", "basic", "api-token", "apikey", "token="];

/// Names that say who somebody is to nobody, and that stand in many a message.
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

/// What is taken out.
#[derive(Clone, Default)]
pub struct Mask {
    /// Values, the longest first.
    secrets: Vec<String>,
    home: String,
    /// The user's name.
    user: Option<String>,
    /// The machine's names, the longest first.
    hosts: Vec<String>,
}

/// Shows nothing of what it hides.
impl std::fmt::Debug for Mask {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Mask").field("secrets", &self.secrets.len()).finish_non_exhaustive()
    }
}

impl Mask {
    /// What of this subject is nobody's business, with the secrets that were fetched until now.
    pub fn of(subject: &Subject) -> Self {
        let variables = &subject.setting.variables;
        let user = nix::unistd::User::from_uid(nix::unistd::geteuid()).ok().flatten().map(|user| user.name);
        let user = user.or_else(|| variables.get("USER").cloned());
        let host = nix::unistd::gethostname().ok().and_then(|name| name.into_string().ok());
        let mut secrets = subject.secrets();
        let named = variables.iter().filter(|(name, _)| is_secret_name(name)).map(|(_, value)| value.clone());
        secrets.extend(named);
        if let Some(profile) = subject.meaning() {
            let headers = profile.destinations.iter().flat_map(|destination| &destination.headers);
            let written = headers.chain(&profile.env).filter(|(name, _)| is_secret_name(name));
            let literals = written.flat_map(|(_, sources)| sources).filter_map(crate::credential::Source::literal);
            secrets.extend(literals.map(str::to_owned));
        }
        Self::new(&secrets, &subject.setting.places.home.to_string_lossy(), user.as_deref(), host.as_deref())
    }

    /// With these values; a header's has parts (`Bearer sk-…`), each of which is a secret too.
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

    /// A text without it.
    pub fn text(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for secret in &self.secrets {
            text = text.replace(secret.as_str(), HIDDEN);
        }
        if !self.home.is_empty() {
            text = replace_word(&text, &self.home, "~", |c| c.is_alphanumeric() || "_-.".contains(c));
        }
        text = addresses(&without_user_information(&text));
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

/// Whether what has this name, a variable or a header, is likely to be a secret.
pub(super) fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = ["key", "token", "secret", "passw", "auth", "credential", "cookie", "_headers", "dsn", "-team"];
    // Places and programs that are named after what they are for.
    let others = ["sock", "path", "file", "helper", "ttl", "_url", "include_"];
    parts.iter().any(|part| name.contains(part)) && !others.iter().any(|other| name.contains(other))
}

/// Puts something in the place of a word wherever it stands alone.
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

/// Without what stands before the `@` of a URL's host, where people write passwords.
fn without_user_information(text: &str) -> String {
    const START: &str = "://";
    let is_end = |c: char| c.is_whitespace() || "/?#`\"'<>".contains(c);
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(START) {
        let (before, after) = rest.split_at(at + START.len());
        out.push_str(before);
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                out.push_str(HIDDEN);
                &after[at..]
            }
            None => after,
        };
    }
    out + rest
}

/// Without addresses of e-mail.
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

/// Without what looks like a token, or stands where one does.
fn tokens(text: &str) -> String {
    let is_part = |c: char| c.is_ascii_alphanumeric() || "_-.+=".contains(c);
    let mut out = String::with_capacity(text.len());
    let (mut rest, mut after_scheme) = (text, false);
    while let Some(first) = rest.chars().next() {
        let end = rest.find(|c| is_part(c) != is_part(first)).unwrap_or(rest.len());
        let (run, after) = rest.split_at(end);
        rest = after;
        if !is_part(first) {
            after_scheme &= run == " ";
            out.push_str(run);
            continue;
        }
        let is_secret = looks_like_a_token(run) || after_scheme && run.len() >= 8;
        out.push_str(if is_secret { HIDDEN } else { run });
        after_scheme = SCHEMES.contains(&run.to_ascii_lowercase().as_str());
    }
    out
}

fn looks_like_a_token(run: &str) -> bool {
    let begins = BEGINNINGS.iter().any(|beginning| run.starts_with(beginning) && run.len() >= beginning.len() + 6);
    let mixed = |part: &str| part.contains(|c: char| c.is_ascii_digit()) && part.contains(char::is_alphabetic);
    let is_long = |part: &str| part.len() >= SHORTEST_TOKEN && mixed(part);
    begins || is_uuid(run) || run.split(['.', '-', '_', '=', '+']).any(is_long)
}

fn is_uuid(run: &str) -> bool {
    let lengths: Vec<_> = run.split('-').map(str::len).collect();
    lengths == [8, 4, 4, 4, 12] && run.chars().all(|c| c == '-' || c.is_ascii_hexdigit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mask() -> Mask {
        let secrets = ["Bearer sk-secret".to_owned(), "Basic dTpwOnB3".to_owned(), "abc".to_owned()];
        Mask::new(&secrets, "/home/maxine", Some("maxine"), Some("blackbird.corp.example"))
    }

    #[test]
    fn what_is_nobodys_business_is_taken_out() {
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
    fn what_helps_stays() {
        for text in [
            "npm's @anthropic-ai/claude-code 2.1.329 at `/usr/lib/node_modules`",
            "https://ingest.eu2.signoz.cloud:443 answers 401: `missing header`",
            "OTEL_EXPORTER_OTLP_METRICS_TEMPORALITY_PREFERENCE is cumulative in /etc/claude-code/managed-settings.json:12",
            "the session 0123456789abcdef, x86_64-unknown-linux-gnu, claude-opus-4-5-20251101",
            "the basic idea of the bearer is abc",
        ] {
            assert_eq!(mask().text(text), text);
        }
        assert_eq!(Mask::new(&[], "/", Some("root"), Some("localhost")).text("/root is root"), "/root is root");
    }

    #[test]
    fn names_tell_secrets() {
        for name in
            ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "authorization", "x-honeycomb-team", "OTEL_EXPORTER_OTLP_HEADERS"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PATH", "SSH_AUTH_SOCK", "apiKeyHelper", "OTEL_METRICS_EXPORTER", "x-scope-orgid"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }
}
