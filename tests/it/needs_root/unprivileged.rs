//! A collector of the unprivileged user `nobody`: other processes of that user cannot read it, and it still works.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use prost::Message;

use super::inside::waits_for;
use crate::hooks;
use crate::support::backend::Backend;
use crate::support::claude::pid;
use crate::support::emitter::{ids, ids_of, request};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

/// The number of connections that race to be accepted as the session's own.
const RACES: usize = 200;

/// The user `nobody`.
const NOBODY: &str = "65534";

#[test]
#[ignore = "needs root, to become another user; scripts/test.sh runs it"]
fn a_collector_is_unreadable_and_still_finds_processes_with_its_endpoint() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    give_away(&sandbox);
    let mut command = as_user_nobody(&sandbox);
    command.args(["ccrun", "-p", "otlp", "--var", &format!("endpoint={}", backend.endpoint())]);
    let mut session = Session::start_by(command);
    let all = ids("record", 2);
    session.client().export(&all[..1]);
    backend.wait_for(|received| received.len() == 1, DEADLINE);

    let worker = session.worker().pid;
    assert_eq!(refused(&sandbox, session.pid()), [""; 0], "the program itself is readable");
    for pid in [session.keeper.pid, worker] {
        assert_eq!(refused(&sandbox, pid), ["environ", "mem", "maps", "fd"]);
    }

    // A process that still has the endpoint keeps the session alive, although the collector cannot read even its own
    // environment.
    let mut carrier = as_user_nobody(&sandbox);
    carrier.args(["env", &format!("OTEL_EXPORTER_OTLP_ENDPOINT={}", session.endpoint), "cat"]);
    let mut carrier = carrier.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = carrier.stdin.take().unwrap();
    stdin.write_all(b"it runs").unwrap();
    let mut client = session.client();
    session.end();
    wait_until("the collector to wait for the process", || waits_for(worker, pid(&carrier)));
    client.export(&all[1..]);
    drop((client, stdin));
    carrier.wait().unwrap();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), all);
}

/// The files of a process that the user `nobody` cannot open.
fn refused(sandbox: &Sandbox, pid: impl std::fmt::Display) -> Vec<String> {
    let script = format!(
        "cd /proc/{pid}; for file in environ mem maps; do (exec 3<$file) 2>/dev/null || echo $file; done; \
         ls fd >/dev/null 2>&1 || echo fd"
    );
    let output = as_user_nobody(sandbox).args(["sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Runs a command as the user `nobody`.
pub(super) fn as_user_nobody(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    command
}

/// Changes the owner of the sandbox's files to the user `nobody`.
pub(super) fn give_away(sandbox: &Sandbox) {
    let home = sandbox.home();
    let root = home.parent().unwrap();
    std::fs::set_permissions(root, std::fs::Permissions::from_mode(0o755)).unwrap();
    for directory in ["home", "project", "tmp"] {
        let id = Some(NOBODY.parse().unwrap());
        chown(root.join(directory), id, id).unwrap();
    }
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn another_user_with_the_token_is_rejected() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    assert_eq!(session.client().export(&ids("record", 1)), 0);
    let token = session.endpoint.rsplit('/').next().unwrap();
    let request = format!(
        "POST /{token}/v1/logs HTTP/1.1\\r\\nhost: x\\r\\ncontent-type: application/x-protobuf\\r\\n\
         content-length: 0\\r\\nconnection: close\\r\\n\\r\\n"
    );
    assert_eq!(statuses(&session, &request, "65534"), ["403", "403"]);
    assert_eq!(statuses(&session, &request, "0"), ["200", "200"]);
}

#[test]
#[ignore = "needs root, to become another user; scripts/test.sh runs it"]
fn another_user_with_the_token_of_the_hooks_is_rejected() {
    let sandbox = hooks::sandbox("[budget]\ndaily = 10\n");
    let session = hooks::start(&sandbox);
    let request = format!(
        "POST /hook HTTP/1.1\\r\\nhost: x\\r\\nx-ccrun-hook: {}\\r\\ncontent-type: application/json\\r\\n\
         content-length: 2\\r\\nconnection: close\\r\\n\\r\\n{{}}",
        hooks::token(&sandbox)
    );
    assert_eq!(statuses(&session, &request, "65534"), ["403", "403"]);
    assert_eq!(statuses(&session, &request, "0")[0], "200");
}

/// The answers to a request, in the notation of `printf`, that a user sends twice on one connection. The owner of a
/// connection is looked up only once.
fn statuses(session: &Session, request: &str, user: &str) -> Vec<String> {
    let host = session.endpoint.strip_prefix("http://").unwrap().split('/').next().unwrap();
    let script = format!(
        "exec 3<>/dev/tcp/{}; printf '{}{request}' >&3; cat <&3",
        host.replace(':', "/"),
        request.replace("connection: close\\r\\n", "")
    );
    let words = ["--reuid", user, "--clear-groups", "bash", "-c", &script];
    let output = Command::new("setpriv").args(words).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    // A body does not end with a newline.
    text(&output.stdout).split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect()
}

/// A Go program that insists on gRPC gets the endpoint without the token. The token is in its headers variable.
#[test]
#[ignore = "needs root, to look into a collector; scripts/test.sh runs it"]
fn a_process_with_the_token_only_in_its_headers_keeps_its_session() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let worker = session.worker();
    let host = session.endpoint.rsplit_once('/').unwrap().0.to_owned();
    let token = session.endpoint.rsplit('/').next().unwrap().to_owned();
    let mut job = sandbox.command("cat");
    job.env("OTEL_EXPORTER_OTLP_ENDPOINT", host).env("OTEL_EXPORTER_OTLP_HEADERS", format!("x-ccrun-token={token}"));
    let mut job = job.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut client = session.client();
    client.export(&ids("before", 1));
    drop(client);
    let mut late = session.client();
    session.end();
    // While the collector waits for a process, it holds a descriptor of it.
    wait_until("the collector to find the process", || waits_for(worker.pid, pid(&job)) || !worker.lives());
    late.export(&ids("late", 1));
    drop((late, job.stdin.take()));
    job.wait().unwrap();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), ["before-0", "late-0"]);
}

#[test]
#[ignore = "needs root, to become another user; scripts/test.sh runs it"]
fn another_user_with_the_token_who_closes_at_once_is_rejected() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let root = sandbox.home().parent().unwrap().to_owned();
    std::fs::set_permissions(&root, std::fs::Permissions::from_mode(0o755)).unwrap();
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let endpoint = session.endpoint.clone();
    let (host, token) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let body = request(&ids("forged", 1)).encode_to_vec();
    let head = format!(
        "POST /{token}/v1/logs HTTP/1.1\r\nhost: x\r\ncontent-type: application/x-protobuf\r\n\
         content-length: {}\r\n\r\n",
        body.len()
    );
    let forged = sandbox.write("forged", [head.as_bytes(), &body].concat());
    // Each connection is closed before it can be answered.
    let script = format!(
        "for i in $(seq {RACES}); do (exec 3<>/dev/tcp/{}; cat \"$0\" >&3) & done; wait",
        host.replace(':', "/")
    );
    let output = as_user_nobody(&sandbox).args(["bash", "-c", &script]).arg(&forged).current_dir("/").output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(session.worker().pid > 0);

    let own = ids("record", 1);
    session.client().export(&own);
    session.end();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), own);
}
