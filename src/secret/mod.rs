//! The sources of a value, and how to fetch it: a literal, the environment, a file, a command, the keyring, `OAuth2`.

pub mod answer;
pub mod command;
mod error;
pub mod keyring;
mod oauth2;
mod value;

use std::fmt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};

pub use error::{FetchError, Miss};
pub use keyring::Keyring;
pub use value::Secret;

use crate::secret::command::FetchContext;
use crate::system::bounded;

/// The maximum size of a file with a value, in bytes.
const MAXIMUM_FILE: u64 = 64 * 1024;

/// The source of a value.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Written in the profile itself.
    Literal(String),
    /// A variable of the launcher's environment, formatted.
    Env(String, Format),
    /// A file's content without the final line break, formatted.
    File(PathBuf, Format),
    /// A keyring entry, formatted.
    Keyring(String, Format),
    /// The output of a command, formatted.
    Command(Command, Format),
    /// A token from `OAuth2` client credentials, sent as `Bearer` (RFC 6749, 4.4; RFC 6750).
    Oauth2(ClientCredentials),
    /// HTTP Basic authentication: the user name, and the sources of the password (RFC 7617).
    Basic(String, Vec<Source>),
}

/// A helper command, and how to run it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// The program and its arguments.
    pub argv: Vec<String>,
    /// How long its output is valid, unless it says so itself.
    pub ttl: Option<Duration>,
    /// How long it may take.
    pub timeout: Duration,
    /// Whether it interacts with the user. It then runs on the terminal before the program starts.
    pub interactive: bool,
}

/// The parameters of a token request.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClientCredentials {
    /// The token endpoint.
    pub token_url: String,
    /// The client id.
    pub client_id: String,
    /// The client secret.
    pub client_secret: Vec<Source>,
    /// The scopes.
    pub scopes: Vec<String>,
}

/// A fetched value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fetched {
    /// The formatted value.
    pub value: Secret,
    /// How long it is valid according to the source or the profile, or `None` for until it is rejected.
    pub fresh_for: Option<Duration>,
}

/// The format of a fetched value, such as `Bearer {}`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Format(pub String);

impl Default for Format {
    fn default() -> Self {
        Self("{}".to_owned())
    }
}

impl Format {
    /// The formatted value.
    pub fn apply(&self, value: &str) -> String {
        self.0.replacen("{}", value, 1)
    }
}

/// Hides literals, which may be keys.
impl fmt::Debug for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Source({self})")
    }
}

impl Command {
    /// The same with a shorter time limit.
    #[must_use]
    pub fn hurried(&self, limit: Duration) -> Self {
        Self { timeout: self.timeout.min(limit), ..self.clone() }
    }
}

/// The command's name for people, without its arguments.
impl fmt::Display for Command {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "the command `{}`", self.argv.first().map_or("", String::as_str))
    }
}

/// The source's name for people, without any value.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("a literal"),
            Self::Env(name, _) => write!(formatter, "the variable {name}"),
            Self::File(path, _) => write!(formatter, "the file {}", path.display()),
            Self::Keyring(name, _) => write!(formatter, "the keyring's {name}"),
            Self::Command(command, _) => command.fmt(formatter),
            Self::Oauth2(ClientCredentials { token_url, .. }) => {
                // A query may contain private data.
                write!(formatter, "the token from {}", token_url.split('?').next().unwrap_or_default())
            }
            Self::Basic(user, _) => write!(formatter, "the password of {user}"),
        }
    }
}

impl Source {
    /// The source and the sources within it.
    pub fn parts(&self) -> Vec<&Self> {
        let below = match self {
            Self::Basic(_, secret) | Self::Oauth2(ClientCredentials { client_secret: secret, .. }) => secret.as_slice(),
            Self::Literal(_) | Self::Env(..) | Self::File(..) | Self::Keyring(..) | Self::Command(..) => &[],
        };
        std::iter::once(self).chain(below.iter().flat_map(Self::parts)).collect()
    }

    /// The variables that it, or a source within it, may read.
    pub fn variables(&self) -> Vec<&str> {
        let names = self.parts().into_iter().filter_map(|part| match part {
            Self::Env(name, _) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// The keyring entries that it, or a source within it, may read.
    pub fn entries(&self) -> Vec<&str> {
        let names = self.parts().into_iter().filter_map(|part| match part {
            Self::Keyring(name, _) => Some(name.as_str()),
            _ => None,
        });
        names.collect()
    }

    /// Whether it, or a source within it, runs a command.
    pub fn runs(&self) -> bool {
        self.parts().into_iter().any(|part| matches!(part, Self::Command(..)))
    }

    /// The literal, if it is one.
    pub fn literal(&self) -> Option<&str> {
        if let Self::Literal(value) = self { Some(value) } else { None }
    }

    /// The same with a shorter time limit for commands.
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

    /// Distinguishes sources. Literals and variables are identified by value, because another key means another
    /// account. Files, keyring entries and commands are identified by name, because their keys are meant to change.
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

/// Fetches the value from the first source that has it, or returns the errors of all. Takes as long as its commands do.
pub fn fetch(sources: &[Source], context: FetchContext<'_>) -> Result<Fetched, FetchError> {
    let mut misses = Vec::new();
    for source in sources {
        match one(source, context) {
            Ok(fetched) => return Ok(fetched),
            Err(reason) => misses.push(Miss { missed: source.clone(), reason }),
        }
    }
    Err(FetchError { misses })
}

fn one(source: &Source, context: FetchContext<'_>) -> Result<Fetched, String> {
    let lasting = |value: String| Fetched { value: Secret::from(value), fresh_for: None };
    match source {
        Source::Literal(value) => Ok(lasting(value.clone())),
        Source::Env(name, format) => {
            context.variable(name).map(|value| lasting(format.apply(&value))).ok_or_else(|| "is not set".to_owned())
        }
        Source::File(path, format) => file(path).map(|value| lasting(format.apply(&value))),
        Source::Command(command, format) => {
            let value = answer::value(command, context)?;
            Ok(Fetched { fresh_for: command.ttl, ..lasting(format.apply(&value)) })
        }
        Source::Basic(user, password) => {
            let password = fetch(password, context).map_err(|reason| format!("is unavailable: {reason}"))?;
            let credentials = BASE64_STANDARD.encode(format!("{user}:{}", password.value.expose()));
            Ok(Fetched { fresh_for: password.fresh_for, ..lasting(format!("Basic {credentials}")) })
        }
        Source::Keyring(name, format) => {
            let secret = keyring::get(name, context).map_err(|fault| fault.to_string())?;
            Ok(lasting(format.apply(secret.expose())))
        }
        Source::Oauth2(credentials) => {
            let secret =
                fetch(&credentials.client_secret, context).map_err(|reason| format!("has no secret: {reason}"))?;
            oauth2::fetch(credentials, &secret.value, context)
        }
    }
}

/// A file's content without the final line break.
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
    fn the_first_source_with_a_value_is_used() {
        let variables = [("SET".to_owned(), "value".to_owned())].into();
        let context = FetchContext::new(Path::new("/"), &variables);
        let env = |name: &str| Source::Env(name.to_owned(), Format("Bearer {}".to_owned()));
        let file = Source::File(PathBuf::from("/nowhere"), Format::default());
        assert_eq!(fetch(&[env("UNSET"), env("SET")], context).unwrap().value.expose(), "Bearer value");
        let basic = Source::Basic("Aladdin".to_owned(), vec![Source::Literal("open sesame".to_owned())]);
        // The example of RFC 7617.
        assert_eq!(fetch(&[basic], context).unwrap().value.expose(), "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            fetch(&[env("UNSET"), file], context).unwrap_err().to_string(),
            "the variable UNSET is not set, the file /nowhere cannot be read: No such file or directory (os error 2)"
        );
    }

    #[test]
    fn debug_output_shows_no_secret() {
        assert_eq!(format!("{:?}", Source::Literal("sk-1".to_owned())), "Source(a literal)");
    }
}
