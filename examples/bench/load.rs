//! A load: sequential requests on each of several connections, and the time until each answer.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use bytes::Bytes;
use ccrun::environment::TOKEN_HEADER;
use ccrun::otlp::{frame, gzip};
use http_body_util::{BodyExt, Full};
use hyper::client::conn::{http1, http2};
use hyper::{Request, Response, body::Incoming};
use hyper_util::rt::{TokioExecutor, TokioIo};

use super::bodies::{Format, Size, Template};

/// Send requests and print, separated by spaces: requests acknowledged, requests rejected, records, bytes, seconds, and
/// the 50th, 99th and 99.9th percentile of the time to an answer in milliseconds
#[derive(clap::Args)]
pub(crate) struct Options {
    /// The endpoint as in `OTEL_EXPORTER_OTLP_ENDPOINT`, with the token in its path if there is one
    endpoint: String,
    #[arg(long, value_enum, default_value = "protobuf")]
    format: Format,
    #[arg(long, value_enum, default_value = "usual")]
    size: Size,
    #[arg(long, default_value_t = 1)]
    connections: usize,
    #[arg(long, default_value_t = 1000)]
    requests: u64,
    /// Number of untimed requests before
    #[arg(long, default_value_t = 0)]
    warmup: u64,
    /// Make every third request one of metrics, as in a session
    #[arg(long)]
    mixed: bool,
    /// Compress the requests
    #[arg(long)]
    gzip: bool,
    /// Milliseconds between two requests of a connection, 0 for none
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    every: u64,
}

/// State shared by all connections.
struct Load {
    templates: Vec<Template>,
    format: Format,
    gzip: bool,
    token: String,
    every: Duration,
    next: AtomicU64,
    until: AtomicU64,
}

/// The results of one connection.
#[derive(Default)]
pub(crate) struct Seen {
    /// The waiting time of each acknowledged request.
    pub(crate) waits: Vec<Duration>,
    refused: u64,
    /// The number of records in them.
    pub(crate) records: usize,
    /// The number of bytes in them, uncompressed.
    pub(crate) bytes: usize,
}

pub(crate) fn run(options: &Options) -> anyhow::Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(send(options))
}

async fn send(options: &Options) -> anyhow::Result<()> {
    let rest = options.endpoint.strip_prefix("http://").context("the endpoint is no http:// URL")?;
    let (host, token) = rest.split_once('/').unwrap_or((rest, ""));
    let mut templates = vec![Template::events(options.size, options.format)?];
    if options.mixed {
        templates = vec![templates[0].clone(), templates[0].clone(), Template::metrics(options.format)?];
    }
    let load = Arc::new(Load {
        templates,
        format: options.format,
        gzip: options.gzip,
        token: token.trim_end_matches('/').to_owned(),
        every: Duration::from_millis(options.every),
        next: AtomicU64::new(0),
        until: AtomicU64::new(options.warmup),
    });
    let mut connections = Vec::new();
    for _ in 0..options.connections {
        connections.push(Connection::open(host, options.format).await?);
    }
    let connections = round(connections, &load).await?.0;
    load.until.fetch_add(options.requests, Ordering::Relaxed);
    // A number that was drawn but not used must not be missing.
    load.next.store(options.warmup, Ordering::Relaxed);
    let begun = Instant::now();
    let (_, seen) = round(connections, &load).await?;
    report(seen, begun.elapsed())
}

/// Sends all requests up to the last one on all connections at once.
async fn round(connections: Vec<Connection>, load: &Arc<Load>) -> anyhow::Result<(Vec<Connection>, Vec<Seen>)> {
    let tasks = connections.into_iter().map(|connection| tokio::spawn(work(connection, Arc::clone(load))));
    let (mut back, mut all) = (Vec::new(), Vec::new());
    for task in tasks.collect::<Vec<_>>() {
        let (connection, seen) = task.await??;
        back.push(connection);
        all.push(seen);
    }
    Ok((back, all))
}

async fn work(mut connection: Connection, load: Arc<Load>) -> anyhow::Result<(Connection, Seen)> {
    let mut seen = Seen::default();
    let mut due = Instant::now();
    loop {
        let number = load.next.fetch_add(1, Ordering::Relaxed);
        if number >= load.until.load(Ordering::Relaxed) {
            return Ok((connection, seen));
        }
        let turn = usize::try_from(number)? % load.templates.len();
        let template = &load.templates[turn];
        let request = load.request(template, template.number(number)?)?;
        if !load.every.is_zero() {
            tokio::time::sleep_until(due.into()).await;
            due += load.every;
        }
        let begun = Instant::now();
        if connection.exchange(request).await? {
            seen.waits.push(begun.elapsed());
            seen.records += template.records;
            seen.bytes += template.len();
        } else {
            seen.refused += 1;
        }
    }
}

impl Load {
    fn request(&self, template: &Template, message: Vec<u8>) -> anyhow::Result<Request<Full<Bytes>>> {
        let signal = template.signal;
        let prefix = if self.token.is_empty() { String::new() } else { format!("/{}", self.token) };
        let request = match self.format {
            Format::Grpc => Request::post(format!("http://localhost{}", signal.grpc_path()))
                .header("content-type", "application/grpc")
                .header("te", "trailers")
                .header(TOKEN_HEADER, &self.token),
            Format::Json => Request::post(format!("{prefix}{}", signal.http_path()))
                .header("host", "localhost")
                .header("content-type", "application/json"),
            Format::Protobuf => Request::post(format!("{prefix}{}", signal.http_path()))
                .header("host", "localhost")
                .header("content-type", "application/x-protobuf"),
        };
        let message = if self.gzip { gzip(&message)? } else { message };
        let (encoding, body) = match self.format {
            Format::Grpc => ("grpc-encoding", frame(&message, self.gzip)?),
            _ => ("content-encoding", message.into()),
        };
        let request = if self.gzip { request.header(encoding, "gzip") } else { request };
        Ok(request.body(Full::new(body))?)
    }
}

/// A persistent connection.
enum Connection {
    Http1(http1::SendRequest<Full<Bytes>>),
    Http2(http2::SendRequest<Full<Bytes>>),
}

impl Connection {
    async fn open(host: &str, format: Format) -> anyhow::Result<Self> {
        let stream = tokio::net::TcpStream::connect(host).await?;
        stream.set_nodelay(true)?;
        let io = TokioIo::new(stream);
        if format == Format::Grpc {
            // Flow-control windows like those of gRPC libraries. Otherwise large requests would wait for window
            // updates.
            let builder = http2::Builder::new(TokioExecutor::new());
            let (sender, connection) = builder.handshake(io).await?;
            tokio::spawn(connection);
            return Ok(Self::Http2(sender));
        }
        let (sender, connection) = http1::handshake(io).await?;
        tokio::spawn(connection);
        Ok(Self::Http1(sender))
    }

    /// Sends a request and reads the complete answer. Returns whether it was a success.
    async fn exchange(&mut self, request: Request<Full<Bytes>>) -> anyhow::Result<bool> {
        match self {
            Self::Http1(sender) => {
                sender.ready().await?;
                let (head, _) = read(sender.send_request(request).await?).await?;
                Ok(head.status == 200)
            }
            Self::Http2(sender) => {
                sender.ready().await?;
                let (head, trailers) = read(sender.send_request(request).await?).await?;
                let code = trailers.get("grpc-status").or_else(|| head.headers.get("grpc-status"));
                Ok(code.is_some_and(|code| code == "0"))
            }
        }
    }
}

/// The head of an answer, and its trailers.
async fn read(response: Response<Incoming>) -> anyhow::Result<(hyper::http::response::Parts, hyper::HeaderMap)> {
    let (head, body) = response.into_parts();
    let trailers = body.collect().await?.trailers().cloned().unwrap_or_default();
    Ok((head, trailers))
}

/// Prints the results.
pub(crate) fn report(all: Vec<Seen>, took: Duration) -> anyhow::Result<()> {
    let refused: u64 = all.iter().map(|seen| seen.refused).sum();
    let records: usize = all.iter().map(|seen| seen.records).sum();
    let bytes: usize = all.iter().map(|seen| seen.bytes).sum();
    let mut waits: Vec<_> = all.into_iter().flat_map(|seen| seen.waits).collect();
    ensure!(!waits.is_empty(), "nothing was acknowledged, {refused} refused");
    waits.sort();
    // The nearest rank. The last thousandth needs a thousand values.
    let at = |thousandths: usize| waits[(waits.len() * thousandths).div_ceil(1000).max(1) - 1].as_secs_f64() * 1000.0;
    let (p50, p99, p999) = (at(500), at(990), at(999));
    let (count, seconds) = (waits.len(), took.as_secs_f64());
    super::say(format_args!("{count} {refused} {records} {bytes} {seconds:.4} {p50:.3} {p99:.3} {p999:.3}"))
}
