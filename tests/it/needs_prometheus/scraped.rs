//! A real Prometheus scrapes `ccrun metrics` while sessions come and go.

use std::time::{Duration, Instant};

use crate::support::metrics::{Metrics, spend};
use crate::support::prometheus::{Prometheus, free_address, same};
use crate::support::sandbox::Sandbox;

/// How long sessions come and go, unless `TEST_SCRAPED_SECONDS` says otherwise.
const SHORT: u64 = 15;

const MODELS: [&str; 3] = ["claude-opus-5-5", "claude-haiku-5", "claude-sonnet-5"];

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn increases_of_short_sessions_are_seen() {
    let sandbox = Sandbox::new();
    // Before anything is scraped there is usage, which is not an increase.
    spend(&sandbox, 0, MODELS[0], "100");
    sandbox.wait_for_end();
    let address = (0..20).find_map(|_| free_address()).unwrap();
    let mut metrics = Metrics::start(&sandbox, &address, &[]);
    let prometheus = Prometheus::start_scraping(&address);
    prometheus.wait_for("sum(claude_code_cost_usage_USD_total)", 100.0);
    let seconds = std::env::var("TEST_SCRAPED_SECONDS").map_or(SHORT, |seconds| seconds.parse().unwrap());
    let (end, mut spent, mut number) = (Instant::now() + Duration::from_secs(seconds), [100.0, 0.0, 0.0], 0);
    while Instant::now() < end || number < 12 {
        number += 1;
        // The last model appears in the middle, and the server starts again a few times.
        let index = usize::try_from(number).unwrap() % if number < 6 { 2 } else { 3 };
        spend(&sandbox, number, MODELS[index], "0.125");
        spent[index] += 0.125;
        if number % 8 == 4 {
            prometheus.wait_for("sum(claude_code_cost_usage_USD_total)", spent.iter().sum());
            metrics.stop();
            metrics = Metrics::start(&sandbox, &address, &[]);
        }
    }
    sandbox.wait_for_end();
    prometheus.wait_for("sum(claude_code_cost_usage_USD_total)", spent.iter().sum());
    let all = "claude_code_cost_usage_USD_total";
    let samples = prometheus.samples(all);
    let last = samples.iter().map(|series| series.samples.last().unwrap().0).fold(0.0, f64::max);
    let first = samples.iter().map(|series| series.samples[0].0).fold(last, f64::min);
    // From the first sample on, so that Prometheus estimates nothing before it.
    let range = format!("[{:.0}ms]", (last - first) * 1000.0 + 1.0);
    for (model, spent) in MODELS.iter().zip(spent) {
        let named = format!("{all}{{model=\"{model}\"}}");
        assert_eq!(prometheus.value(&named, Some(last)), Some(spent), "{model}");
        let increase = prometheus.value(&format!("increase({named}{range})"), Some(last)).unwrap();
        let expected = spent - if *model == MODELS[0] { 100.0 } else { 0.0 };
        assert!((increase / expected - 1.0).abs() <= 0.02, "{model}: increased by {increase}, expected {expected}");
        assert_eq!(prometheus.value(&format!("resets({named}[1h])"), Some(last)), Some(0.0), "{model}");
    }
    let increase = prometheus.value(&format!("sum(increase(ccrun_requests_total{range}))"), Some(last)).unwrap();
    assert!((increase / f64::from(u32::try_from(number).unwrap()) - 1.0).abs() <= 0.02, "{increase} of {number}");
    assert!(same(prometheus.value("min_over_time(ccrun_up[1h])", None).unwrap(), 1.0));
    assert!(prometheus.query("up{job=\"ccrun\"} == 1", None).len() == 1, "{}", prometheus.said());
    assert_eq!(prometheus.said(), "");
    assert_eq!(metrics.stop(), "");
}
