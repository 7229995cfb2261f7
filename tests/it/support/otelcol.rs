//! A real OpenTelemetry Collector between `ccrun` and the recording backend.

use std::fs::OpenOptions;
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::prometheus::free_address;
use super::sandbox::{kill, wait_until};

/// An otelcol. It is killed when dropped. Its addresses stay the same across restarts.
pub struct Otelcol {
    process: Option<Child>,
    /// Holds its configuration and its output.
    directory: TempDir,
    pub grpc: String,
    pub http: String,
}

impl Otelcol {
    /// Starts the otelcol in `TEST_OTELCOL`. It forwards everything to `backend` unchanged.
    pub fn start(backend: &str) -> Self {
        Self::start_with(&format!("otlp_http: {{endpoint: '{backend}', compression: none}}"))
    }

    /// Starts it with this exporter and its settings.
    pub fn start_with(exporter: &str) -> Self {
        // Another process may take the port before otelcol binds it.
        (0..5).find_map(|_| Self::start_once(exporter)).expect("otelcol exited at every start")
    }

    fn start_once(exporter: &str) -> Option<Self> {
        let [grpc, http] = [(); 2].map(|()| (0..20).find_map(|_| free_address()).expect("a free port"));
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("otelcol.yaml"), configure(&grpc, &http, exporter)).unwrap();
        let url = |address: &str| format!("http://{address}");
        let mut otelcol = Self { process: None, directory, grpc: url(&grpc), http: url(&http) };
        otelcol.run().then_some(otelcol)
    }

    /// Starts it and waits until it listens. Returns false if it exits instead.
    fn run(&mut self) -> bool {
        let program = std::env::var_os("TEST_OTELCOL").expect("TEST_OTELCOL is the path of otelcol");
        let log = OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(self.directory.path().join("otelcol.yaml")).env_clear().stdin(Stdio::null());
        let mut process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut has_ended = false;
        let listens = |url: &String| TcpStream::connect(url.trim_start_matches("http://")).is_ok();
        wait_until("otelcol to listen", || {
            has_ended = process.try_wait().unwrap().is_some();
            has_ended || [&self.grpc, &self.http].into_iter().all(listens)
        });
        self.process = (!has_ended).then_some(process);
        !has_ended
    }

    /// Stops it as an administrator does.
    pub fn stop(&mut self) {
        let mut process = self.process.take().expect("otelcol runs");
        kill(i32::try_from(process.id()).unwrap(), "TERM");
        wait_until("otelcol to exit", || process.try_wait().unwrap().is_some());
    }

    /// Starts it again after [`Self::stop`].
    pub fn restart(&mut self) {
        assert!(self.process.is_none() && self.run(), "otelcol did not restart: {}", self.said());
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Otelcol {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Receives both protocols and forwards without batching, so that an acknowledgement means delivery.
fn configure(grpc: &str, http: &str, exporter: &str) -> String {
    let (name, _) = exporter.split_once(':').unwrap();
    format!(
        "receivers:
  otlp:
    protocols:
      grpc: {{endpoint: '{grpc}'}}
      http: {{endpoint: '{http}'}}
exporters:
  {exporter}
service:
  telemetry:
    metrics: {{level: none}}
  pipelines:
    logs: {{receivers: [otlp], exporters: [{name}]}}
    metrics: {{receivers: [otlp], exporters: [{name}]}}
    traces: {{receivers: [otlp], exporters: [{name}]}}
"
    )
}
