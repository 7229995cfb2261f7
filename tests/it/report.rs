//! `ccrun report` and `ccrun ledger forget`, as users run them.

use std::os::unix::fs::PermissionsExt;

use ccrun::otlp::Signal;
use opentelemetry_proto::tonic::metrics::v1::NumberDataPoint;
use opentelemetry_proto::tonic::metrics::v1::number_data_point::Value as Number;
use serde_json::json;

use crate::support::backend::Backend;
use crate::support::sandbox::{Sandbox, text};
use crate::support::series;
use crate::support::session::Session;

/// A sandbox with a session that used two models, in a separate project.
fn used() -> Sandbox {
    let sandbox = Sandbox::new();
    sandbox.write("project/.git/HEAD", "ref: refs/heads/main\n");
    let session = Session::start(&sandbox, &["-p", "local"]);
    series::export(&mut session.client(), &[("claude-opus-5-5", 200), ("claude-haiku-5", 50)], 1);
    session.end();
    // A report waits only briefly for a collector that is writing to the ledger.
    sandbox.wait_for_end();
    sandbox
}

#[test]
fn an_invalid_query_exits_with_2() {
    let sandbox = Sandbox::new();
    let cases: [(&[&str], &str); 9] = [
        (&["--by", "modle"], "model"),
        (&["--by", "day,model,project"], "one or two"),
        (&["--by", "day,day"], "twice"),
        (&["--where", "project"], "DIMENSION=VALUE"),
        (&["--where", "taem=x"], "no dimension `taem`"),
        (&["--since", "yesterweek"], "write 2026-01-31"),
        (&["--since", "2999-01-01 23:00"], "in the future"),
        (&["--since", "1d", "--until", "2d"], "before the start"),
        (&["--by", "tool,model"], "do not go together"),
    ];
    for (options, expected) in cases {
        let output = sandbox.run([&["report"], options].concat());
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{options:?}: {said}");
        assert!(said.contains(expected), "{options:?}: {said}");
    }
}

#[test]
fn a_filter_without_matches_suggests_values() {
    let sandbox = used();
    let shown = text(&sandbox.run(["report", "--where", "model=opsu"]).stdout);
    assert!(shown.contains("no usage matches") && shown.contains("model: there is claude-opus-5-5"), "{shown}");
    let empty = text(&Sandbox::new().run(["report"]).stdout);
    assert!(empty.starts_with("no usage here yet"), "{empty}");
}

#[test]
fn a_project_is_found_from_its_subdirectories() {
    let sandbox = used();
    let below = sandbox.project().join("src/deep");
    std::fs::create_dir_all(&below).unwrap();
    let mut report = sandbox.ccrun(["report", "--by", "branch", "--where", "project=.", "--json"]);
    let output = report.current_dir(below).output().unwrap();
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&report["rows"][0]["branch"], report["total"]["tokens"].as_i64()), (&json!("main"), Some(250)));
}

#[test]
fn every_format_has_the_same_rows_and_can_go_to_a_file() {
    let sandbox = used();
    let file = sandbox.home().join("usage.csv");
    let by = ["report", "--by", "model", "--columns", "tokens,sessions"];
    let output = sandbox.run([&by[..], &["--format", "csv", "--output", file.to_str().unwrap()]].concat());
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    let csv = std::fs::read_to_string(file).unwrap();
    assert_eq!(csv, "model,tokens,sessions\r\nclaude-opus-5-5,200,1\r\nclaude-haiku-5,50,1\r\n");
    let markdown = text(&sandbox.run([&by[..], &["--format", "markdown"]].concat()).stdout);
    assert!(markdown.starts_with("| model | tokens | sessions |\n| --- | ---: | ---: |\n"), "{markdown}");
    let schema: serde_json::Value = serde_json::from_slice(&sandbox.run(["report", "--json-schema"]).stdout).unwrap();
    for (name, _) in sandbox.report().as_object().unwrap() {
        assert!(schema["properties"].get(name).is_some(), "{name}");
    }
}

/// The opener is given the page, which only the user can read.
#[test]
fn a_page_is_opened_or_its_place_is_said() {
    let mut sandbox = used();
    let tools = sandbox.home().join("tools");
    std::fs::create_dir(&tools).unwrap();
    // The machine's own opener must not be found.
    let path = format!("{}:{}", sandbox.home().with_file_name("bin").display(), tools.display());
    sandbox.set("PATH", &path);
    std::os::unix::fs::symlink("/bin/sh", tools.join("sh")).unwrap();
    std::os::unix::fs::symlink("/bin/cp", tools.join("cp")).unwrap();
    let open = |words: &[&str]| sandbox.run([&["report"], words].concat());
    let said = text(&open(&["--open"]).stderr);
    let place = said.split('`').nth(1).unwrap_or_else(|| panic!("{said}"));
    assert!(said.contains("nothing here opens the report") && place.contains(".html"), "{said}");
    assert!(std::fs::read_to_string(place).unwrap().starts_with("<!DOCTYPE html>"));
    assert_eq!(std::fs::metadata(place).unwrap().permissions().mode() & 0o777, 0o600);
    for opener in ["xdg-open", "wslview"] {
        let opened = sandbox.home().join(opener);
        sandbox.program(opener, &format!("#!/bin/sh\ncp \"$1\" {}\n", opened.display()));
        if opener == "wslview" {
            sandbox.program("xdg-open", "#!/bin/sh\nexit 1\n");
        }
        let wsl = if opener == "wslview" { "Debian" } else { "" };
        let output = sandbox.ccrun(["report", "--by", "model", "--open"]).env("WSL_DISTRO_NAME", wsl).output().unwrap();
        assert_eq!((text(&output.stderr).as_str(), text(&output.stdout).as_str()), ("", ""), "{opener}");
        assert!(std::fs::read_to_string(&opened).unwrap().contains("claude-opus-5-5"));
    }
    // An opener that fails, and a file of the user's.
    let output = open(&["--open", "--output", "usage.html"]);
    let file = sandbox.project().join("usage.html");
    assert!(output.status.success() && file.exists());
    assert!(text(&output.stderr).contains(&format!("it is in `{}`", file.display())), "{}", text(&output.stderr));
}

#[test]
fn a_forgotten_project_is_gone() {
    let sandbox = used();
    let refused =
        sandbox.ccrun(["ledger", "forget", "--project", ".", "--yes"]).env("CLAUDECODE", "1").output().unwrap();
    assert!(!refused.status.success() && text(&refused.stderr).contains("inside a Claude session"));
    assert_eq!(sandbox.report()["total"]["tokens"], 250);
    sandbox.wait_for_end();
    let output = sandbox.run(["ledger", "forget", "--project", ".", "--yes"]);
    assert!(output.status.success() && text(&output.stdout).contains("deleted 2 records of project"), "{output:?}");
    assert_eq!(sandbox.report()["total"]["tokens"], 0);
}

/// Undelivered data of this person is deleted too, other data is kept, and no file has a trace.
#[test]
fn forgetting_a_person_deletes_their_undelivered_data() {
    let sandbox = Sandbox::new();
    let mut backend = Backend::start();
    backend.stop();
    let session = Session::to(&sandbox, &backend.endpoint());
    for (nth, person) in (1..).zip(["gone-canary@example.org", "kept@example.org"]) {
        let now = u64::try_from(jiff::Timestamp::now().as_nanosecond()).unwrap();
        let point = NumberDataPoint {
            attributes: vec![
                series::attribute("user.email", person),
                series::attribute("type", "input"),
                series::attribute("model", "claude-opus-5-5"),
            ],
            start_time_unix_nano: now - nth,
            time_unix_nano: now,
            value: Some(Number::AsInt(5)),
            ..NumberDataPoint::default()
        };
        let body = series::request("claude_code.token.usage", vec![point]);
        assert_eq!(session.client().post(Signal::Metrics, &body).unwrap().status, 200);
    }
    let forget = ["ledger", "forget", "--person", "gone-canary@example.org", "--yes"];
    let output = sandbox.run(forget);
    assert!(!output.status.success() && text(&output.stderr).contains("running sessions"), "{output:?}");
    session.end();
    sandbox.wait_for_end();
    let output = sandbox.run(forget);
    assert!(output.status.success(), "{output:?}");
    assert!(text(&output.stdout).contains("deleted 1 undelivered export\n"), "{output:?}");
    let mut left = vec![sandbox.state()];
    while let Some(path) = left.pop() {
        if path.is_dir() {
            left.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        } else {
            let bytes = std::fs::read(&path).unwrap();
            assert!(memchr::memmem::find(&bytes, b"gone-canary").is_none(), "{}", path.display());
        }
    }
    backend.restart();
    let output = sandbox.run(["queue", "flush"]);
    let [request] = &backend.received()[..] else { panic!("{output:?}") };
    assert!(memchr::memmem::find(&request.body, b"kept@example.org").is_some());
    assert_eq!(sandbox.report()["total"]["tokens"], 5);
}

/// The first line and a share mention sessions that ran without `ccrun`.
#[test]
fn a_report_begins_with_what_it_lacks() {
    let sandbox = used();
    assert_eq!(sandbox.report()["coverage"], serde_json::Value::Null);
    for number in 1..=3 {
        let id = format!("7a64b203-14d5-4676-b6c2-e55abef4000{number}");
        sandbox.write(format!("home/.claude/projects/-home-me/{id}.jsonl"), "{}");
    }
    assert_eq!(sandbox.report()["coverage"], 0.0);
    let shown = text(&sandbox.run(["report"]).stdout);
    assert!(shown.starts_with("0 of 3 sessions of Claude Code are counted here"), "{shown}");
    assert_eq!(sandbox.report_with(&["--where", "project=project"])["coverage"], serde_json::Value::Null);
    assert_eq!(sandbox.report_with(&["--until", "2020-01-01"])["coverage"], serde_json::Value::Null);
}

#[test]
fn conditions_complete_with_values_from_the_ledger() {
    let sandbox = used();
    sandbox.report();
    let offered = |typed: &str| {
        let line = ["complete", "3", "--", "ccrun", "report", "--where", typed];
        let output = text(&sandbox.run(line).stdout);
        let words = output.lines().filter_map(|line| line.strip_prefix("word ")?.split('\t').next());
        words.map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(offered("model"), ["model=claude-haiku-5", "model=claude-opus-5-5"]);
    assert_eq!(offered("model=claude-o"), ["model=claude-opus-5-5"]);
    assert_eq!(offered("branch="), ["branch=main"]);
    assert_eq!(offered("project"), ["project=project"]);
    assert!(offered("nothing=").is_empty());
}
