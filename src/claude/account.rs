//! The account that Claude Code is logged in to, read from its own file.

use std::path::Path;

use serde::Deserialize;

use crate::system::bounded;

/// The maximum size of the file, in bytes. It contains a history of every project.
const MAXIMUM_SIZE: u64 = 64 << 20;

/// The user of Claude Code on this machine. Unknown values are empty.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// The person: the account's e-mail address, or else its id.
    pub person: String,
    /// The installation's id, which telemetry has as `user.id`.
    pub installation: String,
    /// The organisation's id.
    pub organisation: String,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct State {
    #[serde(rename = "userID")]
    user_id: String,
    oauth_account: Option<Login>,
}

#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Login {
    email_address: String,
    account_uuid: String,
    organization_uuid: String,
}

/// Reads the account from `.claude.json`. All values are empty if the file is missing or invalid.
pub fn account(path: &Path) -> Account {
    let text = bounded::read(path, MAXIMUM_SIZE).unwrap_or_default();
    let state: State = serde_json::from_slice(&text).unwrap_or_default();
    let login = state.oauth_account.unwrap_or_default();
    let person = if login.email_address.is_empty() { login.account_uuid } else { login.email_address };
    Account { person, installation: state.user_id, organisation: login.organization_uuid }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_is_identified_by_account_or_installation() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join(".claude.json");
        assert_eq!(account(&path), Account::default());
        std::fs::write(
            &path,
            r#"{"userID":"f8","oauthAccount":{"emailAddress":"me@example.org","organizationUuid":"o"}}"#,
        )
        .unwrap();
        let known = account(&path);
        assert_eq!((known.person.as_str(), known.installation.as_str()), ("me@example.org", "f8"));
        std::fs::write(&path, r#"{"userID":7}"#).unwrap();
        assert_eq!(account(&path), Account::default());
    }
}
