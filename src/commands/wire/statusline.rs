//! `ccrun wire statusline`: the status line in Claude Code's own settings, for sessions that `ccrun` does not start.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use serde_json::{Value, json};

use super::{each, records, wire_file};
use crate::claude::STATUS_LINE;
use crate::claude::status_line::command;
use crate::cli;
use crate::profile::Format;
use crate::state::Places;
use crate::system::process_environment::ProcessEnvironment;
use crate::wiring::entry::Entry;
use crate::wiring::jsonc::{self, Refusal, Spot};
use crate::wiring::{Edit, Target};

pub(super) fn wire(options: cli::WireStatusline, places: &Places, process: &ProcessEnvironment) -> Result<ExitCode> {
    let file = options.settings.map(|path| process.directory.join(path));
    let file = file.unwrap_or_else(|| places.claude.join("settings.json"));
    let records = records(places, options.dry_run)?;
    let (ccrun, format) = (process.called(), options.format);
    Ok(each(&[file], |path| {
        let entries = |before: &str| entries(before, &ccrun, format.as_ref());
        let edit = Edit::wire(path, entries, Target::StatusLine, &records)?;
        let what = format!("`{STATUS_LINE}`");
        wire_file(path, &edit, &what, Target::StatusLine, &records, options.dry_run)
    }))
}

/// A status line in the settings, or its command in place of that of another, which it then runs.
fn entries(before: &str, ccrun: &Path, format: Option<&Format>) -> Result<Vec<Entry>, Refusal> {
    let whole = Spot::Key(STATUS_LINE.to_owned());
    let entry = match jsonc::find(before, &whole, &Value::Null)? {
        None => {
            let value = json!({ "type": "command", "command": command(ccrun, &[], format) });
            Entry { spot: whole, value }
        }
        Some(value) => {
            let Some(other) = value["command"].as_str().filter(|_| value["type"] == "command") else {
                return Err(Refusal::Taken { key: STATUS_LINE.to_owned(), value });
            };
            let options = ["--with".to_owned(), other.to_owned()];
            let spot = Spot::Over(STATUS_LINE.to_owned(), "command".to_owned());
            Entry { spot, value: json!(command(ccrun, &options, format)) }
        }
    };
    Ok(vec![entry])
}
