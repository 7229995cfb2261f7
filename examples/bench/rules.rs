//! The rules of a typical profile: every service is accepted, attributes are added, and content is withheld.

use ccrun::otlp::{Pattern, Redact, Rules, Stamp, Switch, Withheld};

/// The rules of a typical profile.
pub(crate) fn usual() -> Rules {
    let stamp = [
        ("ccrun.profile", "team"),
        ("ccrun.session", "0123456789abcdef"),
        ("ccrun.version", "0.1.0"),
        ("team.id", "platform"),
        ("department", "engineering"),
    ];
    let replace = stamp.map(|(key, value)| (key.to_owned(), value.to_owned())).into();
    let absent = [("service.instance.id".to_owned(), "0123456789abcdef".to_owned())].into();
    Rules::new(vec![Pattern::new("*")], Stamp { replace, absent }, Withheld::of(&Switch::ALL), Redact::default())
}
