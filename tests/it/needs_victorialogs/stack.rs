//! `stack/run`: from nothing to the queries of the boards.

use std::fs::File;
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};

use crate::support::claude::{Client, USAGE, pid};
use crate::support::prometheus::{Prometheus, same};
use crate::support::sandbox::{kill, text, wait_until};
use crate::support::server::free_addresses;
use crate::support::victorialogs::VictoriaLogs;
use ccrun::doctor::live::model::Script;

/// The running script, and its addresses: collector, Prometheus, `VictoriaLogs`.
struct Stack {
    script: Child,
    addresses: Vec<String>,
}

impl Stack {
    fn start(client: &Client) -> Self {
        let addresses = free_addresses(3);
        let log = client.write("stack.log", "");
        let port = |index: usize| addresses[index].rsplit(':').next().unwrap().to_owned();
        let mut command = client.command("bash");
        command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run"));
        command.args(["--otlp-port", &port(0), "--prometheus-port", &port(1), "--victorialogs-port", &port(2)]);
        for (name, variable) in
            [("OTELCOL", "TEST_OTELCOL"), ("PROMETHEUS", "TEST_PROMETHEUS"), ("VICTORIALOGS", "TEST_VICTORIALOGS")]
        {
            command.env(name, std::env::var(variable).unwrap_or_else(|_| panic!("no {variable}")));
        }
        let output = File::options().append(true).open(&log).unwrap();
        let script = command.stdout(output.try_clone().unwrap()).stderr(output).spawn().unwrap();
        let mut stack = Self { script, addresses };
        let said = || std::fs::read_to_string(&log).unwrap();
        wait_until("the stack to be ready", || {
            assert!(stack.script.try_wait().unwrap().is_none(), "it ended: {}", said());
            said().contains("stack: ready")
        });
        stack
    }

    /// Presses Ctrl-C, and waits for the end.
    fn stop(mut self) {
        kill(pid(&self.script), "INT");
        wait_until("the stack to stop", || self.script.try_wait().unwrap().is_some());
        assert_eq!(self.script.wait().unwrap().code(), Some(130));
        for address in &self.addresses {
            assert!(TcpStream::connect(address).is_err(), "{address} still answers");
        }
    }
}

impl Drop for Stack {
    fn drop(&mut self) {
        if let Ok(None) = self.script.try_wait() {
            kill(pid(&self.script), "INT");
            drop(self.script.wait());
        }
    }
}

#[test]
#[ignore = "needs TEST_VICTORIALOGS, TEST_PROMETHEUS, TEST_OTELCOL and the real Claude Code; scripts/test.sh runs it"]
fn a_session_reaches_prometheus_and_victorialogs() {
    let client = Client::new(Script::text("the answer").usage(USAGE));
    let stack = Stack::start(&client);
    client.profile(
        "team",
        format!(
            "extends = \"stack\"\n[vars]\nstack_url = \"http://{}\"\n[team]\nid = \"platform\"\n[destination.stack]\nbatch = \"1ms\"\n",
            stack.addresses[0]
        ),
    );
    let output = client.ask(&["-p", "team"], "a question");
    assert!(output.status.success(), "{output:?}");
    client.wait_for_end();
    assert!(client.queue().is_empty(), "{:?}", client.queue());
    let (prometheus, logs) = (Prometheus::at(stack.addresses[1].clone()), VictoriaLogs::at(stack.addresses[2].clone()));
    let cost = client.report()["total"]["cost_usd"].as_f64().unwrap();
    prometheus.wait_for("sum(claude_code_cost_usage_USD_total)", cost);
    let spent = r#"service.name:="claude-code" event.name:=api_request | stats sum(cost_usd) cost"#;
    logs.flush();
    assert!(same(logs.value(spent), cost), "{}", logs.value(spent));
    let rules = prometheus.ask("/api/v1/rules")["data"]["groups"].as_array().unwrap().len();
    assert_eq!(rules, 3, "the alert rules are loaded");
    stack.stop();
}

#[test]
#[ignore = "needs TEST_VICTORIALOGS, TEST_PROMETHEUS, TEST_OTELCOL and the real Claude Code; scripts/test.sh runs it"]
fn a_port_in_use_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let data = tempfile::tempdir().unwrap();
    let mut command = Command::new("bash");
    command.arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("stack/run")).arg("--data").arg(data.path());
    command.args(["--victorialogs-port", &port]).stdin(Stdio::null());
    for name in ["OTELCOL", "PROMETHEUS", "VICTORIALOGS"] {
        command.env(name, "/bin/false");
    }
    let output = command.output().unwrap();
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains(&format!("port {port} is in use")), "{said}");
}
