//! A user who already exports directly and then sets the alias.

use serde_json::json;

use super::complete;
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::items;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn existing_direct_exports_lose_nothing() {
    let (backend, client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    let settings = json!({"env": {
        "CLAUDE_CODE_ENABLE_TELEMETRY": "1",
        "OTEL_METRICS_EXPORTER": "otlp",
        "OTEL_LOGS_EXPORTER": "otlp",
        "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
        "OTEL_EXPORTER_OTLP_ENDPOINT": backend.endpoint(),
        "OTEL_EXPORTER_OTLP_HEADERS": "Authorization=Bearer%20sk-1,x-tenant=a=b",
        "OTEL_RESOURCE_ATTRIBUTES": "team.id=plat%20form",
        "OTEL_SERVICE_NAME": "mine",
        "OTEL_LOG_USER_PROMPTS": "1",
    }});
    client.write("home/.claude/settings.json", settings.to_string());
    // The same questions with Claude Code alone.
    let direct = client.command("claude").args(["-p", "a question"]).output().unwrap();
    assert!(direct.status.success(), "{}", text(&direct.stderr));
    let before = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    let asked = client.questions();
    backend.clear();
    let output = client.ask(&[], "a question");
    assert_eq!(text(&output.stdout), "the answer\n");
    assert!(text(&output.stderr).contains("as the profile `inherited`"), "{}", text(&output.stderr));
    let after = backend.wait_for(|received| complete(received, client.questions() - asked), DEADLINE);
    for received in &after {
        for header in ["authorization", "x-tenant"] {
            assert_eq!(received.header(header), before[0].header(header));
        }
    }
    assert_eq!(after[0].header("authorization"), "Bearer%20sk-1");
    let names = |received| {
        let items = items(received).into_iter().filter(|item| item.name != "active_time.total");
        items
            .map(|item| (item.name, item.attributes.into_keys().collect::<Vec<_>>()))
            .collect::<std::collections::BTreeSet<_>>()
    };
    let (theirs, ours) = (names(&before), names(&after));
    assert!(theirs.is_subset(&ours), "{theirs:#?} {ours:#?}");
    for item in items(&after) {
        assert_eq!((item.resource["team.id"].as_str(), item.resource["service.name"].as_str()), ("plat form", "mine"));
    }
}
