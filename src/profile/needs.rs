//! What a shipped profile needs: variables without a default, and the secrets that its comments name. People and `ccrun
//! setup` read the same comments.

use std::sync::Arc;

use super::built_in::BUILT_IN;
use super::document::Document;
use super::variables::{Declaration, declarations, declare};
use super::{Faults, tree};

/// The beginning of such a comment.
const MARK: &str = "# needs: ";

/// How the comment marks a secret.
const IN_THE_KEYRING: &str = ", in the keyring as `";

/// Something that the user must provide.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Need {
    /// A variable of the profile.
    Variable(Declaration),
    /// A secret.
    Secret {
        /// The keyring entry that the profile reads.
        entry: String,
        /// The environment variable that the profile reads as an alternative.
        variable: Option<String>,
        /// What it is, and where to find it.
        hint: String,
    },
}

/// The names of the shipped profiles that have a destination.
pub fn backends() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().filter(|(_, text)| text.contains("\n[destination.")).map(|(name, _)| *name)
}

/// What a shipped profile needs, variables first, in the order of its comments; `None` if there is no such profile.
pub fn needs(name: &str) -> Option<Vec<Need>> {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let variables = variables_of(name).unwrap_or_default().into_iter().filter(|variable| variable.default.is_none());
    Some(variables.map(Need::Variable).chain(secrets(text)).collect())
}

/// The variables of a shipped profile in the order of their declarations; `None` if there is no such profile.
pub fn variables_of(name: &str) -> Option<Vec<Declaration>> {
    let (_, text) = BUILT_IN.iter().find(|(known, _)| *known == name)?;
    let document = Arc::new(Document { label: name.to_owned(), text: (*text).to_owned() });
    let root: Result<_, Faults> = tree::parse(&document);
    root.ok().map(|root| declarations(&declare(root, Some(name))))
}

fn secrets(text: &str) -> Vec<Need> {
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
    said.iter().filter_map(|said| secret(said)).collect()
}

fn secret(said: &str) -> Option<Need> {
    let (hint, rest) = said.split_once(IN_THE_KEYRING)?;
    let (entry, rest) = rest.split_once('`')?;
    let is_named = |c: char| c.is_ascii_uppercase() || c.is_ascii_digit() || c == '_';
    let variable = rest.strip_prefix(" or in ").map(|rest| rest.chars().take_while(|c| is_named(*c)).collect());
    Some(Need::Secret { entry: entry.to_owned(), variable, hint: hint.to_owned() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_list_needs() {
        let secret = Need::Secret {
            entry: "signoz/ingestion-key".to_owned(),
            variable: Some("SIGNOZ_INGESTION_KEY".to_owned()),
            hint: "the ingestion key".to_owned(),
        };
        let region = Declaration {
            name: "region".to_owned(),
            values: ["us", "eu", "in"].map(str::to_owned).to_vec(),
            description: "your SigNoz region".to_owned(),
            default: None,
        };
        assert_eq!(needs("signoz").unwrap(), [Need::Variable(region), secret]);
        assert_eq!(needs("local").unwrap(), []);
        assert_eq!(needs("unknown"), None);
        assert!(backends().any(|name| name == "otlp") && !backends().any(|name| name == "local" || name == "bedrock"));
    }

    /// The comments list exactly what each profile needs.
    #[test]
    fn comments_agree_with_the_profile() {
        for (name, text) in BUILT_IN {
            let declared = variables_of(name).unwrap();
            assert!(!text.contains("\n[vars]") && declared.iter().all(|variable| !variable.description.is_empty()));
            let wanted = text.split("${").skip(1).filter_map(|rest| rest.split_once('}'));
            for (wanted, _) in wanted {
                assert!(declared.iter().any(|variable| variable.name == wanted), "{name}: {wanted}");
            }
            for need in needs(name).unwrap() {
                match need {
                    Need::Variable(Declaration { name: variable, .. }) => {
                        assert!(text.contains(&format!("${{{variable}}}")), "{name}: {variable}");
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
