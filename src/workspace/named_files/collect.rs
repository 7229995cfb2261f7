//! The strings of a plan that may name files.

use std::sync::Arc;

use crate::profile::Document;
use crate::profile::tree::{Entries, Node, Value};

/// A string that may name files.
pub(super) struct Said<'a> {
    pub text: &'a str,
    pub kind: Kind,
}

/// How a string is interpreted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// A word, or an option that holds one.
    Word,
    /// The same in a command: it may also name a directory in which the command searches.
    Argument,
    /// A script for a shell or another interpreter. `in_project`: it runs in the project.
    Script { in_project: bool },
}

/// The place of a string.
#[derive(Clone, Copy, PartialEq)]
enum Place {
    /// A place that names no files.
    Elsewhere,
    /// Where a file is named.
    File,
    /// In a command.
    Command,
    /// A variable of the program. It may contain an option that loads a file, or a command.
    Variables,
    /// One of Claude Code's own settings, any of which may name files.
    Settings,
    /// A setting that a shell runs.
    Run,
}

/// The strings that may name files, with variables expanded. Left out are strings that the project's document did not
/// write and that contain no variable.
pub(super) fn collect<'a>(written: &Node, expanded: &'a Node, project: &Arc<Document>) -> Vec<Said<'a>> {
    let mut collector = Collector { project, said: Vec::new() };
    for (key, written, expanded) in both(written, expanded) {
        let place = match key {
            "settings" => Place::Settings,
            "env" => Place::Variables,
            key => Place::Elsewhere.below(key),
        };
        collector.node(written, expanded, place);
    }
    collector.said
}

/// The entries of a table as written and with variables expanded.
fn both<'w, 'e>(written: &'w Node, expanded: &'e Node) -> impl Iterator<Item = (&'e str, &'w Node, &'e Node)> {
    let entries = expanded.entries().into_iter().flat_map(Entries::iter);
    entries.filter_map(|(key, node)| Some((key.as_str(), written.get(key)?, node)))
}

impl Place {
    fn below(self, key: &str) -> Self {
        let runs = ["Command", "Export", "Helper", "Refresh"].iter().any(|end| key.ends_with(end));
        match (self, key) {
            (Self::Settings, "permissions" | "sandbox") => Self::File,
            (Self::Settings, key) if runs || key == "command" => Self::Run,
            (Self::Settings | Self::Run, _) => self,
            (_, "command") => Self::Command,
            (_, "file" | "ca" | "cert" | "key") => Self::File,
            _ => self,
        }
    }

    fn kind(self, text: &str) -> Option<Kind> {
        match self {
            Self::Elsewhere => None,
            Self::Variables if text.contains(char::is_whitespace) => Some(Kind::Script { in_project: false }),
            Self::File | Self::Settings | Self::Variables => Some(Kind::Word),
            // A command is a list; anything else is a variable of that name.
            Self::Command | Self::Run => Some(Kind::Script { in_project: true }),
        }
    }
}

struct Collector<'a, 'p> {
    project: &'p Arc<Document>,
    said: Vec<Said<'a>>,
}

impl<'a> Collector<'a, '_> {
    fn node(&mut self, written: &Node, expanded: &'a Node, place: Place) {
        match (&written.value, &expanded.value) {
            (Value::Text(_), Value::Text(text)) => self.text(written, text, place.kind(text)),
            (Value::List(written), Value::List(expanded)) if place == Place::Command => self.command(written, expanded),
            (Value::List(written), Value::List(expanded)) => {
                written.iter().zip(expanded).for_each(|(written, expanded)| self.node(written, expanded, place));
            }
            (Value::Table(_), Value::Table(_)) => {
                for (key, written, expanded) in both(written, expanded) {
                    self.node(written, expanded, place.below(key));
                }
            }
            _ => {}
        }
    }

    fn text(&mut self, written: &Node, text: &'a str, kind: Option<Kind>) {
        let has_variable = || written.text().is_some_and(|text| text.contains("${"));
        if Arc::ptr_eq(&written.origin.document, self.project) || has_variable() {
            self.said.extend(kind.map(|kind| Said { text, kind }));
        }
    }

    /// The words of a command. The word after an option such as `-c` is a script.
    fn command(&mut self, written: &[Node], expanded: &'a [Node]) {
        let mut before = "";
        for (written, expanded) in written.iter().zip(expanded) {
            let Some(text) = expanded.text() else { continue };
            let is_script = takes_script(before);
            let kind = if is_script { Kind::Script { in_project: false } } else { Kind::Argument };
            self.text(written, text, Some(kind));
            before = if text == "--" { before } else { text };
        }
    }
}

/// Whether the next word is a script: `-c`, `-lc`, `-e`, `-S`.
fn takes_script(option: &str) -> bool {
    let is_short = option.starts_with('-') && option.ends_with(['c', 'e', 'S']);
    is_short || ["--command", "--eval", "--exec", "--print"].contains(&option)
}
