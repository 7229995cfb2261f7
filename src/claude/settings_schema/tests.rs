use serde_json::json;

use super::*;

/// Documents, each preceded by `+` or `-`, as judged by the client's own reader of settings files.
const CASES: &str = include_str!("cases.txt");

fn said(settings: &Value) -> Option<String> {
    fault(settings.as_object().unwrap()).map(|fault| fault.to_string())
}

#[test]
fn every_document_is_judged_as_by_the_client() {
    let mut wrong = Vec::new();
    for line in CASES.lines() {
        let (verdict, document) = line.split_once(' ').unwrap();
        let document: Value = serde_json::from_str(document).unwrap();
        let found = said(&document);
        if found.is_none() != (verdict == "+") {
            wrong.push(format!("{line}: {found:?}"));
        }
    }
    // The client's own rules that no type expresses: package names, and pairs of names that must differ.
    let known = |line: &String| line.contains("npm") || line.contains("awsPairs") || line.contains("\"name\":\"https");
    wrong.retain(|line| !known(line));
    assert!(CASES.lines().count() > 2000 && wrong.is_empty(), "{} wrong results:\n{}", wrong.len(), wrong.join("\n"));
}

#[test]
fn the_faulty_key_is_named_without_its_value() {
    let reasons = [
        (json!({"cleanupPeriodDays": "secret"}), "`cleanupPeriodDays` must be a whole number above 0, not a string"),
        (json!({"cleanupPeriodDays": 0}), "`cleanupPeriodDays` must be a whole number above 0, not a number"),
        (json!({"model": 1}), "`model` must be a string, not a number"),
        (json!({"statusLine": "secret"}), "`statusLine` must be an object, not a string"),
        (json!({"statusLine": {"type": "command"}}), "`statusLine.command` is missing"),
        (json!({"includeCoAuthoredBy": "no"}), "`includeCoAuthoredBy` must be true or false, not a string"),
        (json!({"permissions": {"allow": "secret"}}), "`permissions.allow` must be a list, not a string"),
        (json!({"enabledPlugins": []}), "`enabledPlugins` must be an object, not a list"),
        (json!({"enabledPlugins": {"a@b": 1}}), "`enabledPlugins.a@b` must be a list or true or false, not a number"),
        (
            json!({"quietHours": {"start": "25:00"}}),
            r"`quietHours.start` must be a string like ^([01]?\d|2[0-3]):[0-5]\d$, not a string",
        ),
        (
            json!({"hooks": {"PreToolUse": [{"matcher": 3, "hooks": []}]}}),
            "`hooks.PreToolUse[0].matcher` must be a string, not a number",
        ),
        (
            json!({"hooks": {"PreToolUse": [{"hooks": [{"type": "secret"}]}]}}),
            "`hooks.PreToolUse[0].hooks[0].type` must be `command`, `prompt`, `agent`, `http` or `mcp_tool`",
        ),
    ];
    for (settings, reason) in reasons {
        assert_eq!(said(&settings).as_deref(), Some(reason));
    }
    let stray = said(&json!({"PreToolUse": [{"matcher": "Bash", "hooks": []}]})).unwrap();
    assert!(stray.starts_with("`PreToolUse` contains hooks of PreToolUse, "), "{stray}");
}

#[test]
fn keys_outside_the_table_are_never_a_fault() {
    assert_eq!(said(&json!({"aKeyOfTomorrow": {"x": [1, null]}, "env": {"A": 1, "B": null}})), None);
    assert!(version().starts_with("2.1."));
}

#[test]
fn every_type_in_the_table_is_implemented() {
    fn walk(kind: &Value) {
        let Some(kind) = kind.as_object() else {
            return assert!(["any", "string", "number", "boolean", "null"].contains(&kind.as_str().unwrap()), "{kind}");
        };
        match kind.iter().next().unwrap() {
            (name, Value::Object(fields)) if name == "object" => fields.values().for_each(walk),
            (name, Value::Array(options)) if name == "union" => options.iter().for_each(walk),
            (name, inner) if ["array", "record", "not"].contains(&name.as_str()) => walk(inner),
            (name, _) if name == "tagged" => kind["by"].as_object().unwrap().values().for_each(walk),
            (name, inner) if name == "string" => {
                let pattern = inner["pattern"].as_str().unwrap_or_default();
                assert!(regex_lite::Regex::new(pattern).is_ok(), "{pattern}");
            }
            (name, _) => assert!(["one", "number"].contains(&name.as_str()), "{name}"),
        }
    }
    let keys = TABLE["keys"].as_object().unwrap();
    assert!(keys.len() > 100);
    keys.values().for_each(walk);
}
