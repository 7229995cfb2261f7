use jiff::tz::TimeZone;
use ratatui_core::backend::TestBackend;
use ratatui_core::style::Color;
use ratatui_core::terminal::Terminal;

use super::super::*;
use super::{OURS, found, now};
use crate::profile::{Budget, Period, Scope};
use crate::report::{Line, Standing, Step, Story};
use crate::terminal::keys::Key;
use crate::usage::Measure;

fn picture() -> Picture {
    let mut row = Row {
        found: Found {
            state: State::Waiting,
            waiting_for: "permission prompt".to_owned(),
            ..found(7, "7a64b203-14d5")
        },
        is_counted: true,
        hour: 1_234_500_000,
        minutes: (0..60).collect(),
        model: "claude-opus-5-5".to_owned(),
        context: Some(55_031),
        agents: (1, 3),
        waiting: 12,
        ..Row::default()
    };
    for (measure, amount) in [
        (Measure::Cost, 12_340_000_000),
        (Measure::Requests, 321),
        (Measure::InputTokens, 10_000),
        (Measure::CacheReadTokens, 900_000),
        (Measure::OutputTokens, 12_000),
        (Measure::Errors, 2),
    ] {
        row.line.amounts[measure.index()] = amount;
    }
    let alone = Row {
        found: Found {
            session: String::new(),
            state: State::Busy,
            project: "/srv/\x1b[2Jweb".to_owned(),
            since: 0,
            ..found(8, "9b00")
        },
        minutes: vec![0; 60],
        ..Row::default()
    };
    Picture {
        now: now(),
        zone: TimeZone::UTC,
        home: "/home/me".into(),
        colour: false,
        today: row.line.clone(),
        hour: (row.hour, row.minutes.clone()),
        rows: vec![alone, row],
        backlogs: vec![Backlog {
            session: OURS.to_owned(),
            destination: "signoz".to_owned(),
            batches: 12,
            why: "it refused the connection".to_owned(),
        }],
        standing: None,
        fault: None,
        story: None,
    }
}

fn standing() -> Standing {
    let budget = Budget {
        limit: 20_000_000_000,
        period: Period::Daily,
        per: Scope::Person,
        warn: [50, 75, 90, 100].into(),
        stop: false,
        notify: Vec::new(),
        origin: "a.toml:1:1".to_owned(),
    };
    Standing {
        budget,
        of: None,
        spend: 12_340_000_000,
        forecast: Some(18_000_000_000),
        since: now(),
        until: now(),
        lifted_until: None,
    }
}

fn shown(width: u16, height: u16, picture: &Picture, controls: &Controls) -> String {
    let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
    terminal.draw(|frame| _ = draw(frame.buffer_mut(), picture, controls)).unwrap();
    let lines = terminal.backend().to_string();
    lines.lines().map(|line| line.trim_matches('"').trim_end().to_owned() + "\n").collect()
}

#[test]
fn sixty_columns_and_fifteen_lines_are_enough() {
    insta::assert_snapshot!(shown(60, 15, &picture(), &Controls::default()), @r"
    ccrun top  09:30  2 sessions: 1 waiting, 1 busy  by state
    Today      $12.34  321 requests  922,000 tokens  99% cache
    Last hour  $1.23  ▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇█  58 tokens a minute
    12 batches wait for signoz: it refused the connection
       PROJECT            STATE         COST  TOKENS/MIN  $/HOUR
    ›  ~/api              waiting 3m  $12.34  ▆▆▇▇▇▇▇▇▇█   $1.23
       /srv/\u{1b}[2Jweb  busy             -  -                -






    ↑↓ select  PgUp PgDn page  Enter details  s sort  / filter
    p pause  Ctrl-Z stop  q Ctrl-C quit
    ");
}

#[test]
fn more_space_shows_more() {
    insta::assert_snapshot!(shown(80, 12, &picture(), &Controls::default()), @r"
    ccrun top  09:30  2 sessions: 1 waiting, 1 busy  by state
    Today      $12.34  321 requests  922,000 tokens  99% cache  2 errors
    Last hour  $1.23  ▂▂▂▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇█  58 tokens a minute
    12 batches wait for signoz: it refused the connection
       PROJECT            STATE         COST  TOKENS/MIN  $/HOUR  CONTEXT  SESSION
    ›  ~/api              waiting 3m  $12.34  ▆▆▇▇▇▇▇▇▇█   $1.23   55,031  7a64b203
       /srv/\u{1b}[2Jweb  busy             -  -                -           9b00



    ↑↓ select  PgUp PgDn page  Enter details  s sort  / filter  p pause  Ctrl-Z stop
    q Ctrl-C quit
    ");
    insta::assert_snapshot!(shown(120, 10, &picture(), &Controls::default()), @r"
    ccrun top  09:30  2 sessions: 1 waiting, 1 busy  by state
    Today      $12.34  321 requests  922,000 tokens  99% cache  2 errors
    Last hour  $1.23   ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▂▂▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇█  58 tokens a minute
    12 batches wait for signoz: it refused the connection
       PROJECT            STATE         COST  TOKENS/MIN  $/HOUR  CONTEXT  SESSION   ERRORS  CACHE  AGENTS  QUEUE
    ›  ~/api              waiting 3m  $12.34  ▆▆▇▇▇▇▇▇▇█   $1.23   55,031  7a64b203       2    99%     1/4     12
       /srv/\u{1b}[2Jweb  busy             -  -                -           9b00


    ↑↓ select  PgUp PgDn page  Enter details  s sort  / filter  p pause  Ctrl-Z stop  q Ctrl-C quit
    ");
    insta::assert_snapshot!(shown(160, 10, &picture(), &Controls::default()), @r"
    ccrun top  09:30  2 sessions: 1 waiting, 1 busy  by state
    Today      $12.34  321 requests  922,000 tokens  99% cache  2 errors
    Last hour  $1.23   ▁▁▁▁▁▁▁▁▁▁▁▁▁▁▂▂▂▂▂▂▂▂▃▃▃▃▃▃▃▄▄▄▄▄▄▄▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇█  58 tokens a minute
    12 batches wait for signoz: it refused the connection
       PROJECT            STATE         COST  TOKENS/MIN  $/HOUR  CONTEXT  SESSION   ERRORS  CACHE  AGENTS  QUEUE  MODEL            NOTE
    ›  ~/api              waiting 3m  $12.34  ▆▆▇▇▇▇▇▇▇█   $1.23   55,031  7a64b203       2    99%     1/4     12  claude-opus-5-5  permission prompt
       /srv/\u{1b}[2Jweb  busy             -  -                -           9b00                                                     not recorded


    ↑↓ select  PgUp PgDn page  Enter details  s sort  / filter  p pause  Ctrl-Z stop  q Ctrl-C quit
    ");
}

#[test]
fn no_size_breaks_it_and_no_escape_gets_through() {
    let mut picture = picture();
    picture.standing = Some(standing());
    picture.fault = Some("cannot read the spool".to_owned());
    for width in [0, 1, 2, 7, 20, 40, 59, 60, 200] {
        for height in [0, 1, 2, 3, 4, 5, 6, 9, 15, 40] {
            let mut controls = Controls::default();
            for key in [None, Some(Key::Enter), Some(Key::Escape), Some(Key::Character('/')), Some(Key::Character('x'))]
            {
                key.map(|key| controls.press(key, &picture.rows));
                let mut terminal = Terminal::new(TestBackend::new(width, height)).unwrap();
                terminal.draw(|frame| _ = draw(frame.buffer_mut(), &picture, &controls)).unwrap();
                let buffer = terminal.backend().buffer();
                assert!(buffer.content().iter().all(|cell| cell.fg == Color::Reset && !cell.symbol().contains('\x1b')));
            }
        }
    }
    assert!(
        shown(60, 15, &picture, &Controls::default())
            .contains("Budget     $12.34 of $20.00  61%  daily  forecast $18.00")
    );
    let many: Vec<Row> = (0..50).map(|pid| Row { found: found(pid, "s"), ..Row::default() }).collect();
    let picture = Picture { rows: many, ..picture };
    let mut controls = Controls::default();
    for _ in 0..9 {
        controls.press(Key::PageDown, &controls.arrange(picture.rows.clone()));
    }
    assert!(shown(60, 15, &picture, &controls).contains('›'), "the selected row is in sight");
}

#[test]
fn colours_are_extra() {
    let picture = Picture { colour: true, ..picture() };
    let mut terminal = Terminal::new(TestBackend::new(80, 15)).unwrap();
    terminal.draw(|frame| _ = draw(frame.buffer_mut(), &picture, &Controls::default())).unwrap();
    let buffer = terminal.backend().buffer();
    assert!(buffer.content().iter().any(|cell| cell.fg == Color::Yellow));
}

#[test]
fn details_show_prompts_and_tools() {
    let step = |after: i64, what: &str, name: &str| Step {
        at: now().as_millisecond() + after * 1000,
        what: what.to_owned(),
        name: Some(name.to_owned()).filter(|name| !name.is_empty()),
        outcome: Some("ok".to_owned()),
        duration: Some(1200),
        tokens: 56_000,
        cost: 70_000_000,
        ..Step::default()
    };
    let steps = vec![step(0, "prompt", ""), step(1, "request", "claude-opus-5-5"), step(2, "tool", "Bash")];
    let story = Story { session: "7a64b203-14d5".to_owned(), steps, total: Line::default(), ..Story::default() };
    let picture = Picture { story: Some(story), ..picture() };
    let mut controls = Controls::default();
    let rows = controls.arrange(picture.rows.clone());
    controls.press(Key::Enter, &rows);
    insta::assert_snapshot!(shown(70, 24, &picture, &controls), @r"
    ccrun top  09:30  2 sessions: 1 waiting, 1 busy  by state
    Today      $12.34  321 requests  922,000 tokens  99% cache  2 errors
    Last hour  $1.23  ▃▃▄▄▄▄▄▄▄▅▅▅▅▅▅▅▅▆▆▆▆▆▆▆▇▇▇▇▇▇▇█  58 tokens a minute
    12 batches wait for signoz: it refused the connection
    ~/api  waiting 3m  permission prompt
    api-1b  process 7  2.1.332  for 1h 02m
    Used       $12.34  321 requests  922,000 tokens  99% cache  2 errors
    $1.23 in the last hour  context 55,031 tokens  subagents: 1 running, 3
    finished
    12 batches wait for signoz: it refused the connection

    Session 7a64b203-14d5

    time            what     name             outcome  took  tokens   cost
    11-20 09:30:00  prompt                    ok         1s  56,000  $0.07
          09:30:01  request  claude-opus-5-5  ok         1s  56,000  $0.07
          09:30:02  tool     Bash             ok         1s  56,000  $0.07





    ↑↓ scroll  PgUp PgDn page  Esc back  p pause  Ctrl-Z stop
    q Ctrl-C quit
    ");
    controls.press(Key::Escape, &rows);
    controls.press(Key::Down, &rows);
    controls.press(Key::Enter, &rows);
    let alone = Picture { story: None, ..picture };
    assert!(shown(100, 15, &alone, &controls).contains("ccrun does not record this session"));
}
