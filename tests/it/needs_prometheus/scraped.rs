//! A real Prometheus scrapes `ccrun metrics` in both formats while sessions come and go.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use crate::support::metrics::{Metrics, spend};
use crate::support::prometheus::{Prometheus, free_address, same};
use crate::support::sandbox::Sandbox;

/// How long sessions come and go, unless `TEST_SCRAPED_SECONDS` says otherwise.
const SHORT: u64 = 15;

const MODELS: [&str; 3] = ["claude-opus-5-5", "claude-haiku-5", "claude-sonnet-5"];

/// The two scrapers.
const JOBS: [&str; 2] = ["open", "text"];

const COST: &str = "claude_code_cost_usage_USD_total";

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
    let seen = |spent: [f64; 3]| {
        for job in JOBS {
            prometheus.wait_for(&format!("sum({COST}{{job=\"{job}\"}})"), spent.iter().sum());
        }
    };
    let seconds = std::env::var("TEST_SCRAPED_SECONDS").map_or(SHORT, |seconds| seconds.parse().unwrap());
    let (end, mut spent, mut number) = (Instant::now() + Duration::from_secs(seconds), [100.0, 0.0, 0.0], 0);
    seen(spent);
    while Instant::now() < end || number < 12 {
        number += 1;
        // The last model appears in the middle, and the server starts again a few times.
        let index = usize::try_from(number).unwrap() % if number < 6 { 2 } else { 3 };
        spend(&sandbox, number, MODELS[index], "0.125");
        spent[index] += 0.125;
        if number % 8 == 4 {
            seen(spent);
            metrics.stop();
            metrics = Metrics::start(&sandbox, &address, &[]);
            // Only a scraper that was there before sees the zero of a new series.
            let started = SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64();
            prometheus.wait_for(&format!("count(timestamp(ccrun_up) > {started})"), 2.0);
        }
    }
    sandbox.wait_for_end();
    seen(spent);
    for job in JOBS {
        agrees(&prometheus, job, spent, f64::from(u32::try_from(number).unwrap()));
    }
    assert_eq!(prometheus.value("count(up == 1)", None), Some(2.0), "{}", prometheus.said());
    assert_eq!(prometheus.said(), "");
    assert_eq!(metrics.stop(), "");
}

/// Checks what one scraper has seen.
fn agrees(prometheus: &Prometheus, job: &str, spent: [f64; 3], requests: f64) {
    let samples = prometheus.samples(&format!("{COST}{{job=\"{job}\"}}"));
    let last = samples.iter().map(|series| series.samples.last().unwrap().0).fold(0.0, f64::max);
    let first = samples.iter().map(|series| series.samples[0].0).fold(last, f64::min);
    // From the first sample on, so that Prometheus estimates nothing before it.
    let range = format!("[{:.0}ms]", (last - first) * 1000.0 + 1.0);
    for (model, spent) in MODELS.iter().zip(spent) {
        let named = format!("{COST}{{job=\"{job}\",model=\"{model}\"}}");
        assert_eq!(prometheus.value(&named, Some(last)), Some(spent), "{model}");
        let increase = prometheus.value(&format!("increase({named}{range})"), Some(last)).unwrap();
        let expected = spent - if *model == MODELS[0] { 100.0 } else { 0.0 };
        assert!((increase / expected - 1.0).abs() <= 0.02, "{model}: increased by {increase}, expected {expected}");
        assert_eq!(prometheus.value(&format!("resets({named}[1h])"), Some(last)), Some(0.0), "{model}");
    }
    let answered = format!("sum(increase(ccrun_requests_total{{job=\"{job}\"}}{range}))");
    let increase = prometheus.value(&answered, Some(last)).unwrap();
    assert!((increase / requests - 1.0).abs() <= 0.02, "{increase} of {requests}");
    let up = prometheus.value(&format!("min_over_time(ccrun_up{{job=\"{job}\"}}[1h])"), None);
    assert!(same(up.unwrap(), 1.0), "{up:?}");
}
