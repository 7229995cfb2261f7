//! Fetches a destination's headers from their sources, on its own thread, because that takes as long as its commands
//! do.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

use super::acceptance_file::Turn;
use super::error::{HeadersError, ValueError};
use super::headers::FetchedHeaders;
use super::interactive::{self, Answers};
use super::upkeep::Kind;
use crate::profile::{Destination, Diagnostic};
use crate::secret::{ClientCredentials, Command, Fetched, Miss, Source, answer};
use crate::workspace::Workspace;
use crate::workspace::trust::{Trust, TrustedDigest};

/// A destination's sources, and everything needed to fetch from them.
#[derive(Debug)]
pub(super) struct Wanted {
    pub(super) headers: BTreeMap<String, Vec<Source>>,
    pub(super) helper: Option<Command>,
    pub(super) workspace: Arc<Workspace>,
    /// The answers of interactive commands.
    pub(super) answers: Arc<Answers>,
    /// What must be unchanged since it was trusted before a command runs.
    pub(super) trusted_digest: TrustedDigest,
    /// The lock file for running commands.
    pub(super) turn: PathBuf,
}

impl Wanted {
    pub(super) fn new(
        destination: &Destination,
        workspace: Arc<Workspace>,
        answers: Arc<Answers>,
        trusted_digest: TrustedDigest,
        turn: PathBuf,
    ) -> Self {
        let (headers, helper) = (destination.headers.clone(), destination.headers_helper.clone());
        Self { headers, helper, workspace, answers, trusted_digest, turn }
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

    /// The slow sources, as shown to people.
    pub(super) fn slow(&self) -> String {
        let mut names = BTreeSet::new();
        for source in self.headers.values().flatten() {
            slow(source, &mut names);
        }
        names.extend(self.helper.as_ref().filter(|helper| !helper.interactive).map(ToString::to_string));
        names.into_iter().collect::<Vec<_>>().join(", ")
    }

    /// The commands that only a launch runs.
    pub(super) fn interactive(&self) -> Option<String> {
        let commands = self.headers.values().flat_map(|sources| interactive::commands(sources));
        let names: BTreeSet<_> =
            commands.chain(self.helper.iter().filter(|helper| helper.interactive)).map(ToString::to_string).collect();
        (!names.is_empty()).then(|| names.into_iter().collect::<Vec<_>>().join(", "))
    }

    /// Fetches all headers. `now` is in Unix milliseconds.
    pub(super) fn fetch(&self, now: i64) -> Result<FetchedHeaders, HeadersError> {
        let _turn = self.kind().runs.then(|| Turn::wait(&self.turn));
        let ask = |helper: &Command| {
            if helper.interactive {
                return Ok(self.answers.headers(helper, now));
            }
            self.check().map(|()| answer::headers(helper, self.workspace.context()))
        };
        FetchedHeaders::fetch(self.helper.as_ref(), &self.headers, ask, |sources| self.fetch_one(sources, now))
    }

    fn fetch_one(&self, sources: &[Source], now: i64) -> Result<Fetched, ValueError> {
        let put = self.answers.put(sources, now);
        let mut kind = Kind::default();
        put.sources.iter().for_each(|source| add(source, &mut kind));
        if kind.runs {
            self.check().map_err(ValueError::Untrusted)?;
        }
        match crate::secret::fetch(&put.sources, self.workspace.context()) {
            Ok(fetched) => {
                let left = put.expires.map(|expires| interactive::left(expires, now));
                Ok(Fetched { fresh_for: fetched.fresh_for.into_iter().chain(left).min(), ..fetched })
            }
            Err(mut error) => {
                error.misses.extend(put.absent.into_iter().map(Miss::at_next_launch));
                Err(error.into())
            }
        }
    }

    /// Checks that a command which depends on a project's file is still trusted.
    fn check(&self) -> Result<(), Diagnostic> {
        Trust::new(self.workspace.places.trust()).holds(&self.trusted_digest)
    }
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

#[cfg(test)]
mod tests;
