//! A collector's data about the moment at which a request arrived, passed to the ledger with the request.

/// The place and user of a session. An empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Whereabouts {
    /// The branch that is checked out.
    pub branch: String,
    /// The repository's name.
    pub repository: String,
    /// The linked worktree's name.
    pub worktree: String,
    /// The operating system's user, if the client names no person.
    pub user: String,
    /// Whether persons are kept (`[ledger] persons`).
    pub persons: bool,
}

impl Whereabouts {
    /// Encodes the data for a frame: each text ends with a zero byte, which the texts cannot contain.
    pub fn encode(&self) -> Vec<u8> {
        let persons = if self.persons { "1" } else { "0" };
        let texts = [&self.branch, &self.repository, &self.worktree, &self.user];
        let texts = texts.into_iter().map(String::as_str).chain([persons]);
        texts.flat_map(|text| text.bytes().filter(|byte| *byte != 0).chain([0])).collect()
    }

    /// Decodes the data. Missing texts are unknown.
    pub fn decode(bytes: &[u8]) -> Self {
        let mut texts = bytes.split(|byte| *byte == 0).map(|text| String::from_utf8_lossy(text).into_owned());
        let mut next = || texts.next().unwrap_or_default();
        Self { branch: next(), repository: next(), worktree: next(), user: next(), persons: next() != "0" }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whereabouts_survive_a_round_trip() {
        let all = Whereabouts {
            branch: "feature/größe".to_owned(),
            repository: "r".to_owned(),
            worktree: String::new(),
            user: "me".to_owned(),
            persons: false,
        };
        assert_eq!(Whereabouts::decode(&all.encode()), all);
        let branch = Whereabouts { branch: "main".to_owned(), persons: true, ..Whereabouts::default() };
        assert_eq!(Whereabouts::decode(b"main"), branch);
    }
}
