//! Values of `[vars]`, `[team]` and `[resource]` that are fetched instead of written.

use super::diagnostic::Diagnostic;
use super::tree::{Node, Value};
use crate::credential;

/// Fetches them in place; what cannot be had is a fault at the place that wants it.
pub(super) fn fetch(root: &mut Node, variable: &impl Fn(&str) -> Option<String>, faults: &mut Vec<Diagnostic>) {
    let Value::Table(entries) = &mut root.value else { return };
    for table in ["vars", "team", "resource"] {
        let Some(Node { value: Value::Table(values), .. }) = entries.get_mut(table) else { continue };
        for (name, node) in values.iter_mut().filter(|(_, node)| node.entries().is_some()) {
            let fetched = if let Some(env) = node.get("env").and_then(Node::text) {
                variable(env).ok_or_else(|| format!("the variable {env} is not set"))
            } else if let Some(file) = node.get("file").and_then(super::read::path) {
                credential::file(&file).map_err(|reason| format!("{} {reason}", file.display()))
            } else if node.get("command").is_some() {
                Err("a command, which this version of ccrun does not run yet".to_owned())
            } else {
                // The check against the schema says what is wrong.
                continue;
            };
            match fetched {
                Ok(text) => node.value = Value::Text(text),
                Err(reason) => faults.push(Diagnostic::at(&node.origin, format!("`{table}.{name}`: {reason}"))),
            }
        }
    }
}
