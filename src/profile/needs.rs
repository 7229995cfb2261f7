//! What a shipped profile needs to be of use: what its own comments say, so that people and `ccrun setup` read the same.

use super::sources::BUILT_IN;

/// The beginning of a comment that says so.
const MARK: &str = "# needs: ";

/// How a secret is said to be one.
const IN_THE_KEYRING: &str = ", in the keyring as `";

/// Something that has to be known.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A variable of the profile.
    Variable {
        /// Its name.
        name: String,
        /// What it may be, and where it is found.
        hint: String,
    },
    /// A secret.
    Secret {
        /// The entry of the keyring that the profile takes it from.
        entry: String,
        /// The variable of the environment that it takes it from besides.
        variable: Option<String>,
        /// What it is, and where it is found.
        hint: String,
    },
}

/// The shipped profiles that send something somewhere, by name.
pub fn backends() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().filter(|(_, text)| text.contains("\n[destination.")).map(|(name, _)| *name)
}

/// What a shipped profile needs, in the order in which it says so; nothing if there is no such profile.
pub fn needs(name: &str) -> Option<Vec<Need>> {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let comments = text.lines().take_while(|line| line.starts_with('#'));
    let mut said: Vec<String> = Vec::new();
    let mut goes_on = false;
    for comment in comments {
        if let Some(need) = comment.strip_prefix(MARK) {
            said.push(need.trim().to_owned());
            goes_on = true;
        } else if let Some(more) = comment.strip_prefix("#        ").filter(|_| goes_on)
            && let Some(last) = said.last_mut()
        {
            last.extend([" ", more.trim()]);
        } else {
            goes_on = false;
        }
    }
    Some(said.iter().filter_map(|said| need(said)).collect())
}

fn need(said: &str) -> Option<Need> {
    if let Some((hint, rest)) = said.split_once(IN_THE_KEYRING) {
        let (entry, rest) = rest.split_once('`')?;
        let is_named = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
        let variable = rest.strip_prefix(" or in ").map(|rest| rest.chars().take_while(|c| is_named(*c)).collect());
        return Some(Need::Secret { entry: entry.to_owned(), variable, hint: hint.to_owned() });
    }
    let (name, hint) = said.split_once(" (")?;
    Some(Need::Variable { name: name.to_owned(), hint: hint.trim_end_matches(')').to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_say_what_is_needed() {
        let secret = Need::Secret {
            entry: "signoz/ingestion-key".to_owned(),
            variable: Some("SIGNOZ_INGESTION_KEY".to_owned()),
            hint: "the ingestion key".to_owned(),
        };
        let region = Need::Variable { name: "region".to_owned(), hint: "us, eu or in".to_owned() };
        assert_eq!(needs("signoz").unwrap(), [region, secret]);
        assert_eq!(needs("local").unwrap(), []);
        assert_eq!(needs("unknown"), None);
        assert!(backends().any(|name| name == "otlp") && !backends().any(|name| name == "local" || name == "bedrock"));
    }

    /// Nobody is asked for what is not needed, and nothing that is needed is forgotten.
    #[test]
    fn comments_say_what_the_profile_says() {
        for (name, text) in BUILT_IN {
            for need in needs(name).unwrap() {
                match need {
                    Need::Variable { name: variable, hint } => {
                        assert!(text.contains(&format!("${{{variable}}}")), "{name}: {variable}");
                        let set = text.split("\n[").find(|table| table.starts_with("vars]")).unwrap_or_default();
                        assert!(!set.contains(&format!("\n{variable} ")) && !hint.is_empty(), "{name}: {variable}");
                    }
                    Need::Secret { entry, variable, .. } => {
                        assert!(text.contains(&format!("keyring = \"{entry}\"")), "{name}: {entry}");
                        let variable = variable.unwrap();
                        assert!(text.contains(&format!("env = \"{variable}\"")), "{name}: {variable}");
                    }
                }
            }
        }
    }
}
