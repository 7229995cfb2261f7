//! Who a record or point belongs to.

use super::attributes::Attributes;
use super::fact::Owner;

/// Reads the owner from the record's attributes and those of its resource.
pub(super) fn owner<'a>(own: &Attributes<'a>, resource: &Attributes<'a>) -> Owner<'a> {
    let text = |names: &[&str]| {
        let found = own.text(names);
        if found.is_empty() { resource.text(names) } else { found }
    };
    Owner {
        session: text(&["session.id"]),
        person: text(&["enduser.id", "user.email", "user.account_uuid"]),
        installation: text(&["user.id"]),
        organisation: text(&["organization.id"]),
        // A team's id, from either place, takes precedence over a group.
        team: Some(text(&["team.id"])).filter(|team| !team.is_empty()).unwrap_or_else(|| text(&["user.groups"])),
        version: text(&["app.version", "service.version"]),
        entrypoint: text(&["app.entrypoint"]),
        terminal: text(&["terminal.type"]),
        provider: text(&["anthropic.provider"]),
        plan: text(&["anthropic.plan"]),
        seat: text(&["anthropic.seat_type"]),
        repository: text(&["vcs.repository.name"]),
        branch: text(&["vcs.ref.head.name"]),
    }
}
