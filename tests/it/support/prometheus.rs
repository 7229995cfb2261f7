//! A real Prometheus 3 with its OTLP receiver, or a `VictoriaMetrics`, and the results of queries.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::net::TcpListener;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;
use tempfile::TempDir;

use super::sandbox::{DEADLINE, kill, wait_until};
use super::server::get;

/// A Prometheus with its own directory and port. Both stay the same across restarts.
pub struct Prometheus {
    make: Make,
    /// The content of its configuration file.
    configuration: String,
    process: Option<Child>,
    directory: TempDir,
    address: String,
}

/// The server's product. Both have the same query API.
#[derive(Clone, Copy)]
enum Make {
    Prometheus,
    VictoriaMetrics,
}

/// The labels of a series, including its name as `__name__`.
pub type Labels = BTreeMap<String, String>;

/// One series of a query's result.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    pub labels: Labels,
    /// Time in seconds since 1970, and value. Empty for native histograms.
    pub samples: Vec<(f64, f64)>,
}

impl Prometheus {
    /// Starts the Prometheus in `TEST_PROMETHEUS` with its OTLP receiver enabled and no other configuration.
    pub fn start() -> Self {
        Self::start_with("{}")
    }

    /// Starts it with this configuration.
    pub fn start_with(configuration: &str) -> Self {
        Self::start_as(Make::Prometheus, configuration)
    }

    /// Starts the same Prometheus, which scrapes an address each second, once in each format as a job of its own.
    pub fn start_scraping(address: &str) -> Self {
        let job = |(name, protocol): (&str, &str)| {
            format!(
                "- job_name: {name}\n  scrape_protocols: [{protocol}]\n  static_configs: [{{targets: ['{address}']}}]\n"
            )
        };
        let jobs = [("open", "OpenMetricsText1.0.0"), ("text", "PrometheusText0.0.4")].map(job).concat();
        let configuration = format!("global: {{scrape_interval: 1s, scrape_timeout: 1s}}\nscrape_configs:\n{jobs}");
        Self::start_with(&configuration)
    }

    /// Starts the `VictoriaMetrics` in `TEST_VICTORIAMETRICS`, configured for Prometheus' naming.
    pub fn start_victoriametrics() -> Self {
        Self::start_as(Make::VictoriaMetrics, "")
    }

    fn start_as(make: Make, configuration: &str) -> Self {
        // Another process may hold the port, or take it before the server binds it.
        (0..20).find_map(|_| Self::start_once(make, configuration)).expect("the server exited at every start")
    }

    fn start_once(make: Make, configuration: &str) -> Option<Self> {
        let mut prometheus = Self::at(free_address()?);
        prometheus.make = make;
        configuration.clone_into(&mut prometheus.configuration);
        prometheus.run().then_some(prometheus)
    }

    /// One that something else has started, and will stop.
    pub fn at(address: String) -> Self {
        let directory = tempfile::Builder::new().prefix("ccrun-prometheus-").tempdir().unwrap();
        Self { make: Make::Prometheus, configuration: String::new(), process: None, directory, address }
    }

    /// The value of `prometheus_url` or `victoriametrics_url` in the shipped profile.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Restarts it with its stored data.
    pub fn restart(&mut self) {
        assert!(self.process.is_none() && self.run(), "Prometheus did not restart: {}", self.said());
    }

    /// Stops it as an administrator does.
    pub fn stop(&mut self) {
        self.end("TERM");
    }

    /// Kills it.
    pub fn kill(&mut self) {
        self.end("KILL");
    }

    fn end(&mut self, signal: &str) {
        let mut process = self.process.take().expect("Prometheus runs");
        kill(i32::try_from(process.id()).unwrap(), signal);
        wait_until("Prometheus to exit", || process.try_wait().unwrap().is_some());
    }

    /// Starts it and waits until it reports ready. Returns false if it exits instead.
    fn run(&mut self) -> bool {
        let log = OpenOptions::new().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = self.command();
        command.env_clear().current_dir(self.directory.path()).stdin(Stdio::null());
        let mut process = command.stdout(log.try_clone().unwrap()).stderr(log).spawn().unwrap();
        let mut has_ended = false;
        wait_until("Prometheus to be ready", || {
            has_ended = process.try_wait().unwrap().is_some();
            has_ended || get(&self.address, "/-/ready").is_ok_and(|(status, _)| status == 200)
        });
        self.process = (!has_ended).then_some(process);
        !has_ended
    }

    fn command(&self) -> Command {
        let named = |variable| Command::new(std::env::var_os(variable).unwrap_or_else(|| panic!("no {variable}")));
        match self.make {
            Make::Prometheus => {
                std::fs::write(self.directory.path().join("prometheus.yaml"), &self.configuration).unwrap();
                let mut command = named("TEST_PROMETHEUS");
                command.args(["--config.file=prometheus.yaml", "--storage.tsdb.path=data", "--log.level=warn"]);
                command.arg("--web.enable-otlp-receiver").arg(format!("--web.listen-address={}", self.address));
                command
            }
            Make::VictoriaMetrics => {
                let mut command = named("TEST_VICTORIAMETRICS");
                command.args(["-storageDataPath=data", "-opentelemetry.usePrometheusNaming", "-loggerLevel=WARN"]);
                // Otherwise queries ignore the last 30 seconds.
                command.arg("-search.latencyOffset=0s").arg(format!("-httpListenAddr={}", self.address));
                command
            }
        }
    }

    /// The result of a query at a time in seconds since 1970, by default now.
    #[track_caller]
    pub fn query(&self, query: &str, at: Option<f64>) -> Vec<Series> {
        let at = at.map(|at| format!("&time={at:.3}")).unwrap_or_default();
        let query = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let answer = self.ask(&format!("/api/v1/query?query={query}{at}"));
        answer["data"]["result"].as_array().unwrap().iter().map(Series::of).collect()
    }

    /// The answer of its API at this path.
    #[track_caller]
    pub fn ask(&self, target: &str) -> Value {
        let (status, answer) = get(&self.address, target).unwrap();
        assert_eq!(status, 200, "{answer}");
        serde_json::from_str(&answer).unwrap()
    }

    /// The single number that a query returns at a time, or `None` if no series matches.
    #[track_caller]
    pub fn value(&self, query: &str, at: Option<f64>) -> Option<f64> {
        let found = self.query(query, at);
        assert!(found.len() <= 1, "{query}: {found:#?}");
        found.first().map(|series| series.samples[0].1)
    }

    /// Makes everything that was acknowledged visible to queries, in `VictoriaMetrics`.
    pub fn flush(&self) {
        assert_eq!(get(&self.address, "/internal/force_flush").unwrap().0, 200);
    }

    /// All samples of the last hour in each series that matches the selector.
    #[track_caller]
    pub fn samples(&self, selector: &str) -> Vec<Series> {
        self.query(&format!("{selector}[1h]"), None)
    }

    /// Waits until a query returns this number.
    #[track_caller]
    pub fn wait_for(&self, query: &str, value: f64) {
        let deadline = Instant::now() + DEADLINE;
        loop {
            let found = self.value(query, None);
            if found.is_some_and(|found| same(found, value)) {
                return;
            }
            assert!(Instant::now() < deadline, "`{query}` is {found:?}, expected {value}: {}", self.said());
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    /// Its warnings and errors so far.
    pub fn said(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
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

/// Whether two numbers are equal, apart from rounding by a different order of additions.
pub fn same(one: f64, other: f64) -> bool {
    (one - other).abs() <= 1e-9 * one.abs().max(other.abs())
}

/// A free address for a server that restarts. Its port is below the ephemeral range, so that no other process gets it
/// by chance while the server is down.
pub fn free_address() -> Option<String> {
    static NEXT: AtomicU16 = AtomicU16::new(0);
    let tried = NEXT.fetch_add(1, Ordering::Relaxed);
    let offset = (std::process::id() * 37 + u32::from(tried)) % 12_000;
    let address = format!("127.0.0.1:{}", 20_000 + offset);
    TcpListener::bind(&address).is_ok().then_some(address)
}

impl Series {
    /// An element of a vector or a matrix.
    pub fn of(found: &Value) -> Self {
        let labels = found["metric"].as_object().unwrap().iter();
        let labels = labels.map(|(name, value)| (name.clone(), value.as_str().unwrap().to_owned())).collect();
        let one = found.get("value").into_iter();
        let samples = one.chain(found["values"].as_array().into_iter().flatten());
        let sample = |sample: &Value| (sample[0].as_f64().unwrap(), sample[1].as_str().unwrap().parse().unwrap());
        Self { labels, samples: samples.map(sample).collect() }
    }
}
