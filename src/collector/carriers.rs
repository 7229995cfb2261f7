//! Processes that may still send: those whose environment carries the session's endpoint, and the workers of Claude
//! Code's background service that were started with the session's settings file.

use std::collections::BTreeSet;
use std::fs::File;
use std::io::Read;

use serde_json::Value;

use super::plan::Plan;
use crate::process::{Process, start_time};

/// How much of an environment is read, in bytes: Linux allows no more for all variables and arguments by default.
const MAXIMUM_ENVIRONMENT: u64 = 2 << 20;

/// How much of the background service's roster is read, in bytes.
const MAXIMUM_ROSTER: u64 = 4 << 20;

/// Whether the environments of processes can be read at all.
pub(super) fn readable() -> bool {
    cfg!(target_os = "linux") && std::fs::read("/proc/self/environ").is_ok()
}

/// Everyone who may still send.
pub(super) fn find(plan: &Plan) -> Vec<Process> {
    let mut found = environments(&plan.token.0);
    found.extend(background_workers(plan));
    found
}

/// Processes of this user whose `OTEL_EXPORTER_OTLP_ENDPOINT` holds the token. One that cannot be read is no carrier.
fn environments(token: &str) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let carries = |pid: &i32| {
        let environment = read(&format!("/proc/{pid}/environ"), MAXIMUM_ENVIRONMENT).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let value = variable.strip_prefix(b"OTEL_EXPORTER_OTLP_ENDPOINT=");
            value.is_some_and(|value| value.ends_with(token.as_bytes()))
        })
    };
    pids.filter(carries).filter_map(process).collect()
}

/// Workers in the roster that name the settings file. Only the file travels with a background job.
fn background_workers(plan: &Plan) -> BTreeSet<Process> {
    let Some(settings) = plan.settings.as_ref().and_then(|settings| settings.path.to_str()) else {
        return BTreeSet::new();
    };
    let roster = read(&plan.places.claude.join("daemon/roster.json").to_string_lossy(), MAXIMUM_ROSTER);
    let roster: Value = roster.and_then(|text| serde_json::from_slice(&text).ok()).unwrap_or_default();
    let workers = roster["workers"].as_object().into_iter().flat_map(serde_json::Map::values);
    let ours = workers.filter(|worker| mentions(worker, settings));
    let processes = ours
        .flat_map(|worker| [(&worker["pid"], &worker["procStart"]), (&worker["replPid"], &worker["replProcStart"])]);
    let known = processes.filter_map(|(pid, start)| {
        let pid = i32::try_from(pid.as_i64()?).ok()?;
        // Written as the start time of /proc/PID/stat.
        Some(Process { pid, started: start.as_str().and_then(|start| start.parse().ok()) })
    });
    known.filter(|process| process.lives()).collect()
}

/// Whether a value holds this string anywhere.
fn mentions(value: &Value, text: &str) -> bool {
    match value {
        Value::String(found) => found == text || found.strip_prefix("--settings=") == Some(text),
        Value::Array(items) => items.iter().any(|item| mentions(item, text)),
        Value::Object(entries) => entries.values().any(|entry| mentions(entry, text)),
        _ => false,
    }
}

fn process(pid: i32) -> Option<Process> {
    let started = start_time(pid)?;
    Some(Process { pid, started: Some(started) })
}

fn read(path: &str, limit: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(limit).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}
