//! The machine: what a collector needs of it, and where it may surprise.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::path::Path;

use nix::sys::resource::{Resource, getrlimit};
use nix::sys::statvfs::statvfs;

use super::{Check, Finding, Group, Subject};
use crate::launch;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "machine.loopback", group: Group::Machine, look: loopback },
    Check { id: "machine.disk", group: Group::Machine, look: disk },
    Check { id: "machine.files", group: Group::Machine, look: files },
    Check { id: "machine.kind", group: Group::Machine, look: kind },
];

/// What the store keeps of what is not delivered, in bytes: with less room nothing but that is lost.
const COMFORT: u64 = 512 << 20;

/// With less room than this, in bytes, hardly a session's telemetry fits.
const NEED: u64 = 16 << 20;

/// How many files a collector may have to open: connections, the store's files, pipes to helpers.
const FILES: u64 = 256;

/// Telemetry comes over 127.0.0.1: one byte is sent there and back.
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
        Ok(()) => vec![Finding::ok("127.0.0.1 can be listened on and reached")],
        Err(error) => {
            let finding = Finding::failed(format!("127.0.0.1 cannot be reached, and no telemetry is taken: {error}"));
            vec![
                finding.fix(
                    "bring the loopback interface up (`ip link set lo up`), and let no firewall or sandbox block it",
                ),
            ]
        }
    }
}

fn disk(subject: &Subject) -> Vec<Finding> {
    let state = &subject.setting.places.state;
    // What is there of it: the rest would be made there.
    let Some(there) = state.ancestors().find(|ancestor| ancestor.exists()) else { return Vec::new() };
    match statvfs(there) {
        Ok(found) => {
            #[allow(clippy::useless_conversion, reason = "of 32 bits on macOS")]
            let blocks = u64::from(found.blocks_available());
            vec![room(state, blocks.saturating_mul(found.fragment_size()))]
        }
        Err(error) => vec![Finding::warning(format!("nobody knows how much room `{}` has: {error}", there.display()))],
    }
}

fn room(state: &Path, free: u64) -> Finding {
    let place = state.display();
    let what = format!("{} MiB are free for `{place}`", free >> 20);
    match free {
        0..NEED => Finding::failed(format!(
            "the disk is as good as full: {what}, and telemetry that cannot be stored is refused"
        ))
        .fix("make room there, or let CCRUN_STATE_DIR name a place that has some"),
        NEED..COMFORT => {
            Finding::warning(format!("the disk is almost full: {what}; up to 512 are kept while a backend is away"))
                .fix("make room there, or let CCRUN_STATE_DIR name a place that has some")
        }
        _ => Finding::ok(what),
    }
}

fn files(_subject: &Subject) -> Vec<Finding> {
    let Ok((soft, hard)) = getrlimit(Resource::RLIMIT_NOFILE) else { return Vec::new() };
    if soft >= FILES {
        return vec![Finding::ok(format!("a process may open {soft} files"))];
    }
    let what = format!("a process may open {soft} files only, and a busy collector wants up to {FILES}");
    let fix = if hard >= FILES { format!("`ulimit -n {FILES}`") } else { format!("have the limit raised from {hard}") };
    vec![Finding::warning(what).fix(fix)]
}

/// What kind of place this is: nothing of it is wrong, and each explains something.
fn kind(subject: &Subject) -> Vec<Finding> {
    let surroundings = &subject.surroundings;
    let is_set = |name: &str| surroundings.variable(name).is_some();
    let exists = |path: &str| Path::new(path).exists();
    let mut found = Vec::new();
    if launch::is_wsl(surroundings) {
        found.push(Finding::ok("this is Linux inside Windows (WSL)").detail(
            "a Claude Code or an editor of Windows' own does not reach a collector in here, nor the other way",
        ));
    }
    let is_container = exists("/.dockerenv") || exists("/run/.containerenv") || is_set("KUBERNETES_SERVICE_HOST");
    if is_container || is_set("container") {
        let state = subject.setting.places.state.display();
        found.push(Finding::ok("this is a container").detail(format!(
            "what is not delivered by its end goes with it, unless `{state}` is on a volume; `--wait` delivers first"
        )));
    }
    if is_set("SSH_CONNECTION") || is_set("VSCODE_IPC_HOOK_CLI") {
        found.push(
            Finding::ok("this session is remote").detail("its collector is on this machine, and so has `ccrun` to be"),
        );
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    #[test]
    fn a_disk_has_room_or_not_quite_or_none() {
        let level = |free| room(Path::new("/s"), free).level;
        assert_eq!(level(COMFORT), Level::Ok);
        assert_eq!(level(COMFORT - 1), Level::Warning);
        assert_eq!(level(NEED - 1), Level::Failed);
        assert!(room(Path::new("/s"), 0).summary.starts_with("the disk is as good as full: 0 MiB are free for `/s`"));
    }
}
