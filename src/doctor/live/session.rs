//! A short session, started as a launch here would start it. `ccrun` stays as the parent, so it exits when the
//! collector has finished, and it writes the session's id to a file.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStderr, ChildStdout, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use hyper::header::HeaderMap;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use tempfile::TempDir;

use super::LiveProgram;
use super::model::{Model, Script, Usage};
use crate::client::Tls;
use crate::doctor::Subject;
use crate::doctor::destination::record;
use crate::forward::{Outcome, Transport};
use crate::otlp;
use crate::profile::{Destination, Protocol, Selection, Temporality};
use crate::system::{bounded, random};
use crate::usage::STAND_IN;

/// The program of a session with ccrun's own records: it prints its endpoint and runs until its stdin is closed.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$OTEL_EXPORTER_OTLP_ENDPOINT"; cat >/dev/null"#];

/// The question for Claude Code: as few tokens as possible.
const QUESTION: &str = "Reply with the single word: ok";

/// The stand-in's answer, and the usage it reports.
const ANSWER: &str = "ok";
const USAGE: Usage = Usage { input: 1, output: 1, cache_read: 0, cache_creation: 0 };

/// The pause between two checks of a running program.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long a launch may take to exit when asked to.
const ENDING: Duration = Duration::from_secs(1);

/// The maximum size of a session id file, in bytes.
const LONGEST_ID: u64 = 256;

/// The maximum amount of output that is read, in bytes.
const MOST: u64 = 64 << 10;

/// The result of a test session.
#[derive(Debug)]
pub(super) struct LiveSession {
    /// The session's id, or `None` if there was no session.
    pub(super) session: Option<String>,
    /// Its exit status, or `None` if it did not exit in time.
    pub(super) status: Option<ExitStatus>,
    /// The lines that `ccrun` and the program printed to stderr.
    pub(super) said: Vec<String>,
    /// Why the collector rejected ccrun's own records, if it did.
    pub(super) refused: Option<String>,
}

/// Runs a session that must be over by `end`.
pub(super) fn run(subject: &Subject, client: &LiveProgram, end: Instant) -> Result<LiveSession> {
    let mut command = Command::new(&subject.process.executable);
    let directory = tempfile::tempdir().context("cannot create a directory for the session's id")?;
    let session_file = directory.path().join("session");
    command.args(options(&subject.selection)).arg("--session-file").arg(&session_file);
    if !matches!(client, LiveProgram::Claude) {
        command.args(["-r", &format!("{STAND_IN}=true")]);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // They live as long as the session.
    let (home, model);
    match client {
        LiveProgram::Claude => {
            command.args(["--wait", "--", "claude", "-p", QUESTION, "--no-session-persistence"]);
        }
        LiveProgram::StandIn => {
            home = tempfile::tempdir().context("cannot create a directory for Claude Code")?;
            model = Model::start(Script::text(ANSWER).usage(USAGE)).context("cannot listen on 127.0.0.1")?;
            command.args(of_stand_in(&home, &model));
            command.args(["--wait", "--", "claude", "-p", QUESTION, "--bare"]);
        }
        LiveProgram::Own(_) => {
            command.args(["--wait", "--"]).args(PROGRAM).stdin(Stdio::piped());
        }
    }
    let mut child = command.spawn().context("cannot run ccrun")?;
    let errors = lines_of(child.stderr.take());
    let refused = if matches!(client, LiveProgram::Own(_)) {
        emit(subject, &mut child, end)
    } else {
        drop(first_line_of(child.stdout.take()));
        Ok(())
    };
    // The program waits for its stdin to close.
    drop(child.stdin.take());
    let status = wait(&mut child, end);
    if status.is_none() {
        stop(&mut child);
    }
    let said = errors.recv_timeout(ENDING).unwrap_or_default();
    let session = bounded::read(&session_file, LONGEST_ID).ok().and_then(|id| String::from_utf8(id).ok());
    Ok(LiveSession { session, status, said, refused: refused.err().map(|error| format!("{error:#}")) })
}

/// The selection as command-line options.
fn options(selection: &Selection) -> Vec<String> {
    let pairs = |option: &str, pairs: &[(String, String)]| {
        pairs.iter().flat_map(|(key, value)| [option.to_owned(), format!("{key}={value}")]).collect::<Vec<_>>()
    };
    let profiles = selection.profiles.iter().flat_map(|name| ["-p".to_owned(), name.clone()]);
    profiles
        .chain(pairs("--var", &selection.variables))
        .chain(pairs("-r", &selection.resource))
        .chain(pairs("-e", &selection.env))
        .collect()
}

/// Variables that make Claude Code use the stand-in and a temporary home, overriding everything else.
fn of_stand_in(home: &TempDir, model: &Model) -> Vec<String> {
    let home = home.path().display().to_string();
    let set = [
        ("HOME", home.as_str()),
        ("TMPDIR", &home),
        ("CLAUDE_CONFIG_DIR", &home),
        ("ANTHROPIC_BASE_URL", &model.url()),
        ("ANTHROPIC_API_KEY", "sk-ant-invented-by-ccrun-doctor"),
        ("ANTHROPIC_AUTH_TOKEN", ""),
        ("ANTHROPIC_CUSTOM_HEADERS", ""),
        ("CLAUDE_CODE_USE_BEDROCK", ""),
        ("CLAUDE_CODE_USE_FOUNDRY", ""),
        ("CLAUDE_CODE_USE_VERTEX", ""),
        ("CLAUDE_CODE_DISABLE_NONESSENTIAL_TRAFFIC", "1"),
        ("DISABLE_AUTOUPDATER", "1"),
        ("NO_PROXY", "127.0.0.1"),
        ("no_proxy", "127.0.0.1"),
    ];
    set.into_iter().flat_map(|(name, value)| ["-e".to_owned(), format!("{name}={value}")]).collect()
}

/// Sends a marked record of each signal to the session's endpoint.
fn emit(subject: &Subject, child: &mut Child, end: Instant) -> Result<()> {
    let endpoint = first_line_of(child.stdout.take());
    let left = end.saturating_duration_since(Instant::now());
    let endpoint = endpoint.recv_timeout(left).unwrap_or_default();
    if endpoint.is_empty() {
        bail!("the program received no endpoint");
    }
    let signals = subject.meaning().map(|profile| profile.signals.emitted.clone()).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transport = Transport::new(&collector(endpoint, left))?;
    let now = u64::try_from(subject.now().as_nanosecond()).unwrap_or(0);
    let mark = random::hex::<8>()?;
    for signal in signals {
        let body = record::as_client(signal, &mark, now);
        match runtime.block_on(transport.send(signal, body.into(), &HeaderMap::new())) {
            Outcome::Delivered { rejected: 0, .. } => {}
            Outcome::Delivered { message, .. } => bail!("{}", message.unwrap_or_default()),
            Outcome::Refused { reason }
            | Outcome::TooLarge { reason }
            | Outcome::Unauthorized { reason }
            | Outcome::Held { reason, .. } => bail!("{reason}"),
        }
    }
    runtime.shutdown_background();
    Ok(())
}

/// The session's collector as a destination.
fn collector(endpoint: String, timeout: Duration) -> Destination {
    Destination {
        name: "collector".to_owned(),
        endpoint,
        protocol: Protocol::HttpProtobuf,
        signals: BTreeSet::from(otlp::Signal::ALL),
        temporality: Temporality::Delta,
        series_ttl: Duration::ZERO,
        gzip: false,
        timeout,
        headers: BTreeMap::new(),
        headers_helper: None,
        batch: Duration::ZERO,
        tls: Tls::default(),
        verify: None,
    }
}

/// Waits until a child has exited, or the time is over.
pub(super) fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(BETWEEN_LOOKS),
            _ => return None,
        }
    }
}

/// Stops a launch. It passes the signal on to its program and leaves the collector running, which keeps what it has.
fn stop(child: &mut Child) {
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    for _ in 0..2 {
        // The first signal is for the program, the second ends the wait for the collector.
        if let Ok(pid) = pid {
            let _gone = kill(pid, Signal::SIGTERM);
        }
        if wait(child, Instant::now() + ENDING).is_some() {
            return;
        }
    }
    drop(child.kill());
    drop(child.wait());
}

/// All lines up to the end of the stream. A child of the program may hold the pipe open for longer.
fn lines_of(stream: Option<ChildStderr>) -> Receiver<Vec<String>> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let mut text = Vec::new();
        drop(stream.map(|stream| stream.take(MOST).read_to_end(&mut text)));
        drop(sender.send(String::from_utf8_lossy(&text).lines().map(str::to_owned).collect()));
    };
    drop(std::thread::Builder::new().spawn(read));
    receiver
}

/// The first line. The rest is read and discarded, so that the program never blocks on a full pipe.
fn first_line_of(stream: Option<ChildStdout>) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    let read = move || {
        let Some(stream) = stream else { return };
        let (mut reader, mut line) = (BufReader::new(stream), String::new());
        drop(reader.by_ref().take(MOST).read_line(&mut line));
        drop(sender.send(line.trim_end().to_owned()));
        drop(std::io::copy(&mut reader, &mut std::io::sink()));
    };
    drop(std::thread::Builder::new().spawn(read));
    receiver
}
