//! Pages of reports in a real browser: what they say, that they ask for nothing, and that everyone can read them.

use std::path::{Path, PathBuf};

use serde_json::{Value, json};

use crate::support::browser::{look, page, pictures};
use crate::support::sandbox::Sandbox;
use crate::support::year::work;

/// A branch that a page must not run.
const EVIL: &str = "<script>alert(1)</script>";

/// The most bytes of a page about a year.
const LIMIT: u64 = 150 * 1024;

/// What holds for every page.
#[track_caller]
fn assert_sound(seen: &Value) {
    assert_eq!(seen["requests"].as_array().unwrap().len(), 1, "nothing but the file: {}", seen["requests"]);
    assert_eq!((&seen["said"], &seen["dialogs"]), (&json!([]), &json!(0)));
    assert_eq!(seen["elements"], json!([1, 0, 0, 0, 0]), "one script, no image, frame, link or object");
    assert_eq!(seen["axe"], json!([]));
    assert!(seen["rules"].as_u64().unwrap() > 20, "{}", seen["rules"]);
    assert_eq!(seen["wide"], json!([]));
    assert!(seen["sizes"]["A4"].as_u64() > Some(10_000) && seen["sizes"]["Letter"].as_u64() > Some(10_000));
    let rows: usize =
        seen["tables"].as_array().unwrap().iter().map(|table| table["rows"].as_array().unwrap().len()).sum();
    let plain = &seen["plain"];
    let charts = seen["charts"].as_array().unwrap();
    assert_eq!((&plain["buttons"], &plain["rows"], &plain["charts"]), (&json!(0), &json!(rows), &json!(charts.len())));
    assert_ne!(plain["opens"], json!(false), "a table opens without script");
    assert!(charts.iter().all(|chart| !chart[0].as_str().unwrap().is_empty()), "{charts:?}");
}

/// The last table's last column, which has numbers, and its first, which has names.
#[track_caller]
fn assert_sorted(sorted: &Value) {
    assert_eq!((&sorted["focused"], &sorted["outline"]), (&json!(true), &json!("solid")));
    let last = |order: &Value| order["order"].as_array().unwrap().last().unwrap().clone();
    let numbers = |seen: &Value| {
        let values = seen["values"].as_array().unwrap().iter().map(|value| value.as_str().unwrap().replace(',', ""));
        values.filter(|value| !value.is_empty()).map(|value| value.parse::<f64>().unwrap()).collect::<Vec<_>>()
    };
    let (once, twice) = (&sorted["once"], &sorted["twice"]);
    // The column by which the rows came is the largest first already.
    let (down, up) = if last(once) == "descending" { (once, twice) } else { (twice, once) };
    assert_eq!((last(down), last(up)), (json!("descending"), json!("ascending")));
    assert!(numbers(down).is_sorted_by(|one, other| one >= other) && numbers(down).len() > 2, "{down}");
    assert!(numbers(up).is_sorted(), "{up}");
    let names = &sorted["names"];
    let set = names["order"].as_array().unwrap().iter().filter(|order| !order.is_null()).count();
    assert_eq!((set, &names["order"][0]), (1, &json!("ascending")));
}

#[test]
#[ignore = "needs TEST_BROWSER; scripts/test.sh runs it"]
fn a_year_is_a_small_page_that_everyone_can_read() {
    let sandbox = Sandbox::new();
    work(&sandbox, 365, Some(EVIL));
    let file = page(&sandbox, "year.html", &[]);
    let size = file.metadata().unwrap().len();
    assert!(size <= LIMIT, "{size}");
    let seen = look(&file);
    assert_sound(&seen);
    assert_sorted(&seen["sorted"]);
    let report = sandbox.report();
    for (name, list) in [("day", "days"), ("model", "models"), ("project", "projects")] {
        assert_same(&seen, name, &report[list], &report["total"], &sandbox);
    }
    let charts = seen["charts"].as_array().unwrap();
    assert!(charts.len() >= 14, "a calendar of months, models and projects: {charts:?}");
}

#[test]
#[ignore = "needs TEST_BROWSER; scripts/test.sh runs it"]
fn rows_are_those_of_json_and_a_branch_is_text() {
    let sandbox = Sandbox::new();
    work(&sandbox, 90, Some(EVIL));
    for by in ["branch", "day", "project,branch", "week,model", "hour", "tool", "model,day"] {
        let file = page(&sandbox, "by.html", &["--by", by]);
        let seen = look(&file);
        assert_sound(&seen);
        assert_sorted(&seen["sorted"]);
        let report = sandbox.report_with(&["--by", by]);
        assert_same(&seen, by, &report["rows"], &report["total"], &sandbox);
        if by.contains("branch") {
            assert!(seen["text"].as_str().unwrap().contains(EVIL));
        }
    }
}

#[test]
#[ignore = "needs TEST_BROWSER; scripts/test.sh runs it"]
fn a_session_has_a_page_of_its_own() {
    let sandbox = Sandbox::new();
    work(&sandbox, 7, Some(EVIL));
    let sessions = sandbox.report_by("session");
    let id = sessions[0]["session"].as_str().unwrap();
    let file = sandbox.home().join("session.html");
    let output = sandbox.run(["report", "session", id, "--format", "html", "--output", file.to_str().unwrap()]);
    assert!(output.status.success());
    let seen = look(&file);
    assert_sound(&seen);
    assert!(seen["title"].as_str().unwrap().contains(id));
}

#[test]
#[ignore = "needs TEST_BROWSER; scripts/test.sh runs it"]
fn a_week_has_a_page_of_its_own() {
    let sandbox = Sandbox::new();
    work(&sandbox, 28, Some(EVIL));
    let seen = look(&page(&sandbox, "week.html", &["week", "last"]));
    assert_sound(&seen);
    assert!(seen["title"].as_str().unwrap().starts_with("Week "));
    let week = sandbox.run(["report", "week", "last", "--json"]);
    let week: Value = serde_json::from_slice(&week.stdout).unwrap();
    let titles: Vec<_> = week["lines"].as_array().unwrap().iter().map(|line| &line["title"]).collect();
    let shown = seen["tables"][0]["rows"].as_array().unwrap().iter().map(|row| &row[0]["text"]);
    assert_eq!(shown.collect::<Vec<_>>(), titles);
    assert_eq!(seen["tables"].as_array().unwrap().len(), 1 + week["tables"].as_object().unwrap().len());
}

/// The rows of the table whose first columns are these dimensions are those of JSON, from its beginning or to its end.
#[track_caller]
fn assert_same(seen: &Value, by: &str, rows: &Value, total: &Value, sandbox: &Sandbox) {
    let names: Vec<_> = by.split(',').collect();
    let is_it = |table: &&Value| {
        let headings = table["headings"].as_array().unwrap();
        headings.len() > names.len() + 1
            && headings.iter().zip(&names).all(|(heading, name)| heading == name)
            && headings.iter().any(|heading| ["requests", "succeeded"].iter().any(|name| heading == name))
    };
    let table = seen["tables"].as_array().unwrap().iter().find(is_it).unwrap_or_else(|| panic!("{by}"));
    let headings = table["headings"].as_array().unwrap();
    let (shown, rows) = (table["rows"].as_array().unwrap(), rows.as_array().unwrap());
    assert!(!shown.is_empty());
    let by_time = ["hour", "day", "week"].contains(&names[0]);
    let skipped = if by_time { rows.len() - shown.len() } else { 0 };
    assert!(shown.len() == rows.len() || shown.len() == if by_time { 366 } else { 100 }, "{by}: {}", shown.len());
    let home = sandbox.home().display().to_string();
    for (row, expected) in shown.iter().zip(&rows[skipped..]) {
        for (index, heading) in headings.iter().enumerate() {
            let cell = &row[index];
            if let Some(name) = names.get(index) {
                let value = expected[name].as_str().unwrap_or("(none)").replace(&home, "~");
                assert_eq!(cell["text"], value, "{by}");
            } else {
                assert_number(cell, &expected[json_name(heading)]);
            }
        }
    }
    if let Some(below) = table["foot"].as_array().unwrap().last() {
        assert_eq!(below[0]["text"], "total");
        for (index, heading) in headings.iter().enumerate().skip(names.len()) {
            assert_number(&below[index], &total[json_name(heading)]);
        }
    }
}

#[track_caller]
fn assert_number(cell: &Value, expected: &Value) {
    let shown = cell["value"].as_str().or(cell["text"].as_str()).unwrap().replace(',', "");
    let shown: f64 = if shown.is_empty() { 0.0 } else { shown.parse().unwrap() };
    assert!((shown - expected.as_f64().unwrap_or(0.0)).abs() < 1e-12, "{cell} is not {expected}");
}

/// The name in JSON of a column with this heading.
fn json_name(heading: &Value) -> &'static str {
    let heading = heading.as_str().unwrap();
    ccrun::report::Column::all().iter().find(|column| column.heading == heading).unwrap().json
}

/// The pictures of docs/, which `scripts/pages.sh` makes into the directory `TEST_PAGES`, from an example's page of a week
/// in `TEST_WEEK`.
#[test]
#[ignore = "needs TEST_BROWSER; scripts/test.sh runs it"]
fn pictures_are_small() {
    let sandbox = Sandbox::new();
    work(&sandbox, 365, None);
    let file = page(&sandbox, "year.html", &[]);
    let directory = std::env::var("TEST_PAGES").unwrap_or_else(|_| sandbox.home().display().to_string());
    let path = |name: &str| Path::new(&directory).join(name);
    pictures(
        &file,
        &json!([
            {"path": path("page-light.png"), "width": 1280, "height": 1000, "scheme": "light"},
            {"path": path("page-dark.png"), "width": 1280, "height": 1000, "scheme": "dark"},
            {"path": path("page-narrow.png"), "width": 360, "height": 780, "scheme": "light"},
        ]),
    );
    let own_week = || page(&sandbox, "week.html", &["week", "last"]);
    let week = std::env::var_os("TEST_WEEK").map_or_else(own_week, PathBuf::from);
    pictures(&week, &json!([{"path": path("page-week.png"), "width": 1280, "height": 680, "scheme": "light"}]));
    for name in ["page-light.png", "page-dark.png", "page-narrow.png", "page-week.png"] {
        let size = path(name).metadata().unwrap().len();
        assert!(size <= LIMIT, "{name}: {size}");
    }
}
