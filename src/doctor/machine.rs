//! Checks what a collector needs from the machine, and what may surprise there.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::{Check, Finding, Group, Subject};
use crate::system::wsl::is_wsl;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "machine.loopback", group: Group::Machine, look: loopback },
    Check { id: "machine.disk", group: Group::Machine, look: disk },
    Check { id: "machine.files", group: Group::Machine, look: files },
    Check { id: "machine.kind", group: Group::Machine, look: kind },
];

/// The most undelivered data that the store keeps, in bytes. With less free space, only undelivered data is at risk.
const COMFORT: u64 = 512 << 20;

/// With less free space than this, in bytes, hardly a session's telemetry fits.
const NEED: u64 = 16 << 20;

/// How many files a collector may need to open: connections, the store's files, pipes to helpers.
const FILES: u64 = 256;

/// Telemetry arrives over 127.0.0.1, so this sends one byte there and back.
fn loopback(subject: &Subject) -> Vec<Finding> {
    let patience = subject.patience();
    let tried = || -> io::Result<()> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
        let address: SocketAddr = listener.local_addr()?;
        let mut client = TcpStream::connect_timeout(&address, patience)?;
        let (mut server, _) = listener.accept()?;
        server.set_read_timeout(Some(patience))?;
        client.write_all(b"?")?;
        server.read_exact(&mut [0])
    };
    match tried() {
        Ok(()) => vec![Finding::ok("127.0.0.1 can be bound and reached")],
        Err(error) => {
            let finding = Finding::failed(format!("127.0.0.1 cannot be reached, so no telemetry is received: {error}"));
            vec![
                finding.fix(
                    "bring the loopback interface up (`ip link set lo up`), and allow it in firewalls and sandboxes",
                ),
            ]
        }
    }
}

fn disk(subject: &Subject) -> Vec<Finding> {
    let state = &subject.workspace.places.state;
    // The part of the path that exists; the rest would be created there.
    let Some(there) = state.ancestors().find(|ancestor| ancestor.exists()) else { return Vec::new() };
    match statvfs(there) {
        Ok(found) => {
            #[allow(clippy::useless_conversion, reason = "of 32 bits on macOS")]
            let blocks = u64::from(found.blocks_available());
            vec![room(state, blocks.saturating_mul(found.fragment_size()))]
        }
        Err(error) => vec![Finding::warning(format!("cannot read the free space of `{}`: {error}", there.display()))],
    }
}

fn room(state: &Path, free: u64) -> Finding {
    let place = state.display();
    let what = format!("{} MiB are free for `{place}`", free >> 20);
    match free {
        0..NEED => {
            Finding::failed(format!("the disk is full: {what}, and telemetry that cannot be stored is rejected"))
                .fix("free up space there, or set CCRUN_STATE_DIR to a directory with more")
        }
        NEED..COMFORT => {
            Finding::warning(format!("the disk is almost full: {what}; up to 512 MiB are kept while a backend is down"))
                .fix("free up space there, or set CCRUN_STATE_DIR to a directory with more")
        }
        _ => Finding::ok(what),
    }
}

fn files(_subject: &Subject) -> Vec<Finding> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Vec::new() };
    if soft >= FILES {
        return vec![Finding::ok(format!("a process may open {soft} files"))];
    }
    let what = format!("a process may open only {soft} files, and a busy collector needs up to {FILES}");
    let fix = if hard >= FILES {
        format!("`ulimit -n {FILES}`")
    } else {
        format!("ask an administrator to raise the limit of {hard}")
    };
    vec![Finding::warning(what).fix(fix)]
}

/// What kind of machine this is. None of it is a fault; each line explains something.
fn kind(subject: &Subject) -> Vec<Finding> {
    let process = &subject.process;
    let is_set = |name: &str| process.variable(name).is_some();
    let exists = |path: &str| Path::new(path).exists();
    let mut found = Vec::new();
    if is_wsl(process) {
        found
            .push(Finding::ok("this is Linux inside Windows (WSL)").detail(
                "Claude Code and editors that run on Windows cannot reach a collector in here, nor vice versa",
            ));
    }
    let is_container = exists("/.dockerenv") || exists("/run/.containerenv") || is_set("KUBERNETES_SERVICE_HOST");
    if is_container || is_set("container") {
        let state = subject.workspace.places.state.display();
        found.push(Finding::ok("this is a container").detail(format!(
            "undelivered data is lost with it, unless `{state}` is on a volume; `--wait` delivers before exit"
        )));
    }
    if is_set("SSH_CONNECTION") || is_set("VSCODE_IPC_HOOK_CLI") {
        found.push(
            Finding::ok("this session is remote")
                .detail("`ccrun` must be installed on this machine, where its collector runs"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn free_space_is_enough_short_or_used_up() {
        let level = |free| room(Path::new("/s"), free).level;
        assert_eq!(level(COMFORT), Level::Ok);
        assert_eq!(level(COMFORT - 1), Level::Warning);
        assert_eq!(level(NEED - 1), Level::Failed);
        assert!(room(Path::new("/s"), 0).summary.starts_with("the disk is full: 0 MiB are free for `/s`"));
    }
}
