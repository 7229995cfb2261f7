//! Hides the parts of a selection that are secret in the profile that it selects, so that they are not written to disk.

use super::model::{Notify, Profile};
use super::resolve::Selection;
use crate::secret::Source;
use crate::terminal::mask::{is_secret_name, may_be_secret};

/// Replaces the value of a variable.
const HIDDEN: &str = "hidden";

/// The shortest value that is searched for inside others, in bytes.
const SHORTEST: usize = 6;

impl Selection {
    /// The same selection without the values of secret variables. What such a session leaves undelivered is orphaned,
    /// because its headers cannot be rebuilt.
    #[must_use]
    pub fn without_secrets(mut self, profile: &Profile) -> Self {
        let Literals { secrets, needed } = Literals::of(profile);
        for (name, value) in &mut self.variables {
            let looks_secret = is_secret_name(name) || may_be_secret(value);
            let is_in = |text: &&str| *text == value || value.len() >= SHORTEST && text.contains(value.as_str());
            if !value.is_empty() && (secrets.iter().any(is_in) || looks_secret && !needed.iter().any(is_in)) {
                HIDDEN.clone_into(value);
            }
        }
        self
    }
}

/// The literals of a profile.
#[derive(Default)]
struct Literals<'a> {
    /// Keys, passwords and tokens.
    secrets: Vec<&'a str>,
    /// Literals that say where telemetry goes, and who it belongs to.
    needed: Vec<&'a str>,
}

impl<'a> Literals<'a> {
    fn of(profile: &'a Profile) -> Self {
        let mut literals = Self::default();
        for destination in &profile.destinations {
            literals.needed.push(&destination.endpoint);
            for (name, sources) in &destination.headers {
                for source in sources {
                    literals.add(name, source);
                }
            }
        }
        for store in &profile.team_stores {
            literals.needed.push(&store.address.server);
            literals.secrets.extend(store.password.iter().filter_map(Source::literal));
            store.headers.iter().for_each(|(name, sources)| sources.iter().for_each(|one| literals.add(name, one)));
        }
        for (name, sources) in &profile.env {
            let values = sources.iter().filter_map(Source::literal);
            literals.secrets.extend(values.filter(|value| is_secret_name(name) || may_be_secret(value)));
        }
        literals.secrets.extend(profile.redact.key.iter().filter_map(Source::literal));
        let notifications = profile.budgets.iter().flat_map(|budget| &budget.notify).flat_map(Notify::sources);
        literals.secrets.extend(notifications.filter_map(Source::literal));
        literals
    }

    /// Adds a header.
    fn add(&mut self, name: &str, source: &'a Source) {
        match source {
            Source::Literal(value) if is_secret_name(name) || may_be_secret(value) => self.secrets.push(value),
            Source::Literal(value) => self.needed.push(value),
            Source::Basic(user, _) => self.needed.push(user),
            Source::Oauth2(credentials) => self.needed.extend([&*credentials.token_url, &*credentials.client_id]),
            Source::Env(..) | Source::File(..) | Source::Keyring(..) | Source::Command(..) => {}
        }
        // A password or client secret.
        self.secrets.extend(source.parts().into_iter().skip(1).filter_map(Source::literal));
    }
}
