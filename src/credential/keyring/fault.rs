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

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NoEntry(name) => write!(formatter, "is not there: `ccrun secret set {}` stores it", word(name)),
            Self::Locked => write!(formatter, "is locked: {UNLOCK}"),
            Self::Absent(reason) => write!(
                formatter,
                "cannot be asked for, {}: start a keyring (gnome-keyring, KWallet, KeePassXC), or set `keyring = \
                 \"keyutils\"` in config.toml for the kernel's",
                printable(reason)
            ),
            Self::NoCollection => write!(
                formatter,
                "has no place in the keyring, which has no default collection and was given no password for one: make \
                 one in the desktop's settings; without a desktop end gnome-keyring-daemon and start it by \
                 `gnome-keyring-daemon --unlock`, which makes one"
            ),
            Self::Denied(reason) => write!(
                formatter,
                "is denied to ccrun ({}): allow it in the keyring's settings, or remove the entry there and store it \
                 by `ccrun secret set`",
                printable(reason)
            ),
            Self::Silent => formatter.write_str(
                "cannot be had: the keyring does not answer; start its service anew, gnome-keyring by \
                 `gnome-keyring-daemon --replace`",
            ),
            Self::Busy => formatter.write_str(
                "cannot be had: the keyring has not answered an earlier question yet; is its dialog open somewhere?",
            ),
            Self::Several(name, number) => {
                let name = word(name);
                write!(
                    formatter,
                    "is there {number} times: `ccrun secret remove {name}`, then `ccrun secret set {name}`"
                )
            }
            Self::NoText => formatter.write_str("is no text: `ccrun secret set` stores another"),
            Self::Unlisted => formatter.write_str("does not tell which other entries it has"),
            Self::Other(reason) => write!(formatter, "cannot be had: {}", printable(reason)),
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
