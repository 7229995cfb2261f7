//! `ccrun metrics`, as Prometheus and `node_exporter` use it.

use std::fs;
use std::io::{Read, Write};
use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use ccrun::cli::{Cli, Command, Later};
use clap::Parser;

use crate::support::metrics::{Metrics, Scraper, spend, value, wait_for};
use crate::support::sandbox::{Sandbox, cmdline, text, wait_until};

const HERE: &str = "127.0.0.1:0";
const OPUS: &str = "claude_code_cost_usage_USD_total{model=\"claude-opus-5-5\"}";
const HAIKU: &str = "claude_code_cost_usage_USD_total{model=\"claude-haiku-5\"}";

#[test]
fn usage_of_all_sessions_is_served_in_both_formats() {
    let sandbox = Sandbox::new();
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    sandbox.wait_for_end();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    spend(&sandbox, 2, "claude-opus-5-5", "0.25");
    wait_for(&metrics, OPUS, 0.75);
    let mut scraper = metrics.scraper();
    let plain = scraper.ask("GET", "/metrics", "accept: text/plain\r\n");
    assert_eq!((plain.status, &*plain.headers["content-type"]), (200, "text/plain; version=0.0.4; charset=utf-8"));
    assert_eq!(value(&plain.body, "ccrun_up"), Some(1.0));
    assert_eq!(value(&plain.body, "ccrun_requests_total{model=\"claude-opus-5-5\"}"), Some(2.0));
    let input = "claude_code_token_usage_tokens_total{model=\"claude-opus-5-5\",type=\"input\"}";
    assert_eq!(value(&plain.body, input), Some(200.0));
    assert!(plain.body.contains("\n# TYPE claude_code_cost_usage_USD_total counter\n") && !plain.body.contains("EOF"));
    let open =
        scraper.ask("GET", "/metrics", "accept: application/openmetrics-text;version=1.0.0,text/plain;q=0.5\r\n");
    let content_type = "application/openmetrics-text; version=1.0.0; charset=utf-8";
    assert_eq!((open.status, &*open.headers["content-type"]), (200, content_type));
    assert!(open.body.contains("\n# TYPE claude_code_cost_usage_USD counter\n") && open.body.ends_with("\n# EOF\n"));
    let head = scraper.ask("HEAD", "/metrics", "");
    assert_eq!((head.status, &*head.body), (200, ""));
    assert_eq!(scraper.ask("GET", "/", "").status, 200);
    assert_eq!(scraper.ask("GET", "/other", "").status, 404);
    let post = scraper.ask("POST", "/metrics", "content-length: 0\r\n");
    assert_eq!((post.status, &*post.headers["allow"]), (405, "GET, HEAD"));
    assert_eq!(metrics.stop(), "");
}

#[test]
fn labels_are_added_on_request_alone() {
    let sandbox = Sandbox::new();
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    sandbox.wait_for_end();
    let project = sandbox.project().canonicalize().unwrap().display().to_string();
    let served = Metrics::start(&sandbox, HERE, &[]).text();
    assert!(value(&served, OPUS) == Some(0.5) && !served.contains(&project) && !served.contains("local"), "{served}");
    let metrics = Metrics::start(&sandbox, HERE, &["--label", "project,profile", "--label", "project"]);
    let labels = format!("project=\"{project}\",ccrun_profile=\"local\"");
    let served = metrics.text();
    let sample = format!("claude_code_cost_usage_USD_total{{{labels},model=\"claude-opus-5-5\"}}");
    assert_eq!(value(&served, &sample), Some(0.5), "{served}");
    assert_eq!(value(&served, &format!("claude_code_session_count_total{{{labels}}}")), Some(1.0), "{served}");
    let output = sandbox.run(["metrics", "--label", "day"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("project"), "{}", text(&output.stderr));
}

#[test]
fn another_address_than_loopback_needs_a_private_token() {
    let sandbox = Sandbox::new();
    let output = sandbox.run(["metrics", "--listen", "0.0.0.0:0"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("--token-file"), "{}", text(&output.stderr));
    let file = sandbox.write("project/metrics.token", "a-long-token\n");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    let options = ["--token-file", "metrics.token"];
    let output = sandbox.run([&["metrics", "--listen", "0.0.0.0:0"], &options[..]].concat());
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("chmod 600"), "{}", text(&output.stderr));
    fs::set_permissions(&file, fs::Permissions::from_mode(0o600)).unwrap();
    let mut metrics = Metrics::start(&sandbox, "0.0.0.0:0", &options);
    metrics.address = metrics.address.replace("0.0.0.0", "127.0.0.1");
    let ask = |headers: &str| metrics.scraper().ask("GET", "/metrics", headers);
    for headers in ["", "authorization: Bearer another\r\n", "authorization: Basic a-long-token\r\n"] {
        let refused = ask(headers);
        assert_eq!((refused.status, &*refused.headers["www-authenticate"]), (401, "Bearer"), "{headers}");
        assert_eq!(refused.headers["connection"], "close");
    }
    assert_eq!(ask("authorization: Bearer a-long-token\r\nhost: metrics.example.org\r\n").status, 200);
    assert!(!text(&cmdline(metrics.pid())).contains("a-long-token"));
}

#[test]
fn a_page_from_elsewhere_cannot_read_metrics_without_a_token() {
    let sandbox = Sandbox::new();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let mut scraper = metrics.scraper();
    let refused = scraper.ask("GET", "/metrics", "host: rebound.example.org\r\n");
    assert!(refused.status == 403 && refused.body.contains("--token-file"), "{refused:?}");
    assert_eq!(scraper.ask("GET", "/metrics", "host: localhost:9464\r\n").status, 200);
}

#[test]
fn each_of_two_scrapers_sees_every_new_series_begin_at_zero() {
    let sandbox = Sandbox::new();
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    sandbox.wait_for_end();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let (mut one, mut other) = (metrics.scraper(), metrics.scraper());
    for scraper in [&mut one, &mut other] {
        let served = scraper.text();
        assert_eq!((value(&served, OPUS), value(&served, HAIKU)), (Some(0.5), None));
    }
    spend(&sandbox, 2, "claude-haiku-5", "0.125");
    let see = |scraper: &mut Scraper| value(&scraper.text(), HAIKU);
    wait_until("the series", || see(&mut one).is_some_and(|value| value == 0.0));
    assert_eq!((see(&mut one), see(&mut other), see(&mut other)), (Some(0.125), Some(0.0), Some(0.125)));
    assert_eq!(see(&mut metrics.scraper()), Some(0.125), "a scraper that comes later");
}

#[test]
fn a_missing_busy_or_damaged_ledger_is_answered_with_the_last_values() {
    let sandbox = Sandbox::new();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let served = metrics.text();
    assert!(value(&served, "ccrun_up") == Some(0.0) && !served.contains("claude_code_"), "{served}");
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    wait_for(&metrics, OPUS, 0.5);
    sandbox.wait_for_end();
    let ledger = sandbox.state().join("ledger-1.db");
    let rename = |from: &str, to: &str| {
        for suffix in ["", "-wal", "-shm"] {
            let path = |name: &str| sandbox.state().join(format!("{name}{suffix}"));
            if path(from).exists() {
                fs::rename(path(from), path(to)).unwrap();
            }
        }
    };
    let is_down = || {
        let served = metrics.text();
        assert_eq!((value(&served, "ccrun_up"), value(&served, OPUS)), (Some(0.0), Some(0.5)), "{served}");
    };
    rename("ledger-1.db", "away");
    is_down();
    fs::write(&ledger, "this is no database, and longer than a header".repeat(100)).unwrap();
    is_down();
    is_down();
    rename("away", "ledger-1.db");
    let served = metrics.text();
    assert_eq!((value(&served, "ccrun_up"), value(&served, OPUS)), (Some(1.0), Some(0.5)));
    let said = metrics.stop();
    assert!(said.contains("there is no ledger") && said.contains("not a database"), "{said}");
    assert_eq!(said.lines().count(), 2, "each once: {said}");

    let busy = rusqlite::Connection::open(&ledger).unwrap();
    busy.execute_batch("PRAGMA locking_mode = EXCLUSIVE; BEGIN IMMEDIATE; UPDATE meta SET machine = machine").unwrap();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let served = metrics.text();
    assert!(value(&served, "ccrun_up") == Some(0.0) && !served.contains("claude_code_"), "{served}");
    drop(busy);
    wait_for(&metrics, OPUS, 0.5);
}

#[test]
fn a_counter_goes_on_when_usage_is_forgotten_and_the_server_starts_again() {
    let sandbox = Sandbox::new();
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    spend(&sandbox, 2, "claude-opus-5-5", "0.25");
    sandbox.wait_for_end();
    let sessions: Vec<serde_json::Value> = serde_json::from_slice(&sandbox.run(["sessions", "--json"]).stdout).unwrap();
    let forget = |index: usize| {
        let id = sessions[index]["id"].as_str().unwrap();
        let output = sandbox.run(["ledger", "forget", "--session", id, "--yes"]);
        assert!(output.status.success(), "{}", text(&output.stderr));
    };
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    wait_for(&metrics, OPUS, 0.75);
    metrics.stop();
    forget(0);
    spend(&sandbox, 3, "claude-opus-5-5", "1");
    sandbox.wait_for_end();
    // It does not go down, neither while it was not running nor while it is.
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let before = value(&metrics.text(), OPUS).unwrap();
    assert!(before >= 0.75, "{before}");
    forget(1);
    assert_eq!(value(&metrics.text(), OPUS), Some(before));
    spend(&sandbox, 4, "claude-opus-5-5", "1");
    wait_for(&metrics, OPUS, before + 1.0);
    metrics.stop();
    let kept = fs::read_dir(sandbox.state().join("metrics")).unwrap();
    for file in kept.map(|file| file.unwrap().path()) {
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(!fs::read_to_string(&file).unwrap().contains("opus"));
    }
}

#[test]
fn a_text_file_is_replaced_whole_for_node_exporter() {
    let sandbox = Sandbox::new();
    let file = sandbox.project().join("usage.prom");
    let write = || {
        let output = sandbox.run(["metrics", "--textfile", "usage.prom"]);
        assert!(output.status.success() && output.stdout.is_empty(), "{output:?}");
        assert_eq!(fs::metadata(&file).unwrap().permissions().mode() & 0o777, 0o644);
        fs::read_to_string(&file).unwrap()
    };
    // Nothing was used yet.
    assert_eq!(value(&write(), "ccrun_up"), Some(0.0));
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    sandbox.wait_for_end();
    assert_eq!(value(&write(), OPUS), Some(0.0), "a new series begins at zero");
    let written = write();
    assert_eq!((value(&written, "ccrun_up"), value(&written, OPUS)), (Some(1.0), Some(0.5)));
    assert_eq!(fs::read_dir(sandbox.project()).unwrap().count(), 1, "no temporary file is left");
    for suffix in ["-wal", "-shm"] {
        drop(fs::remove_file(sandbox.state().join(format!("ledger-1.db{suffix}"))));
    }
    fs::write(sandbox.state().join("ledger-1.db"), "damaged".repeat(1000)).unwrap();
    let output = sandbox.run(["metrics", "--textfile", "usage.prom"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(text(&output.stderr).contains("ccrun_up"), "{}", text(&output.stderr));
    assert_eq!(value(&fs::read_to_string(&file).unwrap(), "ccrun_up"), Some(0.0));
    for (path, code, expected) in [("usage.txt", 2, ".prom"), ("nowhere/usage.prom", 1, "nowhere/usage.prom")] {
        let output = sandbox.run(["metrics", "--textfile", path]);
        assert_eq!(output.status.code(), Some(code));
        assert!(text(&output.stderr).contains(expected), "{}", text(&output.stderr));
    }
}

#[test]
fn a_port_in_use_is_named() {
    let sandbox = Sandbox::new();
    let taken = TcpListener::bind(HERE).unwrap().local_addr().unwrap().to_string();
    let _other = Metrics::start(&sandbox, &taken, &[]);
    let output = sandbox.run(["metrics", "--listen", &taken]);
    assert_eq!(output.status.code(), Some(1));
    let said = text(&output.stderr);
    assert!(said.contains(&format!("`{taken}` is in use")) && said.contains("--listen"), "{said}");
    let output = sandbox.run(["metrics", "--listen", "192.0.2.1:9464", "--token-file", "none"]);
    assert!(text(&output.stderr).contains("token file"), "{}", text(&output.stderr));
}

#[test]
fn large_requests_and_many_connections_are_bounded() {
    let sandbox = Sandbox::new();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let mut large = std::net::TcpStream::connect(&metrics.address).unwrap();
    // The server may close the connection before all of it is written.
    let written = write!(large, "GET /metrics HTTP/1.1\r\nhost: localhost\r\nx-filler: {}\r\n\r\n", "a".repeat(40_000));
    let mut answer = Vec::new();
    let read = large.read_to_end(&mut answer);
    assert!(answer.is_empty() || answer.starts_with(b"HTTP/1.1 431 "), "{written:?} {read:?} {}", text(&answer));
    let unused: Vec<_> = (0..200).map(|_| metrics.scraper()).collect();
    assert_eq!(metrics.scraper().ask("GET", "/metrics", "").status, 200);
    let open = || fs::read_dir(format!("/proc/{}/fd", metrics.pid())).unwrap().count();
    wait_until("connections to be closed", || open() < 90);
    drop(unused);
}

/// Between scrapes, it holds nothing up and does not wake up.
#[test]
fn it_sleeps_between_scrapes() {
    let sandbox = Sandbox::new();
    spend(&sandbox, 1, "claude-opus-5-5", "0.5");
    sandbox.wait_for_end();
    let metrics = Metrics::start(&sandbox, HERE, &[]);
    let mut scraper = metrics.scraper();
    assert_eq!(value(&scraper.text(), OPUS), Some(0.5));
    // A reader would hold this up.
    let other = rusqlite::Connection::open(sandbox.state().join("ledger-1.db")).unwrap();
    other.execute_batch("PRAGMA wal_autocheckpoint = 0; UPDATE meta SET machine = machine").unwrap();
    let checkpoint = "PRAGMA wal_checkpoint(TRUNCATE)";
    assert_eq!(other.query_row(checkpoint, [], |row| row.get::<_, i64>(0)), Ok(0), "it is not busy");
    // How often each thread has gone to sleep.
    let sleeps = || -> u64 {
        let threads = fs::read_dir(format!("/proc/{}/task", metrics.pid())).unwrap().flatten();
        let statuses = threads.filter_map(|thread| fs::read_to_string(thread.path().join("status")).ok());
        let count = |status: String| {
            let line = status.lines().find_map(|line| line.strip_prefix("voluntary_ctxt_switches:")).unwrap();
            line.trim().parse::<u64>().unwrap()
        };
        statuses.map(count).sum()
    };
    let (before, ended) = (sleeps(), std::time::Instant::now() + Duration::from_secs(2));
    wait_until("two seconds to pass", || std::time::Instant::now() >= ended);
    let woken = sleeps().saturating_sub(before);
    assert!(woken <= 4, "it woke up {woken} times");
}

#[test]
fn the_services_in_the_documentation_are_valid() {
    let page = include_str!("../../docs/metrics.md");
    let starts = page.lines().filter_map(|line| line.strip_prefix("ExecStart="));
    let mut commands: Vec<Vec<&str>> = starts.map(|line| line.split(' ').collect()).collect();
    let arguments =
        page.split("<key>ProgramArguments</key>").skip(1).map(|rest| rest.split("</array>").next().unwrap());
    commands.extend(
        arguments
            .map(|list| list.split("<string>").skip(1).map(|word| word.split("</string>").next().unwrap()).collect()),
    );
    assert_eq!(commands.len(), 3, "{commands:?}");
    for words in commands {
        let cli = Cli::try_parse_from(&words).unwrap_or_else(|error| panic!("{words:?}: {error}"));
        assert!(matches!(cli.command, Command::Metrics(Later(_))), "{words:?}");
    }
}
