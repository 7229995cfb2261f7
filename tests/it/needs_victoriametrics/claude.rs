//! The boards with a real `VictoriaMetrics` that holds sessions of the real Claude Code.

use crate::needs_prometheus::claude::source::has_the_ledgers_numbers;
use crate::support::boards::usage_agrees;
use crate::support::prometheus::Prometheus;
use crate::support::work::{SESSIONS, client, work};

#[test]
#[ignore = "needs TEST_VICTORIAMETRICS and the real Claude Code; scripts/test.sh runs it"]
fn the_boards_show_what_the_ledger_has() {
    let (victoria, client) = (Prometheus::start_victoriametrics(), client());
    client.profile(
        "team",
        format!(
            "extends = \"victoriametrics\"\nunset = [\"destination.victorialogs\", \"destination.victoriatraces\"]\n\
             [vars]\nvictoriametrics_url = \"{}\"\n[team]\nid = \"platform\"\n[cardinality]\nrepository = true\n\
             [signals]\nmetric_interval = \"1s\"\n[destination.victoriametrics]\nbatch = \"1ms\"\n",
            victoria.url()
        ),
    );
    work(&client, &["-p", "team"]);
    client.wait_for_end();
    victoria.wait_for("sum(claude_code_session_count_total)", f64::from(SESSIONS));
    victoria.flush();
    usage_agrees(&victoria, &client, &["Edits accepted when asked"]);
    has_the_ledgers_numbers(&client, &victoria);
}
