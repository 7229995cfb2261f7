//! A real OpenTelemetry Collector between `ccrun` and the recording backend.

use std::fs::File;
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::sandbox::wait_until;

/// A running otelcol. It is killed when dropped.
pub struct Otelcol {
    process: Child,
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
        let program = std::env::var_os("TEST_OTELCOL").expect("TEST_OTELCOL is the path of otelcol");
        let [grpc, http] = free_addresses();
        let directory = tempfile::tempdir().unwrap();
        let configuration = directory.path().join("otelcol.yaml");
        std::fs::write(&configuration, configure(&grpc, &http, exporter)).unwrap();
        let log = File::create(directory.path().join("log")).unwrap();
        let mut command = Command::new(program);
        command.arg("--config").arg(configuration).env_clear().stdin(Stdio::null());
        let process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let url = |address: &str| format!("http://{address}");
        let mut otelcol = Self { process, directory, grpc: url(&grpc), http: url(&http) };
        let mut has_ended = false;
        wait_until("otelcol to listen", || {
            has_ended = otelcol.process.try_wait().unwrap().is_some();
            has_ended || [&grpc, &http].into_iter().all(|address| TcpStream::connect(address).is_ok())
        });
        (!has_ended).then_some(otelcol)
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Otelcol {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// Two loopback addresses that are free at the moment.
fn free_addresses() -> [String; 2] {
    let listeners = [(); 2].map(|()| TcpListener::bind("127.0.0.1:0").unwrap());
    listeners.map(|listener| listener.local_addr().unwrap().to_string())
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
