//! As somebody without privileges: nobody else of that name sees into a collector, and it works all the same.

use std::io::Write;
use std::os::unix::fs::{PermissionsExt, chown};
use std::process::{Command, Stdio};

use super::inside::waits_for;
use crate::support::backend::Backend;
use crate::support::claude::pid;
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

/// Somebody who owns nothing on any machine.
const NOBODY: &str = "65534";

#[test]
#[ignore = "needs root, to become somebody else; scripts/test.sh runs it"]
fn a_collector_is_closed_to_its_own_user_and_still_sees_who_may_send() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    give_away(&sandbox);
    let mut command = as_nobody(&sandbox);
    command.args(["ccrun", "-p", "otlp", "--var", &format!("endpoint={}", backend.endpoint())]);
    let mut session = Session::start_by(command);
    let all = ids("record", 2);
    session.client().export(&all[..1]);
    backend.wait_for(|received| received.len() == 1, DEADLINE);

    let worker = session.worker().pid;
    assert_eq!(refused(&sandbox, session.pid()), [""; 0], "the program is open, so the look would find what is");
    for pid in [session.keeper.pid, worker] {
        assert_eq!(refused(&sandbox, pid), ["environ", "mem", "maps", "fd"]);
    }

    // A process that still has the endpoint keeps the session, though the collector cannot read its own environment.
    let mut carrier = as_nobody(&sandbox);
    carrier.args(["env", &format!("OTEL_EXPORTER_OTLP_ENDPOINT={}", session.endpoint), "cat"]);
    let mut carrier = carrier.stdin(Stdio::piped()).spawn().unwrap();
    let mut stdin = carrier.stdin.take().unwrap();
    stdin.write_all(b"it runs").unwrap();
    let mut client = session.client();
    session.end();
    wait_until("the collector to watch who may still send", || waits_for(worker, pid(&carrier)));
    client.export(&all[1..]);
    drop((client, stdin));
    carrier.wait().unwrap();
    sandbox.wait_for_end();
    assert_eq!(ids_of(&backend.received()), all);
}

/// What of a process nobody may not open.
fn refused(sandbox: &Sandbox, pid: impl std::fmt::Display) -> Vec<String> {
    let script = format!(
        "cd /proc/{pid}; for file in environ mem maps; do (exec 3<$file) 2>/dev/null || echo $file; done; \
         ls fd >/dev/null 2>&1 || echo fd"
    );
    let output = as_nobody(sandbox).args(["sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    text(&output.stdout).lines().map(str::to_owned).collect()
}

/// Runs what follows as nobody.
pub(super) fn as_nobody(sandbox: &Sandbox) -> Command {
    let mut command = sandbox.command("setpriv");
    command.args(["--reuid", NOBODY, "--regid", NOBODY, "--clear-groups"]);
    command
}

/// Makes nobody the owner of what a user owns.
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
fn another_user_who_knows_the_token_is_refused() {
    let sandbox = Sandbox::new();
    let session = Session::start(&sandbox, &["-p", "local"]);
    assert_eq!(session.client().export(&ids("record", 1)), 0);
    let (host, token) = session.endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let request = format!(
        "POST /{token}/v1/logs HTTP/1.1\\r\\nhost: x\\r\\ncontent-type: application/x-protobuf\\r\\n\
         content-length: 0\\r\\nconnection: close\\r\\n\\r\\n"
    );
    // Twice on one connection: what was looked up once holds.
    let script = format!(
        "exec 3<>/dev/tcp/{}; printf '{}{request}' >&3; cat <&3",
        host.replace(':', "/"),
        request.replace("connection: close\\r\\n", "")
    );
    let answers_to = |user: &str| {
        let mut command = sandbox.command("setpriv");
        command.args(["--reuid", user, "--clear-groups", "bash", "-c", &script]).current_dir("/");
        let output = command.output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        let answers = text(&output.stdout);
        // A body has no line's end.
        answers.split("HTTP/1.1 ").skip(1).map(|answer| answer[..3].to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(answers_to("65534"), ["403", "403"]);
    assert_eq!(answers_to("0"), ["200", "200"]);
}
