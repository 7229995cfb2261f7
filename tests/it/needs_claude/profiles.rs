//! A team's system-wide profile, a user's profile on top of it, a project file and an overlay: what arrives is what
//! `ccrun profile show` prints.
//!
//! System-wide profiles are below `/etc`. Each command sees a private `/etc` in a mount namespace that ends with its
//! last process, so the machine's `/etc` is not changed.

use std::collections::BTreeMap;
use std::process::{Command, Output};

use serde_json::Value;

use super::complete;
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, finish};
use crate::support::sandbox::{DEADLINE, text};
use crate::support::telemetry::{Item, events, items};
use ccrun::doctor::live::model::Script;

/// The system-wide profile of the team.
const TEAM: &str = r#"
description = "the platform team"
[vars]
region = "eu"
[team]
id = "platform"
cost_center = "eng-123"
[resource]
"deployment.environment.name" = "laptop"
where = "in ${region}"
[destination.team]
endpoint = "https://ingest.${region}.team.example"
[destination.team.headers]
Authorization = { env = "TEAM_TOKEN", format = "Bearer {}" }
X-Tenant = "everybody"
"#;

/// Every character with a meaning in the attributes variable or in TOML.
const ODD: &str = "spaces, commas = equals % %41 \"quotes\" 'single' \\ tab\there é😀\u{202e}";

/// The user's profile.
const MINE: &str = r#"
extends = "team"
[vars]
region = "us"
[team]
cost_center = "eng-456"
[resource]
"team.id" = "platform-ada"
[destination.team.headers]
x-tenant = { env = "TENANT" }
"#;

/// A client on a machine with a team profile, this `config.toml`, and secrets. If no namespace can be created, prints
/// the reason and returns `None`.
#[expect(clippy::print_stderr, reason = "the output must show that it proved nothing")]
fn client(config: &str) -> Option<Client> {
    let unshared = Command::new("unshare").args(["-m", "true"]).output();
    if !unshared.as_ref().is_ok_and(|output| output.status.success()) {
        eprintln!("skipped: cannot create a mount namespace: {unshared:?}");
        return None;
    }
    let mut client = Client::new(Script::text("the answer").usage(USAGE));
    client.write("system/profiles/team.toml", TEAM);
    client.write("system/config.toml", config);
    client.set("TEAM_TOKEN", "sk-team").set("TENANT", "tenant-9");
    Some(client)
}

/// Runs `ccrun` with the sandbox's system-wide files. The rest of `/etc` is unchanged.
fn ccrun(client: &Client, arguments: &[&str]) -> Output {
    let root = client.home().parent().unwrap().display().to_string();
    let script = format!(
        "set -e; mkdir -p '{root}/etc'; mount --rbind /etc '{root}/etc'; mount -t tmpfs tmpfs /etc
         ln -s '{root}'/etc/* /etc/; rm -f /etc/ccrun; ln -s '{root}/system' /etc/ccrun; exec ccrun \"$@\""
    );
    let mut command = client.command("unshare");
    finish(command.args(["-m", "sh", "-c", &script, "sh"]).args(arguments).spawn().unwrap())
}

/// The output of `ccrun profile show`: value and place of each key.
fn shown(client: &Client, options: &[&str]) -> BTreeMap<String, (String, String)> {
    let output = ccrun(client, &[&["profile", "show", "--json"], options].concat());
    assert_eq!((output.status.code(), text(&output.stderr)), (Some(0), String::new()));
    let lines: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let field = |line: &Value, name: &str| line[name].as_str().unwrap().to_owned();
    lines.iter().map(|line| (field(line, "key"), (field(line, "value"), field(line, "origin")))).collect()
}

/// The resource attributes in that output. `[resource]` overrides `[team]`.
fn attributes(shown: &BTreeMap<String, (String, String)>) -> BTreeMap<String, String> {
    let below = |table: &'static str| {
        shown.iter().filter_map(move |(key, (value, _))| {
            let name = key.strip_prefix(table)?;
            let name = serde_json::from_str(name).unwrap_or_else(|_| name.to_owned());
            Some((name, serde_json::from_str::<String>(value).unwrap()))
        })
    };
    let team = below("team.").map(|(key, value)| (if key == "id" { "team.id".to_owned() } else { key }, value));
    team.chain(below("resource.")).collect()
}

/// Asks a question through `ccrun`, and returns what arrived once it is complete.
fn asked(client: &Client, backend: &Backend, options: &[&str]) -> Vec<Received> {
    let output = ccrun(client, &[options, &["claude", "-p", "what is canary-7391?"]].concat());
    assert_eq!((text(&output.stdout), text(&output.stderr)), ("the answer\n".to_owned(), String::new()));
    backend.wait_for(|received| complete(received, client.questions()), DEADLINE)
}

/// The sources of the resource attributes in `ccrun env --explain`.
fn explained_attributes(client: &Client, options: &[&str]) -> Vec<String> {
    let output = ccrun(client, &[&["env", "--explain", "--format", "json"], options].concat());
    let entries: Vec<Value> = serde_json::from_slice(&output.stdout).unwrap();
    let entry = entries.into_iter().find(|entry| entry["name"] == "OTEL_RESOURCE_ATTRIBUTES").unwrap();
    entry["origins"].as_array().unwrap().iter().map(|origin| origin.as_str().unwrap().to_owned()).collect()
}

/// Writes a profile that redirects the team's destination to this backend.
fn bring_here(client: &Client, backend: &Backend) {
    client.profile("here", format!("[destination.team]\nendpoint = \"{}\"\n", backend.endpoint()));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_attributes_that_arrive_are_those_of_profile_show() {
    let Some(client) = client("") else { return };
    let backend = Backend::start();
    client.profile("mine", MINE);
    bring_here(&client, &backend);
    // Longer than the client itself would accept.
    let long = "é😀, =".repeat(200);
    client.write("project/.ccrun.toml", format!("[resource]\nodd = {}\nlong = {long:?}\n", Value::from(ODD)));
    let output = ccrun(&client, &["trust", "--yes"]);
    assert!(output.status.success(), "{}", text(&output.stderr));

    let options = ["-p", "mine", "-p", "here", "-r", "by.option=1"];
    let shown = shown(&client, &options);
    let place = |key: &str| {
        let (value, origin) = shown.get(key).unwrap_or_else(|| panic!("{key} is missing from {shown:?}"));
        (value.as_str(), origin.rsplit('/').next().unwrap().split(':').next().unwrap())
    };
    let endpoint = format!("{:?}", backend.endpoint());
    assert_eq!(place("destination.team.endpoint"), (endpoint.as_str(), "here.toml"));
    assert_eq!(
        place("destination.team.headers.authorization"),
        ("{ env = \"TEAM_TOKEN\", format = \"Bearer {}\" }", "team.toml")
    );
    assert_eq!(place("destination.team.headers.x-tenant"), ("{ env = \"TENANT\" }", "mine.toml"));
    assert_eq!(place("resource.\"deployment.environment.name\""), ("\"laptop\"", "team.toml"));
    assert_eq!(place("resource.where"), ("\"in us\"", "team.toml"));
    assert_eq!(place("team.cost_center"), ("\"eng-456\"", "mine.toml"));
    assert_eq!(place("resource.odd").1, ".ccrun.toml");
    let attributes = attributes(&shown);
    assert_eq!((&attributes["odd"], &attributes["long"]), (&ODD.to_owned(), &long));
    assert_eq!((attributes["team.id"].as_str(), attributes["by.option"].as_str()), ("platform-ada", "1"));
    assert_eq!(attributes.len(), 7, "{attributes:?}");

    let explained = explained_attributes(&client, &options);
    for (key, file) in
        [("resource.odd", ".ccrun.toml:"), ("team.cost_center", "mine.toml:"), ("resource.by.option", "--resource:")]
    {
        let origin = explained.iter().find(|origin| origin.ends_with(&format!("({key})")));
        assert!(origin.is_some_and(|origin| origin.contains(file)), "{key} is missing from {explained:?}");
    }

    let received = asked(&client, &backend, &options);
    for request in &received {
        assert_eq!((request.header("authorization"), request.header("x-tenant")), ("Bearer sk-team", "tenant-9"));
    }
    for Item { name, resource, .. } in items(&received) {
        for (key, value) in &attributes {
            assert_eq!(resource.get(key), Some(value), "{key} of {name}");
        }
        assert_eq!(resource["ccrun.profile"], "mine");
    }
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn enforced_settings_override_the_users_profile() {
    let enforced = r#"["content", "team", "resource.team.id", "destination.team.headers"]"#;
    let Some(client) = client(&format!("profile = \"team\"\nenforce = {enforced}\n")) else { return };
    let backend = Backend::start();
    client.profile("mine", MINE.to_owned() + "X-Own = \"mine\"\n[content]\nuser_prompts = true\n");
    bring_here(&client, &backend);
    let received = asked(&client, &backend, &["-p", "mine", "-p", "here", "-r", "team.id=forged"]);
    for request in &received {
        assert_eq!((request.header("authorization"), request.header("x-tenant")), ("Bearer sk-team", "everybody"));
        assert!(!request.headers.contains_key("x-own"));
    }
    for Item { name, resource, attributes, .. } in items(&received) {
        assert_eq!((resource["team.id"].as_str(), resource["cost_center"].as_str()), ("platform", "eng-123"), "{name}");
        assert!(!attributes.values().any(|value| value.contains("canary-7391")), "{attributes:?}");
    }
    assert_eq!(events(&received, "user_prompt").len(), 1);
}
