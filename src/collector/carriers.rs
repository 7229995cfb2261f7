//! Processes that may still send: those whose environment carries the session's endpoint, and the workers of Claude
//! Code's background service that were started with the session's settings file.

use super::plan::Plan;
use crate::background;
use crate::bounded;
use crate::process::{Process, start_time};

/// How much of an environment is read, in bytes: Linux allows no more for all variables and arguments by default.
const MAXIMUM_ENVIRONMENT: u64 = 2 << 20;

/// Whether the environments of processes can be read at all. Our own cannot, for nobody's sight: so this asks for
/// something that everybody may see.
pub(super) fn readable() -> bool {
    cfg!(target_os = "linux") && std::fs::read("/proc/self/stat").is_ok()
}

/// Everyone who may still send.
pub(super) fn find(plan: &Plan) -> Vec<Process> {
    let mut found = environments(&plan.token.0);
    if let Some(settings) = &plan.settings {
        found.extend(background::workers(&plan.setting.places.claude, settings));
    }
    found
}

/// Processes of this user whose `OTEL_EXPORTER_OTLP_ENDPOINT` holds the token. One that cannot be read is no carrier.
fn environments(token: &str) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let carries = |pid: &i32| {
        let environment =
            bounded::read(format!("/proc/{pid}/environ").as_ref(), MAXIMUM_ENVIRONMENT).unwrap_or_default();
        environment.split(|byte| *byte == 0).any(|variable| {
            let value = variable.strip_prefix(b"OTEL_EXPORTER_OTLP_ENDPOINT=");
            value.is_some_and(|value| value.ends_with(token.as_bytes()))
        })
    };
    pids.filter(carries).filter_map(process).collect()
}

fn process(pid: i32) -> Option<Process> {
    let started = start_time(pid)?;
    Some(Process { pid, started: Some(started) })
}
