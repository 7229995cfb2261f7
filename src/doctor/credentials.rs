//! Checks whether the values of headers and variables can be read, and how long they stay valid.

use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use serde::Deserialize;

use super::{Check, Finding, Group, Subject};
use crate::credential::{HeadersError, ValueError, interactive_commands};
use crate::profile::{Destination, Notify, Profile};
use crate::secret::keyring::Fault;
use crate::secret::{Fetched, Source};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "credentials.keyring", group: Group::Credentials, look: keyring },
    Check { id: "credentials.headers", group: Group::Credentials, look: headers },
    Check { id: "credentials.expiry", group: Group::Credentials, look: expiry },
    Check { id: "credentials.variables", group: Group::Credentials, look: variables },
];

/// A token that is not renewed automatically is reported if it expires within this many seconds.
const SOON: i64 = 24 * 60 * 60;

/// Every value that a profile takes from sources: its description, and its sources. The first source that has it is
/// used.
fn wants(profile: &Profile) -> Vec<(String, &[Source])> {
    let mut all = Vec::new();
    for destination in &profile.destinations {
        let what = |header: &String| format!("the header `{header}` of `{}`", destination.name);
        all.extend(destination.headers.iter().map(|(header, sources)| (what(header), sources.as_slice())));
    }
    all.extend(profile.env.iter().map(|(name, sources)| (format!("`env.{name}`"), sources.as_slice())));
    all.push(("`redact.key`".to_owned(), profile.redact.key.as_slice()));
    for notify in profile.budgets.iter().flat_map(|budget| &budget.notify) {
        if let Notify::Webhook { url, headers } = notify {
            all.push(("the URL of `budget.notify`".to_owned(), url.as_slice()));
            let what = |header: &String| format!("the header `{header}` of `budget.notify`");
            all.extend(headers.iter().map(|(header, sources)| (what(header), sources.as_slice())));
        }
    }
    all
}

/// Every keyring entry that the profile names.
pub(super) fn entries(profile: &Profile) -> BTreeSet<String> {
    let sources = wants(profile).into_iter().flat_map(|(_, sources)| sources);
    sources.flat_map(Source::entries).map(str::to_owned).collect()
}

/// Entries with no alternative source, and what each is needed for.
fn needed(subject: &Subject) -> BTreeMap<String, BTreeSet<String>> {
    let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (what, sources) in subject.meaning().map(wants).unwrap_or_default() {
        let (keyring, others): (Vec<_>, Vec<_>) = sources.iter().cloned().partition(|one| !one.entries().is_empty());
        // Slow sources are checked together with their header.
        let is_slow = |source: &Source| source.runs() || matches!(source, Source::Oauth2(_));
        let is_given = || others.iter().any(is_slow) || (!others.is_empty() && subject.fetch(&others).is_ok());
        if keyring.is_empty() || is_given() {
            continue;
        }
        for entry in keyring.iter().flat_map(Source::entries) {
            needed.entry(entry.to_owned()).or_default().insert(what.clone());
        }
    }
    needed
}

/// Whether one of these sources needs a keyring entry that is reported as missing.
fn waits_for_keyring(subject: &Subject, sources: &[Source]) -> bool {
    let needed = needed(subject);
    sources.iter().flat_map(Source::entries).any(|entry| needed.contains_key(entry) && subject.lacks(entry))
}

/// Never prompts for a password: a locked keyring is reported as locked.
fn keyring(subject: &Subject) -> Vec<Finding> {
    let entries = needed(subject);
    if entries.is_empty() {
        return Vec::new();
    }
    let looked = match subject.keyring() {
        Ok(looked) => looked,
        Err(fault) => return vec![faulty("the keyring", fault)],
    };
    if looked.values().any(|read| *read == Err(Fault::Locked)) {
        return vec![faulty("the keyring", &Fault::Locked)];
    }
    let unreadable = entries.iter().filter_map(|(entry, what)| {
        let fault = looked.get(entry)?.as_ref().err()?;
        let wanted = what.iter().map(String::as_str).collect::<Vec<_>>().join(", ");
        Some(faulty(&format!("the keyring's {entry}"), fault).detail(format!("needed for {wanted}")))
    });
    let mut found: Vec<_> = unreadable.collect();
    if found.is_empty() {
        found.push(Finding::ok(format!("the keyring has {}", listed(entries.keys()))));
    }
    found
}

fn faulty(what: &str, fault: &Fault) -> Finding {
    let (cause, remedy) = fault.parts();
    Finding { fix: remedy, ..Finding::failed(format!("{what} {cause}")) }
}

fn listed<'a>(names: impl Iterator<Item = &'a String>) -> String {
    names.map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}

/// Whether the headers of each destination can be fetched. Keyring faults are reported by the keyring check.
fn headers(subject: &Subject) -> Vec<Finding> {
    let destinations = subject.meaning().map(|profile| profile.destinations.as_slice()).unwrap_or_default();
    let with_headers = destinations.iter().filter(|one| !one.headers.is_empty() || one.headers_helper.is_some());
    with_headers.filter_map(|destination| headers_of(subject, destination)).collect()
}

fn headers_of(subject: &Subject, destination: &Destination) -> Option<Finding> {
    let name = &destination.name;
    let commands = interactive_commands(destination);
    if !commands.is_empty() {
        let asked = commands.into_iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        return Some(Finding::ok(format!("a launch asks for the headers of `{name}` on the terminal, with {asked}")));
    }
    let error = match subject.fetched(destination) {
        Ok(headers) => {
            return Some(Finding::ok(format!(
                "the headers of `{name}` are available: {}",
                listed(headers.each().map(|(name, _)| name))
            )));
        }
        Err(error) => error,
    };
    if destination.headers.values().any(|sources| waits_for_keyring(subject, sources)) {
        return None;
    }
    let fix = match &error {
        HeadersError::Untrusted(_) => SHOW_TRUST.to_owned(),
        HeadersError::NoValue { error, .. } => remedy(error),
        _ => RUN_IT.to_owned(),
    };
    Some(Finding::failed(format!("telemetry for `{name}` waits: {error}")).fix(fix))
}

/// The fix if a project's file, or a file that it names, has changed since it was trusted.
const SHOW_TRUST: &str = "`ccrun trust` shows what has changed";

/// The fix for a command about which nothing else is known.
const RUN_IT: &str = "run it by hand and fix the error it reports";

/// The fix for a missing value.
fn remedy(error: &ValueError) -> String {
    let ValueError::Missing(missing) = error else { return SHOW_TRUST.to_owned() };
    // Any source would do; the first one is the preferred one.
    missing.misses.first().map_or_else(
        || RUN_IT.to_owned(),
        |miss| match &miss.missed {
            Source::Env(name, _) => format!("set {name} where ccrun is started, or take the value from the keyring"),
            Source::File(path, _) => format!("write the value to `{}`, readable only by you", path.display()),
            Source::Command(command, _) => format!("run {command} by hand and fix the error it reports"),
            Source::Oauth2(_) => "check that the token server is up and the client secret is correct".to_owned(),
            _ => "fix the source, or use another one in the profile".to_owned(),
        },
    )
}

/// Values without which a launch has no telemetry.
fn variables(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning() else { return Vec::new() };
    let missing = profile.env.iter().filter_map(|(name, sources)| {
        let is_written = matches!(sources.as_slice(), [Source::Literal(_), ..]);
        let is_asked =
            sources.iter().any(|source| matches!(source, Source::Command(command, _) if command.interactive));
        if is_written || is_asked || waits_for_keyring(subject, sources) {
            return None;
        }
        let error = subject.fetch(sources).err()?;
        let finding = Finding::failed(format!("telemetry is off: `env.{name}` has no value: {error}"));
        Some(finding.fix(remedy(&error)))
    });
    missing.collect()
}

/// The claim of a token that anyone can read: when it expires (RFC 7519, 4.1.4).
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

fn expiry(subject: &Subject) -> Vec<Finding> {
    let destinations = subject.meaning().map(|profile| profile.destinations.as_slice()).unwrap_or_default();
    let now = subject.now().as_second();
    let mut found = Vec::new();
    for destination in destinations.iter().filter(|destination| interactive_commands(destination).is_empty()) {
        let headers = subject.fetched(destination).unwrap_or_default();
        for (header, fetched) in headers.each() {
            let is_renewed = is_renewed(destination, header);
            let what = format!("the header `{header}` of `{}`", destination.name);
            found.extend(ended(&what, left(fetched, now), is_renewed));
        }
    }
    found
}

/// How many seconds a value is still valid, if the value itself or its source says so.
fn left(fetched: &Fetched, now: i64) -> Option<i64> {
    let of_source = fetched.fresh_for.map(|left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX));
    let token = fetched.value.expose().split_whitespace().last().unwrap_or_default();
    let payload = token.split('.').nth(1).filter(|_| token.matches('.').count() == 2);
    let claims = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    #[expect(clippy::cast_possible_truncation, reason = "an out-of-range time saturates")]
    let of_token = claims.and_then(|claims| claims.exp).map(|end| (end as i64).saturating_sub(now));
    of_source.into_iter().chain(of_token).min()
}

/// Whether a command or token server renews the header while a session runs.
fn is_renewed(destination: &Destination, header: &str) -> bool {
    let sources = destination.headers.get(header);
    sources.is_none_or(|sources| sources.iter().any(|source| matches!(source, Source::Command(..) | Source::Oauth2(_))))
}

fn ended(what: &str, left: Option<i64>, is_renewed: bool) -> Option<Finding> {
    let left = left?;
    if left <= 0 {
        let finding = Finding::failed(format!("{what} has expired, {} ago", time(-left)));
        let helper = "its command or server must return a new one: run it by hand";
        return Some(finding.fix(if is_renewed {
            helper
        } else {
            "put a new token into the source that the profile reads"
        }));
    }
    let finding = Finding::warning(format!("{what} expires in {}, and nothing renews it", time(left)));
    (left < SOON && !is_renewed)
        .then(|| finding.fix("take it from a command, which ccrun runs again before it expires"))
}

/// A rounded duration.
fn time(seconds: i64) -> String {
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7200 => format!("{} min", seconds / 60),
        7200..172_800 => format!("{} h", seconds / 3600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Secret;

    #[test]
    fn the_expiry_of_a_token_is_read() {
        let token = |claims: &str| {
            let value = format!("Bearer e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
            left(&Fetched { value: Secret::from(value), fresh_for: None }, 1000)
        };
        assert_eq!(token(r#"{"exp": 990, "sub": "me"}"#), Some(-10));
        assert_eq!(token(r#"{"exp": 4600.5}"#), Some(3600));
        assert_eq!((token(r#"{"iat": 1}"#), token("[]")), (None, None));
        assert_eq!(left(&Fetched { value: Secret::from("a.b.c".to_owned()), fresh_for: None }, 0), None);
    }

    #[test]
    fn expiry_is_reported_unless_the_value_is_renewed() {
        assert_eq!(ended("it", Some(-7300), false).unwrap().summary, "it has expired, 2 h ago");
        assert!(ended("it", Some(60), true).is_none() && ended("it", None, false).is_none());
        assert!(ended("it", Some(60), false).is_some() && ended("it", Some(SOON), false).is_none());
    }
}
