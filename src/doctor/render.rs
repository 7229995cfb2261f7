//! Renders findings for people and for programs. Pure.

use serde_json::json;

use super::{Finding, Level, Mask, Reported};
use crate::terminal::json;
use crate::terminal::printable::visible;

/// The indentation of details, which aligns them with the summaries.
const INDENT: &str = "           ";

/// The same findings without private data and control characters.
pub fn masked(reported: &[Reported], mask: &Mask) -> Vec<Reported> {
    let text = |text: &String| visible(&mask.text(text));
    let masked = reported.iter().map(|Reported { id, group, finding }| {
        let Finding { level, summary, details, fix } = finding;
        let details = details.iter().map(text).collect();
        let finding = Finding { level: *level, summary: text(summary), details, fix: fix.as_ref().map(text) };
        Reported { id, group: *group, finding }
    });
    masked.collect()
}

/// One line for each finding, under the titles of the groups, and a count of problems.
pub fn as_text(reported: &[Reported], colour: bool) -> String {
    let mut out = format!("{}\n", program());
    let mut group = None;
    for Reported { group: own, finding, .. } in reported {
        if group != Some(*own) {
            group = Some(*own);
            out.extend(["\n", own.title(), "\n"]);
        }
        let (word, code) = match finding.level {
            Level::Ok => ("ok", "32"),
            Level::Sent => ("sent", "36"),
            Level::Warning => ("warning", "33"),
            Level::Failed => ("failed", "31"),
        };
        let word = format!("{word:<7}");
        let word = if colour { format!("\x1b[{code}m{word}\x1b[0m") } else { word };
        out.extend(["  ", &word, "  ", &finding.summary, "\n"]);
        let fix = finding.fix.iter().map(|fix| format!("fix: {fix}"));
        for line in finding.details.iter().cloned().chain(fix) {
            out.extend([INDENT, &line, "\n"]);
        }
    }
    out.extend(["\n", &sum(reported), "\n"]);
    out
}

fn sum(reported: &[Reported]) -> String {
    let many = |number: usize, one: &str| match number {
        1 => format!("1 {one}"),
        number => format!("{number} {one}s"),
    };
    match (count(reported, Level::Failed), count(reported, Level::Warning)) {
        (0, 0) if count(reported, Level::Sent) > 0 => "all is well, as far as this machine can tell".to_owned(),
        (0, 0) => "all is well".to_owned(),
        (0, warnings) => many(warnings, "warning"),
        (failed, 0) => many(failed, "failure"),
        (failed, warnings) => format!("{}, {}", many(failed, "failure"), many(warnings, "warning")),
    }
}

/// How many findings have this level.
pub(super) fn count(reported: &[Reported], level: Level) -> usize {
    reported.iter().filter(|one| one.finding.level == level).count()
}

/// One object: the program, the number of findings of each level, and all findings.
pub fn as_json(reported: &[Reported]) -> String {
    let report = json!({
        "program": program(),
        "failed": count(reported, Level::Failed),
        "warnings": count(reported, Level::Warning),
        "findings": reported,
    });
    json::escaped(&format!("{report:#}\n"))
}

/// The version and platform, for readers of a report.
fn program() -> String {
    format!("ccrun {}, {} {}", env!("CARGO_PKG_VERSION"), std::env::consts::OS, std::env::consts::ARCH)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Group;

    fn found() -> Vec<Reported> {
        let one = |id, group, finding| Reported { id, group, finding };
        vec![
            one("program.found", Group::Program, Finding::ok("it is there")),
            one(
                "program.version",
                Group::Program,
                Finding::failed("it is old, in /home/me").detail("it says\n0.1").fix("`claude update`"),
            ),
            one("machine.disk", Group::Machine, Finding::warning("it is full")),
        ]
    }

    #[test]
    fn text_has_one_line_per_finding_and_the_fix() {
        let mask = Mask::new(&[], "/home/me", None, None);
        let shown = as_text(&masked(&found(), &mask), false);
        let (_, shown) = shown.split_once('\n').unwrap();
        let expected = "\nprogram\n  ok       it is there\n  failed   it is old, in ~\n           it says\\n0.1\n           \
             fix: `claude update`\n\nmachine\n  warning  it is full\n\n1 failure, 1 warning\n";
        assert_eq!(shown, expected);
        assert!(as_text(&found(), true).contains("  \x1b[31mfailed \x1b[0m  it is old"));
        assert!(as_text(&found()[..1], false).ends_with("\nall is well\n"));
    }

    #[test]
    fn json_has_stable_names() {
        let report: serde_json::Value = serde_json::from_str(&as_json(&found())).unwrap();
        assert_eq!((&report["failed"], &report["warnings"]), (&json!(1), &json!(1)));
        let expected = json!({
            "id": "program.version", "group": "program", "level": "failed", "summary": "it is old, in /home/me",
            "details": ["it says\n0.1"], "fix": "`claude update`",
        });
        assert_eq!(report["findings"][1], expected);
    }
}
