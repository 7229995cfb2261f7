//! Concurrent and nested sessions.

use std::collections::BTreeSet;

use super::{complete, profile};
use crate::support::backend::{Backend, Received};
use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::sandbox::{DEADLINE, kill, wait_until};
use crate::support::telemetry::items;
use ccrun::doctor::live::model::Script;

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn two_sessions_at_once_each_deliver_their_own() {
    let client = Client::new(Script::text("the answer").usage(USAGE).stalling());
    let backends = [Backend::start(), Backend::start()];
    let names = ["red", "blue"];
    for (name, backend) in names.iter().zip(&backends) {
        client.profile(name, profile_of(name, backend));
        client.write(format!("{name}/README"), "a project of its own");
    }
    let start = |name: &&str| {
        let directory = client.home().parent().unwrap().join(name);
        client.claude(&["-p", name], ["-p", "a question"]).current_dir(directory).spawn().unwrap()
    };
    let children: Vec<_> = names.iter().map(start).collect();
    wait_until("both to be in the middle of a turn", || client.model.stalled() == 2);
    client.model.release();
    for child in children {
        assert!(finish(child).status.success());
    }
    let asked = client.questions();
    assert_eq!(asked % 2, 0);
    let mut sessions = BTreeSet::new();
    for (name, backend) in names.iter().zip(&backends) {
        let received = backend.wait_for(|received| complete(received, asked / 2), DEADLINE);
        sessions.extend(only_of(name, &received));
    }
    assert_eq!(sessions.len(), 2);

    let report = client.report();
    assert_eq!((&report["total"]["sessions"], &report["total"]["requests"]), (&2.into(), &asked.into()));
    for key in ["profile", "project"] {
        let groups = client.report_by(key);
        assert_eq!(groups.len(), 2);
        for name in names {
            let found = groups.iter().find(|group| group[key].as_str().unwrap().ends_with(name)).unwrap();
            assert_eq!(found["input_tokens"], USAGE.input * u64::try_from(asked / 2).unwrap());
        }
    }
}

/// A profile of its own team.
fn profile_of(name: &str, backend: &Backend) -> String {
    profile(backend, "http/protobuf").replace("platform", &format!("team {name}"))
}

/// Checks that everything has this profile, and returns the sessions.
fn only_of(name: &str, received: &[Received]) -> BTreeSet<String> {
    let items = items(received);
    for item in &items {
        assert_eq!(item.resource["ccrun.profile"], name);
        assert_eq!(item.resource["team.id"], format!("team {name}"));
    }
    items.into_iter().map(|item| item.resource["ccrun.session"].clone()).collect()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_session_inside_a_session_delivers_its_own() {
    let (outer, inner) = (Backend::start(), Backend::start());
    let script =
        Script::text("the answer").usage(USAGE).bash("ccrun -p inner claude -p 'a question inside' --tools ''");
    let client = Client::new(script);
    client.profile("outer", profile_of("outer", &outer));
    client.profile("inner", profile_of("inner", &inner));
    let child = client.claude(&["-p", "outer"], ["-p", "a question", "--allowedTools", "Bash"]).spawn().unwrap();
    assert!(finish(child).status.success());
    let received = outer.wait_for(|received| complete(received, 2), DEADLINE);
    let mut sessions = only_of("outer", &received);
    let received = inner.wait_for(|received| complete(received, 1), DEADLINE);
    sessions.extend(only_of("inner", &received));
    assert_eq!(sessions.len(), 2);
    assert_eq!(client.report()["total"]["requests"], 3);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_end_of_the_outer_session_does_not_end_the_inner_collector() {
    let (outer, inner) = (Backend::start(), Backend::start());
    // The tool leaves this session behind. It exports once the outer session is over.
    let script = "ccrun -p inner sh -c 'echo $OTEL_EXPORTER_OTLP_ENDPOINT > $HOME/endpoint; cat $HOME/fifo'";
    let client = Client::new(Script::text("the answer").usage(USAGE).bash(script));
    client.profile("outer", profile_of("outer", &outer));
    client.profile("inner", profile_of("inner", &inner));
    let fifo = client.home().join("fifo");
    assert!(client.command("mkfifo").arg(&fifo).status().unwrap().success());
    let child = client.claude(&["-p", "outer"], ["-p", "a question", "--allowedTools", "Bash"]).spawn().unwrap();
    let endpoint = client.home().join("endpoint");
    wait_until("the inner session to start", || {
        std::fs::read_to_string(&endpoint).is_ok_and(|text| text.ends_with('\n'))
    });
    wait_until("both collectors", || client.collectors().len() == 4);
    let mut emitter = crate::support::emitter::Emitter::new(std::fs::read_to_string(&endpoint).unwrap().trim());
    kill(pid(&child), "TERM");
    assert_eq!(finish(child).status.code(), Some(143));
    let records = crate::support::emitter::ids("record", 1);
    emitter.export(&records);
    drop(emitter);
    inner.wait_for(|received| crate::support::emitter::ids_of(received) == records, DEADLINE);
    client.wait_for_end();
}
