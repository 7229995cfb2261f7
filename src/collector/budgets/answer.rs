//! What a hook is answered, as Claude Code reads it. Pure.

use serde_json::{Value, json};

use crate::budget::Verdict;
use crate::claude::hooks::Event;

/// The answer that changes nothing.
pub(super) fn nothing() -> Value {
    json!({})
}

/// The answer about an event. `interrupts` says whether a denied tool also ends Claude's turn: otherwise the model would
/// go on, with further requests. A program that only prints its last answer needs that one to say why.
pub(super) fn to(event: Event, verdict: &Verdict, interrupts: bool) -> Value {
    match (event, &verdict.stop) {
        (Event::UserPromptSubmit, Some(reason)) => json!({"decision": "block", "reason": named(reason)}),
        (Event::PreToolUse, Some(reason)) => {
            let denial = json!({
                "hookEventName": event.name(),
                "permissionDecision": "deny",
                "permissionDecisionReason": named(reason),
            });
            if interrupts {
                json!({"continue": false, "stopReason": named(reason), "hookSpecificOutput": denial})
            } else {
                json!({"hookSpecificOutput": denial})
            }
        }
        (_, None) => {
            let texts: Vec<_> = verdict.reached.iter().map(|reached| named(&reached.text)).collect();
            if texts.is_empty() { nothing() } else { json!({"systemMessage": texts.join("\n")}) }
        }
    }
}

/// A line that says where it comes from.
fn named(text: &str) -> String {
    format!("ccrun: {text}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_budget_that_stops_blocks_prompts_and_denies_tools() {
        let verdict = Verdict { stop: Some("it is spent".to_owned()), reached: Vec::new() };
        let blocked = json!({"decision": "block", "reason": "ccrun: it is spent"});
        assert_eq!(to(Event::UserPromptSubmit, &verdict, true), blocked);
        let denial = json!({
            "hookEventName": "PreToolUse",
            "permissionDecision": "deny",
            "permissionDecisionReason": "ccrun: it is spent",
        });
        assert_eq!(to(Event::PreToolUse, &verdict, false), json!({"hookSpecificOutput": denial}));
        let ended = to(Event::PreToolUse, &verdict, true);
        assert_eq!((&ended["continue"], &ended["hookSpecificOutput"]), (&json!(false), &denial));
    }

    #[test]
    fn a_verdict_without_content_changes_nothing() {
        for event in Event::ALL {
            assert_eq!(to(event, &Verdict::default(), true), json!({}));
        }
    }
}
