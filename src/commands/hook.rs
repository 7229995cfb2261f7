//! `ccrun hook`, which Claude Code runs where it may send no request to the collector. It asks in its place, passes
//! nothing on but the event and the session, and prints the answer. After a failure it prints nothing and succeeds.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use serde_json::{Value, json};

use super::print;
use crate::claude::hooks::{self, Call, MAXIMUM_INPUT, Scan};
use crate::system::bounded;

/// How long Claude Code may be kept waiting.
const PATIENCE: Duration = Duration::from_secs(1);

/// The maximum size of the file and of an answer, in bytes.
const MAXIMUM: u64 = 64 << 10;

pub(super) fn run(file: PathBuf) -> Result<ExitCode> {
    let (sender, receiver) = mpsc::sync_channel(1);
    let ask = move || drop(sender.send(ask(&file)));
    thread::Builder::new().spawn(ask)?;
    // The thread is left behind if something hangs.
    if let Ok(Ok(answer)) = receiver.recv_timeout(PATIENCE) {
        print(&answer)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn ask(file: &Path) -> Result<String> {
    let Call { event, session } = input(std::io::stdin().lock())?;
    let Some(event) = event else { return Ok(String::new()) };
    let target: Value = serde_json::from_slice(&bounded::read(file, MAXIMUM)?)?;
    let port = target["port"].as_u64().and_then(|port| u16::try_from(port).ok()).context("no port")?;
    let token = target["token"].as_str().context("no token")?;
    let body = json!({"hook_event_name": event.name(), "session_id": session}).to_string();
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let mut stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let request = format!(
        "POST {} HTTP/1.1\r\nhost: {address}\r\n{}: {token}\r\ncontent-type: application/json\r\ncontent-length: {}\r\n\
         connection: close\r\n\r\n{body}",
        hooks::PATH,
        hooks::TOKEN_HEADER,
        body.len(),
    );
    stream.write_all(request.as_bytes())?;
    let mut answer = String::new();
    stream.take(MAXIMUM).read_to_string(&mut answer)?;
    let (head, body) = answer.split_once("\r\n\r\n").context("no answer")?;
    if !head.starts_with("HTTP/1.1 200 ") {
        bail!("refused");
    }
    Ok(body.to_owned())
}

/// Reads past the input.
fn input(mut stdin: impl Read) -> Result<Call> {
    let (mut scan, mut piece, mut length) = (Scan::default(), [0; 1 << 14], 0);
    loop {
        let read = stdin.read(&mut piece)?;
        length += read;
        if read == 0 {
            return Ok(scan.finish()?);
        }
        if length > MAXIMUM_INPUT {
            bail!("too large");
        }
        scan.feed(piece.get(..read).unwrap_or_default())?;
    }
}
