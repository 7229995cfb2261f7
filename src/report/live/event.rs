//! An event for the screen, and the filter for events.

use crate::report::Condition;
use crate::usage::Entry;

/// An event of Claude Code, from the past or just received. An empty text is unknown.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Event {
    /// The session's id.
    pub session: String,
    /// The project's directory.
    pub project: String,
    /// What the client reports.
    pub entry: Entry,
}

/// A filter for events. By default it accepts all of them.
#[derive(Clone, Debug, Default)]
pub struct Wanted {
    /// A prefix of a session's id, Claude Code's or ours.
    pub session: Option<String>,
    /// The project.
    pub project: Option<Condition>,
    /// Names of events.
    pub events: Vec<String>,
}

impl Wanted {
    /// Whether the filter accepts an event.
    pub fn has(&self, event: &Event) -> bool {
        let begins = |id: &String| event.session.starts_with(id) || event.entry.session.starts_with(id);
        let project = Some(event.project.as_str()).filter(|project| !project.is_empty());
        self.session.as_ref().is_none_or(begins)
            && self.project.as_ref().is_none_or(|condition| condition.matches(project))
            && (self.events.is_empty() || self.events.contains(&event.entry.event))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_are_filtered_by_session_project_and_name() {
        let event = Event {
            session: "3f0a".to_owned(),
            project: "/home/me/api".to_owned(),
            entry: Entry { session: "7a64b203".to_owned(), event: "api_request".to_owned(), ..Entry::default() },
        };
        let session = |id: &str| Wanted { session: Some(id.to_owned()), ..Wanted::default() };
        assert!(Wanted::default().has(&event) && session("3f").has(&event) && session("7a64").has(&event));
        assert!(!session("64").has(&event));
        let project = |name: &str| Wanted { project: Some(name.parse().unwrap()), ..Wanted::default() };
        assert!(project("project=api").has(&event) && !project("project=web").has(&event));
        let events = |names: &[&str]| Wanted {
            events: names.iter().map(|name| (*name).to_owned()).collect(),
            ..Wanted::default()
        };
        assert!(events(&["api_error", "api_request"]).has(&event) && !events(&["tool_result"]).has(&event));
    }
}
