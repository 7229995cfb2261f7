//! Masks likely secrets in any text. Pure.

/// The placeholder for hidden text.
pub const HIDDEN: &str = "<hidden>";

/// The minimum length of a run of letters and digits that is treated as a token because of its form.
const SHORTEST_TOKEN: usize = 20;

/// The prefixes of tokens for services that people use with Claude Code.
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

/// The words before a secret (RFC 9110, 11.4, and variants that backends use).
pub const SCHEMES: [&str; 6] = ["bearer", "basic", "splunk", "api-token", "apikey", "token="];

/// Whether a variable or header with this name is likely to contain a secret.
pub fn is_secret_name(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let parts = ["key", "token", "secret", "passw", "auth", "credential", "cookie", "_headers", "dsn", "-team"];
    // Places and programs that are named after their purpose.
    let others = ["sock", "path", "file", "helper", "ttl", "_url", "include_"];
    parts.iter().any(|part| name.contains(part)) && !others.iter().any(|other| name.contains(other))
}

/// Whether a value may be a secret by itself: a token, or a URL with a password or a query.
pub fn may_be_secret(value: &str) -> bool {
    tokens(&urls(value)) != value
}

/// A text in which URLs have no user information before the `@`, where people write passwords, and no query values,
/// where they write keys.
pub fn urls(text: &str) -> String {
    without_queries(&without_user_information(text))
}

fn is_end_of_url(c: char) -> bool {
    c.is_whitespace() || "`\"'<>".contains(c)
}

fn without_user_information(text: &str) -> String {
    const START: &str = "://";
    let is_end = |c: char| is_end_of_url(c) || "/?#".contains(c);
    let is_port = |port: &str| port.is_empty() || port.bytes().all(|byte| byte.is_ascii_digit());
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find(START) {
        let (before, after) = rest.split_at(at + START.len());
        out.push_str(before);
        let whole = &after[..after.find(is_end_of_url).unwrap_or(after.len())];
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        rest = match (authority.rfind('@'), authority.rsplit_once(':')) {
            (Some(at), _) => {
                out.push_str(HIDDEN);
                &after[at..]
            }
            // The password contains a character that ends a host, so the intended host is ambiguous.
            (None, Some((_, port))) if !is_port(port) && !authority.ends_with(']') && whole.contains('@') => {
                out.push_str(HIDDEN);
                &after[whole.len()..]
            }
            _ => after,
        };
    }
    out + rest
}

fn without_queries(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(at) = rest.find("://") {
        let end = rest[at..].find(is_end_of_url).map_or(rest.len(), |end| at + end);
        let (url, after) = rest.split_at(end);
        match url[at..].find('?') {
            Some(query) => {
                let (before, pairs) = url.split_at(at + query + 1);
                out.push_str(before);
                out.push_str(&pairs.split('&').map(without_value).collect::<Vec<_>>().join("&"));
            }
            None => out.push_str(url),
        }
        rest = after;
    }
    out + rest
}

fn without_value(pair: &str) -> String {
    match pair.split_once('=') {
        Some((name, value)) if !value.is_empty() => format!("{name}={HIDDEN}"),
        None if !pair.is_empty() => HIDDEN.to_owned(),
        _ => pair.to_owned(),
    }
}

/// A text without anything that looks like a token, or that is in the place of one.
pub fn tokens(text: &str) -> String {
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

    #[test]
    fn secrets_are_recognised_by_name() {
        for name in
            ["ANTHROPIC_API_KEY", "GITHUB_TOKEN", "authorization", "x-honeycomb-team", "OTEL_EXPORTER_OTLP_HEADERS"]
        {
            assert!(is_secret_name(name), "{name}");
        }
        for name in ["PATH", "SSH_AUTH_SOCK", "apiKeyHelper", "OTEL_METRICS_EXPORTER", "x-scope-orgid"] {
            assert!(!is_secret_name(name), "{name}");
        }
    }

    #[test]
    fn a_url_shows_no_password_and_no_query() {
        for (text, expected) in [
            ("https://h/?api_key=SECRET&b=c#d", "https://h/?api_key=<hidden>&b=<hidden>"),
            ("see https://h/p?SECRET, now", "see https://h/p?<hidden> now"),
            ("https://user:SECRET@host", "https://<hidden>@host"),
            ("\"http://u:a/b?c#d@litellm:4000/x\" is", "\"http://<hidden>\" is"),
            ("https://h:4318/a@b?", "https://h:4318/a@b?"),
            ("https://good.example:x@evil.example/", "https://<hidden>@evil.example/"),
            ("https://h/a@b", "https://h/a@b"),
            ("is it https://h/?", "is it https://h/?"),
        ] {
            assert_eq!(urls(text), expected);
            assert_eq!(may_be_secret(text), text != expected);
        }
    }
}
