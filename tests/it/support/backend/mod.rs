//! A backend for tests. It takes OTLP in both protocols on one port, records the requests, and answers as the test
//! says.
//!
//! It runs on its own thread and never sleeps: it waits only for events.

use std::collections::VecDeque;
use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Condvar, Mutex, MutexGuard};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use bytes::Bytes;
use ccrun::otlp::Signal;
use ccrun::profile::Protocol;
use hyper::{HeaderMap, Version};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::collector::metrics::v1::ExportMetricsServiceRequest;
use opentelemetry_proto::tonic::collector::trace::v1::ExportTraceServiceRequest;
use tokio::sync::{Semaphore, oneshot};

use super::telemetry::items;

mod identity;
mod reply;
mod serve;

pub use identity::{Authority, ClientIdentity, Identity};
pub use reply::Reply;

/// A running backend. It stops when dropped.
pub struct Backend {
    shared: Arc<Shared>,
    address: SocketAddr,
    identity: Option<Identity>,
    running: Option<Running>,
}

struct Running {
    stop: oneshot::Sender<()>,
    thread: JoinHandle<()>,
}

/// One request as it arrived.
#[derive(Clone, Debug)]
pub struct Received {
    /// The signal in the path, after any prefix.
    pub signal: Option<Signal>,
    pub protocol: Protocol,
    pub version: Version,
    pub method: String,
    pub path: String,
    pub headers: HeaderMap,
    /// The bytes as sent, with compression and gRPC framing.
    pub raw: Bytes,
    /// The message, unframed and decompressed.
    pub body: Bytes,
    /// The decoded message, if it is valid for its signal.
    pub export: Option<Export>,
    /// The number of the connection, counted from one since the backend was created.
    pub connection: usize,
}

/// A decoded request of any signal.
#[derive(Clone, Debug, PartialEq)]
pub enum Export {
    Traces(ExportTraceServiceRequest),
    Metrics(ExportMetricsServiceRequest),
    Logs(ExportLogsServiceRequest),
}

type Script = Box<dyn FnMut(&Received) -> Reply + Send>;

struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    /// One permit for every held reply that may be sent.
    released: Semaphore,
}

struct State {
    received: Vec<Received>,
    queue: VecDeque<Reply>,
    script: Script,
    connections: usize,
}

impl Backend {
    /// Starts on a free loopback port without TLS. It accepts everything until told otherwise.
    pub fn start() -> Self {
        Self::start_as(None)
    }

    /// Starts with TLS, with the certificate of `identity`.
    pub fn start_tls(identity: Identity) -> Self {
        Self::start_as(Some(identity))
    }

    fn start_as(identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let state = State {
            received: Vec::new(),
            queue: VecDeque::new(),
            script: Box::new(|_| Reply::accept()),
            connections: 0,
        };
        let shared = Shared { state: Mutex::new(state), changed: Condvar::new(), released: Semaphore::new(0) };
        let address = listener.local_addr().unwrap();
        let mut backend = Self { shared: Arc::new(shared), address, identity, running: None };
        backend.run(listener);
        backend
    }

    /// Its loopback port. A restart keeps it.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// Its URL for a destination's `endpoint`: `http://127.0.0.1:PORT`, or `https://localhost:PORT` with TLS.
    pub fn endpoint(&self) -> String {
        match self.identity {
            Some(_) => format!("https://localhost:{}", self.port()),
            None => format!("http://127.0.0.1:{}", self.port()),
        }
    }

    /// Queues the reply to one request.
    pub fn reply(&self, reply: Reply) {
        self.lock().queue.push_back(reply);
    }

    /// Sets the reply to requests for which none is queued.
    pub fn reply_always(&self, reply: Reply) {
        self.reply_with(move |_| reply.clone());
    }

    /// Computes the reply to requests for which none is queued.
    pub fn reply_with(&self, script: impl FnMut(&Received) -> Reply + Send + 'static) {
        self.lock().script = Box::new(script);
    }

    /// Releases `count` held replies ([`Reply::held`]), including future ones.
    pub fn release(&self, count: usize) {
        self.shared.released.add_permits(count);
    }

    /// All complete requests so far, in the order in which they arrived.
    pub fn received(&self) -> Vec<Received> {
        self.lock().received.clone()
    }

    /// The number of connections accepted so far.
    pub fn connections(&self) -> usize {
        self.lock().connections
    }

    /// Deletes the recorded requests.
    pub fn clear(&self) {
        self.lock().received.clear();
    }

    /// Waits until the recorded requests satisfy `wanted`, and returns them. Panics after `deadline`.
    #[track_caller]
    pub fn wait_for(&self, wanted: impl Fn(&[Received]) -> bool, deadline: Duration) -> Vec<Received> {
        let end = Instant::now() + deadline;
        let mut state = self.lock();
        while !wanted(&state.received) {
            let left = end.saturating_duration_since(Instant::now());
            assert!(!left.is_zero(), "timed out waiting for requests; received: {:#?}", summary(&state.received));
            state = self.shared.changed.wait_timeout(state, left).unwrap().0;
        }
        state.received.clone()
    }

    /// Closes its port and every connection immediately.
    pub fn stop(&mut self) {
        if let Some(running) = self.running.take() {
            // If the thread has panicked, the send fails, and `join` reports the panic.
            let _ = running.stop.send(());
            running.thread.join().unwrap();
        }
    }

    /// Restarts on the same port, with the same recordings and replies.
    pub fn restart(&mut self) {
        self.stop();
        self.run(TcpListener::bind(self.address).unwrap());
    }

    fn run(&mut self, listener: TcpListener) {
        listener.set_nonblocking(true).unwrap();
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&self.shared);
        let tls = self.identity.as_ref().map(Identity::acceptor);
        let thread = std::thread::spawn(move || serve::run(listener, tls, shared, stopped));
        self.running = Some(Running { stop, thread });
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.shared.lock()
    }
}

impl Drop for Backend {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            self.stop();
        }
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    fn count_connection(&self) -> usize {
        let mut state = self.lock();
        state.connections += 1;
        state.connections
    }

    /// Records a request and returns its reply.
    fn take(&self, received: Received) -> Reply {
        let mut state = self.lock();
        let reply = state.queue.pop_front();
        let reply = reply.unwrap_or_else(|| (state.script)(&received));
        state.received.push(received);
        self.changed.notify_all();
        reply
    }
}

/// A readable summary: one line for each request, with the names of its items.
fn summary(received: &[Received]) -> Vec<String> {
    let line = |received: &Received| {
        let names: Vec<_> = items(std::slice::from_ref(received)).into_iter().map(|item| item.name).collect();
        format!("{} {} {names:?}", received.method, received.path)
    };
    received.iter().map(line).collect()
}

impl Received {
    /// The value of a header, or an empty string.
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).map(|value| value.to_str().unwrap()).unwrap_or_default()
    }
}
