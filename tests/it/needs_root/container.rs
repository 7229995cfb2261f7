//! Containers and jobs: `ccrun` as pid 1, a disk that disappears with the job, no free port, no `/proc`.

use super::{PROGRAM, has, isolated, tmpfs};
use crate::support::backend::Backend;
use crate::support::claude::finish;
use crate::support::emitter::{Emitter, ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, text};
use crate::support::session::Session;

/// As in a container: pid 1, and no process outlives it.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn as_pid_1_ccrun_reaps_delivers_and_returns_the_exit_status() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    if !has(&sandbox, "curl") {
        return;
    }
    let endpoint = format!("endpoint={}", backend.endpoint());
    // An orphan becomes its child when the parent exits, and stays a zombie until it is reaped.
    let script = r#"sh -c 'sh -c "echo \$\$ >orphan; exit" & exit'
        until [ -s orphan ]; do :; done
        while [ -d /proc/$(cat orphan) ]; do :; done
        echo "$PPID"; ccrun_post; exit 9"#;
    sandbox.program(
        "ccrun_post",
        "#!/bin/sh\nprintf '' | curl -s -o /dev/null -w '%{http_code}\\n' -X POST -H 'Content-Type: application/x-protobuf' \
         --data-binary @- \"$OTEL_EXPORTER_OTLP_ENDPOINT/v1/logs\"\n",
    );
    let mut command = sandbox.command("unshare");
    command.args(["-pf", "--mount-proc", "ccrun", "-p", "otlp", "--var", &endpoint, "sh", "-c", script]);
    let output = finish(command.spawn().unwrap());
    assert_eq!(text(&output.stderr), "");
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("1\n200\n", Some(9)));
    for (script, code) in [("kill -TERM $$", 143), ("exit 0", 0)] {
        let mut command = sandbox.command("unshare");
        command.args(["-pf", "--mount-proc", "ccrun", "sh", "-c", script]);
        assert_eq!(finish(command.spawn().unwrap()).status.code(), Some(code), "{script}");
    }
    assert!(sandbox.collectors().is_empty());
}

/// As in a step of a job: secrets in the environment, no keyring, no terminal, and a disk that disappears afterwards.
#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_job_has_delivered_everything_when_its_disk_goes() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("CI", "true").set("OTLP_TOKEN", "sk-of-the-job");
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let headers = "[destination.otlp.headers]\nAuthorization = { env = \"OTLP_TOKEN\", format = \"Bearer {}\" }\n";
    sandbox.profile("job", format!("extends = \"otlp\"\n[vars]\nendpoint = \"{}\"\n{headers}", backend.endpoint()));
    let mut command = isolated(&sandbox, &tmpfs(&sandbox));
    command.args(["-p", "job"]);
    let session = Session::start_by(command);
    let mut client = session.client();
    client.export(&ids("record", 5));
    drop(client);
    // The namespace and its disk disappear with the last process.
    session.end();
    assert!(sandbox.collectors().is_empty());
    let received = backend.received();
    assert_eq!(ids_of(&received), ids("record", 5));
    assert!(received.iter().all(|one| one.header("authorization") == "Bearer sk-of-the-job"));
    assert!(!sandbox.state().join("store-2.db").exists());
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn without_a_free_port_telemetry_is_off_with_a_one_line_reason() {
    let sandbox = Sandbox::new();
    if !has(&sandbox, "python3") || !has(&sandbox, "ip") {
        return;
    }
    // The range has only one port, and that is taken.
    let script = "set -e; ip link set lo up; echo 40000 40000 >/proc/sys/net/ipv4/ip_local_port_range; exec \"$@\"";
    let hold = "import socket,subprocess,sys; s=socket.socket(); s.bind(('127.0.0.1',40000)); s.listen(); \
                sys.exit(subprocess.call(sys.argv[1:]))";
    let mut command = sandbox.command("unshare");
    command.args(["-n", "sh", "-c", script, "sh", "python3", "-c", hold, "ccrun"]).args(PROGRAM);
    let output = finish(command.spawn().unwrap());
    let complaint = text(&output.stderr);
    assert_eq!((text(&output.stdout).as_str(), output.status.code()), ("started without\n", Some(7)), "{complaint}");
    assert!(complaint.contains("Address already in use") && complaint.lines().count() == 1, "{complaint}");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn without_proc_the_program_starts_and_its_exports_arrive() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = format!("endpoint={}", backend.endpoint());
    let script = "mount -t tmpfs tmpfs /proc; exec ccrun \"$@\"";
    for wait in [false, true] {
        let mut command = sandbox.command("unshare");
        command.args(["-m", "sh", "-c", script, "sh", "-p", "otlp", "--var", &endpoint]);
        command.args(wait.then_some("--wait")).args(["sh", "-c", "echo $OTEL_EXPORTER_OTLP_ENDPOINT; cat; exit 5"]);
        let mut program = command.stdin(std::process::Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        std::io::BufRead::read_line(&mut std::io::BufReader::new(program.stdout.as_mut().unwrap()), &mut line).unwrap();
        let record = ids(if wait { "waited" } else { "record" }, 1);
        Emitter::new(line.trim()).export(&record);
        drop(program.stdin.take());
        let output = finish(program);
        assert_eq!((text(&output.stderr).as_str(), output.status.code()), ("", Some(5)));
        backend.wait_for(|received| ids_of(received).contains(&record[0]), DEADLINE);
    }
}
