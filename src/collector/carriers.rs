//! Finds processes that may still send: those with the session's endpoint in their environment, and workers of Claude
//! Code's background service that use the session's settings file.

use super::plan::SessionPlan;
use crate::claude::background;
use crate::system::process::{Environment, Process, environment, start_time};

/// Whether environments of processes can be read at all. The collector protects its own, so this reads a file that is
/// always readable.
pub(super) fn readable() -> bool {
    cfg!(target_os = "linux") && std::fs::read("/proc/self/stat").is_ok()
}

/// Every process that may still send.
pub(super) fn find(plan: &SessionPlan) -> Vec<Process> {
    let mut found = environments(plan.token.expose());
    if let Some(settings) = &plan.settings {
        found.extend(background::workers(&plan.workspace.places.claude, settings));
    }
    found
}

/// Processes of this user with the token. A process that cannot be read does not count.
fn environments(token: &str) -> Vec<Process> {
    let Ok(entries) = std::fs::read_dir("/proc") else { return Vec::new() };
    let pids = entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    let carries = |pid: &i32| environment(*pid).is_some_and(|environment| carries(&environment, token));
    pids.filter(carries).filter_map(process).collect()
}

/// Whether an environment has the token: at the end of its endpoint, or in its headers, as for gRPC clients, unless its
/// endpoint is on another machine.
fn carries(environment: &Environment, token: &str) -> bool {
    let contains = |text: &[u8], part: &str| text.windows(part.len()).any(|some| some == part.as_bytes());
    let endpoint = environment.value("OTEL_EXPORTER_OTLP_ENDPOINT");
    let is_here =
        endpoint.is_none_or(|endpoint| ["127.0.0.1", "localhost"].iter().any(|host| contains(endpoint, host)));
    endpoint.is_some_and(|endpoint| endpoint.ends_with(token.as_bytes()))
        || (is_here && environment.value("OTEL_EXPORTER_OTLP_HEADERS").is_some_and(|headers| contains(headers, token)))
}

fn process(pid: i32) -> Option<Process> {
    let started = start_time(pid)?;
    Some(Process { pid, started: Some(started) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_is_carried_by_endpoint_or_headers() {
        let carries = |variables: &[&str]| carries(&variables.join("\0").into_bytes().into(), "0123abcd");
        assert!(carries(&["A=b", "OTEL_EXPORTER_OTLP_ENDPOINT=http://127.0.0.1:4711/0123abcd", "C=d"]));
        assert!(carries(&["OTEL_EXPORTER_OTLP_HEADERS=a=b,x-ccrun-token=0123abcd"]));
        let elsewhere = "OTEL_EXPORTER_OTLP_ENDPOINT=https://otlp.example";
        let headers = "OTEL_EXPORTER_OTLP_HEADERS=x-ccrun-token=0123abcd";
        assert!(carries(&["OTEL_EXPORTER_OTLP_ENDPOINT=http://localhost:4711", headers]));
        assert!(!carries(&[elsewhere, headers]) && !carries(&[]));
        assert!(!carries(&["CCRUN_TOKEN=0123abcd", "OTEL_EXPORTER_OTLP_HEADERS=x-ccrun-token=9999"]));
    }
}
