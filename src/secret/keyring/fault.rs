//! Faults of a keyring, each with the command that fixes it.

use std::borrow::Cow;
use std::fmt;

use crate::terminal::printable::printable;

/// How to unlock a keyring.
const UNLOCK: &str = "`ccrun secret list` asks for its password; without a desktop `gnome-keyring-daemon \
                      --replace --unlock` reads it from its input";

/// Why the keyring has no answer. The text continues the name of an entry, or `the keyring`.
#[derive(Debug, PartialEq, Eq)]
pub enum Fault {
    /// There is no such entry.
    NoEntry(String),
    /// The keyring is locked, and the user has not entered the password.
    Locked,
    /// There is no keyring. Contains the reason, and the file that can name another keyring, once it is known.
    Absent(String, Option<String>),
    /// It has no collection for new entries.
    NoCollection,
    /// It denies access to the entry.
    Denied(String),
    /// It did not answer in time.
    Silent,
    /// It has not answered an earlier request yet.
    Busy,
    /// There are several entries with this name.
    Several(String, usize),
    /// The entry is not text.
    NoText,
    /// It cannot list its entries.
    Unlisted,
    /// Any other fault.
    Other(String),
}

impl Fault {
    /// The fault, to follow the name of an entry or `the keyring`, and how to fix it.
    pub fn parts(&self) -> (String, Option<String>) {
        let (cause, remedy) = match self {
            Self::NoEntry(name) => ("does not exist".into(), format!("`ccrun secret set {}` stores it", word(name))),
            Self::Locked => ("is locked".into(), UNLOCK.into()),
            Self::Absent(reason, config) => (
                format!("is unavailable: {}", printable(reason)),
                format!(
                    "start a keyring (gnome-keyring, KWallet, KeePassXC), or set `keyring = \"keyutils\"` in {} for the \
                     kernel's",
                    config.as_deref().map_or("config.toml".into(), printable)
                ),
            ),
            Self::NoCollection => (
                "cannot be stored: the keyring has no default collection, and no password for one was entered".into(),
                "create one in the desktop's settings; without a desktop, stop gnome-keyring-daemon and start it with \
                 `gnome-keyring-daemon --unlock`, which creates one"
                    .into(),
            ),
            Self::Denied(reason) => (
                format!("is denied to ccrun ({})", printable(reason)),
                "allow it in the keyring's settings, or remove the entry there and store it with `ccrun secret set`"
                    .into(),
            ),
            Self::Silent => (
                "is unavailable: the keyring does not answer".into(),
                "restart its service; for gnome-keyring, `gnome-keyring-daemon --replace`".into(),
            ),
            Self::Busy => (
                "is unavailable: the keyring has not answered an earlier request yet".into(),
                "check whether its dialog is open".into(),
            ),
            Self::Several(name, number) => {
                let name = word(name);
                let remedy = format!("`ccrun secret remove {name}`, then `ccrun secret set {name}`");
                (format!("exists {number} times"), remedy)
            }
            Self::NoText => ("is not text".into(), "`ccrun secret set` stores another".into()),
            Self::Unlisted => return ("cannot list its other entries".into(), None),
            Self::Other(reason) => return (format!("is unavailable: {}", printable(reason)), None),
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

/// A name quoted for a shell.
fn word(name: &str) -> String {
    let name = printable(name);
    // Printable text has no NUL, the only character that cannot be quoted.
    shlex::try_quote(&name).map_or_else(|_| name.clone(), Cow::into_owned)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_fault_has_a_fix() {
        let faults = [
            Fault::Locked,
            Fault::Absent("there is no session bus".to_owned(), None),
            Fault::NoCollection,
            Fault::Denied("no".to_owned()),
            Fault::Silent,
            Fault::Several("a".to_owned(), 2),
            Fault::NoText,
        ];
        for fault in faults {
            assert!(fault.to_string().contains('`'), "{fault}");
        }
        assert_eq!(Fault::NoEntry("a/b".to_owned()).to_string(), "does not exist: `ccrun secret set a/b` stores it");
        let foreign = Fault::NoEntry("x; rm '-rf'".to_owned()).to_string();
        assert_eq!(foreign, "does not exist: `ccrun secret set \"x; rm '-rf'\"` stores it");
    }
}
