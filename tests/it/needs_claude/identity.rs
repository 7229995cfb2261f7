//! Service name and attributes that the user configured without `ccrun`.

use serde_json::json;

use super::{complete, profile};
use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::{Attributes, items};
use ccrun::doctor::live::model::Script;

/// The resource of everything from one question, with these additions to the profile, these variables and these user
/// settings.
fn resource(more: &str, variables: &[(&str, &str)], user: &[(&str, &str)], repository: &[(&str, &str)]) -> Attributes {
    let (backend, mut client) = (Backend::start(), Client::new(Script::text("the answer").usage(USAGE)));
    client.profile("team", profile(&backend, "http/protobuf") + more);
    for (name, value) in variables {
        client.set(name, value);
    }
    for (file, variables) in [("home/.claude/settings.json", user), ("project/.claude/settings.json", repository)] {
        let variables: serde_json::Map<_, _> =
            variables.iter().map(|(name, value)| ((*name).to_owned(), json!(value))).collect();
        client.write(file, json!({"env": variables}).to_string());
    }
    let output = client.ask(&["-p", "team"], "a question");
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    let received = backend.wait_for(|received| complete(received, client.questions()), DEADLINE);
    let items = items(&received);
    let first = items[0].resource.clone();
    assert!(items.iter().all(|item| item.resource["service.name"] == first["service.name"]));
    first
}

const SERVICE: &str = "OTEL_SERVICE_NAME";
const ATTRIBUTES: &str = "OTEL_RESOURCE_ATTRIBUTES";

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_service_name_in_the_attributes_variable_applies() {
    let forged = [(SERVICE, "forged"), (ATTRIBUTES, "squad=forged")];
    let around = [(ATTRIBUTES, "service.name=my-bot,squad=a,floor=2")];
    let user = [(SERVICE, "theirs"), (ATTRIBUTES, "floor=3,seat=window")];
    let found = resource("", &around, &user, &forged);
    let of = |key: &str| found.get(key).map(String::as_str);
    assert_eq!((of("service.name"), of("squad"), of("floor")), (Some("my-bot"), Some("a"), Some("2")));
    assert_eq!((of("seat"), of("team.id")), (Some("window"), Some("platform")));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_users_settings_apply_and_a_repositorys_do_not() {
    let forged = [(SERVICE, "forged"), (ATTRIBUTES, "seat=forged,theirs=1,service.name=forged")];
    let found = resource("", &[], &[(ATTRIBUTES, "service.name=own,seat=window")], &forged);
    let of = |key: &str| found.get(key).map(String::as_str);
    assert_eq!((of("service.name"), of("seat"), of("theirs")), (Some("own"), Some("window"), None));
    let found = resource("", &[], &[], &forged);
    assert_eq!((found["service.name"].as_str(), found.get("seat")), ("claude-code", None));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_profile_takes_precedence_over_all_of_them() {
    let named = "[resource]\n\"service.name\" = \"ours\"\nfloor = \"1\"\n";
    let found = resource(named, &[(ATTRIBUTES, "service.name=my-bot,floor=2")], &[(SERVICE, "theirs")], &[]);
    assert_eq!((found["service.name"].as_str(), found["floor"].as_str()), ("ours", "1"));
}
