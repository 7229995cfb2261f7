//! Where a header's or a variable's value comes from, and fetching what can be had before the program starts.

use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use base64::prelude::{BASE64_STANDARD, Engine};
use serde::{Deserialize, Serialize};

use crate::bounded;

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
    /// HTTP Basic authentication: the user's name, and where the password comes from (RFC 7617).
    Basic(String, Vec<Source>),
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

/// As a person would name it, without any value.
impl fmt::Display for Source {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Literal(_) => formatter.write_str("a literal"),
            Self::Env(name, _) => write!(formatter, "the variable {name}"),
            Self::File(path, _) => write!(formatter, "the file {}", path.display()),
            Self::Keyring(name, _) => write!(formatter, "the keyring's {name}"),
            Self::Basic(user, _) => write!(formatter, "the password of {user}"),
        }
    }
}

impl Source {
    /// The variables that it, or what it is made of, may be read from.
    pub fn variables(&self) -> Vec<&str> {
        match self {
            Self::Env(name, _) => vec![name],
            Self::Basic(_, password) => password.iter().flat_map(Self::variables).collect(),
            Self::Literal(_) | Self::File(..) | Self::Keyring(..) => Vec::new(),
        }
    }

    /// What tells one source from another. A literal and a variable count by their values, for another key is another
    /// account; a file and the keyring by their names, for there keys are meant to change.
    pub fn identity(&self, variable: &dyn Fn(&str) -> Option<String>) -> String {
        match self {
            Self::Literal(value) => format!("literal {value}"),
            Self::Env(name, format) => format!("env {name} {} {}", format.0, variable(name).unwrap_or_default()),
            Self::File(path, format) => format!("file {} {}", path.display(), format.0),
            Self::Keyring(name, format) => format!("keyring {name} {}", format.0),
            Self::Basic(user, password) => {
                let password: Vec<_> = password.iter().map(|source| source.identity(variable)).collect();
                format!("basic {user} {}", password.join(" "))
            }
        }
    }
}

/// All headers of a destination, by name; else the first that nobody has, and why.
pub fn headers(
    sources: &BTreeMap<String, Vec<Source>>,
    variable: &dyn Fn(&str) -> Option<String>,
) -> Result<BTreeMap<String, Secret>, String> {
    let header = |(name, sources): (&String, &Vec<Source>)| match fetch(sources, variable) {
        Ok(value) => Ok((name.clone(), value)),
        Err(reason) => Err(format!("there is no value for the header `{name}`: {reason}")),
    };
    sources.iter().map(header).collect()
}

/// The first of some sources that has the value; else what each of them said.
pub fn fetch(sources: &[Source], variable: &dyn Fn(&str) -> Option<String>) -> Result<Secret, String> {
    let mut misses = Vec::new();
    for source in sources {
        match one(source, variable) {
            Ok(value) => return Ok(Secret(value)),
            Err(reason) => misses.push(format!("{source} {reason}")),
        }
    }
    Err(misses.join(", "))
}

fn one(source: &Source, variable: &dyn Fn(&str) -> Option<String>) -> Result<String, String> {
    match source {
        Source::Literal(value) => Ok(value.clone()),
        Source::Env(name, format) => {
            variable(name).map(|value| format.apply(&value)).ok_or_else(|| "is not set".to_owned())
        }
        Source::File(path, format) => file(path).map(|value| format.apply(&value)),
        Source::Basic(user, password) => {
            let Secret(password) = fetch(password, variable).map_err(|reason| format!("is not to be had: {reason}"))?;
            Ok(format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))
        }
        Source::Keyring(..) => Err("is not read by this version of ccrun yet".to_owned()),
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
        let variable = |name: &str| (name == "SET").then(|| "value".to_owned());
        let env = |name: &str| Source::Env(name.to_owned(), Format("Bearer {}".to_owned()));
        let keyring = Source::Keyring("a/b".to_owned(), Format::default());
        assert_eq!(fetch(&[env("UNSET"), env("SET")], &variable).unwrap().0, "Bearer value");
        let basic = Source::Basic("Aladdin".to_owned(), vec![Source::Literal("open sesame".to_owned())]);
        // The example of RFC 7617.
        assert_eq!(fetch(&[basic], &variable).unwrap().0, "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==");
        assert_eq!(
            fetch(&[env("UNSET"), keyring], &variable).unwrap_err(),
            "the variable UNSET is not set, the keyring's a/b is not read by this version of ccrun yet"
        );
    }

    #[test]
    fn no_secret_shows_itself() {
        assert_eq!(format!("{:?}", Source::Literal("sk-1".to_owned())), "Source(a literal)");
        assert_eq!(format!("{:?}", Secret("sk-1".to_owned())), "Secret(…)");
    }
}
