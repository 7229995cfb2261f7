//! Values of `[vars]`, `[team]` and `[resource]` that are fetched instead of written.

use std::path::Path;
use std::time::{Duration, Instant};

use super::diagnostic::Diagnostic;
use super::schema::DYNAMIC;
use super::tree::{Node, Value};
use crate::credential;
use crate::helper::{self, Ground};

/// How long all commands together may take: the program waits for them.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Fetches them in place; what cannot be had is a fault at the place that wants it.
pub(super) fn fetch(root: &mut Node, ground: Ground<'_>, faults: &mut Vec<Diagnostic>) {
    let deadline = Instant::now() + TIMEOUT;
    let Value::Table(entries) = &mut root.value else { return };
    for table in ["vars", "team", "resource"] {
        let Some(Node { value: Value::Table(values), .. }) = entries.get_mut(table) else { continue };
        for (name, node) in values.iter_mut().filter(|(_, node)| node.entries().is_some()) {
            let fetched = if let Some(env) = node.get("env").and_then(Node::text) {
                ground.variable(env).ok_or_else(|| format!("the variable {env} is not set"))
            } else if let Some(file) = node.get("file").and_then(super::read::path) {
                credential::file(&file).map_err(|reason| format!("{} {reason}", file.display()))
            } else if let Some(command) = node.get("command") {
                let left = deadline.saturating_duration_since(Instant::now());
                run(command, ground, left)
            } else {
                // The check against the schema says what is wrong.
                continue;
            };
            match fetched {
                Ok(text) => node.value = Value::Text(text),
                Err(reason) => {
                    let fault = Diagnostic::at(&node.origin, format!("`{table}.{name}`: {reason}"));
                    faults.push(fault.help(remedy(table, name, node)));
                }
            }
        }
    }
}

/// What to do about a value that cannot be had.
fn remedy(table: &str, name: &str, node: &Node) -> String {
    let env = node.get("env").and_then(Node::text);
    let mend = env.map_or_else(|| "mend that".to_owned(), |env| format!("set {env}"));
    match table {
        "vars" => format!("{mend}, or say it by `--var {name}=VALUE`"),
        "resource" => format!("{mend}, or say it by `--resource {name}=VALUE`"),
        _ => mend,
    }
}

/// Puts a word in the place of every value that would be fetched, and gives their dotted keys.
pub(super) fn leave_out(root: &mut Node) -> Vec<String> {
    let mut keys = Vec::new();
    let Value::Table(entries) = &mut root.value else { return keys };
    for table in ["vars", "team", "resource"] {
        let Some(Node { value: Value::Table(values), .. }) = entries.get_mut(table) else { continue };
        let fetched = |node: &Node| DYNAMIC.iter().any(|source| node.get(source).is_some());
        for (name, node) in values.iter_mut().filter(|(_, node)| fetched(node)) {
            node.value = Value::Text("fetched".to_owned());
            keys.push(format!("{table}.{name}"));
        }
    }
    keys
}

/// Runs a command in what is left of the time for all of them.
fn run(command: &Node, ground: Ground<'_>, left: Duration) -> Result<String, String> {
    let mut argv: Vec<_> = command.texts().map(|(word, _)| word.to_owned()).collect();
    if let Some(program) = argv.first_mut() {
        let directory = Path::new(&command.origin.document.label).parent();
        let located = helper::located(program, directory);
        *program = located.to_string_lossy().into_owned();
    }
    let program = argv.first().cloned().unwrap_or_default();
    helper::run(&argv, ground, left).map_err(|reason| format!("the command `{program}` {reason}"))
}
