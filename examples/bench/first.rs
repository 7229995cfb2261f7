//! Exits when a receiver accepts its first request. Time this program to measure that.

use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, bail};

/// The time between attempts.
const PAUSE: Duration = Duration::from_micros(200);

/// How long to wait for a receiver.
const PATIENCE: Duration = Duration::from_secs(30);

/// Send an empty request to a receiver until it is acknowledged
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The endpoint, by default `OTEL_EXPORTER_OTLP_ENDPOINT`
    #[arg(long)]
    endpoint: Option<String>,
    /// Command that starts the receiver; it is killed afterwards
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    let endpoint = options.endpoint.clone().map_or_else(|| std::env::var("OTEL_EXPORTER_OTLP_ENDPOINT"), Ok);
    let endpoint = endpoint.context("nothing says where to")?;
    let rest = endpoint.strip_prefix("http://").context("the endpoint is no http:// URL")?;
    let (host, path) = rest.split_once('/').unwrap_or((rest, ""));
    let mut receiver = options.command.split_first().map(start).transpose()?;
    let begun = Instant::now();
    while !is_acknowledged(host, path).unwrap_or(false) {
        let has_ended = receiver.as_mut().map(Child::try_wait).transpose()?.flatten();
        if has_ended.is_some() || begun.elapsed() > PATIENCE {
            bail!("{host} acknowledges nothing");
        }
        std::thread::sleep(PAUSE);
    }
    if let Some(mut receiver) = receiver {
        receiver.kill()?;
        receiver.wait()?;
    }
    Ok(())
}

fn start((program, arguments): (&String, &[String])) -> io::Result<Child> {
    let mut command = Command::new(program);
    command.args(arguments).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).spawn()
}

fn is_acknowledged(host: &str, path: &str) -> io::Result<bool> {
    let mut stream = TcpStream::connect(host)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    let prefix = if path.is_empty() { String::new() } else { format!("/{}", path.trim_end_matches('/')) };
    write!(
        stream,
        "POST {prefix}/v1/logs HTTP/1.1\r\nhost: localhost\r\ncontent-type: application/x-protobuf\r\n\
         content-length: 0\r\n\r\n"
    )?;
    let mut status = [0; 12];
    stream.read_exact(&mut status)?;
    Ok(status == *b"HTTP/1.1 200")
}
