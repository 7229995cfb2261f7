//! Commands that talk to the user: they get the terminal, before the program starts, and never again until the next
//! launch. What they gave goes to the collector over its pipe, and is kept in its memory alone.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use super::{ClientCredentials, Command, Fetched, Secret, Source, answer};
use crate::helper::{self, Ground};
use crate::profile::Destination;

/// How long a user may take, unless the command's own timeout is longer.
const PATIENCE: Duration = Duration::from_mins(5);

/// What the user's commands gave.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Answers(Vec<Answer>);

#[derive(Clone, Debug, Serialize, Deserialize)]
struct Answer {
    command: Command,
    given: Given,
    /// When it expires, in Unix milliseconds.
    expires: Option<i64>,
}

#[derive(Clone, Debug, Serialize, Deserialize)]
enum Given {
    /// What it printed, before any format.
    Value(Secret),
    /// For a helper of headers.
    Headers(BTreeMap<String, Secret>),
}

/// Sources with answers in the place of the commands that were asked.
#[derive(Debug)]
pub struct Put {
    /// The sources. A command without an answer that still holds is not among them.
    pub sources: Vec<Source>,
    /// When the first of the answers expires, in Unix milliseconds.
    pub expires: Option<i64>,
    /// The commands that are asked at the next launch.
    pub absent: Vec<String>,
}

impl Answers {
    /// Asks what the values of these sources want to have asked, each command once. `is_given` says whether other
    /// sources, which come first, have the value. Gives why a command could not be asked.
    pub fn ask<'a>(
        &mut self,
        values: impl Iterator<Item = &'a Vec<Source>>,
        ground: Ground<'_>,
        now: i64,
        is_given: impl Fn(&[Source]) -> bool,
    ) -> Vec<String> {
        let mut wanted = Vec::new();
        for sources in values {
            find(sources, &is_given, &mut wanted);
        }
        let mut faults = Vec::new();
        for command in wanted {
            let read = |printed: String| Ok((Given::Value(Secret(answer::bare(printed)?)), command.ttl));
            faults.extend(self.ask_one(command, ground, now, read));
        }
        faults
    }

    /// Asks a destination's helper of headers, if it talks to the user.
    pub fn ask_helper(&mut self, destination: &Destination, ground: Ground<'_>, now: i64) -> Option<String> {
        let command = destination.headers_helper.as_ref().filter(|helper| helper.interactive)?;
        self.ask_one(command, ground, now, |printed| {
            let headers = answer::read(&printed, command.ttl)?;
            let fresh_for = headers.values().filter_map(|fetched| fetched.fresh_for).min();
            Ok((Given::Headers(headers.into_iter().map(|(name, fetched)| (name, fetched.value)).collect()), fresh_for))
        })
    }

    fn ask_one(
        &mut self,
        command: &Command,
        ground: Ground<'_>,
        now: i64,
        read: impl FnOnce(String) -> Result<(Given, Option<Duration>), String>,
    ) -> Option<String> {
        if self.0.iter().any(|answer| answer.command == *command) {
            return None;
        }
        let timeout = command.timeout.max(PATIENCE);
        match helper::run_interactive(&command.argv, ground, timeout).and_then(read) {
            Ok((given, fresh_for)) => {
                let expires =
                    fresh_for.map(|time| now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
                self.0.push(Answer { command: command.clone(), given, expires });
                None
            }
            Err(reason) => Some(format!("{} {reason}", name(command))),
        }
    }

    /// Puts answers where commands that talk to the user stand.
    pub fn put(&self, sources: &[Source], now: i64) -> Put {
        let mut put = Put { sources: Vec::new(), expires: None, absent: Vec::new() };
        for source in sources {
            match source {
                Source::Command(command, format) if command.interactive => match self.held(command, now) {
                    Some((Given::Value(value), expires)) => {
                        put.sources.push(Source::Literal(format.apply(&value.0)));
                        put.expires = put.expires.into_iter().chain(expires).min();
                    }
                    _ => put.absent.push(name(command)),
                },
                Source::Basic(user, secret) => {
                    let secret = put.within(self.put(secret, now));
                    put.sources.extend(secret.map(|secret| Source::Basic(user.clone(), secret)));
                }
                Source::Oauth2(credentials) => {
                    let secret = put.within(self.put(&credentials.client_secret, now));
                    put.sources.extend(secret.map(|client_secret| {
                        Source::Oauth2(ClientCredentials { client_secret, ..credentials.clone() })
                    }));
                }
                other => put.sources.push(other.clone()),
            }
        }
        put
    }

    /// The headers that a helper which talks to the user gave.
    pub(super) fn headers(&self, helper: &Command, now: i64) -> Result<BTreeMap<String, Fetched>, String> {
        let Some((Given::Headers(headers), expires)) = self.held(helper, now) else {
            return Err("is asked for at the next launch".to_owned());
        };
        let fresh_for = expires.map(|expires| left(expires, now));
        let fetched = |(name, value): (&String, &Secret)| (name.clone(), Fetched { value: value.clone(), fresh_for });
        Ok(headers.iter().map(fetched).collect())
    }

    /// What a command gave, if that has not expired.
    fn held(&self, command: &Command, now: i64) -> Option<(&Given, Option<i64>)> {
        let answer = self.0.iter().find(|answer| answer.command == *command)?;
        answer.expires.is_none_or(|expires| expires > now).then_some((&answer.given, answer.expires))
    }
}

impl Put {
    /// Takes over what is known of the secret that a source is made with, and gives its sources if there are any.
    fn within(&mut self, inner: Self) -> Option<Vec<Source>> {
        let is_lost = inner.sources.is_empty() && !inner.absent.is_empty();
        self.expires = self.expires.into_iter().chain(inner.expires).min();
        self.absent.extend(inner.absent);
        (!is_lost).then_some(inner.sources)
    }
}

/// How long it is until a moment; both in Unix milliseconds.
pub(super) fn left(until: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0))
}

/// The commands among some sources that talk to the user, whether or not they have to.
pub(super) fn commands(sources: &[Source]) -> Vec<&Command> {
    let mut found = Vec::new();
    find(sources, &|_: &[Source]| false, &mut found);
    found
}

/// The commands that are to be asked, where nothing before them has the value.
fn find<'a>(sources: &'a [Source], is_given: &impl Fn(&[Source]) -> bool, found: &mut Vec<&'a Command>) {
    for (at, source) in sources.iter().enumerate() {
        let wanted = match source {
            Source::Command(command, _) if command.interactive => vec![command],
            Source::Basic(_, secret) | Source::Oauth2(ClientCredentials { client_secret: secret, .. }) => {
                let mut wanted = Vec::new();
                find(secret, is_given, &mut wanted);
                wanted
            }
            _ => continue,
        };
        if !wanted.is_empty() {
            if at == 0 || !is_given(&sources[..at]) {
                found.extend(wanted);
            }
            return;
        }
    }
}

fn name(command: &Command) -> String {
    format!("the command `{}`", command.argv.first().map_or("", String::as_str))
}

#[cfg(test)]
mod tests {
    use super::super::Format;
    use super::*;

    fn command(name: &str) -> Command {
        Command { argv: vec![name.to_owned()], ttl: None, timeout: Duration::from_secs(1), interactive: true }
    }

    fn source(name: &str) -> Source {
        Source::Command(command(name), Format("Bearer {}".to_owned()))
    }

    fn answers(name: &str, value: &str, expires: Option<i64>) -> Answers {
        Answers(vec![Answer { command: command(name), given: Given::Value(Secret(value.to_owned())), expires }])
    }

    #[test]
    fn an_answer_stands_where_its_command_stood_until_it_expires() {
        let answers = answers("login", "key", Some(1000));
        let sources = [Source::Literal("x".to_owned()), source("login"), source("other")];
        let put = answers.put(&sources, 999);
        assert!(put.sources == [Source::Literal("x".to_owned()), Source::Literal("Bearer key".to_owned())]);
        assert_eq!((put.expires, put.absent), (Some(1000), vec!["the command `other`".to_owned()]));
        let put = answers.put(&sources, 1000);
        assert_eq!((put.sources.len(), put.absent.len()), (1, 2));
        assert!(!format!("{answers:?}").contains("key\""), "{answers:?}");
    }

    #[test]
    fn it_is_found_in_the_secret_of_another_source() {
        let basic = Source::Basic("me".to_owned(), vec![source("login")]);
        let put = answers("login", "key", None).put(std::slice::from_ref(&basic), 0);
        assert!(put.sources == [Source::Basic("me".to_owned(), vec![Source::Literal("Bearer key".to_owned())])]);
        let put = Answers::default().put(&[basic], 0);
        assert!(put.sources.is_empty() && put.absent.len() == 1);
    }

    #[test]
    fn only_what_nothing_else_gives_is_asked() {
        let sources = [Source::Literal("x".to_owned()), source("a"), source("b")];
        let mut found = Vec::new();
        find(&sources, &|before: &[Source]| !before.is_empty(), &mut found);
        assert!(found.is_empty());
        find(&sources, &|_: &[Source]| false, &mut found);
        assert_eq!(found, [&command("a")], "the first that could have it");
    }
}
