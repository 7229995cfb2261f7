use insta::assert_snapshot;
use jiff::tz::TimeZone;

use super::*;
use crate::usage::Measure::{self, *};
use crate::usage::report::{Client, Quarter, Rows, Tally};
use crate::usage::samples::morning;

fn sample() -> Report {
    let client = |session: &str, claude: &str, profile: &str, team: Option<&str>, project: &str| Client {
        session: session.to_owned(),
        claude_session: claude.to_owned(),
        has_requests: true,
        has_metrics: true,
        profile: profile.to_owned(),
        team: team.map(str::to_owned),
        project: project.to_owned(),
        branch: None,
    };
    let clients = [
        (1, client("one", "c", "signoz", Some("platform"), "/home/ada/shop")),
        (2, client("one", "d", "signoz", Some("platform"), "/home/ada/shop")),
        (3, client("two", "e", "local", None, "/home/ada/notes\x1b[31m")),
    ];
    let opus = "claude-opus-5-5";
    let mut rows = Rows { clients: clients.into_iter().collect(), ..Rows::default() };
    let used: [(i64, &str, Measure, i64); 22] = [
        (1, opus, Requests, 31),
        (1, opus, InputTokens, 12_106),
        (1, opus, OutputTokens, 42_222),
        (1, opus, CacheReadTokens, 2_210_024),
        (1, opus, CacheCreationTokens, 321_018),
        (1, opus, Cost, 4_159_958_800),
        (1, "", Prompts, 9),
        (1, "", ActiveUser, 754_000),
        (1, "", ActiveCli, 4_321_000),
        (1, "", LinesAdded, 412),
        (1, "", LinesRemoved, 98),
        (1, "", Commits, 3),
        (1, "", PullRequests, 1),
        (1, "Edit", EditsAccepted, 17),
        (1, "Edit", EditsRejected, 2),
        (1, "Edit", ToolSuccesses, 17),
        (1, "Bash", ToolSuccesses, 60),
        (2, "Bash", ToolFailures, 4),
        (2, opus, Errors, 1),
        (3, "claude-haiku-5", Requests, 2),
        (3, "claude-haiku-5", OutputTokens, 512),
        (3, "claude-haiku-5", Cost, 7_659_800),
    ];
    for (index, (client, name, measure, amount)) in used.into_iter().enumerate() {
        let at = morning() + jiff::SignedDuration::from_hours(if index < 19 { 0 } else { 24 });
        rows.tallies.push(Tally { client, name: name.to_owned(), measure, amount });
        rows.quarters.push(Quarter { at, measure, amount });
    }
    Report::new(&rows, &TimeZone::UTC)
}

#[test]
fn a_report_for_a_terminal() {
    assert_snapshot!(render(&sample(), Some(110), false), @r#"
    Usage from 2026-11-20 to 2026-11-21
     Cost           $4.17
     Tokens         12,106 input, 42,734 output, 2,210,024 cache read, 321,018 cache creation
     Prompts        9
     Requests       33 answered, 1 failed
     Sessions       2 of ccrun, 3 of Claude Code
     Active         12m 34s you, 1h 12m Claude
     Lines          412 added, 98 removed
     Edits          17 accepted, 2 rejected
     Commits        3
     Pull requests  1

    By day
                    cost  requests   input  output   cache     cache
                                                      read  creation
     2026-11-20    $4.16        31  12,106  42,222  2.21 M   321,018  ████████████████
     2026-11-21  $0.0077         2       0     512       0         0  ▏

    By model
                         cost  requests   input  output   cache     cache
                                                           read  creation
     claude-opus-5-5    $4.16        31  12,106  42,222  2.21 M   321,018  ████████████████
     claude-haiku-5   $0.0077         2       0     512       0         0  ▏

    By project
                                   cost  requests   input  output   cache     cache
                                                                     read  creation
     /home/ada/shop               $4.16        31  12,106  42,222  2.21 M   321,018  ████████████████
     /home/ada/notes\u{1b}[31m  $0.0077         2       0     512       0         0  ▏

    By profile
                               cost  requests   input  output   cache     cache
                                                                 read  creation
     signoz, team platform    $4.16        31  12,106  42,222  2.21 M   321,018  ████████████████
     local                  $0.0077         2       0     512       0         0  ▏

    Tools
           succeeded  failed     edits     edits
                              accepted  rejected
     Bash         60       4         0         0  ████████████████
     Edit         17       0        17         2  ████▎

    cost is Claude Code's own estimate
    "#);
}

#[test]
fn a_narrow_terminal_gets_no_bars() {
    assert_snapshot!(render(&sample(), Some(72), false), @r#"
    Usage from 2026-11-20 to 2026-11-21
     Cost           $4.17
     Tokens         12,106 input, 42,734 output, 2,210,024 cache read,
                    321,018 cache creation
     Prompts        9
     Requests       33 answered, 1 failed
     Sessions       2 of ccrun, 3 of Claude Code
     Active         12m 34s you, 1h 12m Claude
     Lines          412 added, 98 removed
     Edits          17 accepted, 2 rejected
     Commits        3
     Pull requests  1

    By day
                    cost  requests   input  output   cache     cache
                                                      read  creation
     2026-11-20    $4.16        31  12,106  42,222  2.21 M   321,018
     2026-11-21  $0.0077         2       0     512       0         0

    By model
                         cost  requests   input  output   cache     cache
                                                           read  creation
     claude-opus-5-5    $4.16        31  12,106  42,222  2.21 M   321,018
     claude-haiku-5   $0.0077         2       0     512       0         0

    By project
                           cost  requests   input  output   cache     cache
                                                             read  creation
     /home/ada/shop       $4.16        31  12,106  42,222  2.21 M   321,018
     /home/ada/notes\u  $0.0077         2       0     512       0         0
     {1b}[31m

    By profile
                      cost  requests   input  output   cache     cache
                                                        read  creation
     signoz, team    $4.16        31  12,106  42,222  2.21 M   321,018
     platform
     local         $0.0077         2       0     512       0         0

    Tools
           succeeded  failed     edits     edits
                              accepted  rejected
     Bash         60       4         0         0  ████████████████
     Edit         17       0        17         2  ████▎

    cost is Claude Code's own estimate
    "#);
}

#[test]
fn an_empty_ledger_says_how_to_fill_it() {
    assert_snapshot!(render(&Report::default(), None, true), @"no usage here yet: start Claude Code with `ccrun claude`, and what it uses is counted");
}

#[test]
fn colours_surround_headings_bars_and_notes_alone() {
    let (plain, painted) = (render(&sample(), None, false), render(&sample(), None, true));
    assert!(!plain.contains('\x1b'));
    let mut stripped = painted.clone();
    for code in ["\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[36m"] {
        assert!(stripped.contains(code));
        stripped = stripped.replace(code, "");
    }
    assert_eq!(stripped, plain);
}

#[test]
fn what_is_missing_is_said_where_it_matters() {
    let client = Client { claude_session: "c".to_owned(), has_metrics: true, ..Client::default() };
    let mut rows = Rows { clients: [(1, client)].into_iter().collect(), ..Rows::default() };
    rows.tallies.push(Tally { client: 1, name: String::new(), measure: Commits, amount: 1 });
    assert_eq!(Report::new(&rows, &TimeZone::UTC).notes, [""; 0]);
    rows.tallies.push(Tally { client: 1, name: "m".to_owned(), measure: InputTokens, amount: 1 });
    assert_snapshot!(Report::new(&rows, &TimeZone::UTC).notes.join("\n"), @"1 of 1 Claude Code sessions sent no events so far: their requests, errors, prompts and tools are not counted");
}

#[test]
fn json_has_exact_numbers() {
    let mut report = sample();
    report.days.truncate(1);
    (report.models, report.projects, report.branches, report.profiles) = Default::default();
    report.tools.truncate(1);
    assert_snapshot!(serde_json::to_string_pretty(&report).unwrap(), @r#"
    {
      "period": {
        "from": "2026-11-20",
        "to": "2026-11-21"
      },
      "sessions": 2,
      "claude_sessions": 3,
      "claude_sessions_without_events": 0,
      "claude_sessions_without_metrics": 0,
      "total": {
        "requests": 33,
        "errors": 1,
        "prompts": 9,
        "input_tokens": 12106,
        "output_tokens": 42734,
        "cache_read_tokens": 2210024,
        "cache_creation_tokens": 321018,
        "cost_usd": 4.1676186,
        "active_user_seconds": 754.0,
        "active_cli_seconds": 4321.0,
        "lines_added": 412,
        "lines_removed": 98,
        "commits": 3,
        "pull_requests": 1,
        "edits_accepted": 17,
        "edits_rejected": 2,
        "tool_successes": 77,
        "tool_failures": 4
      },
      "days": [
        {
          "day": "2026-11-20",
          "requests": 31,
          "errors": 1,
          "prompts": 9,
          "input_tokens": 12106,
          "output_tokens": 42222,
          "cache_read_tokens": 2210024,
          "cache_creation_tokens": 321018,
          "cost_usd": 4.1599588,
          "active_user_seconds": 754.0,
          "active_cli_seconds": 4321.0,
          "lines_added": 412,
          "lines_removed": 98,
          "commits": 3,
          "pull_requests": 1,
          "edits_accepted": 17,
          "edits_rejected": 2,
          "tool_successes": 77,
          "tool_failures": 4
        }
      ],
      "models": [],
      "projects": [],
      "branches": [],
      "profiles": [],
      "tools": [
        {
          "tool": "Bash",
          "succeeded": 60,
          "failed": 4,
          "edits_accepted": 0,
          "edits_rejected": 0
        }
      ],
      "notes": [
        "cost is Claude Code's own estimate"
      ]
    }
    "#);
}

#[test]
fn many_rows_are_summed_up() {
    let mut rows = Rows::default();
    for number in 0..100 {
        let client = Client { project: format!("/p/{number:03}"), has_requests: true, ..Client::default() };
        rows.clients.insert(number, client);
        let at = morning() + jiff::SignedDuration::from_hours(24 * number);
        rows.tallies.push(Tally { client: number, name: format!("T{number}"), measure: ToolSuccesses, amount: 1 });
        rows.tallies.push(Tally { client: number, name: format!("m{number}"), measure: Cost, amount: 10_000_000 });
        rows.quarters.push(Quarter { at, measure: Cost, amount: 10_000_000 });
    }
    let text = render(&Report::new(&rows, &TimeZone::UTC), None, false);
    for line in ["70 earlier days", "70 more"] {
        assert_eq!(text.lines().find(|shown| shown.contains(line)).map(|line| line.contains("$0.70")), Some(true));
    }
    assert!(text.lines().count() < 200);
}
