//! What headers and variables are taken from: whether it is to be had, and for how long.

use std::collections::{BTreeMap, BTreeSet};

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};
use jiff::Timestamp;
use serde::Deserialize;

use super::{Check, Finding, Group, Subject};
use crate::credential::keyring::Fault;
use crate::credential::{Fetched, Source, interactive_commands};
use crate::profile::{Destination, Profile};

pub(super) const CHECKS: &[Check] = &[
    Check { id: "credentials.keyring", group: Group::Credentials, look: keyring },
    Check { id: "credentials.headers", group: Group::Credentials, look: headers },
    Check { id: "credentials.expiry", group: Group::Credentials, look: expiry },
    Check { id: "credentials.variables", group: Group::Credentials, look: variables },
];

/// A token with less time left than this, in seconds, that nobody fetches anew, is worth a word.
const SOON: i64 = 24 * 60 * 60;

/// Everything that a profile takes from somewhere: what it is for, and the sources of which the first that has it counts.
fn wants(profile: &Profile) -> Vec<(String, &[Source])> {
    let mut all = Vec::new();
    for destination in &profile.destinations {
        let what = |header: &String| format!("the header `{header}` of `{}`", destination.name);
        all.extend(destination.headers.iter().map(|(header, sources)| (what(header), sources.as_slice())));
    }
    all.extend(profile.env.iter().map(|(name, sources)| (format!("`env.{name}`"), sources.as_slice())));
    all.push(("`redact.key`".to_owned(), profile.redact.key.as_slice()));
    all
}

/// Every entry of the keyring that the profile names.
pub(super) fn entries(profile: &Profile) -> BTreeSet<String> {
    let sources = wants(profile).into_iter().flat_map(|(_, sources)| sources);
    sources.flat_map(Source::entries).map(str::to_owned).collect()
}

/// Those that nothing else stands in for, each with what it is for.
fn needed(subject: &Subject) -> BTreeMap<String, BTreeSet<String>> {
    let mut needed: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (what, sources) in subject.meaning().map(wants).unwrap_or_default() {
        let (keyring, others): (Vec<_>, Vec<_>) = sources.iter().cloned().partition(|one| !one.entries().is_empty());
        // What takes its time may have it, and is asked where the header is.
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

/// Whether some of these wait for an entry of the keyring that is told of as missing.
fn waits_for_keyring(subject: &Subject, sources: &[Source]) -> bool {
    let needed = needed(subject);
    sources.iter().flat_map(Source::entries).any(|entry| needed.contains_key(entry) && subject.lacks(entry))
}

/// Nobody is asked for a password: a keyring that is locked is told of as locked.
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
        Some(faulty(&format!("the keyring's {entry}"), fault).detail(format!("wanted for {wanted}")))
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

/// Whether what a destination wants is to be had. What fails in the keyring is told of there.
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
        return Some(Finding::ok(format!("the headers of `{name}` are asked for on the terminal, by {asked}")));
    }
    let reason = match subject.fetched(destination) {
        Ok(headers) => {
            return Some(Finding::ok(format!("the headers of `{name}` are to be had: {}", listed(headers.keys()))));
        }
        Err(reason) => reason,
    };
    if destination.headers.values().any(|sources| waits_for_keyring(subject, sources)) {
        return None;
    }
    let finding = Finding::failed(format!("what is for `{name}` waits: {reason}"));
    Some(finding.fix(remedy(destination.headers.values().flatten(), &reason)))
}

/// What to do about a value that is not to be had.
fn remedy<'a>(sources: impl Iterator<Item = &'a Source>, reason: &str) -> String {
    if reason.contains("has changed") {
        return "`ccrun trust` shows what has changed".to_owned();
    }
    // The first that is to blame.
    let fixes = sources.filter(|source| reason.contains(&source.to_string())).map(|source| match source {
        Source::Env(name, _) => format!("set {name} where ccrun is started, or take the value from the keyring"),
        Source::File(path, _) => format!("write the value to `{}`, for your eyes alone", path.display()),
        Source::Command(command, _) => format!("run {command} by hand, and mend what it says"),
        Source::Oauth2(_) => "is the token's server up, and the client's secret right?".to_owned(),
        _ => "mend that, or name another source in the profile".to_owned(),
    });
    fixes.into_iter().next().unwrap_or_else(|| "run it by hand, and mend what it says".to_owned())
}

/// A launch without these goes without telemetry.
fn variables(subject: &Subject) -> Vec<Finding> {
    let Some(profile) = subject.meaning() else { return Vec::new() };
    let missing = profile.env.iter().filter_map(|(name, sources)| {
        let is_written = matches!(sources.as_slice(), [Source::Literal(_), ..]);
        let is_asked =
            sources.iter().any(|source| matches!(source, Source::Command(command, _) if command.interactive));
        if is_written || is_asked || waits_for_keyring(subject, sources) {
            return None;
        }
        let reason = subject.fetch(sources).err()?;
        let finding = Finding::failed(format!("telemetry is off: there is no value for `env.{name}`: {reason}"));
        Some(finding.fix(remedy(sources.iter(), &reason)))
    });
    missing.collect()
}

/// What of a token can be read by anybody: when it ends (RFC 7519, 4.1.4).
#[derive(Deserialize)]
struct Claims {
    exp: Option<f64>,
}

fn expiry(subject: &Subject) -> Vec<Finding> {
    let destinations = subject.meaning().map(|profile| profile.destinations.as_slice()).unwrap_or_default();
    let now = Timestamp::now().as_second();
    let mut found = Vec::new();
    for destination in destinations.iter().filter(|destination| interactive_commands(destination).is_empty()) {
        for (header, fetched) in subject.fetched(destination).unwrap_or_default() {
            let is_renewed = is_renewed(destination, &header);
            let what = format!("the header `{header}` of `{}`", destination.name);
            found.extend(ended(&what, left(&fetched, now), is_renewed));
        }
    }
    found
}

/// How long a value is still good for, in seconds, if it says so itself or whoever gave it does.
fn left(fetched: &Fetched, now: i64) -> Option<i64> {
    let of_source = fetched.fresh_for.map(|left| i64::try_from(left.as_secs()).unwrap_or(i64::MAX));
    let token = fetched.value.0.split_whitespace().last().unwrap_or_default();
    let payload = token.split('.').nth(1).filter(|_| token.matches('.').count() == 2);
    let claims = payload.and_then(|payload| BASE64_URL_SAFE_NO_PAD.decode(payload).ok());
    let claims = claims.and_then(|claims| serde_json::from_slice::<Claims>(&claims).ok());
    #[expect(clippy::cast_possible_truncation, reason = "a time that no clock tells ends at the last that one does")]
    let of_token = claims.and_then(|claims| claims.exp).map(|end| (end as i64).saturating_sub(now));
    of_source.into_iter().chain(of_token).min()
}

/// Whether somebody fetches a header anew while a session runs: a command does, a token's server does.
fn is_renewed(destination: &Destination, header: &str) -> bool {
    let sources = destination.headers.get(header);
    sources.is_none_or(|sources| sources.iter().any(|source| matches!(source, Source::Command(..) | Source::Oauth2(_))))
}

fn ended(what: &str, left: Option<i64>, is_renewed: bool) -> Option<Finding> {
    let left = left?;
    if left <= 0 {
        let finding = Finding::failed(format!("{what} has expired, {} ago", time(-left)));
        let helper = "the command or server that gives it has to give a new one: run it by hand";
        return Some(finding.fix(if is_renewed { helper } else { "put a new token where the profile takes it from" }));
    }
    let finding = Finding::warning(format!("{what} expires in {}, and nobody fetches it anew", time(left)));
    (left < SOON && !is_renewed).then(|| finding.fix("take it from a command, which is asked again before it expires"))
}

/// A time, roughly.
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
    use crate::credential::Secret;

    #[test]
    fn a_token_says_when_it_ends() {
        let token = |claims: &str| {
            let value = format!("Bearer e30.{}.c2ln", BASE64_URL_SAFE_NO_PAD.encode(claims));
            left(&Fetched { value: Secret(value), fresh_for: None }, 1000)
        };
        assert_eq!(token(r#"{"exp": 990, "sub": "me"}"#), Some(-10));
        assert_eq!(token(r#"{"exp": 4600.5}"#), Some(3600));
        assert_eq!((token(r#"{"iat": 1}"#), token("[]")), (None, None));
        assert_eq!(left(&Fetched { value: Secret("a.b.c".to_owned()), fresh_for: None }, 0), None);
    }

    #[test]
    fn an_end_is_news_unless_somebody_sees_to_it() {
        assert_eq!(ended("it", Some(-7300), false).unwrap().summary, "it has expired, 2 h ago");
        assert!(ended("it", Some(60), true).is_none() && ended("it", None, false).is_none());
        assert!(ended("it", Some(60), false).is_some() && ended("it", Some(SOON), false).is_none());
    }
}
