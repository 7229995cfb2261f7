//! Commands that interact with the user. They get the terminal before the program starts, and run again only at the
//! next launch. Their output goes to the collector over its pipe, and stays in its memory.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::profile::Destination;
use crate::secret::command::FetchContext;
use crate::secret::{ClientCredentials, Command, Fetched, Secret, Source, answer, command};

/// How long a user may take, unless the command's own timeout is longer.
const PATIENCE: Duration = Duration::from_mins(5);

/// The output of interactive commands.
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

/// Sources in which answers replace interactive commands.
#[derive(Debug)]
pub struct Put {
    /// The sources, without commands that have no valid answer.
    pub sources: Vec<Source>,
    /// When the first answer expires, in Unix milliseconds.
    pub expires: Option<i64>,
    /// The commands that run at the next launch.
    pub absent: Vec<Command>,
}

impl Answers {
    /// Runs each interactive command of these sources once. `is_given` says whether other sources, which come first,
    /// have the value. Returns why a command could not run.
    pub fn ask<'a>(
        &mut self,
        values: impl Iterator<Item = &'a Vec<Source>>,
        context: FetchContext<'_>,
        now: i64,
        is_given: impl Fn(&[Source]) -> bool,
    ) -> Vec<String> {
        let mut wanted = Vec::new();
        for sources in values {
            find(sources, &is_given, &mut wanted);
        }
        let mut faults = Vec::new();
        for command in wanted {
            let read = |printed: String| Ok((Given::Value(Secret::from(answer::bare(printed)?)), command.ttl));
            faults.extend(self.ask_one(command, context, now, read));
        }
        faults
    }

    /// Runs a destination's headers helper, if it is interactive.
    pub fn ask_helper(&mut self, destination: &Destination, context: FetchContext<'_>, now: i64) -> Option<String> {
        let command = destination.headers_helper.as_ref().filter(|helper| helper.interactive)?;
        self.ask_one(command, context, now, |printed| {
            let headers = answer::read(&printed, command.ttl)?;
            let fresh_for = headers.values().filter_map(|fetched| fetched.fresh_for).min();
            Ok((Given::Headers(headers.into_iter().map(|(name, fetched)| (name, fetched.value)).collect()), fresh_for))
        })
    }

    fn ask_one(
        &mut self,
        command: &Command,
        context: FetchContext<'_>,
        now: i64,
        read: impl FnOnce(String) -> Result<(Given, Option<Duration>), String>,
    ) -> Option<String> {
        if self.0.iter().any(|answer| answer.command == *command) {
            return None;
        }
        let timeout = command.timeout.max(PATIENCE);
        match command::run_interactive(&command.argv, context, timeout).and_then(read) {
            Ok((given, fresh_for)) => {
                let expires =
                    fresh_for.map(|time| now.saturating_add(i64::try_from(time.as_millis()).unwrap_or(i64::MAX)));
                self.0.push(Answer { command: command.clone(), given, expires });
                None
            }
            Err(reason) => Some(format!("{command} {reason}")),
        }
    }

    /// Replaces interactive commands by their answers.
    pub fn put(&self, sources: &[Source], now: i64) -> Put {
        let mut put = Put { sources: Vec::new(), expires: None, absent: Vec::new() };
        for source in sources {
            match source {
                Source::Command(command, format) if command.interactive => match self.held(command, now) {
                    Some((Given::Value(value), expires)) => {
                        put.sources.push(Source::Literal(format.apply(value.expose())));
                        put.expires = put.expires.into_iter().chain(expires).min();
                    }
                    _ => put.absent.push(command.clone()),
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

    /// The headers that an interactive helper printed.
    pub(super) fn headers(&self, helper: &Command, now: i64) -> Result<BTreeMap<String, Fetched>, String> {
        let Some((Given::Headers(headers), expires)) = self.held(helper, now) else {
            return Err("will be run at the next launch".to_owned());
        };
        let fresh_for = expires.map(|expires| left(expires, now));
        let fetched = |(name, value): (&String, &Secret)| (name.clone(), Fetched { value: value.clone(), fresh_for });
        Ok(headers.iter().map(fetched).collect())
    }

    /// The output of a command, unless it has expired.
    fn held(&self, command: &Command, now: i64) -> Option<(&Given, Option<i64>)> {
        let answer = self.0.iter().find(|answer| answer.command == *command)?;
        answer.expires.is_none_or(|expires| expires > now).then_some((&answer.given, answer.expires))
    }
}

impl Put {
    /// Takes over what is known about the secret within a source, and returns its sources if there are any.
    fn within(&mut self, inner: Self) -> Option<Vec<Source>> {
        let is_lost = inner.sources.is_empty() && !inner.absent.is_empty();
        self.expires = self.expires.into_iter().chain(inner.expires).min();
        self.absent.extend(inner.absent);
        (!is_lost).then_some(inner.sources)
    }
}

/// The time until a moment. Both are in Unix milliseconds.
pub(super) fn left(until: i64, now: i64) -> Duration {
    Duration::from_millis(u64::try_from(until.saturating_sub(now)).unwrap_or(0))
}

/// The interactive commands among some sources, whether or not they are needed.
pub(super) fn commands(sources: &[Source]) -> Vec<&Command> {
    let mut found = Vec::new();
    find(sources, &|_: &[Source]| false, &mut found);
    found
}

/// The interactive commands to run: those with no earlier source that has the value.
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

/// The interactive commands of a destination.
pub fn interactive_commands(destination: &Destination) -> Vec<&Command> {
    let commands = destination.headers.values().flat_map(|sources| commands(sources));
    commands.chain(destination.headers_helper.iter().filter(|helper| helper.interactive)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::secret::Format;

    fn command(name: &str) -> Command {
        Command { argv: vec![name.to_owned()], ttl: None, timeout: Duration::from_secs(1), interactive: true }
    }

    fn source(name: &str) -> Source {
        Source::Command(command(name), Format("Bearer {}".to_owned()))
    }

    fn answers(name: &str, value: &str, expires: Option<i64>) -> Answers {
        Answers(vec![Answer { command: command(name), given: Given::Value(Secret::from(value.to_owned())), expires }])
    }

    #[test]
    fn an_answer_replaces_its_command_until_it_expires() {
        let answers = answers("login", "key", Some(1000));
        let sources = [Source::Literal("x".to_owned()), source("login"), source("other")];
        let put = answers.put(&sources, 999);
        assert!(put.sources == [Source::Literal("x".to_owned()), Source::Literal("Bearer key".to_owned())]);
        assert_eq!((put.expires, put.absent), (Some(1000), vec![command("other")]));
        let put = answers.put(&sources, 1000);
        assert_eq!((put.sources.len(), put.absent.len()), (1, 2));
        assert!(!format!("{answers:?}").contains("key\""), "{answers:?}");
    }

    #[test]
    fn an_interactive_command_is_found_inside_another_source() {
        let basic = Source::Basic("me".to_owned(), vec![source("login")]);
        let put = answers("login", "key", None).put(std::slice::from_ref(&basic), 0);
        assert!(put.sources == [Source::Basic("me".to_owned(), vec![Source::Literal("Bearer key".to_owned())])]);
        let put = Answers::default().put(&[basic], 0);
        assert!(put.sources.is_empty() && put.absent.len() == 1);
    }

    #[test]
    fn only_commands_with_no_earlier_value_run() {
        let sources = [Source::Literal("x".to_owned()), source("a"), source("b")];
        let mut found = Vec::new();
        find(&sources, &|before: &[Source]| !before.is_empty(), &mut found);
        assert!(found.is_empty());
        find(&sources, &|_: &[Source]| false, &mut found);
        assert_eq!(found, [&command("a")], "the first one that could have it");
    }
}
