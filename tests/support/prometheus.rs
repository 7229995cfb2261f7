//! A real Prometheus 3 that receives OTLP, or a `VictoriaMetrics`, and what it answers to queries.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::io::{self, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use super::sandbox::{DEADLINE, kill, wait_until};

/// A Prometheus with a directory and a port of its own. Both stay the same however often it ends and starts again.
pub struct Prometheus {
    make: Make,
    process: Option<Child>,
    directory: TempDir,
    address: String,
}

/// Whose it is. Both are asked in the same way.
#[derive(Clone, Copy)]
enum Make {
    Prometheus,
    VictoriaMetrics,
}

/// A series' labels, its name among them as `__name__`.
pub type Labels = BTreeMap<String, String>;

/// One series with what was asked of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// When, in seconds since 1970, and how much. Native histograms have none.
    pub samples: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts the one that `TEST_PROMETHEUS` names, configured as somebody does who has only switched its receiver on.
    pub fn start() -> Self {
        Self::start_as(Make::Prometheus)
    }

    /// The `VictoriaMetrics` that `TEST_VICTORIAMETRICS` names instead, told to use Prometheus' names.
    pub fn start_victoriametrics() -> Self {
        Self::start_as(Make::VictoriaMetrics)
    }

    fn start_as(make: Make) -> Self {
        // Somebody else may have a port, or take it between its choice and its use.
        (0..20).find_map(|_| Self::start_once(make)).expect("it ends whenever it is started")
    }

    fn start_once(make: Make) -> Option<Self> {
        let address = free_address()?;
        let directory = tempfile::Builder::new().prefix("ccrun-prometheus-").tempdir().unwrap();
        let mut prometheus = Self { make, process: None, directory, address };
        prometheus.run().then_some(prometheus)
    }

    /// What the shipped profile calls `prometheus_url`, or `victoriametrics_url`.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Starts it again with what it has stored.
    pub fn restart(&mut self) {
        assert!(self.process.is_none() && self.run(), "Prometheus does not start again: {}", self.said());
    }

    /// Lets it end as an administrator does.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Ends it as a crash does.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        let mut process = self.process.take().expect("Prometheus runs");
        kill(i32::try_from(process.id()).unwrap(), signal);
        wait_until("Prometheus to end", || process.try_wait().unwrap().is_some());
    }

    /// Starts it and waits until it is ready, by its own word; false if it ends instead.
    fn run(&mut self) -> bool {
        let log = OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.command();
        command.env_clear().current_dir(self.directory.path()).stdin(Stdio::null());
        let mut process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut has_ended = false;
        wait_until("Prometheus to be ready", || {
            has_ended = process.try_wait().unwrap().is_some();
            has_ended || self.get("/-/ready").is_ok_and(|(status, _)| status == 200)
        });
        self.process = (!has_ended).then_some(process);
        !has_ended
    }

    fn command(&self) -> Command {
        let named = |variable| Command::new(std::env::var_os(variable).unwrap_or_else(|| panic!("no {variable}")));
        match self.make {
            Make::Prometheus => {
                std::fs::write(self.directory.path().join("prometheus.yaml"), "{}").unwrap();
                let mut command = named("TEST_PROMETHEUS");
                command.args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=warn"]);
                command.arg("--web.enable-otlp-receiver").arg(format!("--web.listen-address={}", self.address));
                command
            }
            Make::VictoriaMetrics => {
                let mut command = named("TEST_VICTORIAMETRICS");
                command.args(["-storageDataPath=data", "-opentelemetry.usePrometheusNaming", "-loggerLevel=WARN"]);
                // Or it would answer nothing about the last half minute.
                command.arg("-search.latencyOffset=0s").arg(format!("-httpListenAddr={}", self.address));
                command
            }
        }
    }

    /// What a query gives at a time, in seconds since 1970; now, where none is named.
    #[track_caller]
    pub fn query(&self, query: &str, at: Option<f64>) -> Vec<Series> {
        let at = at.map(|at| format!("&time={at:.3}")).unwrap_or_default();
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let (status, answer) = self.get(&format!("/api/v1/query?query={query}{at}")).unwrap();
        assert_eq!(status, 200, "{answer}");
        let answer: Value = serde_json::from_str(&answer).unwrap();
        answer["data"]["result"].as_array().unwrap().iter().map(series).collect()
    }

    /// The one number that a query gives at a time; none if there is no series to answer it.
    #[track_caller]
    pub fn value(&self, query: &str, at: Option<f64>) -> Option<f64> {
        let found = self.query(query, at);
        assert!(found.len() <= 1, "{query}: {found:#?}");
        found.first().map(|series| series.samples[0].1)
    }

    /// Every sample of the last hour of each series that a selector selects.
    #[track_caller]
    pub fn samples(&self, selector: &str) -> Vec<Series> {
        self.query(&format!("{selector}[1h]"), None)
    }

    /// Waits until a query gives this number.
    #[track_caller]
    pub fn wait_for(&self, query: &str, value: f64) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = self.value(query, None);
            if found.is_some_and(|found| same(found, value)) {
                return;
            }
            assert!(Instant::now() < deadline, "`{query}` is {found:?} and not {value}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// What it has complained about.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// HTTP 1.0, so that an answer is whatever comes until the connection ends.
    fn get(&self, target: &str) -> io::Result<(u16, String)> {
        let mut stream = TcpStream::connect(&self.address)?;
        stream.set_read_timeout(Some(DEADLINE))?;
        write!(stream, "GET {target} HTTP/1.0\r\nhost: {}\r\n\r\n", self.address)?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer)?;
        let (head, body) = answer.split_once("\r\n\r\n").ok_or(io::ErrorKind::InvalidData)?;
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok());
        Ok((status.ok_or(io::ErrorKind::InvalidData)?, body.to_owned()))
    }
}

impl Drop for Prometheus {
    fn drop(&mut self) {
        if let Some(mut process) = self.process.take() {
            drop(process.kill());
            drop(process.wait());
        }
    }
}

/// Whether two numbers are the same but for what adding floating-point numbers in another order changes.
pub fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
}

/// An address that nobody has at the moment, and that nobody is given by chance while a Prometheus is down: below the
/// ports that systems choose for those who name none.
fn free_address() -> Option<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let tried = NEXT.fetch_add(1, Ordering::Relaxed);
    let offset = (std::process::id() * 37 + u32::from(tried)) % 12_000;
    let address = format!("127.0.0.1:{}", 20_000 + offset);
    TcpListener::bind(&address).is_ok().then_some(address)
}

/// A vector's element or a matrix's.
fn series(found: &Value) -> Series {
    let labels = found["metric"].as_object().unwrap().iter();
    let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
    let one = found.get("value").into_iter();
    let samples = one.chain(found["values"].as_array().into_iter().flatten());
    let sample = |sample: &Value| (sample[0].as_f64().unwrap(), sample[1].as_str().unwrap().parse().unwrap());
    Series { labels, samples: samples.map(sample).collect() }
}
