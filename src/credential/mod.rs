//! Where a header's or a variable's value comes from, fetching it, and keeping it fresh.
//!
//! Before the program starts a launch only looks at what is `at_hand`, and asks what wants to talk to the user
//! (`interactive`). All else is the collector's business: its [`Vault`] has a destination's [`Credentials`], which fetch
//! what is `wanted` as `upkeep` decides, at a `pace` that all sessions of the user share through a file (`pace_file`).

pub mod answer;
mod at_hand;
mod credentials;
mod identity;
mod interactive;
pub mod keyring;
mod oauth2;
mod pace;
mod pace_file;
mod upkeep;
mod vault;
mod wanted;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};

pub use at_hand::missing;
pub use credentials::{Credentials, Headers, Unavailable};
pub use identity::{keyed, sources};
pub use interactive::{Answers, Put};
pub use keyring::Keyring;
pub use pace_file::prune;
pub use upkeep::Occasion;
pub use vault::Vault;

use crate::bounded;
use crate::helper::Ground;
use crate::profile::Destination;

/// The largest file that a value is read from, in bytes.
const MAXIMUM_FILE: u64 = 64 * 1024;

/// Where a value comes from.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Written in the profile itself.
    Literal(String),
    /// A variable of the launcher's environment, put into a format.
    Env(String, Format),
    /// A file's content without the line break at its end, put into a format.
    File(PathBuf, Format),
    /// An entry of the keyring, put into a format.
    Keyring(String, Format),
    /// What a command prints, put into a format.
    Command(Command, Format),
    /// A token by the client credentials of `OAuth2`, as `Bearer` (RFC 6749, 4.4; RFC 6750).
    Oauth2(ClientCredentials),
    /// HTTP Basic authentication: the user's name, and where the password comes from (RFC 7617).
    Basic(String, Vec<Source>),
}

/// A helper command, and how it is dealt with.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How long an answer is good for, unless it says so itself.
    pub ttl: Option<Duration>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it talks to the user: then it runs on the terminal, before the program starts.
    pub interactive: bool,
}

/// Who asks whom for a token, and for what.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// Where a token is asked for.
    pub token_url: String,
    /// Who asks.
    pub client_id: String,
    /// With which secret.
    pub client_secret: Vec<Source>,
    /// For what.
    pub scopes: Vec<String>,
}

/// What a source gave.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The value, in its format.
    pub value: Secret,
    /// How long it is good for, as the source said or the profile does; `None` as long as it is accepted.
    pub fresh_for: Option<Duration>,
}

/// What is made of a fetched value: `Bearer {}` for example.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(pub String);

impl Default for Format {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl Format {
    fn apply(&self, value: &str) -> String {
        self.0.replacen("{}", value, 1)
    }
}

/// A fetched value; its Debug shows nothing.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Secret(pub String);

impl fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str("Secret(…)")
    }
}

/// Hides what a literal says: people do write keys there.
impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Source({self})")
    }
}

impl Command {
    /// The same, taking no longer than that.
    #[must_use]
    pub fn hurried(&self, limit: Duration) -> Self {
        Self { timeout: self.timeout.min(limit), ..self.clone() }
    }
}

/// As a person would name it, without its arguments.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the command `{}`", self.argv.first().map_or("", String::as_str))
    }
}

/// As a person would name it, without any value.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("a literal"),
            Self::Env(name, _) => write!(formatter, "the variable {name}"),
            Self::File(path, _) => write!(formatter, "the file {}", path.display()),
            Self::Keyring(name, _) => write!(formatter, "the keyring's {name}"),
            Self::Command(command, _) => command.fmt(formatter),
            Self::Oauth2(ClientCredentials { token_url, .. }) => {
                // What stands in a query is nobody else's business.
                write!(formatter, "the token from {}", token_url.split('?').next().unwrap_or_default())
            }
            Self::Basic(user, _) => write!(formatter, "the password of {user}"),
        }
    }
}

impl Source {
    /// The source, and those that it is made of.
    pub fn parts(&self) -> Vec<&Self> {
        let below = match self {
            Self::Basic(_, secret) | Self::Oauth2(ClientCredentials { client_secret: secret, .. }) => secret.as_slice(),
            Self::Literal(_) | Self::Env(..) | Self::File(..) | Self::Keyring(..) | Self::Command(..) => &[],
        };
        std::iter::once(self).chain(below.iter().flat_map(Self::parts)).collect()
    }

    /// The variables that it, or what it is made of, may be read from.
    pub fn variables(&self) -> Vec<&str> {
        let names = self.parts().into_iter().filter_map(|part| match part {
            Self::Env(name, _) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The entries of the keyring that it, or what it is made of, may be read from.
    pub fn entries(&self) -> Vec<&str> {
        let names = self.parts().into_iter().filter_map(|part| match part {
            Self::Keyring(name, _) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// Whether it, or what it is made of, runs a command.
    pub fn runs(&self) -> bool {
        self.parts().into_iter().any(|part| matches!(part, Self::Command(..)))
    }

    /// What is written in the profile itself.
    pub fn literal(&self) -> Option<&str> {
        if let Self::Literal(value) = self { Some(value) } else { None }
    }

    /// The same with commands that take no longer than that.
    #[must_use]
    pub fn hurried(&self, limit: Duration) -> Self {
        let all = |sources: &[Self]| sources.iter().map(|source| source.hurried(limit)).collect();
        match self {
            Self::Command(command, format) => Self::Command(command.hurried(limit), format.clone()),
            Self::Basic(user, secret) => Self::Basic(user.clone(), all(secret)),
            Self::Oauth2(credentials) => {
                let client_secret = all(&credentials.client_secret);
                Self::Oauth2(ClientCredentials { client_secret, ..credentials.clone() })
            }
            other => other.clone(),
        }
    }

    /// What tells one source from another. A literal and a variable count by their values, for another key is another
    /// account; a file, the keyring and a command by their names, for there keys are meant to change.
    pub fn identity(&self, variable: &dyn Fn(&str) -> Option<String>) -> String {
        let all =
            |sources: &[Self]| sources.iter().map(|source| source.identity(variable)).collect::<Vec<_>>().join(" ");
        match self {
            Self::Literal(value) => format!("literal {value}"),
            Self::Env(name, format) => format!("env {name} {} {}", format.0, variable(name).unwrap_or_default()),
            Self::File(path, format) => format!("file {} {}", path.display(), format.0),
            Self::Keyring(name, format) => format!("keyring {name} {}", format.0),
            Self::Command(command, format) => format!("command {:?} {}", command.argv, format.0),
            Self::Oauth2(ClientCredentials { token_url, client_id, client_secret, scopes }) => {
                format!("oauth2 {token_url} {client_id} {} {scopes:?}", all(client_secret))
            }
            Self::Basic(user, password) => format!("basic {user} {}", all(password)),
        }
    }
}

/// The commands of a destination that talk to the user.
pub fn interactive_commands(destination: &Destination) -> Vec<&Command> {
    let commands = destination.headers.values().flat_map(|sources| interactive::commands(sources));
    commands.chain(destination.headers_helper.iter().filter(|helper| helper.interactive)).collect()
}

/// The first of some sources that has the value; else what each of them said. Takes as long as its commands do.
pub fn fetch(sources: &[Source], ground: Ground<'_>) -> Result<Fetched, String> {
    let mut misses = Vec::new();
    for source in sources {
        match one(source, ground) {
            Ok(fetched) => return Ok(fetched),
            Err(reason) => misses.push(format!("{source} {reason}")),
        }
    }
    Err(misses.join(", "))
}

fn one(source: &Source, ground: Ground<'_>) -> Result<Fetched, String> {
    let lasting = |value: String| Fetched { value: Secret(value), fresh_for: None };
    match source {
        Source::Literal(value) => Ok(lasting(value.clone())),
        Source::Env(name, format) => {
            ground.variable(name).map(|value| lasting(format.apply(&value))).ok_or_else(|| "is not set".to_owned())
        }
        Source::File(path, format) => file(path).map(|value| lasting(format.apply(&value))),
        Source::Command(command, format) => {
            let value = answer::value(command, ground)?;
            Ok(Fetched { fresh_for: command.ttl, ..lasting(format.apply(&value)) })
        }
        Source::Basic(user, password) => {
            let password = fetch(password, ground).map_err(|reason| format!("is not to be had: {reason}"))?;
            let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.value.0));
            Ok(Fetched { fresh_for: password.fresh_for, ..lasting(format!("Basic {credentials}")) })
        }
        Source::Keyring(name, format) => {
            let secret = keyring::get(name, ground).map_err(|fault| fault.to_string())?;
            Ok(lasting(format.apply(&secret.0)))
        }
        Source::Oauth2(credentials) => {
            let secret =
                fetch(&credentials.client_secret, ground).map_err(|reason| format!("has no secret: {reason}"))?;
            oauth2::fetch(credentials, &secret.value, ground)
        }
    }
}

/// A file's content without the line break at its end.
pub fn file(path: &Path) -> Result<String, String> {
    let bytes = bounded::read(path, MAXIMUM_FILE + 1).map_err(|error| format!("cannot be read: {error}"))?;
    if bytes.len() as u64 > MAXIMUM_FILE {
        return Err(format!("is larger than {} KiB", MAXIMUM_FILE / 1024));
    }
    let text = String::from_utf8(bytes).map_err(|_| "is not UTF-8".to_owned())?;
    Ok(text.trim_end_matches(['\n', '\r']).to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_source_that_has_it_counts() {
        let variables = [("SET".to_owned(), "value".to_owned())].into();
        let ground = Ground::new(Path::new("/"), &variables);
        let env = |name: &str| Source::Env(name.to_owned(), Format("Bearer {}".to_owned()));
        let file = Source::File(PathBuf::from("/nowhere"), Format::default());
        assert_eq!(fetch(&[env("UNSET"), env("SET")], ground).unwrap().value.0, "Bearer value");
        let basic = Source::Basic("Aladdin".to_owned(), vec![Source::Literal("open sesame".to_owned())]);
        // The example of RFC 7617.
        assert_eq!(fetch(&[basic], ground).unwrap().value.0, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            fetch(&[env("UNSET"), file], ground).unwrap_err(),
            "the variable UNSET is not set, the file /nowhere cannot be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn no_secret_shows_itself() {
        assert_eq!(format!("{:?}", Source::Literal("sk-1".to_owned())), "Source(a literal)");
        assert_eq!(format!("{:?}", Secret("sk-1".to_owned())), "Secret(…)");
    }
}
