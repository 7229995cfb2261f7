//! What can be wrong with a keyring, and the command that mends it.

use std::fmt;

use crate::printable::printable;

/// How a keyring is unlocked.
const UNLOCK: &str = "`ccrun secret list` asks for its password; without a desktop `gnome-keyring-daemon \
                      --replace --unlock` reads it from its input";

/// Why the keyring has no answer. Shown as what is said of an entry, or of the keyring.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such entry.
    NoEntry(String),
    /// It is locked, and whoever was asked for the password has not given it.
    Locked,
    /// There is no keyring to ask, and why.
    Absent(String),
    /// It knows no place for new entries.
    NoCollection,
    /// It keeps the entry from us.
    Denied(String),
    /// It has not answered in time.
    Silent,
    /// It has not answered an earlier question yet.
    Busy,
    /// There are several entries of the name.
    Several(String, usize),
    /// What is there is no text.
    NoText,
    /// It does not tell which entries it has.
    Unlisted,
    /// Anything else.
    Other(String),
}

impl Fault {
    /// What is so, as it is said of an entry or of the keyring, and what to do about it.
    pub fn parts(&self) -> (String, Option<String>) {
        let (cause, remedy) = match self {
            Self::NoEntry(name) => ("is not there".into(), format!("`ccrun secret set {}` stores it", word(name))),
            Self::Locked => ("is locked".into(), UNLOCK.into()),
            Self::Absent(reason) => (
                format!("cannot be asked for, {}", printable(reason)),
                "start a keyring (gnome-keyring, KWallet, KeePassXC), or set `keyring = \"keyutils\"` in config.toml for \
                 the kernel's"
                    .into(),
            ),
            Self::NoCollection => (
                "has no place in the keyring, which has no default collection and was given no password for one".into(),
                "make one in the desktop's settings; without a desktop end gnome-keyring-daemon and start it by \
                 `gnome-keyring-daemon --unlock`, which makes one"
                    .into(),
            ),
            Self::Denied(reason) => (
                format!("is denied to ccrun ({})", printable(reason)),
                "allow it in the keyring's settings, or remove the entry there and store it by `ccrun secret set`".into(),
            ),
            Self::Silent => (
                "cannot be had: the keyring does not answer".into(),
                "start its service anew, gnome-keyring by `gnome-keyring-daemon --replace`".into(),
            ),
            Self::Busy => (
                "cannot be had: the keyring has not answered an earlier question yet".into(),
                "is its dialog open somewhere?".into(),
            ),
            Self::Several(name, number) => {
                let name = word(name);
                let remedy = format!("`ccrun secret remove {name}`, then `ccrun secret set {name}`");
                (format!("is there {number} times"), remedy)
            }
            Self::NoText => ("is no text".into(), "`ccrun secret set` stores another".into()),
            Self::Unlisted => return ("does not tell which other entries it has".into(), None),
            Self::Other(reason) => return (format!("cannot be had: {}", printable(reason)), None),
        };
        (cause, Some(remedy))
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.parts() {
            (cause, Some(remedy)) => write!(formatter, "{cause}: {remedy}"),
            (cause, None) => formatter.write_str(&cause),
        }
    }
}

/// A name as a word for a shell.
fn word(name: &str) -> String {
    let is_bare = |c: char| c.is_ascii_alphanumeric() || "-_./:@%+,".contains(c);
    let name = printable(name);
    if name.chars().all(is_bare) { name } else { format!("'{}'", name.replace('\'', "'\\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_says_what_to_do() {
        let faults = [
            Fault::Locked,
            Fault::Absent("there is no session bus".to_owned()),
            Fault::NoCollection,
            Fault::Denied("no".to_owned()),
            Fault::Silent,
            Fault::Several("a".to_owned(), 2),
            Fault::NoText,
        ];
        for fault in faults {
            assert!(fault.to_string().contains('`'), "{fault}");
        }
        assert_eq!(Fault::NoEntry("a/b".to_owned()).to_string(), "is not there: `ccrun secret set a/b` stores it");
        let foreign = Fault::NoEntry("x; rm '-rf'".to_owned()).to_string();
        assert_eq!(foreign, "is not there: `ccrun secret set 'x; rm '\\''-rf'\\'''` stores it");
    }
}
