//! A real `VictoriaMetrics` computes the same totals as Prometheus, although its `increase()` works differently.

mod claude;

use crate::needs_prometheus::points::{Measured::Count, Program};
use crate::support::prometheus::{Prometheus, same};
use crate::support::sandbox::Sandbox;
use crate::support::session::Session;

#[test]
#[ignore = "needs TEST_VICTORIAMETRICS; scripts/test.sh runs it"]
fn sessions_add_up() {
    let (sandbox, mut victoria) = (Sandbox::new(), Prometheus::start_victoriametrics());
    let profile = format!(
        "extends = \"victoriametrics\"\nunset = [\"destination.victorialogs\", \"destination.victoriatraces\"]\n\
         [vars]\nvictoriametrics_url = \"{}\"\n[destination.victoriametrics]\nbatch = \"1ms\"\n",
        victoria.url()
    );
    sandbox.profile("team", profile);
    for (count, total) in [(5, 5.0), (3, 8.0), (4, 12.0)] {
        let session = Session::start(&sandbox, &["-p", "team"]);
        let mut program = Program::new(session.client());
        program.export([("work.done", Count(count))]);
        victoria.wait_for("work_done_total", total);
        drop(program);
        session.end();
        sandbox.wait_for_end();
        assert!(sandbox.queue().is_empty(), "{:?}", sandbox.queue());
        victoria.stop();
        victoria.restart();
    }
    let series = victoria.samples("work_done_total");
    assert_eq!(series.len(), 1, "{series:#?}");
    assert!(same(series[0].samples[0].1, 0.0), "{series:#?}");
    let last = series[0].samples.last().unwrap().0;
    let increase = victoria.value("sum(increase(work_done_total[1h]))", Some(last + 60.0));
    assert!(increase.is_some_and(|increase| same(increase, 12.0)), "{increase:?}");
}
