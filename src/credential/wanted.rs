//! What a destination's headers are made of, and making them: on a thread of its own, for it takes as long as its
//! commands do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use hyper::header::{HeaderMap, HeaderName, HeaderValue};

use super::interactive::{self, Answers};
use super::pace_file::Turn;
use super::upkeep::Kind;
use super::{ClientCredentials, Command, Fetched, Source, answer};
use crate::profile::Destination;
use crate::setting::Setting;
use crate::trust::{Seal, Trust};

/// A destination's sources, and all that they are asked with.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) headers: BTreeMap<String, Vec<Source>>,
    pub(super) helper: Option<Command>,
    pub(super) setting: Arc<Setting>,
    /// What the user was asked for before the program started.
    pub(super) answers: Arc<Answers>,
    /// What must still be as it was trusted, before a command runs.
    pub(super) seal: Seal,
    /// Where to queue for running commands.
    pub(super) turn: PathBuf,
}

impl Wanted {
    pub(super) fn new(
        destination: &Destination,
        setting: Arc<Setting>,
        answers: Arc<Answers>,
        seal: Seal,
        turn: PathBuf,
    ) -> Self {
        let (headers, helper) = (destination.headers.clone(), destination.headers_helper.clone());
        Self { headers, helper, setting, answers, seal, turn }
    }

    /// What the sources are like.
    pub(super) fn kind(&self) -> Kind {
        let is_bare = self.headers.is_empty() && self.helper.is_none();
        let mut kind = Kind { is_bare, ..Kind::default() };
        for source in self.headers.values().flatten() {
            add(source, &mut kind);
        }
        if let Some(helper) = &self.helper {
            add_command(helper, &mut kind);
        }
        kind
    }

    /// What takes its time, as a person would name it.
    pub(super) fn slow(&self) -> String {
        let mut names = BTreeSet::new();
        for source in self.headers.values().flatten() {
            slow(source, &mut names);
        }
        names.extend(self.helper.as_ref().filter(|helper| !helper.interactive).map(name));
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The commands that only a launch asks.
    pub(super) fn interactive(&self) -> Option<String> {
        let commands = self.headers.values().flat_map(|sources| interactive::commands(sources));
        let names: BTreeSet<_> =
            commands.chain(self.helper.iter().filter(|helper| helper.interactive)).map(name).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Fetches all headers, and says how long they are good for if that is known. `now` is in Unix milliseconds.
    pub(super) fn fetch(&self, now: i64) -> Result<(HeaderMap, Option<Duration>), String> {
        let _turn = self.kind().runs.then(|| Turn::wait(&self.turn));
        let mut headers = HeaderMap::new();
        let mut fresh_for: Option<Duration> = None;
        if let Some(helper) = &self.helper {
            let given = if helper.interactive {
                self.answers.headers(helper, now)
            } else {
                self.check()?;
                answer::headers(helper, self.setting.ground())
            };
            for (header, fetched) in given.map_err(|reason| format!("{} {reason}", name(helper)))? {
                fresh_for = fresh_for.into_iter().chain(fetched.fresh_for).min();
                add_header(&mut headers, &header, &fetched)?;
            }
        }
        for (header, sources) in &self.headers {
            let (fetched, expires) = self
                .fetch_one(sources, now)
                .map_err(|reason| format!("there is no value for the header `{header}`: {reason}"))?;
            let left = expires.map(|expires| interactive::left(expires, now));
            fresh_for = fresh_for.into_iter().chain(fetched.fresh_for).chain(left).min();
            // The profile's own word beats the helper's.
            add_header(&mut headers, header, &fetched)?;
        }
        Ok((headers, fresh_for))
    }

    fn fetch_one(&self, sources: &[Source], now: i64) -> Result<(Fetched, Option<i64>), String> {
        let put = self.answers.put(sources, now);
        let mut kind = Kind::default();
        put.sources.iter().for_each(|source| add(source, &mut kind));
        if kind.runs {
            self.check()?;
        }
        super::fetch(&put.sources, self.setting.ground()).map(|fetched| (fetched, put.expires)).map_err(|reason| {
            let absent = put.absent.iter().map(|name| format!("{name} is asked for at the next launch"));
            Some(reason).filter(|reason| !reason.is_empty()).into_iter().chain(absent).collect::<Vec<_>>().join(", ")
        })
    }

    /// A command that a project's file has a part in runs only as long as that is trusted.
    fn check(&self) -> Result<(), String> {
        Trust::new(self.setting.places.trust()).holds(&self.seal).map_err(|fault| fault.to_string())
    }
}

/// Marked as sensitive, so that a backend which echoes one does not get it into a message.
fn add_header(headers: &mut HeaderMap, name: &str, fetched: &Fetched) -> Result<(), String> {
    let key = HeaderName::try_from(name).map_err(|_| "a helper gave what is no header's name".to_owned())?;
    let mut value = HeaderValue::try_from(&fetched.value.0)
        .map_err(|_| format!("the value for the header `{key}` holds a line break or another control character"))?;
    value.set_sensitive(true);
    headers.insert(key, value);
    Ok(())
}

fn add(source: &Source, kind: &mut Kind) {
    match source {
        Source::Literal(_) | Source::Env(..) => {}
        Source::File(..) | Source::Keyring(..) => kind.changes = true,
        Source::Command(command, _) => add_command(command, kind),
        Source::Oauth2(ClientCredentials { client_secret, .. }) => {
            (kind.changes, kind.runs) = (true, true);
            for source in client_secret {
                add(source, kind);
            }
        }
        Source::Basic(_, secret) => secret.iter().for_each(|source| add(source, kind)),
    }
}

fn add_command(command: &Command, kind: &mut Kind) {
    if command.interactive {
        kind.is_strict = true;
    } else {
        (kind.changes, kind.runs) = (true, true);
    }
}

fn slow(source: &Source, names: &mut BTreeSet<String>) {
    match source {
        Source::Command(command, _) if command.interactive => {}
        Source::Command(..) | Source::Keyring(..) | Source::File(..) | Source::Oauth2(_) => {
            names.insert(source.to_string());
        }
        Source::Basic(_, secret) => secret.iter().for_each(|source| slow(source, names)),
        Source::Literal(_) | Source::Env(..) => {}
    }
}

fn name(command: &Command) -> String {
    format!("the command `{}`", command.argv.first().map_or("", String::as_str))
}

#[cfg(test)]
#[path = "wanted_tests.rs"]
mod tests;
