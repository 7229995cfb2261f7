//! Faults of a whole machine, which `ccrun doctor` names: its disk, its loopback, its administrator, Windows around it.

use std::os::unix::fs::PermissionsExt;

use super::unprivileged::{as_nobody, give_away};
use super::{isolated, tmpfs};
use crate::doctor::{found, healthy};
use crate::support::sandbox::Sandbox;

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn a_disk_without_room() {
    let sandbox = healthy();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let output = isolated(&sandbox, &tmpfs(&sandbox)).args(["doctor", "--json"]).output().unwrap();
    let says = ["the disk is as good as full: 4 MiB are free for `~/.local/state/ccrun`"];
    found(&output, "machine.disk", "failed", &says, "CCRUN_STATE_DIR");
    let mount = tmpfs(&sandbox).replace("size=4m", "size=64m");
    let output = isolated(&sandbox, &mount).args(["doctor", "--json"]).output().unwrap();
    found(&output, "machine.disk", "warning", &["the disk is almost full: 64 MiB are free"], "make room there");
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
fn an_administrator_who_sends_telemetry_elsewhere() {
    let sandbox = healthy();
    let settings = r#"{"env": {"OTEL_EXPORTER_OTLP_ENDPOINT": "https://h",\n"OTEL_LOGS_EXPORT_INTERVAL": "9"}}"#;
    let mounts = format!(
        "mount -t tmpfs tmpfs /etc; mkdir /etc/claude-code; printf '{settings}' >/etc/claude-code/managed-settings.json"
    );
    let output = isolated(&sandbox, &mounts).args(["doctor", "--json"]).output().unwrap();
    let says =
        ["/etc/claude-code/managed-settings.json:1 sets OTEL_EXPORTER_OTLP_ENDPOINT for everybody, and beats ccrun"];
    found(&output, "settings.managed", "failed", &says, "ask whoever manages");
    let says = ["/etc/claude-code/managed-settings.json:2 sets OTEL_LOGS_EXPORT_INTERVAL for everybody"];
    found(&output, "settings.managed", "warning", &says, "have the profile say the same");
}

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn windows_around_it() {
    let mut sandbox = Sandbox::new();
    let bin = sandbox.home().with_file_name("bin").display().to_string();
    sandbox.set("WSL_DISTRO_NAME", "Ubuntu").set("PATH", format!("{bin}:/usr/bin:/bin:/mnt/c/npm"));
    let mounts = "mount -t tmpfs tmpfs /mnt; mkdir -p /mnt/c/npm /mnt/c/ProgramData/ClaudeCode; \
        printf '#!/bin/sh\n' >/mnt/c/npm/claude; chmod +x /mnt/c/npm/claude; \
        echo '{}' >/mnt/c/ProgramData/ClaudeCode/managed-settings.json";
    let output = isolated(&sandbox, mounts).args(["doctor", "--json"]).output().unwrap();
    let says = ["`/mnt/c/npm/claude` is the Claude Code of Windows, which does not run inside WSL"];
    found(&output, "program.found", "failed", &says, "install Claude Code inside WSL");
    let says = ["where Claude Code for Windows looked once, and does no more"];
    found(&output, "settings.windows", "warning", &says, "Program Files");
    found(&output, "machine.kind", "ok", &["this is Linux inside Windows (WSL)"], "");
}

#[test]
#[ignore = "needs root, to become somebody else; scripts/test.sh runs it"]
fn an_npm_of_somebody_elses() {
    let sandbox = Sandbox::new();
    give_away(&sandbox);
    let package = "lib/node_modules/@anthropic-ai/claude-code/claude";
    let program = sandbox.write(package, "#!/bin/sh\necho '2.1.329 (Claude Code)'\n");
    std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).unwrap();
    sandbox.link("claude", &program);
    let output = as_nobody(&sandbox).args(["ccrun", "doctor", "--json"]).output().unwrap();
    let says = ["Claude Code came from npm, and cannot update itself", "/lib/node_modules` cannot be written"];
    found(&output, "program.prefix", "warning", &says, "npm config set prefix");
}
