//! A destination's secrets exist only in the profile's sources, in the collector's memory and in the requests.

mod canaries;
mod debug;
mod writes;

use std::path::{Path, PathBuf};

use ccrun::system::process::Process;

use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids;
use crate::support::sandbox::{DEADLINE, Sandbox, cmdline, environ, pids, text, wait_until};
use crate::support::session::{Session, child};

/// The secrets to look for, one for each kind of source. No other process on the machine has them.
const LITERAL: &str = "canary-literal-7d1e0c";
const FROM_ENV: &str = "canary-env-3b9f24";
const FROM_FILE: &str = "canary-file-a81c57";
const FROM_COMMAND: &str = "canary-command-c2e690";
const PASSWORD: &str = "canary-password-55d8f3";
const ALL: [&str; 5] = [LITERAL, FROM_ENV, FROM_FILE, FROM_COMMAND, PASSWORD];

/// A profile with a secret from every kind of source, and a sandbox that provides them.
fn profile(sandbox: &mut Sandbox, endpoint: &str, protocol: &str) {
    sandbox.set("CANARY", FROM_ENV);
    let file = sandbox.write("home/secret", format!("{FROM_FILE}\n"));
    // Records how other processes see the launcher while it runs a command.
    sandbox.program(
        "look",
        "#!/bin/sh\nfor file in environ cmdline; do cat /proc/$PPID/$file > ~/launcher-$file; done\necho seen\n",
    );
    // The secret is in a script and in no argument.
    sandbox.program("token", &format!("#!/bin/sh\necho '{FROM_COMMAND}'\n"));
    sandbox.profile(
        "team",
        format!(
            "[destination.d]\nendpoint = \"{endpoint}\"\nprotocol = \"{protocol}\"\n[destination.d.headers]\n\
             x-literal = \"{LITERAL}\"\nx-env = {{ env = \"CANARY\", format = \"Bearer {{}}\" }}\n\
             x-file = {{ file = \"{}\" }}\nx-command = {{ command = [\"token\"] }}\n\
             x-basic = {{ basic = {{ user = \"u\", password = \"{PASSWORD}\" }} }}\n\
             [env]\nLOOKED = {{ command = [\"look\"] }}\n[collector]\ndrain_timeout = \"1s\"\n",
            file.display()
        ),
    );
}

#[test]
fn no_secret_of_a_destination_is_visible_to_other_processes() {
    for protocol in ["http/protobuf", "grpc"] {
        let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
        // The backend rejects the batch, so that it stays in the store, and echoes the key, as some backends do.
        backend.reply_with(|received| {
            let echoed = ["x-literal", "x-env", "x-file", "x-command", "x-basic"].map(|name| received.header(name));
            Reply::http(401, format!("bad keys {}", echoed.join(" ")))
        });
        profile(&mut sandbox, &backend.endpoint(), protocol);
        let mut session = Session::start(&sandbox, &["-p", "team"]);
        session.client().export(&ids("record", 1));
        let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
        let arrived = ["x-literal", "x-env", "x-file", "x-command"].map(|name| received[0].header(name).to_owned());
        assert_eq!(arrived, [LITERAL, &format!("Bearer {FROM_ENV}"), FROM_FILE, FROM_COMMAND]);
        let basic = received[0].header("x-basic").to_owned();
        assert!(basic.starts_with("Basic "));
        wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));

        let secrets: Vec<&str> = ALL.into_iter().chain([&basic["Basic ".len()..]]).collect();
        let program = i32::try_from(session.pid()).unwrap();
        let tool = child(program).expect("the program has a child");
        let (keeper, worker) = (session.keeper.pid, session.worker().pid);
        for pid in [program, tool.pid, keeper, worker] {
            assert_none(&secrets, &environ(pid), &format!("the environment of {pid}"));
        }
        for pid in pids() {
            assert_none(&secrets, &cmdline(pid), &format!("the arguments of {pid}"));
        }
        assert_none(&secrets, &read(&sandbox.home().join("launcher-cmdline")), "the launcher's arguments");
        let launcher = read(&sandbox.home().join("launcher-environ"));
        assert!(holds(&launcher, FROM_ENV), "the search finds the user's own variable");
        let others: Vec<_> = secrets.iter().copied().filter(|secret| *secret != FROM_ENV).collect();
        assert_none(&others, &launcher, "the launcher's environment");

        // The session is still running, and the store's write-ahead log is not merged yet.
        assert!(
            sandbox.settings().is_empty()
                && files(&sandbox.state()).iter().any(|path| path.ends_with("store-2.db-wal"))
        );
        for path in files(&sandbox.state()).into_iter().chain(files(&sandbox.project())) {
            assert_none(&secrets, &read(&path), &path.display().to_string());
        }
        for words in [&["queue", "status"][..], &["queue", "status", "--json"], &["report"], &["queue", "flush"]] {
            let output = sandbox.run(words);
            assert_none(&secrets, &[output.stdout, output.stderr].concat(), &format!("what {words:?} says"));
        }
        let shown = ["env", "-p", "team", "--explain"];
        let output = sandbox.run(shown);
        assert_none(&secrets, &[output.stdout, output.stderr].concat(), &format!("what {shown:?} says"));
        session.end();
        sandbox.wait_for_end();
        for path in files(&sandbox.state()) {
            assert_none(&secrets, &read(&path), &path.display().to_string());
        }
    }
}

#[test]
fn no_secret_is_in_the_settings_that_claude_is_given() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&mut sandbox, &backend.endpoint(), "http/protobuf");
    // A stand-in for Claude that prints its settings file and its environment.
    sandbox.program("claude", "#!/bin/sh\ncat \"$2\"; env; printf '%s\\n' \"$@\"; sh -c 'cat /proc/self/environ'\n");
    let output = sandbox.run(["-p", "team", "claude", "-p", "a prompt"]);
    assert!(holds(&output.stdout, "OTEL_EXPORTER_OTLP_ENDPOINT") && holds(&output.stdout, "a prompt"));
    assert_none(&ALL, &[output.stdout, output.stderr].concat(), "what Claude is given");
    sandbox.wait_for_end();
}

#[test]
fn an_error_shows_no_secret() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    profile(&mut sandbox, &backend.endpoint(), "http/protobuf");
    let faulty = [
        // A header with a line break, an unknown key, an invalid endpoint and a plain-text endpoint. Each error shows a
        // line of the profile.
        format!("[destination.d.headers]\nx-literal = \"{LITERAL}\\n\"\n"),
        format!("[destination.d.headers]\nhost = \"{LITERAL}\"\n"),
        format!("[destination.d]\nendpoint = \"https://u:{PASSWORD}@h\"\n"),
        "[destination.d]\nendpoint = \"http://elsewhere.example\"\n".to_owned(),
    ];
    for (number, overlay) in faulty.into_iter().enumerate() {
        let name = format!("faulty-{number}");
        sandbox.profile(&name, overlay);
        for words in [&["-p", "team", "-p", &name, "true"][..], &["env", "-p", "team", "-p", &name]] {
            let output = sandbox.run(words);
            assert!(!output.stderr.is_empty(), "{words:?}");
            assert_none(&ALL, &[output.stdout, output.stderr].concat(), &format!("what {words:?} says"));
        }
    }
    sandbox.wait_for_end();
}

#[test]
fn a_variable_used_for_a_header_is_removed_from_the_program_and_its_children() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox
        .set("FIRST", FROM_ENV)
        .set("SECOND", "canary-second-1")
        .set("INNER", "canary-inner-2")
        .set("OTHER", "stays");
    sandbox.profile(
        "team",
        format!(
            "[destination.d]\nendpoint = \"{}\"\n[destination.d.headers]\n\
             a = [{{ env = \"FIRST\" }}, {{ env = \"SECOND\" }}]\n\
             b = {{ basic = {{ user = \"u\", password = {{ env = \"INNER\" }} }} }}\n",
            backend.endpoint()
        ),
    );
    let output = sandbox.run(["-p", "team", "sh", "-c", "env; sh -c env"]);
    assert_eq!(text(&output.stdout).matches("OTHER=stays").count(), 2);
    assert_none(&[FROM_ENV, "canary-second", "canary-inner", "FIRST="], &output.stdout, "the program's environment");
    sandbox.wait_for_end();
}

#[test]
fn options_of_the_program_are_not_written_to_disk() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = format!("endpoint={}", backend.endpoint());
    let session = Session::start(&sandbox, &["-p", "otlp", "--var", &endpoint, "-e", "MODEL_KEY=canary-option-91"]);
    session.client().export(&ids("record", 1));
    backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert!(holds(&environ(i32::try_from(session.pid()).unwrap()), "MODEL_KEY=canary-option-91"));
    for path in files(&sandbox.state()) {
        assert_none(&["canary-option"], &read(&path), &path.display().to_string());
    }
    session.end();
    sandbox.wait_for_end();
}

#[test]
fn a_collector_leaves_no_core_dump() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let mut session = Session::to(&sandbox, &backend.endpoint());
    let limit = |process: Process| {
        let limits = text(&read(Path::new(&format!("/proc/{}/limits", process.pid))));
        let line = limits.lines().find(|line| line.starts_with("Max core file size")).unwrap().to_owned();
        line.split_whitespace().skip(4).take(2).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(limit(session.keeper), ["0", "0"]);
    assert_eq!(limit(session.worker()), ["0", "0"]);
    session.end();
    sandbox.wait_for_end();
}

#[track_caller]
fn assert_none(secrets: &[&str], bytes: &[u8], place: &str) {
    for secret in secrets {
        assert!(!holds(bytes, secret), "{secret} is in {place}");
    }
}

fn holds(bytes: &[u8], text: &str) -> bool {
    bytes.windows(text.len()).any(|window| window == text.as_bytes())
}

fn read(path: &Path) -> Vec<u8> {
    std::fs::read(path).unwrap_or_default()
}

fn files(directory: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
