//! Credentials stay fresh for as long as a session runs, and fetching them delays nothing.

use std::time::Instant;

use crate::support::emitter::{ids, ids_of};
use crate::support::keys::{Gate, Helper, Locked, reasons};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::session::Session;

/// Waits until undelivered data has this reason.
#[track_caller]
fn wait_for_reason(sandbox: &Sandbox, words: &str) {
    wait_until(&format!("the reason `{words}`"), || reasons(sandbox).iter().any(|reason| reason.contains(words)));
}

#[track_caller]
fn wait_for(locked: &Locked, ids: &[String]) {
    wait_until("all records to arrive", || ids_of(&locked.accepted()).len() >= ids.len());
    assert_eq!(ids_of(&locked.accepted()), ids);
}

#[test]
fn a_helper_that_hangs_delays_neither_the_program_nor_an_acknowledgement() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let gate = Gate::new(&sandbox);
    let helper = Helper::new(&sandbox, "read line < ~/gate");
    helper.give("one");
    locked.accept("one");
    sandbox.profile("team", locked.destination(&Helper::source("")));
    assert_eq!(sandbox.run(["-p", "team", "sh", "-c", "exit 3"]).status.code(), Some(3));
    assert_eq!(helper.runs(), 0, "a session without telemetry needs no key");

    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 2);
    let mut client = session.client();
    client.export(&all[..1]);
    wait_for_reason(&sandbox, "waiting for the command `get-key`");
    client.export(&all[1..]);
    assert_eq!(locked.backend.received().len(), 0);
    gate.open();
    wait_for(&locked, &all);
    assert_eq!((helper.runs(), locked.refused()), (1, 0));
}

#[test]
fn a_session_ends_without_waiting_for_a_helper_and_kills_it() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let helper = Helper::new(&sandbox, "sleep 600 & wait");
    sandbox.profile("team", locked.destination(&Helper::source("")) + "[collector]\ndrain_timeout = \"100ms\"\n");
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&ids("record", 1));
    wait_until("the helper to start", || helper.runs() == 1);
    session.end();
    sandbox.wait_for_end();
    wait_until("all processes to exit", || sandbox.processes().is_empty());
}

#[test]
fn a_rejection_causes_one_refresh_and_one_retry() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let helper = Helper::new(&sandbox, "");
    helper.give("one");
    locked.accept("one");
    sandbox.profile("team", locked.destination(&Helper::source("")));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 3);
    let mut client = session.client();
    client.export(&all[..1]);
    wait_for(&locked, &all[..1]);
    helper.give("two");
    client.export(&all[1..2]);
    wait_for(&locked, &all[..2]);
    assert_eq!(helper.runs(), 1, "a value that is still accepted is not fetched again");
    locked.accept("two");
    client.export(&all[2..]);
    wait_for(&locked, &all);
    assert_eq!((helper.runs(), locked.refused()), (2, 1));
}

#[test]
fn a_file_that_changed_is_read_again() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    sandbox.write("home/key", "Bearer one\n");
    locked.accept("one");
    sandbox.profile("team", locked.destination("{ file = \"~/key\" }"));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 3);
    let mut client = session.client();
    client.export(&all[..1]);
    wait_for(&locked, &all[..1]);
    sandbox.write("home/key", "Bearer two\n");
    locked.accept("two");
    client.export(&all[1..2]);
    wait_for(&locked, &all[..2]);
    assert_eq!(locked.refused(), 1);

    locked.accept("three");
    client.export(&all[2..]);
    wait_for_reason(&sandbox, "401");
    sandbox.write("home/key", "Bearer three\n");
    wait_for(&locked, &all);
}

#[test]
fn sessions_share_the_back_off_and_deliver_everything_when_keys_work_again() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let helper = Helper::new(&sandbox, "");
    helper.give("wrong");
    sandbox.profile("team", locked.destination(&Helper::source("")));
    let begun = Instant::now();
    let sessions: Vec<_> = (0..2).map(|_| Session::start(&sandbox, &["-p", "team"])).collect();
    let all = ids("record", 2);
    for (session, id) in sessions.iter().zip(&all) {
        session.client().export(std::slice::from_ref(id));
    }
    wait_until("several attempts", || locked.refused() >= 4);
    wait_until("both to report a reason", || reasons(&sandbox).len() == 2);
    // Pauses are at least half of 1, 2, 4 … seconds, which bounds the number of requests from both sessions.
    let halves = 2.0 * begun.elapsed().as_secs_f64() + 1.0;
    let (most, seen) = (2.0 + halves.log2().ceil(), locked.refused());
    assert!(f64::from(u32::try_from(seen).unwrap()) <= most, "{seen} requests, at most {most} expected");
    for reason in reasons(&sandbox) {
        let known = ["401", "does not accept these credentials", "another session is trying"];
        assert!(known.iter().any(|words| reason.contains(words)), "{reason}");
    }
    // One run for each session, one for the first rejection, and one for each attempt.
    assert!(helper.runs() <= 2 + 1 + seen, "{} runs", helper.runs());

    helper.give("right");
    locked.accept("right");
    wait_for(&locked, &all);
    for session in sessions {
        session.end();
    }
    sandbox.wait_for_end();
    assert!(sandbox.queue().is_empty());
}

#[test]
fn ten_sessions_do_not_log_in_ten_times_at_once() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    // Like a helper with a cache: only the first run logs in.
    let script = "mkdir ~/running || echo overlap >> ~/overlaps\n\
                  [ -e ~/cache ] || { echo login >> ~/logins; sleep 0.2; touch ~/cache; }\nrmdir ~/running";
    let helper = Helper::new(&sandbox, script);
    helper.give("one");
    locked.accept("one");
    sandbox.profile("team", locked.destination(&Helper::source("")));
    let sessions: Vec<_> = (0..10).map(|_| Session::start(&sandbox, &["-p", "team"])).collect();
    let all = ids("record", 10);
    let mut clients: Vec<_> = sessions.iter().map(Session::client).collect();
    for (client, id) in clients.iter_mut().zip(&all) {
        client.export(std::slice::from_ref(id));
    }
    wait_for(&locked, &all);
    assert_eq!((helper.runs(), locked.refused()), (10, 0));
    let read = |name: &str| std::fs::read_to_string(sandbox.home().join(name)).unwrap_or_default();
    assert_eq!((read("logins").lines().count(), read("overlaps").as_str()), (1, ""));
}

#[test]
fn a_helper_that_takes_too_long_is_killed_and_tried_again() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let script = "[ -e ~/quick ] || { echo $$ > ~/pid; sleep 600; }";
    let helper = Helper::new(&sandbox, script);
    helper.give("one");
    locked.accept("one");
    sandbox.profile("team", locked.destination(&Helper::source(", timeout = \"1s\"")));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 1);
    session.client().export(&all);
    wait_for_reason(&sandbox, "the command `get-key` took longer than 1 s");
    let pid = std::fs::read_to_string(sandbox.home().join("pid")).unwrap();
    sandbox.write("home/quick", "");
    wait_for(&locked, &all);
    wait_until("the first helper to exit", || !std::path::Path::new(&format!("/proc/{}", pid.trim())).exists());
}

#[test]
fn a_headers_helper_adds_to_the_profiles_headers() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    sandbox.program(
        "get-headers",
        r#"#!/bin/sh
echo '{"Authorization": "Bearer one", "X-Other": "theirs", "X-Ours": "theirs"}'
"#,
    );
    locked.accept("one");
    sandbox.profile(
        "team",
        format!(
            "[destination.d]\nendpoint = \"{}\"\nheaders.X-Ours = \"ours\"\nheaders_helper.command = [\"get-headers\"]\n",
            locked.backend.endpoint()
        ),
    );
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 1);
    session.client().export(&all);
    wait_for(&locked, &all);
    let received = &locked.accepted()[0];
    assert_eq!((received.header("x-other"), received.header("x-ours")), ("theirs", "ours"));
}

#[test]
fn a_changed_project_runs_no_helper() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let destination = locked.destination("{ command = [\"./key\"], format = \"Bearer {}\" }");
    sandbox.write("project/.ccrun.toml", &destination);
    let script = "#!/bin/sh\necho run >> ~/runs\ncat ~/key\n";
    let key = sandbox.write("project/key", script);
    let executable = || std::fs::set_permissions(&key, std::os::unix::fs::PermissionsExt::from_mode(0o755)).unwrap();
    executable();
    sandbox.write("home/key", "one");
    assert!(sandbox.run(["trust", "--yes"]).status.success());
    locked.accept("one");
    let session = Session::start(&sandbox, &[]);
    let all = ids("record", 2);
    let mut client = session.client();
    client.export(&all[..1]);
    wait_for(&locked, &all[..1]);

    sandbox.write("project/key", format!("{script}# and more\n"));
    locked.accept("two");
    sandbox.write("home/key", "two");
    client.export(&all[1..]);
    wait_for_reason(&sandbox, "a trusted file has changed");
    let runs = || std::fs::read_to_string(sandbox.home().join("runs")).unwrap().lines().count();
    assert_eq!(runs(), 1);
    sandbox.write("project/key", script);
    wait_for(&locked, &all);
    assert_eq!(runs(), 2);
}

#[test]
fn data_left_for_lack_of_a_key_is_delivered_by_the_next_session_or_a_flush() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let helper = Helper::new(&sandbox, "[ -e ~/logged-in ] || { echo log in >&2; exit 1; }");
    helper.give("one");
    locked.accept("one");
    sandbox.profile("team", locked.destination(&Helper::source("")) + "[collector]\ndrain_timeout = \"100ms\"\n");
    let all = ids("record", 1);
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&all);
    wait_for_reason(&sandbox, "log in");
    session.end();
    sandbox.wait_for_end();
    assert!(!sandbox.run(["queue", "flush"]).status.success());
    sandbox.write("home/logged-in", "");
    // A user who has fixed the cause does not have to wait for the back-off.
    let flushed = sandbox.run(["queue", "flush"]);
    assert_eq!(text(&flushed.stdout), "everything is delivered\n", "{}", text(&flushed.stderr));
    wait_for(&locked, &all);
}

#[test]
fn a_launch_does_not_wait_for_the_helper_of_a_header() {
    let (sandbox, locked) = (Sandbox::new(), Locked::start());
    let helper = Helper::new(&sandbox, "sleep 600");
    let command = Helper::source("");
    sandbox.profile("team", locked.destination(&command));
    let output = sandbox.run(["-p", "team", "true"]);
    assert_eq!((output.status.code(), text(&output.stderr).as_str()), (Some(0), ""));
    assert_eq!(text(&sandbox.run(["profile", "check", "team"]).stdout), "team: ok\n");
    assert_eq!(helper.runs(), 0);

    // Variables of the program are fetched before it starts, and a failure is reported.
    sandbox.profile("secret", format!("[env]\nKEY = {command}\n"));
    let output = sandbox.run(["-p", "secret", "sh", "-c", "echo ${KEY-none}"]);
    assert_eq!(text(&output.stdout), "none\n");
    let said = text(&output.stderr);
    assert!(said.contains("`env.KEY` has no value: the command `get-key` took longer than 2 s"), "{said}");
    sandbox.wait_for_end();
    wait_until("all processes to exit", || sandbox.processes().is_empty());
}
