//! Faults of the whole machine that `ccrun doctor` reports: a full disk, loopback, managed settings, WSL.

use super::{isolated, tmpfs};
use crate::doctor::{found, healthy};
use crate::support::sandbox::Sandbox;

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_full_disk() {
    let sandbox = healthy();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let output = isolated(&sandbox, &tmpfs(&sandbox)).args(["doctor", "--json"]).output().unwrap();
    let says = ["the disk is full: 4 MiB are free for `~/.local/state/ccrun`"];
    found(&output, "machine.disk", "failed", &says, "CCRUN_STATE_DIR");
    let mount = tmpfs(&sandbox).replace("size=4m", "size=64m");
    let output = isolated(&sandbox, &mount).args(["doctor", "--json"]).output().unwrap();
    found(&output, "machine.disk", "warning", &["the disk is almost full: 64 MiB are free"], "free up space there");
}

#[test]
#[ignore = "needs root and network namespaces; scripts/test.sh runs it"]
fn a_loopback_that_is_down() {
    let sandbox = healthy();
    let output = sandbox.command("unshare").args(["-n", "ccrun", "doctor", "--json"]).output().unwrap();
    found(&output, "machine.loopback", "failed", &["127.0.0.1 cannot be reached"], "ip link set lo up");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn managed_settings_that_redirect_telemetry() {
    let sandbox = healthy();
    let settings = r#"{"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h",\n"OTEL_LOGS_EXPORT_INTERVAL": "9"}}"#;
    let mounts = format!(
        "mount -t tmpfs tmpfs /etc; mkdir /etc/claude-code; printf '{settings}' >/etc/claude-code/managed-settings.json"
    );
    let output = isolated(&sandbox, &mounts).args(["doctor", "--json"]).output().unwrap();
    let says =
        ["/etc/claude-code/managed-settings.json:1 sets OTEL_EXPORTER_OTLP_ENDPOINT for all users and overrides ccrun"];
    found(&output, "settings.managed", "failed", &says, "ask the administrator");
    let says = ["/etc/claude-code/managed-settings.json:2 sets OTEL_LOGS_EXPORT_INTERVAL for all users"];
    found(&output, "settings.managed", "warning", &says, "set the same value in the profile");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn settings_of_windows_under_wsl() {
    let mut sandbox = Sandbox::new();
    let bin = sandbox.home().with_file_name("bin").display().to_string();
    sandbox.set("WSL_DISTRO_NAME", "Ubuntu").set("PATH", format!("{bin}:/usr/bin:/bin:/mnt/c/npm"));
    let mounts = "mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/c/npm; \
        printf '#!/bin/sh\n' >/mnt/c/npm/claude; chmod +x /mnt/c/npm/claude";
    let output = isolated(&sandbox, mounts).args(["doctor", "--json"]).output().unwrap();
    let says = ["`/mnt/c/npm/claude` is the Claude Code of Windows, which does not run inside WSL"];
    found(&output, "program.found", "failed", &says, "install Claude Code inside WSL");
    found(&output, "machine.kind", "ok", &["this is Linux inside Windows (WSL)"], "");
}
