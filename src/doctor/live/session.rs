//! A session of a few seconds, as a launch here would begin it: `ccrun` stays as the program's parent, so that its end
//! is the collector's, and says which session it is.

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

use super::Client;
use super::model::Model;
use crate::doctor::Subject;
use crate::doctor::destination::record;
use crate::forward::{Outcome, Transport};
use crate::otlp;
use crate::profile::{Destination, Protocol, Selection, Temporality, Tls};
use crate::random;

/// What a session of our own runs: it says what it was given, and lives until its stdin is closed.
const PROGRAM: [&str; 3] = ["sh", "-c", r#"echo "$OTEL_EXPORTER_OTLP_ENDPOINT"; cat >/dev/null"#];

/// What Claude Code is asked: as few tokens as there can be.
const QUESTION: &str = "Reply with the single word: ok";

/// The pause between two looks at a program that runs.
const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// How long a launch that is asked to end may take for that.
const ENDING: Duration = Duration::from_secs(1);

/// The most that is read of what is printed, in bytes.
const MOST: u64 = 64 << 10;

/// What came of it.
#[derive(Debug)]
pub(super) struct Ran {
    /// The session's id; nothing where there was no session.
    pub(super) session: Option<String>,
    /// How it ended; nothing if it did not in time.
    pub(super) status: Option<ExitStatus>,
    /// What `ccrun` said, a line each.
    pub(super) said: Vec<String>,
    /// What the program said on stderr.
    pub(super) program_said: Vec<String>,
    /// What the session's collector did not take of our own records, and why.
    pub(super) refused: Option<String>,
}

/// Runs one, to be over by `end`.
pub(super) fn run(subject: &Subject, client: &Client, end: Instant) -> Result<Ran> {
    let mut command = Command::new(&subject.surroundings.executable);
    command.args(options(&subject.selection));
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
    // They live as long as the session does.
    let (home, model);
    match client {
        Client::Claude => {
            command.args(["--wait", "-v", "--", "claude", "-p", QUESTION, "--no-session-persistence"]);
        }
        Client::StandIn => {
            home = tempfile::tempdir().context("cannot make a directory for Claude Code")?;
            model = Model::start().context("cannot listen on 127.0.0.1")?;
            command.args(of_nobody(&home, &model));
            command.args(["--wait", "-v", "--", "claude", "-p", QUESTION, "--bare"]);
        }
        Client::Own(_) => {
            command.args(["--wait", "-v", "--"]).args(PROGRAM).stdin(Stdio::piped());
        }
    }
    let mut child = command.spawn().context("cannot run ccrun")?;
    let errors = lines_of(child.stderr.take());
    let refused = if matches!(client, Client::Own(_)) {
        emit(subject, &mut child, end)
    } else {
        drop(first_line_of(child.stdout.take()));
        Ok(())
    };
    // What our own program waits for.
    drop(child.stdin.take());
    let status = wait(&mut child, end);
    if status.is_none() {
        stop(&mut child);
    }
    let lines = errors.recv_timeout(ENDING).unwrap_or_default();
    let (said, program_said): (Vec<_>, Vec<_>) = lines.into_iter().partition(|line| line.starts_with("ccrun: "));
    let said: Vec<_> = said.iter().filter_map(|line| line.strip_prefix("ccrun: ")).map(str::to_owned).collect();
    let session = said.iter().find_map(|line| line.rsplit_once(", the session ")).map(|(_, id)| id.to_owned());
    Ok(Ran { session, status, said, program_said, refused: refused.err().map(|error| format!("{error:#}")) })
}

/// What was chosen, as it would be typed.
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

/// Variables by which Claude Code asks the stand-in, in a home of nobody's, whatever else is set.
fn of_nobody(home: &TempDir, model: &Model) -> Vec<String> {
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
        bail!("the program was given no endpoint");
    }
    let signals = subject.meaning().map(|profile| profile.signals.emitted.clone()).unwrap_or_default();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let transport = Transport::new(&collector(endpoint, left))?;
    let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap_or(0);
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

/// The session's collector, as a destination of ours.
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

/// Looks until a child has ended, or the time is over.
pub(super) fn wait(child: &mut Child, end: Instant) -> Option<ExitStatus> {
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return Some(status),
            Ok(None) if Instant::now() < end => std::thread::sleep(BETWEEN_LOOKS),
            _ => return None,
        }
    }
}

/// Ends a launch: it passes that on to its program, and leaves the collector to itself, which keeps what it has.
fn stop(child: &mut Child) {
    let pid = i32::try_from(child.id()).map(Pid::from_raw);
    for _ in 0..2 {
        // Once for the program, once for waiting for the collector.
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

/// All lines, once there are no more. Whatever the program leaves behind may hold the pipe for longer.
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

/// The first line; the rest is read and forgotten, so that nobody waits for room in the pipe.
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
