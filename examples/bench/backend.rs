//! A backend that accepts and counts everything, optionally with a delay.

use std::io::{self, BufRead};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use anyhow::Context;
use ccrun::otlp::{Signal, count};
use rustls::ServerConfig;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use tokio_rustls::TlsAcceptor;

use super::serve::{self, Arrived, Fate};

/// A backend that accepts and counts everything. It prints its URL, and runs until its standard input closes. For each
/// number on standard input, it waits until that many log records and points have arrived, and prints, separated by
/// spaces: records, requests, bytes on the wire, and the seconds from the first request to the last
#[derive(clap::Args)]
pub(crate) struct Options {
    #[arg(long, default_value = "127.0.0.1:0")]
    listen: SocketAddr,
    /// Delay of each answer, in milliseconds
    #[arg(long, value_name = "MILLISECONDS", default_value_t = 0)]
    delay: u64,
    /// Never answer
    #[arg(long)]
    silent: bool,
    /// Use TLS as `localhost`, and write the authority for clients to this file
    #[arg(long, value_name = "FILE")]
    tls: Option<PathBuf>,
}

pub(crate) fn run(options: Options) -> anyhow::Result<()> {
    let tls = options.tls.map(acceptor).transpose()?;
    let (delay, is_silent) = (Duration::from_millis(options.delay), options.silent);
    let counted = Arc::new(Counting::default());
    let backend = Arc::new(Backend { delay, is_silent, counted: Arc::clone(&counted) });
    std::thread::spawn(move || {
        let reported = obey(&counted);
        std::process::exit(i32::from(reported.is_err()));
    });
    serve::run(options.listen, tls.as_ref(), &backend)
}

/// Answers the numbers on standard input until it closes.
fn obey(counted: &Counting) -> anyhow::Result<()> {
    for line in io::stdin().lock().lines() {
        let wanted: u64 = line?.trim().parse().context("a number of records is wanted")?;
        let Counted { records, requests, bytes, span } = counted.wait_for(wanted);
        let seconds = span.map_or(0.0, |(first, last)| (last - first).as_secs_f64());
        super::say(format_args!("{records} {requests} {bytes} {seconds:.4}"))?;
    }
    Ok(())
}

struct Backend {
    delay: Duration,
    is_silent: bool,
    counted: Arc<Counting>,
}

impl Fate for Backend {
    async fn of(&self, arrived: Arrived) {
        if self.is_silent {
            return std::future::pending().await;
        }
        if !self.delay.is_zero() {
            tokio::time::sleep(self.delay).await;
        }
        self.counted.add(&arrived);
    }
}

#[derive(Clone, Copy, Default)]
struct Counted {
    records: u64,
    requests: u64,
    bytes: usize,
    /// The times of the first and the last request.
    span: Option<(Instant, Instant)>,
}

#[derive(Default)]
struct Counting {
    so_far: Mutex<Counted>,
    changed: Condvar,
}

impl Counting {
    fn add(&self, arrived: &Arrived) {
        let now = Instant::now();
        let records = count(arrived.signal.unwrap_or(Signal::Logs), &arrived.message).unwrap_or_default();
        let mut counted = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        counted.records += records;
        counted.requests += 1;
        counted.bytes += arrived.size;
        counted.span = Some((counted.span.map_or(now, |(first, _)| first), now));
        self.changed.notify_all();
    }

    fn wait_for(&self, records: u64) -> Counted {
        let counted = self.so_far.lock().unwrap_or_else(PoisonError::into_inner);
        let enough = self.changed.wait_while(counted, |counted| counted.records < records);
        *enough.unwrap_or_else(PoisonError::into_inner)
    }
}

/// A self-signed certificate. Clients that should trust it use it as their authority.
fn acceptor(authority: PathBuf) -> anyhow::Result<TlsAcceptor> {
    let own = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
    std::fs::write(authority, own.cert.pem())?;
    let key = PrivateKeyDer::Pkcs8(own.signing_key.serialize_der().into());
    let config =
        ServerConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions();
    let mut config = config?.with_no_client_auth().with_single_cert(vec![own.cert.der().clone()], key)?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(TlsAcceptor::from(Arc::new(config)))
}
