//! Shows what a project's file does, and what has changed since it was trusted, to a user who must decide about it.
//! Nothing is cut off, because the part cut off may be the part that matters: long text continues in the next line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::profile::{Change, Effects};
use crate::terminal::printable::{printable, visible};
use crate::workspace::trust::{Accepted, Review};

/// How long to search for the smallest difference. After that, a larger one is shown.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many unchanged lines are shown around a change.
const CONTEXT: usize = 2;

/// The plan of the file at `path`, in lines of at most `width` characters. What runs commands or lets more data out
/// comes first. With a review, the plan includes the files that it depends on.
pub(in crate::commands) fn effects(path: &str, view: &Effects, review: Option<&Review>, width: usize) -> String {
    let pairs = |pairs: &[(String, String)], between: &str| {
        pairs.iter().map(|(left, right)| format!("{left} {between} {right}")).collect::<Vec<_>>()
    };
    let commands =
        view.commands.iter().map(|words| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    let mut sections = vec![
        ("runs", commands.collect()),
        ("sends telemetry to", pairs(&view.destinations, "→")),
        ("sends secrets to", pairs(&view.secrets.iter().cloned().collect::<Vec<_>>(), "→")),
        ("may run more or send more", changes(view, true)),
        ("also changes", changes(view, false)),
    ];
    if !view.stores.is_empty() {
        sections.insert(2, ("reads reports from", pairs(&view.stores, "→")));
    }
    if let Some(review) = review {
        let unfollowed = review.unfollowed.iter();
        let below = |(word, directory): &(String, String)| format!("{word}: any executable file below {directory}");
        sections.push(("runs files that cannot be tracked", unfollowed.map(below).collect()));
        sections.push(("depends on", review.files.keys().chain(review.reached.keys()).cloned().collect()));
    }
    let mut out = lines("", path, width);
    for (title, entries) in sections.iter().filter(|(_, entries)| !entries.is_empty()) {
        out.push((*title).to_owned());
        out.extend(entries.iter().flat_map(|entry| lines("  ", entry, width)));
    }
    let missing: Vec<_> = sections.iter().filter(|(_, entries)| entries.is_empty()).map(|(title, _)| *title).collect();
    if !missing.is_empty() {
        out.extend(lines("", &format!("nothing under: {}", missing.join(", ")), width));
    }
    out.join("\n")
}

/// The changed values, as a difference.
fn changes(view: &Effects, opens: bool) -> Vec<String> {
    let changes = view.changes.iter().filter(|change| change.opens == opens);
    let line = |mark: &str, change: &Change, value: &Option<String>| {
        value.as_ref().map(|value| format!("{mark} {} = {value}{}", change.key, remark(&change.key, value)))
    };
    changes.flat_map(|change| [line("-", change, &change.before), line("+", change, &change.after)]).flatten().collect()
}

/// A remark for values whose effect is not obvious.
fn remark(key: &str, value: &str) -> &'static str {
    match (key, value) {
        ("collector.mode", "\"direct\"") => "  # headers are in the program's environment, unredacted",
        _ => "",
    }
}

/// The difference from what was trusted.
pub(super) fn difference(accepted: &Accepted, review: &Review, width: usize) -> String {
    let texts = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(accepted.document.as_str(), review.project.document.text.as_str());
    let mut out = Vec::new();
    for (number, group) in texts.grouped_ops(CONTEXT).iter().enumerate() {
        out.extend((number > 0).then(|| "…".to_owned()));
        for change in group.iter().flat_map(|operation| texts.iter_changes(operation)) {
            let mark = match change.tag() {
                ChangeTag::Delete => "- ",
                ChangeTag::Insert => "+ ",
                ChangeTag::Equal => "  ",
            };
            let end = if change.missing_newline() { " (without a line break)" } else { "" };
            out.extend(lines(mark, &format!("{}{end}", change.value().trim_end_matches('\n')), width));
        }
    }
    out.extend(besides(accepted, review).iter().flat_map(|change| lines("", change, width)));
    out.join("\n")
}

/// Changes outside the text.
fn besides(accepted: &Accepted, review: &Review) -> Vec<String> {
    let accepted_hash = |file: &String| accepted.files.get(file).or_else(|| accepted.reached.get(file));
    let file = |(file, hash): (&String, &String)| match accepted_hash(file) {
        Some(before) if before == hash => None,
        Some(_) => Some(format!("`{file}` has changed")),
        None => Some(format!("`{file}` is new")),
    };
    let has = |file: &&String| review.files.contains_key(*file) || review.reached.contains_key(*file);
    let gone = accepted.files.keys().filter(|file| !has(file));
    let pairs = review.pairs.difference(&accepted.pairs);
    let files = review.files.iter().chain(&review.reached).filter_map(file);
    files
        .chain(gone.map(|file| format!("`{file}` is no longer used")))
        .chain(pairs.map(|(secret, host)| format!("a secret goes to a new host: {secret} → {host}")))
        .collect()
}

/// A word as it is, or quoted if it could be misread.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    serde_json::Value::from(word).to_string()
}

/// Foreign text in lines that each begin with `mark`, so that none looks like one of ccrun's. The lines are short
/// enough that a terminal does not wrap them.
fn lines(mark: &str, text: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = visible(text).chars().collect();
    let room = width.saturating_sub(8).clamp(20, 190);
    let (first, rest) = characters.split_at(characters.len().min(room));
    let line = |before: &str, piece: &[char]| {
        let piece: String = piece.iter().collect();
        // A space at the end of a line may be the change.
        if piece.is_empty() { mark.trim_end().to_owned() } else { format!("{mark}{before}{}", printable(&piece)) }
    };
    std::iter::once(line("", first)).chain(rest.chunks(room).map(|piece| line("    ", piece))).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::path::Path;

    use jiff::Timestamp;

    use super::*;
    use crate::workspace::project;
    use crate::workspace::trust::{Named, Trust, Verdict};

    fn review(home: &Path, text: &str, pairs: &[(&str, &str)]) -> Review {
        let project = home.join("project");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join(project::FILE_NAME), text).unwrap();
        let found = project::find(&project, home).unwrap().unwrap();
        let file = |name: &str| Some(found.directory.join(name)).filter(|path| path.exists());
        let files = ["helper", "old", "new"].into_iter().filter_map(file).collect();
        let pairs = pairs.iter().map(|(secret, host)| ((*secret).to_owned(), (*host).to_owned()));
        Review::read(&found, &Named { files, pairs: pairs.collect::<BTreeSet<_>>(), ..Named::default() }).unwrap()
    }

    fn change(key: &str, before: Option<&str>, after: Option<&str>, opens: bool) -> Change {
        let text = |text: Option<&str>| text.map(str::to_owned);
        Change { key: key.to_owned(), before: text(before), after: text(after), opens }
    }

    fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(left, right)| ((*left).to_owned(), (*right).to_owned())).collect()
    }

    #[test]
    fn a_plan_lists_what_the_file_does_and_does_not_do() {
        let view = Effects {
            commands: vec![["tools/token", "a b", "", "it's"].map(str::to_owned).to_vec()],
            secrets: texts(&[("keyring `team/key`", "otlp.example")]).into_iter().collect(),
            destinations: texts(&[("team", "https://otlp.example:443")]),
            changes: vec![
                change("collector.mode", None, Some("\"direct\""), true),
                change("redact.drop", Some("[\"user.email\"]"), None, true),
                change("team.id", Some("\"mine\""), Some("\"platform\""), false),
            ],
            ..Effects::default()
        };
        let home = tempfile::tempdir().unwrap();
        std::fs::create_dir(home.path().join("project")).unwrap();
        std::fs::write(home.path().join("project/helper"), "").unwrap();
        let mut review = review(home.path(), "", &[]);
        review.reached.insert("tools/x".to_owned(), String::new());
        review.unfollowed.insert(("cd tools".to_owned(), "tools".to_owned()));
        insta::assert_snapshot!(effects("/home/me/project/.ccrun.toml", &view, Some(&review), 100), @r#"
        /home/me/project/.ccrun.toml
        runs
          tools/token "a b" "" "it's"
        sends telemetry to
          team → https://otlp.example:443
        sends secrets to
          keyring `team/key` → otlp.example
        may run more or send more
          + collector.mode = "direct"  # headers are in the program's environment, unredacted
          - redact.drop = ["user.email"]
        also changes
          - team.id = "mine"
          + team.id = "platform"
        runs files that cannot be tracked
          cd tools: any executable file below tools
        depends on
          helper
          tools/x
        "#);
    }

    #[test]
    fn long_text_is_not_cut_and_control_characters_are_escaped() {
        let long = format!("{} evil", "x".repeat(300));
        let view = Effects {
            commands: vec![vec!["sh".to_owned(), "-c".to_owned(), long]],
            destinations: texts(&[("a", "\u{1b}[2J\u{202e}\nruns\n  ls")]),
            ..Effects::default()
        };
        let shown = effects("a/file", &view, None, 80);
        assert!(shown.contains(" evil\"") && shown.contains("  a → \\u{1b}[2J\\u{202e}\\nruns\\n  ls\n"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80));
        assert_eq!(shown.lines().filter(|line| *line == "runs").count(), 1);
    }

    #[test]
    fn changes_are_shown() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("project");
        std::fs::create_dir(&directory).unwrap();
        for file in ["helper", "old"] {
            std::fs::write(directory.join(file), "").unwrap();
        }
        let trust = Trust::new(home.path().join("trust"));
        let before = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n";
        let pair = ("keyring `k`", "a.example");
        trust.grant(&review(home.path(), before, &[pair]), Timestamp::UNIX_EPOCH).unwrap();
        std::fs::write(directory.join("helper"), "evil").unwrap();
        std::fs::rename(directory.join("old"), directory.join("new")).unwrap();
        let after = before.replace("d = 4", "d = 5\u{1b}");
        let now = review(home.path(), &after, &[pair, ("keyring `k`", "b.example")]);
        let Verdict::Changed { accepted } = trust.verdict(&now) else { panic!("that is a change") };
        insta::assert_snapshot!(difference(&accepted, &now, 80), @r"
          b = 2
          c = 3
        - d = 4
        + d = 5\u{1b}
          e = 5
        `helper` has changed
        `new` is new
        `old` is no longer used
        a secret goes to a new host: keyring `k` → b.example
        ");
    }
}
