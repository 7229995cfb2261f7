use insta::assert_snapshot;
use jiff::Zoned;
use jiff::tz::TimeZone;
use unicode_width::UnicodeWidthStr;

use super::*;
use crate::report::Coverage;
use crate::report::ledger::LedgerSource;
use crate::report::week::tests::{At, Hand, at};
use crate::report::week::{By, Options, Period};
use crate::usage::{Measure, Request};

fn look(width: usize) -> Look {
    Look { width: Some(width), colour: false, home: "/home/me".into(), zone: TimeZone::UTC }
}

/// A small week: two teams, automation, a pull request, a foreign branch.
fn found() -> Page {
    let mut hand = Hand::new();
    for (number, person) in ["ann", "bob", "cid", "dan", "eve"].into_iter().enumerate() {
        let session = format!("7a64b203-14d5-4676-b6c2-e55abef4000{number}");
        let place = At {
            branch: if number < 2 { "feature/new-checkout-page" } else { "<script>|x" },
            team: if number < 3 { "platform" } else { "web" },
            ..at("2026-11-24T10:00", person, &session)
        };
        let request = Request {
            model: "claude-opus-5-5",
            input: 1200,
            output: 340,
            cache_read: 90_000,
            cache_creation: 4100,
            cost: 1_234_567_890 * (1 + i64::try_from(number).unwrap()),
            first_token: 640,
            duration: 7_300,
            ..Request::default()
        };
        hand.prompt(place);
        hand.asked(place, request);
        hand.tool(place, "Bash", number != 0);
        hand.counts(place, Measure::PullRequests, i64::from(number == 0));
        hand.counts(place, Measure::ActiveUser, 2_000_000);
    }
    hand.request(At { source: "sdk", ..at("2026-11-25T02:00", "ci", "ci") }, 75);
    let now: Zoned = "2026-11-26T12:00[UTC]".parse().unwrap();
    let period = Period::parse(None, false, &now).unwrap();
    let options = Options {
        seats: Some(12),
        plan_fee: Some(100_000_000_000),
        budget: Some(50_000_000_000),
        by: Some(By::Team),
        coverage: Some(Coverage { known: 6, all: 8 }),
        ..Options::default()
    };
    let mut page = crate::report::week::page(&LedgerSource::new(&hand.ledger).unwrap(), &period, &options).unwrap();
    // A machine's id is random.
    page.sections.retain(|section| section.id != "machines");
    page
}

#[test]
#[expect(clippy::too_many_lines, reason = "it is the whole page")]
fn the_week_fits_eighty_columns() {
    assert_snapshot!(page(&found(), Format::Table, &look(80)), @r#"
    6 of 8 sessions of Claude Code are counted here: `ccrun import` reads the others

    Week 2026-W48: 2026-11-23 to 2026-11-29, up to 2026-11-26 12:00
    5 active people

    Spend                       $19.27  Spend $19.27; week before $0.00; budget
                                        $50.00; budget used 39%. From requests; the
                                        client's own estimate of their cost; people
                                        and automation; the week before counts up to
                                        the same point.
    Forecast                    $38.54  Spend so far $19.27 ÷ elapsed time 50%. From
                                        spend, and the hours of the last 14 active
                                        days; fewer than 14 active days are known,
                                        so plain time counts.
    Automation                   $0.75  Spend of automation $0.75; share 4% (spend
                                        of automation $0.75 ÷ spend $19.27);
                                        sessions 1; answered requests 1. From
                                        sessions with the entrypoint sdk-* or the
                                        query source sdk; never among people.
    Active people                    5  Persons with a prompt in the week 5; mean a
                                        day 5.0 (active days of persons 5 ÷ days
                                        with activity 1); in 28 days 5. From
                                        prompts; without automation.
    Adoption                       42%  Active people of the week 5 ÷ seats 12. From
                                        prompts; --seats; without automation.
    New, kept, gone            5, 0, 0  New 5; kept 0; gone 0. From prompts; without
                                        automation; the week is not over.
    Spend per active day         $3.70  Spend of persons $18.52 ÷ active days of
                                        persons 5; median $3.70. From requests and
                                        prompts; without automation.
    Concentration                  33%  Spend of the top fifth $6.17 ÷ spend of
                                        persons $18.52; people with spend 5; top
                                        fifth 1. From requests; without automation.
    Cache reuse                    94%  Tokens read from the cache 450,000 ÷ tokens
                                        sent 476,500; median by person 94%; worst
                                        94%. From requests; people and automation;
                                        by person without automation.
    Edits accepted when asked        –  Edits accepted by a person 0 ÷ edits that a
                                        person was asked about (n) 0. From decisions
                                        on tools; without automation; from n = 20
                                        on.
    Pull requests opened             1  Pull requests opened 1; spend per one $19.27
                                        (spend $19.27 ÷ pull requests 1); on
                                        branches without one $15.56. From the metric
                                        pull_request.count; requests by branch;
                                        opened, not merged; a branch like main never
                                        has one.
    Commit commands, lines           0  Commit commands 0; lines added 0; lines
                                        removed 0. From the metrics commit.count and
                                        lines_of_code.count; volume, not value;
                                        people and automation.
    Failures                        0%  Final API errors 0 ÷ requests 6; of tool
                                        calls 20% (failed tool calls 1 ÷ tool calls
                                        5). From requests and tool calls; an error
                                        healed by a retry is not counted; people and
                                        automation.
    Speed                         0.6s  Requests with a time to first token 5; p95
                                        0.6s; whole request p50 7.3s; p95 7.3s. From
                                        answered requests, one by one; the line's
                                        number is the p50 of the time to first
                                        token.
    Where it went                       Spend $19.27; repositories 1; branches 3;
                                        models 1; agents 0; sessions 6. From
                                        requests; the branch at the time of the
                                        request; the tables show the top 5, with
                                        their shares of the spend.
    Look at                          5  Hints 5; sessions over 30 active minutes
                                        without a commit 5; over 10 rejections 0;
                                        over 3 automatic compactions 0; days over 3
                                        × one's own median 0. From active time,
                                        commits, decisions, compactions, spend;
                                        hints, not judgements; without automation.
    Plan                            7%  Value of the use $19.27 ÷ fee of the week
                                        $275.98. From requests; --plan-fee and
                                        --seats; what the use would cost by its
                                        requests, not what is paid; the week is not
                                        over, its fee is whole.
    Coverage                       75%  Sessions in the ledger 6 ÷ sessions in
                                        Claude Code's own files 8; last seen
                                        2026-11-25 02:14; machines 1; versions 1.
                                        From the names of transcripts; contexts of
                                        requests; of this machine's sessions.

    New and gone
    person  change
    ann     new
    bob     new
    cid     new
    dan     new
    eve     new

    Failures by tool
    tool  failed  failures  calls
    Bash     20%         1      5

    Speed by model
    model            1st token p50   p95  whole p50   p95  requests
    claude-opus-5-5           0.6s  0.6s       7.3s  7.3s         5

    Repositories
    repository   spend  share
    api         $19.27   100%

    Branches
    repository  branch                      spend  share
    api         <script>|x                 $14.81    77%
    api         feature/new-checkout-page   $3.70    19%
    api         main                        $0.75     4%

    Models
    model             spend  share
    claude-opus-5-5  $19.27   100%

    Sessions
    session                               project      spend  share
    7a64b203-14d5-4676-b6c2-e55abef40004  /projects/a  $6.17    32%
    7a64b203-14d5-4676-b6c2-e55abef40003  /projects/a  $4.94    26%
    7a64b203-14d5-4676-b6c2-e55abef40002  /projects/a  $3.70    19%
    7a64b203-14d5-4676-b6c2-e55abef40001  /projects/a  $2.47    13%
    7a64b203-14d5-4676-b6c2-e55abef40000  /projects/a  $1.23     6%
    and 1 more

    Look at
    hint       of                                    in, on        amount
    no commit  7a64b203-14d5-4676-b6c2-e55abef40000  /projects/a  33m 20s
    no commit  7a64b203-14d5-4676-b6c2-e55abef40001  /projects/a  33m 20s
    no commit  7a64b203-14d5-4676-b6c2-e55abef40002  /projects/a  33m 20s
    no commit  7a64b203-14d5-4676-b6c2-e55abef40003  /projects/a  33m 20s
    no commit  7a64b203-14d5-4676-b6c2-e55abef40004  /projects/a  33m 20s

    Versions of Claude Code
    version  sessions  requests
    2.1.332         6         6

    Teams
    team      people   spend  share  prompts  requests  cache reuse  accepted
    web            2  $11.11    60%        2         2          94%    (none)
    platform       3   $7.41    40%        3         3          94%    (none)

    cost is Claude Code's own estimate, at list or managed prices
    "#);
}

#[test]
fn the_week_fits_forty_columns() {
    let shown = page(&found(), Format::Table, &look(40));
    let beginning = shown.split("Automation").next().unwrap();
    assert_snapshot!(beginning, @r#"
    6 of 8 sessions of Claude Code are
    counted here: `ccrun import` reads the
    others

    Week 2026-W48: 2026-11-23 to 2026-11-29,
    up to 2026-11-26 12:00
    5 active people

    Spend                       $19.27
        Spend $19.27; week before $0.00;
        budget $50.00; budget used 39%. From
        requests; the client's own estimate
        of their cost; people and
        automation; the week before counts
        up to the same point.
    Forecast                    $38.54
        Spend so far $19.27 ÷ elapsed time
        50%. From spend, and the hours of
        the last 14 active days; fewer than
        14 active days are known, so plain
        time counts.
    "#);
}

#[test]
fn the_week_is_a_page_of_markdown() {
    let shown = page(&found(), Format::Markdown, &look(80));
    assert!(
        shown.starts_with(
            "6 of 8 sessions of Claude Code are counted here: \\`ccrun import\\` reads the others\n\n# Week"
        )
    );
    let rows = [
        "| line | value | made of | beside | source | caveat |\n| --- | ---: | --- | --- | --- | --- |\n",
        "| **Adoption** | 42% | active people of the week 5 ÷ seats 12 |  | prompts; --seats | without automation |\n",
        "\n## Branches\n\n| repository | branch | spend | share |\n| --- | --- | ---: | ---: |\n",
        "| api | &lt;script>\\|x | $14.81 | 77% |\n",
    ];
    for row in rows {
        assert!(shown.contains(row), "{row}: {shown}");
    }
}

#[test]
fn no_line_is_wider_than_its_terminal() {
    for width in [40, 60, 80, 120] {
        let text = page(&found(), Format::Table, &look(width));
        assert!(text.lines().all(|line| line.width() <= width), "{width}: {text}");
    }
}

#[test]
fn every_number_is_a_row_of_csv() {
    let csv = page(&found(), Format::Csv, &look(80));
    let lines: Vec<_> = csv.split("\r\n").collect();
    assert!(lines[0].starts_with("line,figure,value,unit,numerator,"));
    assert!(lines[1].starts_with("spend,spend,19.26851835,usd,19.26851835,spend,,,"), "{}", lines[1]);
    assert!(lines.iter().filter(|line| !line.is_empty()).all(|line| line.matches(',').count() >= 9), "{csv}");
}

#[test]
fn json_has_the_numbers_of_the_page_and_matches_its_schema() {
    use serde_json::Value as Json;

    let found = found();
    let answer: Json = serde_json::from_str(&page(&found, Format::Json, &look(80))).unwrap();
    let whole: Json = serde_json::from_str(&super::super::schema()).unwrap();
    let own: Json = serde_json::from_str(&schema()).unwrap();
    assert_eq!(whole["$defs"]["week"]["properties"], own["properties"]);
    conforms(&answer, &own);
    assert_eq!((&answer["name"], &answer["people"]), (&Json::from("2026-W48"), &Json::from(5)));
    assert_eq!(answer["lines"].as_array().unwrap().len(), found.lines.len());
    let spend = &answer["lines"][0];
    assert_eq!(
        (&spend["name"], &spend["value"], &spend["unit"]),
        (&"spend".into(), &19.268_518_35.into(), &"usd".into())
    );
    assert_eq!(answer["tables"]["branches"]["rows"][0]["branch"], "<script>|x");
    assert_eq!(answer["tables"]["teams"]["rows"][1]["people"], 3);
}

/// Checks the required names and the known properties of objects, all the way down.
fn conforms(value: &serde_json::Value, schema: &serde_json::Value) {
    if let (Some(object), Some(properties)) = (value.as_object(), schema["properties"].as_object()) {
        for name in schema["required"].as_array().into_iter().flatten() {
            assert!(object.contains_key(name.as_str().unwrap()), "{name} is missing in {value}");
        }
        for (name, value) in object {
            let property = properties.get(name).unwrap_or_else(|| panic!("{name} is not in the schema"));
            conforms(value, property);
        }
    } else if let Some(object) = value.as_object() {
        object.values().for_each(|value| conforms(value, &schema["additionalProperties"]));
    }
    for item in value.as_array().into_iter().flatten() {
        conforms(item, &schema["items"]);
    }
}
