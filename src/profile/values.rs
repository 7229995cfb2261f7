//! Values of `[vars]`, `[team]` and `[resource]` that are fetched.

use std::path::Path;
use std::time::{Duration, Instant};

use super::diagnostic::Diagnostic;
use super::schema::DYNAMIC;
use super::tree::{Node, Value};
use crate::secret;
use crate::secret::command;
use crate::secret::command::FetchContext;

/// The time limit for all commands together. The program waits for them.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Replaces a value that is not fetched.
const LEFT_OUT: &str = "fetched";

/// How the values of one profile are fetched.
pub(super) struct Fetching<'a> {
    /// The context, or `None` to replace every fetched value by a placeholder.
    context: Option<FetchContext<'a>>,
    deadline: Instant,
    /// The dotted keys of the replaced values.
    pub left_out: Vec<String>,
}

impl<'a> Fetching<'a> {
    pub(super) fn new(context: Option<FetchContext<'a>>) -> Self {
        Self { context, deadline: Instant::now() + TIMEOUT, left_out: Vec::new() }
    }

    /// Stops fetching.
    pub(super) fn stop(&mut self) {
        self.context = None;
    }

    /// Fetches the values of a table. A value that cannot be fetched is a fault at its place.
    pub(super) fn table(&mut self, root: &mut Node, table: &str, faults: &mut Vec<Diagnostic>) {
        let Value::Table(entries) = &mut root.value else { return };
        let Some(Node { value: Value::Table(values), .. }) = entries.get_mut(table) else { return };
        let fetched = |node: &Node| DYNAMIC.iter().any(|source| node.get(source).is_some());
        for (name, node) in values.iter_mut().filter(|(_, node)| fetched(node)) {
            let Some(context) = self.context else {
                node.value = Value::Text(LEFT_OUT.to_owned());
                self.left_out.push(format!("{table}.{name}"));
                continue;
            };
            match fetch(node, context, self.deadline) {
                Some(Ok(text)) => node.value = Value::Text(text),
                Some(Err(reason)) => {
                    let fault = Diagnostic::at(&node.origin, format!("`{table}.{name}`: {reason}"));
                    faults.push(fault.help(remedy(table, name, node)));
                    // One fault is enough; what uses the value is valid.
                    node.value = Value::Text(LEFT_OUT.to_owned());
                }
                // The schema check reports what is wrong.
                None => {}
            }
        }
    }
}

/// Fetches a value. Returns `None` if the source has a wrong type.
fn fetch(node: &Node, context: FetchContext<'_>, deadline: Instant) -> Option<Result<String, String>> {
    if let Some(env) = node.get("env").and_then(Node::text) {
        return Some(context.variable(env).ok_or_else(|| format!("the variable {env} is not set")));
    }
    if let Some(file) = node.get("file").and_then(super::read::path) {
        return Some(secret::file(&file).map_err(|reason| format!("{} {reason}", file.display())));
    }
    node.get("command").map(|command| run(command, context, deadline.saturating_duration_since(Instant::now())))
}

/// The fix for a value that cannot be fetched.
fn remedy(table: &str, name: &str, node: &Node) -> String {
    let env = node.get("env").and_then(Node::text);
    let fix = env.map_or_else(|| "correct the source".to_owned(), |env| format!("set {env}"));
    match table {
        "vars" => format!("{fix}, or use `--var {name}=VALUE`"),
        "resource" => format!("{fix}, or use `--resource {name}=VALUE`"),
        _ => fix,
    }
}

/// Runs a command in the rest of the time for all commands.
fn run(command: &Node, context: FetchContext<'_>, left: Duration) -> Result<String, String> {
    let mut argv: Vec<_> = command.texts().map(|(word, _)| word.to_owned()).collect();
    if let Some(program) = argv.first_mut() {
        let directory = Path::new(&command.origin.document.label).parent();
        let located = command::located(program, directory);
        *program = located.to_string_lossy().into_owned();
    }
    let program = argv.first().cloned().unwrap_or_default();
    command::run(&argv, context, left).map_err(|reason| format!("the command `{program}` {reason}"))
}
