//! Many first launches at once, on a machine without any state.

use std::collections::BTreeSet;

use crate::support::backend::Backend;
use crate::support::sandbox::{Sandbox, text};

#[test]
fn fifty_first_launches_at_once_share_one_state() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile("otlp", "[destination.otlp]\nbatch = \"1ms\"\n[redact]\nhash = [\"user.id\"]\n");
    let endpoint = format!("endpoint={}", backend.endpoint());
    let launch =
        || sandbox.ccrun(["-p", "otlp", "--var", &endpoint, "sh", "-c", "echo $CCRUN_SESSION"]).spawn().unwrap();
    let launches: Vec<_> = (0..50).map(|_| launch()).collect();
    let mut sessions = BTreeSet::new();
    for launch in launches {
        let output = launch.wait_with_output().unwrap();
        assert!(output.status.success() && output.stderr.is_empty(), "{}", text(&output.stderr));
        sessions.insert(text(&output.stdout).trim().to_owned());
    }
    assert_eq!(sessions.len(), 50, "every launch has telemetry");
    sandbox.wait_for_end();
    let listed = sandbox.run(["sessions", "--all", "--json"]);
    let listed: Vec<serde_json::Value> = serde_json::from_slice(&listed.stdout).unwrap();
    let ended = listed.iter().filter(|session| session["state"] == "ended");
    assert_eq!(ended.map(|session| session["id"].as_str().unwrap().to_owned()).collect::<BTreeSet<_>>(), sessions);
    assert_eq!(std::fs::metadata(sandbox.state().join("key")).unwrap().len(), 32);
    assert_eq!(std::fs::read_dir(sandbox.state().join("locks")).unwrap().count(), 0);
    let names =
        std::fs::read_dir(sandbox.state()).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    assert!(!names.into_iter().any(|name| name.contains("damaged")), "nothing was damaged");
}
