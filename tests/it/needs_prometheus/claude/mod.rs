//! Ten sessions of the real Claude Code with a real Prometheus, whose numbers must agree with the ledger.

mod boards;
pub(crate) mod source;

use std::collections::BTreeSet;
use std::process::Child;

use serde_json::{Value, json};

use crate::support::backend::Backend;
use crate::support::claude::{Client, USAGE, finish, pid};
use crate::support::metrics::Metrics;
use crate::support::prometheus::{Prometheus, Series, free_address, same};
use crate::support::sandbox::{kill, text, wait_until};
use crate::support::telemetry::{Kind, items};
use ccrun::doctor::live::model::{Model, Script};

/// The metrics of a short Claude Code session, with the name in Prometheus and the name in the ledger.
const METRICS: [(&str, &str); 4] = [
    ("claude_code_session_count_total", "session.count"),
    ("claude_code_token_usage_tokens_total", "token.usage"),
    ("claude_code_cost_usage_USD_total", "cost.usage"),
    ("claude_code_active_time_seconds_total", "active_time.total"),
];

/// Every counter of Claude Code.
const ALL: &str = r#"{__name__=~"claude_code_.+_total"}"#;

/// Every counter of Claude Code and of the collectors.
const COUNTED: &str = r#"{__name__=~"(claude_code|ccrun)_.+_total"}"#;

/// A test's environment: the shipped profile, and a second destination that takes deltas.
struct Stage {
    client: Client,
    prometheus: Prometheus,
    backend: Backend,
}

impl Stage {
    fn set() -> Self {
        Self::with(Client::new(Script::text("the answer").usage(USAGE)), Prometheus::start())
    }

    fn with(client: Client, prometheus: Prometheus) -> Self {
        let backend = Backend::start();
        let profile = format!(
            "extends = \"prometheus\"\n[vars]\nprometheus_url = \"{}\"\n[team]\nid = \"platform\"\n\
             [signals]\nmetric_interval = \"1s\"\n[destination.prometheus]\nbatch = \"1ms\"\n\
             [destination.deltas]\nendpoint = \"{}\"\nbatch = \"1ms\"\n",
            prometheus.url(),
            backend.endpoint()
        );
        client.profile("team", profile);
        Self { client, prometheus, backend }
    }

    /// Runs a short session.
    fn ask(&self) {
        let output = self.client.ask(&["-p", "team"], "a question");
        assert!(output.status.success(), "{output:?}");
        assert_eq!(text(&output.stdout), "the answer\n");
    }

    /// Starts a session whose model stalls until it is released.
    fn open(&self, model: &Model) -> Child {
        let stalled = model.stalled();
        let mut command = self.client.claude(&["-p", "team"], ["-p", "a question"]);
        let child = command.env("ANTHROPIC_BASE_URL", model.url()).spawn().unwrap();
        wait_until("the answer to stall", || model.stalled() > stalled);
        child
    }

    /// Waits until Prometheus counts this number of sessions and nothing is queued.
    fn wait_for_sessions(&self, count: u32) {
        self.prometheus.wait_for("sum(claude_code_session_count_total)", f64::from(count));
        wait_until("the queue to be empty", || self.client.queue().is_empty());
    }

    /// The sum of a metric at the destination that takes deltas.
    fn deltas(&self, metric: &str) -> f64 {
        let value = |kind| if let Kind::Point { value, is_delta: true } = kind { value } else { f64::NAN };
        let items = items(&self.backend.received());
        items.iter().filter(|item| item.name == metric && item.kind != Kind::Event).map(|item| value(item.kind)).sum()
    }

    /// The sum of each metric in [`METRICS`], from the ledger.
    fn ledger(&self) -> [f64; 4] {
        let report = self.client.report();
        let total = |names: &[&str]| names.iter().map(|name| report["total"][name].as_f64().unwrap()).sum();
        let tokens = ["input_tokens", "output_tokens", "cache_read_tokens", "cache_creation_tokens"];
        let active = ["active_user_seconds", "active_cli_seconds"];
        [report["total"]["sessions"].as_f64().unwrap(), total(&tokens), total(&["cost_usd"]), total(&active)]
    }
}

/// The session that lasts from start to finish is like a terminal left open. It repeats its totals.
#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn ten_sessions_add_up_in_spite_of_kills() {
    let mut stage = Stage::set();
    let stalling = || Model::start(Script::text("the answer").usage(USAGE).stalling()).unwrap();
    let (lasting, beside) = (stalling(), stalling());

    // Two sessions at once, each of which loses one process of its collector.
    let (first, second) = (stage.open(&lasting), stage.open(&beside));
    stage.wait_for_sessions(2);
    let [keeper, worker] = collector(&stage.client, &first);
    kill(worker, "KILL");
    wait_until("another worker", || child_of(keeper).is_some_and(|child| child != worker));
    kill(collector(&stage.client, &second)[0], "KILL");
    beside.release();
    assert!(finish(second).status.success());
    for _ in 0..3 {
        stage.ask();
    }
    stage.wait_for_sessions(5);

    stage.prometheus.stop();
    stage.prometheus.restart();
    stage.ask();
    stage.wait_for_sessions(6);

    // During an outage, one session ends normally and one is killed with undelivered data.
    stage.prometheus.kill();
    stage.ask();
    let third = stalling();
    let killed = stage.open(&third);
    wait_until("its first export", || {
        same(stage.deltas("session.count"), 8.0) && waits_for_prometheus_alone(&stage.client)
    });
    for process in collector(&stage.client, &killed) {
        kill(process, "KILL");
    }
    kill(pid(&killed), "KILL");
    finish(killed);
    stage.prometheus.restart();
    stage.ask();
    stage.ask();
    stage.wait_for_sessions(10);
    // This does not depend on the speed of the machine: `increase()` is more precise with more samples, and the first
    // session repeats its totals.
    stage.prometheus.wait_for(&format!("min(count_over_time({ALL}[1h])) >= bool 14"), 1.0);
    lasting.release();
    assert!(finish(first).status.success());
    stage.client.wait_for_end();

    assert_eq!(stage.client.queue(), Vec::<Value>::new());
    agrees(&stage);
    has_one_lasting_series_each(&stage.prometheus);
    is_described(&stage.prometheus);
    answers_the_readmes_queries(&stage);
}

/// Two ways lead into one Prometheus, and each has the same numbers by the same names.
#[test]
#[ignore = "needs TEST_PROMETHEUS and the real Claude Code; scripts/test.sh runs it"]
fn what_is_scraped_equals_what_is_sent() {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    let address = (0..20).find_map(|_| free_address()).unwrap();
    let metrics = Metrics::start(&client, &address, &["--label", "team,provider,terminal"]);
    let stage = Stage::with(client, Prometheus::start_scraping(&address));
    stage.ask();
    stage.ask();
    stage.client.wait_for_end();
    for job in ["claude-code", "open", "text"] {
        stage.prometheus.wait_for(&format!("sum(claude_code_session_count_total{{job=\"{job}\"}})"), 2.0);
    }
    let by = "by (model, type, team_id, anthropic_provider, terminal_type)";
    for (name, _) in METRICS {
        for job in ["open", "text"] {
            let of = |job: &str| format!("sum {by} ({name}{{job=\"{job}\"}})");
            // The ledger counts milliseconds.
            let tolerance = if name.contains("active_time") { "0.01" } else { "1e-9" };
            let both = format!("abs({} - {}) <= {tolerance}", of(job), of("claude-code"));
            let sent = stage.prometheus.query(&of("claude-code"), None);
            wait_until(&both, || stage.prometheus.query(&both, None).len() == sent.len());
            let sum = stage.prometheus.value(&format!("sum({name}{{job=\"{job}\"}})"), None).unwrap();
            assert!(sum > 0.0 && !sent.is_empty(), "{name}: {sum}");
        }
    }
    metrics.stop();
}

/// Checks Prometheus against the ledger. The last values must be equal, and the increases nearly so.
fn agrees(stage: &Stage) {
    let last = last_sample(&stage.prometheus);
    let asked = Some(last + 60.0);
    for ((name, delta), ledger) in METRICS.into_iter().zip(stage.ledger()) {
        let sum = stage.prometheus.value(&format!("sum({name})"), asked).unwrap();
        let increase = stage.prometheus.value(&format!("sum(increase({name}[1h]))"), asked).unwrap();
        assert!(ledger > 0.0 && same(sum, ledger), "{name}: {sum}, expected {ledger}");
        assert!((increase / ledger - 1.0).abs() <= 0.05, "{name}: increased by {increase}, expected {ledger}");
        assert!(same(stage.deltas(delta), ledger), "{name}: deltas of {}", stage.deltas(delta));
    }
    let by_kind = stage.prometheus.query("sum by (type) (claude_code_token_usage_tokens_total)", asked);
    let total = &stage.client.report()["total"];
    for series in by_kind {
        let measure = match series.labels["type"].as_str() {
            "cacheRead" => "cache_read_tokens",
            "cacheCreation" => "cache_creation_tokens",
            "input" => "input_tokens",
            other => &format!("{other}_tokens"),
        };
        assert_eq!(json!(series.samples[0].1), json!(total[measure].as_f64().unwrap()), "{measure}");
    }
}

fn last_sample(prometheus: &Prometheus) -> f64 {
    let times = prometheus.samples(ALL).into_iter().map(|series| series.samples.last().unwrap().0);
    times.fold(0.0, f64::max)
}

/// Checks that each set of attributes has one series across all sessions, which starts at zero and never decreases.
fn has_one_lasting_series_each(prometheus: &Prometheus) {
    let found = prometheus.samples(ALL);
    let count = |name: &str| found.iter().filter(|series| series.labels["__name__"] == name).count();
    assert_eq!(METRICS.map(|(name, _)| count(name)), [1, 4, 1, 1], "{found:#?}");
    let instances: BTreeSet<_> = found.iter().map(|series| &series.labels["instance"]).collect();
    assert_eq!(instances.len(), 1, "{instances:?}");
    for Series { labels, samples } in prometheus.samples(COUNTED) {
        assert!(same(samples[0].1, 0.0), "{labels:?} starts at zero: {samples:?}");
        assert!(samples.is_sorted_by(|one, next| one.0 < next.0 && one.1 <= next.1), "{labels:?}: {samples:?}");
    }
    for Series { labels, .. } in &found {
        let mut expected = vec![
            "__name__",
            "anthropic_custom_base_url",
            "anthropic_provider",
            "instance",
            "job",
            "team_id",
            "terminal_type",
            "user_id",
        ];
        expected.extend(match labels["__name__"].as_str() {
            "claude_code_session_count_total" => &["start_type"][..],
            "claude_code_cost_usage_USD_total" => &["effort", "model", "query_source"],
            "claude_code_token_usage_tokens_total" => &["effort", "model", "query_source", "type"],
            _ => &["type"],
        });
        expected.sort_unstable();
        assert_eq!(labels.keys().collect::<Vec<_>>(), expected);
        assert_eq!((&*labels["job"], &*labels["team_id"]), ("claude-code", "platform"));
    }
}

/// Checks that resource attributes are available, except those that change between sessions.
fn is_described(prometheus: &Prometheus) {
    let found = prometheus.query(r#"target_info{job="claude-code"}"#, None);
    assert_eq!(found.len(), 1, "{found:#?}");
    let labels = &found[0].labels;
    assert_eq!((&*labels["team_id"], &*labels["ccrun_profile"]), ("platform", "team"));
    for name in ["host_arch", "os_type", "os_version"] {
        assert!(!labels[name].is_empty(), "{name}");
    }
    let passing = ["session", "process", "vcs", "version"];
    let is_passing = |name: &str| name != "os_version" && passing.iter().any(|word| name.contains(word));
    assert!(!labels.keys().any(|name| is_passing(name)), "{labels:?}");
}

/// Checks that every query in the documentation has a result.
fn answers_the_readmes_queries(stage: &Stage) {
    let readme = include_str!("../../../../docs/prometheus.md");
    let block = readme.split("```promql\n").nth(1).unwrap().split("```").next().unwrap();
    let lines: Vec<_> = block.lines().map(|line| line.split('#').next().unwrap().trim_end()).collect();
    let queries = lines.join("\n").replace("\n ", " ").replace("$__range", "1h");
    for query in queries.lines() {
        let found = stage.prometheus.query(query, None);
        assert!(found.iter().any(|series| series.samples[0].1 > 0.0), "{query}: {found:?}");
    }
}

/// The pids of a session's keeper and worker.
fn collector(client: &Client, session: &Child) -> [i32; 2] {
    let settings = crate::support::sandbox::cmdline(pid(session));
    let settings = text(&settings);
    let id = settings.split('\0').find_map(|word| word.rsplit('/').next()?.strip_suffix(".json")).unwrap();
    let lock = client.state().join("locks").join(id);
    let keeper = std::fs::read_to_string(lock).unwrap().trim().parse().unwrap();
    wait_until("a worker", || child_of(keeper).is_some());
    [keeper, child_of(keeper).unwrap()]
}

fn child_of(keeper: i32) -> Option<i32> {
    crate::support::session::child(keeper).map(|process| process.pid)
}

/// Whether only data for Prometheus is queued.
fn waits_for_prometheus_alone(client: &Client) -> bool {
    let queue = client.queue();
    !queue.is_empty() && queue.iter().all(|entry| entry["destination"] == "prometheus")
}
