use insta::assert_snapshot;
use jiff::Zoned;
use rusqlite::Connection;

use super::*;
use crate::ledger::tests::{origin, take};
use crate::ledger::{Origin, empty};
use crate::otlp::Signal;
use crate::report::ledger::LedgerSource;
use crate::report::{self, Extent, Query, Source, overview as ask_overview};
use crate::usage::samples::*;

fn look(width: usize) -> Look {
    Look { width: Some(width), colour: false, home: "/home/me".into(), zone: TimeZone::UTC }
}

fn now() -> Zoned {
    "2026-11-20T18:00[UTC]".parse().unwrap()
}

fn request(number: i64, after: u64, model: &str, cost: f64) -> (Signal, Vec<u8>) {
    let mut own = api_request(model, [1200, 340, 90_000, 4100], cost);
    own.push(text("request_id", &format!("req_{number}")));
    (
        Signal::Logs,
        logs(vec![event(
            &format!("7a64b203-14d5-4676-b6c2-e55abef4{:04}", number / 4),
            number,
            after,
            "api_request",
            own,
        )]),
    )
}

/// A few weeks of work in two projects.
fn ledger() -> Connection {
    let ledger = empty().unwrap();
    let api = Origin { project: "/home/me/work/clients/acme/api", branch: "main", ..origin("one") };
    let web = Origin { project: "/home/me/web", branch: "feature/new-checkout-page", ..origin("two") };
    let transaction = |origin: &Origin<'_>, day: i64, number: i64, model: &str, cost: f64| {
        let at = morning().as_millisecond() - day * crate::ledger::DAY;
        let (signal, body) = request(number, 1, model, cost);
        let mut extract = crate::usage::extract(signal, &body, morning().as_millisecond());
        extract.facts.iter_mut().for_each(|fact| fact.at = at + number * 60_000);
        let transaction = ledger.unchecked_transaction().unwrap();
        crate::ledger::insert(&transaction, origin, &[extract]).unwrap();
        transaction.commit().unwrap();
    };
    for number in 0..12 {
        transaction(&api, number, number, "claude-opus-5-5", 0.4 + 0.2 * f64::from(i32::try_from(number % 5).unwrap()));
    }
    for number in 12..18 {
        transaction(&web, (number - 12) * 6, number, "claude-haiku-5", 0.05);
    }
    let edits = |number: i64, source: &str| {
        let own = vec![text("tool_name", "Edit"), text("decision", "accept"), text("source", source)];
        event("s", 100 + number, 5, "tool_decision", own)
    };
    let mut events: Vec<_> =
        (0..8_i64).map(|number| edits(number, if number < 2 { "user_temporary" } else { "config" })).collect();
    events.push(event("s", 200, 5, "user_prompt", vec![]));
    events.push(event("s", 201, 5, "tool_result", vec![text("tool_name", "Bash"), text("success", "false")]));
    let counted = metrics(vec![
        delta("lines_of_code.count", vec![point("s", [0, 5], 123.0, vec![text("type", "added")])]),
        delta("active_time.total", vec![point("s", [0, 5], 3720.0, vec![text("type", "user")])]),
        delta("commit.count", vec![point("s", [0, 5], 3.0, vec![])]),
    ]);
    take(&ledger, &api, &[(Signal::Logs, logs(events)), (Signal::Metrics, counted)]);
    ledger
}

fn shown(width: usize) -> String {
    let ledger = ledger();
    let source = LedgerSource::new(&ledger).unwrap();
    let query = Query::new(TimeZone::UTC);
    let found = ask_overview(&source, &query, &now(), Extent::Recent).unwrap();
    overview(&found, &query, Format::Table, &look(width))
}

fn rows(by: &str, format: Format, width: usize) -> String {
    let ledger = ledger();
    let source = LedgerSource::new(&ledger).unwrap();
    let mut query = Query::new(TimeZone::UTC);
    query.by = by.split(',').map(|name| name.parse().unwrap()).collect();
    query.columns = ["cost", "tokens", "requests", "cache"].map(|name| name.parse().unwrap()).to_vec();
    table(&source.answer(&query).unwrap(), &query, format, &look(width))
}

#[test]
fn the_overview_fits_eighty_columns() {
    assert_snapshot!(shown(80), @r#"
                 cost  change   tokens  requests  prompts  active
    Today       $0.45    −25%  191,280         2        1  1h 02m
    This week   $4.05     +1%  573,840         6        1  1h 02m
    This month  $9.20           1.53 M        16        1  1h 02m

    since 2026-10-21 · cache reuse 94% · lines +123 · 3 commit commands
    edits accepted when asked 2 of 2 · asked for 25% of edits · 1 failed tool call

    14 days, at most $1.20 a day
                        ███  ▄▄▄                 ███  ▄▄▄
              ▄▄▄       ███  ███  ███  ▅▅▅       ███  ███  ███  ▄▄▄  ▁▁▁
         ▁▁▁  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███
    7    8    9    10   11   12   13   14   15   16   17   18   19   20

    Project                  cost   tokens   Model             cost   tokens
    ~/work/clients/ac…/api  $9.00   1.14 M   claude-opus-5-5  $9.00   1.14 M
    ~/web                   $0.30  573,840   claude-haiku-5   $0.30  573,840

    Most expensive sessions
       $3.20  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40002  ~/work/clie…/api
       $3.00  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40001  ~/work/clie…/api
       $2.80  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40000  ~/work/clie…/api

    cost is Claude Code's own estimate, at list or managed prices
    "#);
}

#[test]
fn the_overview_fits_forty_columns() {
    assert_snapshot!(shown(40), @r#"
                 cost  change   tokens
    Today       $0.45    −25%  191,280
    This week   $4.05     +1%  573,840
    This month  $9.20           1.53 M

    since 2026-10-21 · cache reuse 94%
    lines +123 · 3 commit commands
    edits accepted when asked 2 of 2
    asked for 25% of edits
    1 failed tool call

    14 days, at most $1.20 a day
            █ ▄       █ ▄
        ▄   █ █ █ ▅   █ █ █ ▄ ▁
      ▁ █ █ █ █ █ █ █ █ █ █ █ █
      8   10  12  14  16  18  20

    Project                   cost   tokens
    ~/work/clients/acme/api  $9.00   1.14 M
    ~/web                    $0.30  573,840

    Model             cost   tokens
    claude-opus-5-5  $9.00   1.14 M
    claude-haiku-5   $0.30  573,840

    Most expensive sessions
       $3.20  ccrun report session 7a64b203
       $3.00  ccrun report session 7a64b203
       $2.80  ccrun report session 7a64b203

    cost is Claude Code's own estimate, at
    list or managed prices
    "#);
}

#[test]
fn the_overview_fits_sixty_columns() {
    assert_snapshot!(shown(60), @r#"
                 cost  change   tokens  requests  prompts
    Today       $0.45    −25%  191,280         2        1
    This week   $4.05     +1%  573,840         6        1
    This month  $9.20           1.53 M        16        1

    since 2026-10-21 · cache reuse 94% · lines +123
    3 commit commands · edits accepted when asked 2 of 2
    asked for 25% of edits · 1 failed tool call

    14 days, at most $1.20 a day
                    ███ ▄▄▄             ███ ▄▄▄
            ▄▄▄     ███ ███ ███ ▅▅▅     ███ ███ ███ ▄▄▄ ▁▁▁
        ▁▁▁ ███ ███ ███ ███ ███ ███ ███ ███ ███ ███ ███ ███
    7   8   9   10  11  12  13  14  15  16  17  18  19  20

    Project                   cost   tokens
    ~/work/clients/acme/api  $9.00   1.14 M
    ~/web                    $0.30  573,840

    Model             cost   tokens
    claude-opus-5-5  $9.00   1.14 M
    claude-haiku-5   $0.30  573,840

    Most expensive sessions
       $3.20  ccrun report session 7a64b203  ~/work/clients…/api
       $3.00  ccrun report session 7a64b203  ~/work/clients…/api
       $2.80  ccrun report session 7a64b203  ~/work/clients…/api

    cost is Claude Code's own estimate, at list or managed
    prices
    "#);
}

#[test]
fn the_overview_fits_a_hundred_and_twenty_columns() {
    assert_snapshot!(shown(120), @r#"
                 cost  change   tokens  change  requests  change  prompts  active
    Today       $0.45    −25%  191,280   +100%         2   +100%        1  1h 02m
    This week   $4.05     +1%  573,840    +20%         6    +20%        1  1h 02m
    This month  $9.20           1.53 M                16                1  1h 02m

    since 2026-10-21 · cache reuse 94% · lines +123 · 3 commit commands · edits accepted when asked 2 of 2
    asked for 25% of edits · 1 failed tool call

    14 days, at most $1.20 a day
                        ███  ▄▄▄                 ███  ▄▄▄
              ▄▄▄       ███  ███  ███  ▅▅▅       ███  ███  ███  ▄▄▄  ▁▁▁
         ▁▁▁  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███  ███
    7    8    9    10   11   12   13   14   15   16   17   18   19   20

    Project                   cost   tokens                      Model             cost   tokens
    ~/work/clients/acme/api  $9.00   1.14 M                      claude-opus-5-5  $9.00   1.14 M
    ~/web                    $0.30  573,840                      claude-haiku-5   $0.30  573,840

    Most expensive sessions
       $3.20  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40002  ~/work/clients/acme/api
       $3.00  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40001  ~/work/clients/acme/api
       $2.80  claude --resume 7a64b203-14d5-4676-b6c2-e55abef40000  ~/work/clients/acme/api

    cost is Claude Code's own estimate, at list or managed prices
    "#);
}

#[test]
fn a_table_drops_columns_to_fit_the_terminal() {
    assert_snapshot!(rows("project,branch", Format::Table, 80), @r#"
    project                  branch             cost   tokens  requests  cache reuse
    ~/work/clients/acme/api  main              $9.00   1.14 M        12          94%
    ~/web                    feature/new-che…  $0.30  573,840         6          94%
    total                                      $9.30   1.72 M        18          94%

    cost is Claude Code's own estimate, at list or managed prices
    "#);
    assert_snapshot!(rows("project,branch", Format::Table, 40), @r#"
    project            branch           cost
    ~/work/clien…/api  main            $9.00
    ~/web              feature/new-c…  $0.30
    total                              $9.30

    cost is Claude Code's own estimate, at
    list or managed prices
    "#);
}

#[test]
fn markdown_and_csv_are_escaped() {
    assert_snapshot!(rows("project", Format::Markdown, 80), @r#"
    | project | cost | tokens | requests | cache reuse |
    | --- | ---: | ---: | ---: | ---: |
    | \~/work/clients/acme/api | $9.00 | 1.14 M | 12 | 94% |
    | \~/web | $0.30 | 573,840 | 6 | 94% |
    | **total** | $9.30 | 1.72 M | 18 | 94% |

    cost is Claude Code's own estimate, at list or managed prices
    "#);
    assert_eq!(
        rows("project", Format::Csv, 80),
        "project,cost_usd,tokens,requests,cache_reuse\r\n\
         /home/me/work/clients/acme/api,9,1147680,12,0.944386149003148\r\n\
         /home/me/web,0.3,573840,6,0.944386149003148\r\n"
    );
}

#[test]
fn no_line_is_wider_than_its_terminal() {
    use unicode_width::UnicodeWidthStr;
    for width in [40, 60, 80, 120] {
        for text in
            [shown(width), rows("project,branch", Format::Table, width), rows("day,model", Format::Table, width)]
        {
            assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
        }
    }
    assert!(shown(80).lines().count() <= 30);
}

#[test]
fn formulas_in_cells_are_neutralised() {
    assert_eq!(
        ["=1+1", "+x", "-x", "@x", "a,b", "say \"hi\"", "plain"].map(csv::cell),
        ["\"'=1+1\"", "\"'+x\"", "\"'-x\"", "\"'@x\"", "\"a,b\"", "\"say \"\"hi\"\"\"", "plain"]
    );
    assert_eq!(markdown::escaped("a|b<c>*d*"), "a\\|b&lt;c>\\*d\\*");
}

#[test]
fn json_matches_its_schema() {
    let ledger = ledger();
    let source = LedgerSource::new(&ledger).unwrap();
    let mut query = Query::new(TimeZone::UTC);
    let found = ask_overview(&source, &query, &now(), Extent::Whole).unwrap();
    let overview: serde_json::Value = serde_json::from_str(&overview(&found, &query, Format::Json, &look(80))).unwrap();
    query.by = vec![report::Dimension::Weekday, report::Dimension::Team];
    let rows: serde_json::Value =
        serde_json::from_str(&table(&source.answer(&query).unwrap(), &query, Format::Json, &look(80))).unwrap();
    let schema: serde_json::Value = serde_json::from_str(&schema()).unwrap();
    for (answer, lists) in [(&overview, &["rows", "days", "models", "projects"][..]), (&rows, &["rows"])] {
        for name in schema["required"].as_array().unwrap() {
            assert!(answer.get(name.as_str().unwrap()).is_some(), "{name}");
        }
        for (name, _) in answer.as_object().unwrap() {
            assert!(schema["properties"].get(name).is_some(), "{name}");
        }
        for row in lists.iter().flat_map(|list| answer[list].as_array().unwrap()) {
            for (name, _) in row.as_object().unwrap() {
                assert!(schema["properties"]["rows"]["items"]["properties"].get(name).is_some(), "{name}");
            }
        }
    }
    assert_eq!(rows["by"], serde_json::json!(["weekday", "team"]));
    assert_eq!(rows["rows"][0]["team"], serde_json::Value::Null);
    assert!(rows["rows"][0]["weekday"].is_u64());
    assert_eq!(overview["total"]["requests"], 18);
    assert!(overview["rows"].as_array().unwrap().is_empty() && overview["coverage"].is_null());
    assert!(overview["range"]["from"].as_str().unwrap().starts_with("2026-10-21T"));
}

#[test]
fn an_empty_ledger_says_how_to_begin() {
    let ledger = empty().unwrap();
    let source = LedgerSource::new(&ledger).unwrap();
    let query = Query::new(TimeZone::UTC);
    let found = ask_overview(&source, &query, &now(), Extent::Recent).unwrap();
    assert!(overview(&found, &query, Format::Table, &look(80)).starts_with("no usage here yet"));
}

#[test]
fn colours_are_used_only_when_enabled() {
    let ledger = ledger();
    let source = LedgerSource::new(&ledger).unwrap();
    let query = Query::new(TimeZone::UTC);
    let found = ask_overview(&source, &query, &now(), Extent::Recent).unwrap();
    let coloured = overview(&found, &query, Format::Table, &Look { colour: true, ..look(80) });
    assert!(coloured.contains("\x1b[1m") && coloured.contains("\x1b[36m"));
    assert!(!shown(80).contains('\x1b'));
}
