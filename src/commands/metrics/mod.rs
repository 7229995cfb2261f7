//! `ccrun metrics`: serves usage to Prometheus, or writes it for `node_exporter`.

mod connections;
mod exporter;
mod ledger;
mod memory;
mod serve;
mod token;

use std::io::ErrorKind;
use std::net::{SocketAddr, TcpListener};
use std::os::fd::AsFd;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use nix::errno::Errno;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};

use self::exporter::Exporter;
use self::serve::{Admission, Server};
use super::{complain, print};
use crate::cli;
use crate::report::Dimension;
use crate::report::metrics::Format;
use crate::state;
use crate::system::process_environment::ProcessEnvironment;
use crate::system::signals::{Signals, obey};
use crate::terminal::printable::visible;
use crate::workspace::Workspace;

/// The exit code for options that do not go together.
const USAGE: u8 = 2;

/// The mode of a file for `node_exporter`, which runs as a user of its own.
const READABLE: u32 = 0o644;

pub(super) fn run(options: &cli::Metrics, process: &ProcessEnvironment) -> Result<ExitCode> {
    let places = Workspace::gather(process)?.0.places;
    let mut labels: Vec<Dimension> = Vec::new();
    for name in &options.labels {
        let label: Dimension = name.parse().map_err(anyhow::Error::msg)?;
        if !labels.contains(&label) {
            labels.push(label);
        }
    }
    if let Some(path) = &options.textfile {
        let path = process.directory.join(path);
        return write(&Exporter::new(&places, labels, &format!("textfile {}", path.display())), &path);
    }
    let address = options.listen;
    let is_loopback = address.ip().to_canonical().is_loopback();
    if options.token_file.is_none() && !is_loopback {
        complain(&format!(
            "on `{address}` others could read the metrics: it needs --token-file, or a loopback address"
        ));
        return Ok(ExitCode::from(USAGE));
    }
    let admission = match &options.token_file {
        None => Admission::Local,
        Some(path) => Admission::Token(token::read(&process.directory.join(path))?),
    };
    let listener = bind(address)?;
    serve(Exporter::new(&places, labels, &format!("listen {address}")), admission, listener)
}

/// Writes the file. `node_exporter` never sees a part of it.
fn write(exporter: &Exporter, path: &Path) -> Result<ExitCode> {
    exporter.look();
    let (_, text) = exporter.show(None, Format::Prometheus);
    state::write_as(path, text.as_bytes(), READABLE)
        .with_context(|| format!("cannot write `{}`", visible(&path.display().to_string())))?;
    exporter.finish();
    Ok(if exporter.has_failed() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => anyhow!(
            "`{address}` is in use by another program, perhaps another `ccrun metrics` or Claude Code's own exporter \
             (OTEL_METRICS_EXPORTER=prometheus): end it, or choose another port with --listen"
        ),
        ErrorKind::AddrNotAvailable => anyhow!("this machine does not have the address `{}`", address.ip()),
        _ => anyhow!("cannot listen on `{address}`: {error}"),
    })
}

/// Serves until a signal asks to end.
fn serve(exporter: Exporter, admission: Admission, listener: TcpListener) -> Result<ExitCode> {
    let (signals, before) = Signals::block().context("cannot block signals")?;
    let exporter = Arc::new(exporter);
    start(Server::new(Arc::clone(&exporter), admission), listener).context("cannot serve")?;
    let signal = asked_to_end(signals, &before).context("cannot wait for signals")?;
    exporter.finish();
    obey(signal, &before)?;
    Ok(ExitCode::SUCCESS)
}

/// Serves in another thread, and says where.
fn start(server: Server, listener: TcpListener) -> Result<()> {
    let address = listener.local_addr()?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let listener = {
        let _in_runtime = runtime.enter();
        listener.set_nonblocking(true)?;
        tokio::net::TcpListener::from_std(listener)?
    };
    let serve = move || runtime.block_on(serve::accept(listener, Arc::new(server)));
    std::thread::Builder::new().name("server".to_owned()).spawn(serve)?;
    print(&format!("http://{address}/metrics\n"))
}

/// Waits for a signal that asks to end.
fn asked_to_end(mut signals: Signals, before: &SigSet) -> nix::Result<Signal> {
    loop {
        for caught in signals.take() {
            match caught.signal {
                Signal::SIGTSTP => obey(Signal::SIGTSTP, before)?,
                signal if caught.asks_to_end() => return Ok(signal),
                _ => {}
            }
        }
        match poll(&mut [PollFd::new(signals.as_fd(), PollFlags::POLLIN)], PollTimeout::NONE) {
            Ok(_) | Err(Errno::EINTR) => {}
            Err(error) => return Err(error),
        }
    }
}
