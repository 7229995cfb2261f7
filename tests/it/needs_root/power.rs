//! Power cuts: a copy of the block device at any moment has everything acknowledged until then.

use std::path::Path;

use ccrun::spool::{Found, Position, Source};

use super::{Load, has, isolated};
use crate::support::backend::Backend;
use crate::support::sandbox::{Sandbox, text};
use crate::support::session::Session;

#[test]
#[ignore = "needs root and mount namespaces; scripts/test.sh runs it"]
fn acknowledged_data_survives_a_power_cut() {
    let (sandbox, mut backend) = (Sandbox::new(), Backend::start());
    if !has(&sandbox, "mkfs.ext4") {
        return;
    }
    backend.stop();
    std::fs::create_dir_all(sandbox.state()).unwrap();
    let (disk, state) = (sandbox.home().join("disk"), sandbox.state());
    let make = format!("truncate -s 64M '{0}'; mkfs.ext4 -q '{0}'", disk.display());
    let mounts = format!("{make}; mount -o loop '{}' '{}'", disk.display(), state.display());
    let mut command = isolated(&sandbox, &mounts);
    command.args(["-p", "otlp", "--var", &format!("endpoint={}", backend.endpoint())]);
    let session = Session::start_by(command);
    let mut load = Load { client: session.client(), acknowledged: Vec::new(), sent: 0 };
    for cut in 0..10 {
        // From the middle of the first segment to far beyond it.
        for _ in 0..=cut * 20 {
            assert_eq!(load.send(), 200);
        }
        let copy = sandbox.home().join("copy");
        std::fs::copy(&disk, &copy).unwrap();
        assert_eq!(found(&sandbox, &copy, &session.id, &load.acknowledged), load.acknowledged, "cut {cut}");
    }
    drop(load);
    backend.restart();
    session.end();
    sandbox.wait_for_end();
}

/// The records that a copy of the disk has. Checks that each is in its place and that there are no others.
fn found(sandbox: &Sandbox, copy: &Path, session: &str, records: &[String]) -> Vec<String> {
    let saved = sandbox.home().join("saved");
    let (at, to) = (sandbox.state(), saved.display().to_string());
    let script =
        format!("mount -o loop '{}' '{}' && cp -a '{}/spool' '{to}'", copy.display(), at.display(), at.display());
    let output = sandbox.command("unshare").args(["-m", "sh", "-c", &script]).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    let mut log = Source::ended(&saved).reader(session, Position::START).unwrap();
    let mut bodies = Vec::new();
    while let Some(found) = log.next().unwrap() {
        let Found::Frame(frame) = found else { panic!("an acknowledged frame is damaged") };
        bodies.push(log.parts(&frame).unwrap().unwrap().1);
    }
    std::fs::remove_dir_all(&saved).unwrap();
    assert_eq!(bodies.len(), records.len());
    let holds = |body: &[u8], record: &str| body.windows(record.len()).any(|window| window == record.as_bytes());
    let both = records.iter().zip(&bodies);
    both.filter(|(record, body)| holds(body, record)).map(|(record, _)| record.clone()).collect()
}
