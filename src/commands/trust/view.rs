//! What a project's file does, and what changed since it was accepted, for somebody who decides about it. Nothing is
//! cut, for what is cut may be what matters: whatever is too long goes on in the next line.

use std::time::Duration;

use similar::{ChangeTag, TextDiff};

use crate::printable::{printable, visible};
use crate::profile::Plan;
use crate::trust::{Accepted, Subject};

/// How long the smallest difference is looked for; after that, one that is larger than need be will do.
const PATIENCE: Duration = Duration::from_millis(500);

/// How many lines that stay are shown around those that do not.
const CONTEXT: usize = 2;

/// The plan of what stands at `path` in lines of at most `width` characters, with the files that it depends on where
/// these are known.
pub(in crate::commands) fn plan(path: &str, view: &Plan, files: Option<Vec<String>>, width: usize) -> String {
    let pairs = |pairs: &[(String, String)], between: &str| {
        pairs.iter().map(|(left, right)| format!("{left} {between} {right}")).collect::<Vec<_>>()
    };
    let commands =
        view.commands.iter().map(|words| words.iter().map(|word| quoted(word)).collect::<Vec<_>>().join(" "));
    let mut sections = vec![
        ("runs", commands.collect()),
        ("sends telemetry to", pairs(&view.destinations, "→")),
        ("sends secrets to", pairs(&view.secrets.iter().cloned().collect::<Vec<_>>(), "→")),
        ("captures content", view.content.clone()),
        ("sets variables", view.variables.clone()),
        ("sets for Claude Code", pairs(&view.settings, "=")),
        ("says of all telemetry", pairs(&view.attributes, "=")),
    ];
    sections.extend(files.map(|files| ("depends on", files)));
    let mut out = lines("", path, width);
    for (title, entries) in sections.iter().filter(|(_, entries)| !entries.is_empty()) {
        out.push((*title).to_owned());
        out.extend(entries.iter().flat_map(|entry| lines("  ", entry, width)));
    }
    let missing: Vec<_> = sections.iter().filter(|(_, entries)| entries.is_empty()).map(|(title, _)| *title).collect();
    if !missing.is_empty() {
        out.extend(lines("", &format!("not at all: {}", missing.join(", ")), width));
    }
    out.join("\n")
}

/// What is not as it was accepted.
pub(super) fn difference(accepted: &Accepted, subject: &Subject, width: usize) -> String {
    let texts = TextDiff::configure()
        .timeout(PATIENCE)
        .diff_lines(accepted.document.as_str(), subject.project.document.text.as_str());
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
    out.extend(besides(accepted, subject).iter().flat_map(|change| lines("", change, width)));
    out.join("\n")
}

/// What changed besides the text.
fn besides(accepted: &Accepted, subject: &Subject) -> Vec<String> {
    let file = |(file, hash): (&String, &String)| match accepted.files.get(file) {
        Some(before) if before == hash => None,
        Some(_) => Some(format!("`{file}` has changed")),
        None => Some(format!("`{file}` is new to it")),
    };
    let gone = accepted.files.keys().filter(|file| !subject.files.contains_key(*file));
    let pairs = subject.pairs.difference(&accepted.pairs);
    let files = subject.files.iter().filter_map(file);
    files
        .chain(gone.map(|file| format!("`{file}` has no part in it any more")))
        .chain(pairs.map(|(secret, host)| format!("a secret goes where none was accepted: {secret} → {host}")))
        .collect()
}

/// A word as it is, or in quotes where it could be taken for two, or for something else.
fn quoted(word: &str) -> String {
    let is_plain = |c: char| c.is_alphanumeric() || "-_./:=@%+,~".contains(c);
    if !word.is_empty() && word.chars().all(is_plain) {
        return word.to_owned();
    }
    serde_json::Value::from(word).to_string()
}

/// A foreign text as lines that each begin with `mark`, so that none passes for one of ours, and are short enough that
/// a terminal does not break them.
fn lines(mark: &str, text: &str, width: usize) -> Vec<String> {
    let characters: Vec<char> = visible(text).chars().collect();
    let room = width.saturating_sub(8).clamp(20, 190);
    let (first, rest) = characters.split_at(characters.len().min(room));
    let line = |before: &str, piece: &[char]| {
        let piece: String = piece.iter().collect();
        // A space at a line's end may be what changed.
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
    use crate::profile::project;
    use crate::trust::{Named, Trust, Verdict};

    fn subject(home: &Path, text: &str, pairs: &[(&str, &str)]) -> Subject {
        let project = home.join("project");
        std::fs::create_dir_all(&project).unwrap();
        std::fs::write(project.join(project::FILE_NAME), text).unwrap();
        let found = project::find(&project, home).unwrap().unwrap();
        let file = |name: &str| Some(found.directory.join(name)).filter(|path| path.exists());
        let files = ["helper", "old", "new"].into_iter().filter_map(file).collect();
        let pairs = pairs.iter().map(|(secret, host)| ((*secret).to_owned(), (*host).to_owned()));
        Subject::read(&found, &Named { files, pairs: pairs.collect::<BTreeSet<_>>() }).unwrap()
    }

    fn texts(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
        pairs.iter().map(|(left, right)| ((*left).to_owned(), (*right).to_owned())).collect()
    }

    #[test]
    fn a_plan_says_what_it_does_and_what_not() {
        let view = Plan {
            commands: vec![["tools/token", "a b", "", "it's"].map(str::to_owned).to_vec()],
            secrets: texts(&[("keyring `team/key`", "otlp.example")]).into_iter().collect(),
            destinations: texts(&[("team", "https://otlp.example:443")]),
            attributes: texts(&[("team.id", "platform")]),
            ..Plan::default()
        };
        insta::assert_snapshot!(plan("/home/me/project/.ccrun.toml", &view, Some(vec!["tools/token".to_owned()]), 80), @r#"
        /home/me/project/.ccrun.toml
        runs
          tools/token "a b" "" "it's"
        sends telemetry to
          team → https://otlp.example:443
        sends secrets to
          keyring `team/key` → otlp.example
        says of all telemetry
          team.id = platform
        depends on
          tools/token
        not at all: captures content, sets variables, sets for Claude Code
        "#);
    }

    #[test]
    fn what_is_long_is_not_cut_and_what_is_foreign_does_not_act() {
        let long = format!("{} evil", "x".repeat(300));
        let view = Plan {
            commands: vec![vec!["sh".to_owned(), "-c".to_owned(), long]],
            content: vec!["\u{1b}[2J\u{202e}\nruns\n  ls".to_owned()],
            ..Plan::default()
        };
        let shown = plan("a/file", &view, None, 80);
        assert!(shown.contains(" evil\"") && shown.contains("  \\u{1b}[2J\\u{202e}\\nruns\\n  ls\n"), "{shown}");
        assert!(shown.lines().all(|line| line.chars().count() <= 80));
        assert_eq!(shown.lines().filter(|line| *line == "runs").count(), 1);
    }

    #[test]
    fn what_changed_is_shown() {
        let home = tempfile::tempdir().unwrap();
        let directory = home.path().join("project");
        std::fs::create_dir(&directory).unwrap();
        for file in ["helper", "old"] {
            std::fs::write(directory.join(file), "").unwrap();
        }
        let trust = Trust::new(home.path().join("trust"));
        let before = "a = 1\nb = 2\nc = 3\nd = 4\ne = 5\n";
        let pair = ("keyring `k`", "a.example");
        trust.grant(&subject(home.path(), before, &[pair]), Timestamp::UNIX_EPOCH).unwrap();
        std::fs::write(directory.join("helper"), "evil").unwrap();
        std::fs::rename(directory.join("old"), directory.join("new")).unwrap();
        let after = before.replace("d = 4", "d = 5\u{1b}");
        let now = subject(home.path(), &after, &[pair, ("keyring `k`", "b.example")]);
        let Verdict::Changed { accepted } = trust.verdict(&now) else { panic!("that is a change") };
        insta::assert_snapshot!(difference(&accepted, &now, 80), @r"
          b = 2
          c = 3
        - d = 4
        + d = 5\u{1b}
          e = 5
        `helper` has changed
        `new` is new to it
        `old` has no part in it any more
        a secret goes where none was accepted: keyring `k` → b.example
        ");
    }
}
