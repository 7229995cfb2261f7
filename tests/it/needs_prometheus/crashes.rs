//! After kills at any time, Prometheus ends up with the right counts.

use nix::sys::signal::Signal;

use super::points::Measured::Count;
use super::points::Program;
use super::programs::profile;
use crate::support::prometheus::{Prometheus, same};
use crate::support::random::Random;
use crate::support::sandbox::{Sandbox, wait_until};
use crate::support::session::Session;

/// The number of steps in a test.
const STEPS: usize = 120;

/// The number of kills of a session's worker. A keeper starts at most five workers in ten minutes.
const KILLS: usize = 4;

/// A session with a program in it, and the number of kills of its worker.
struct Client {
    session: Session,
    program: Program,
    kills: usize,
}

impl Client {
    fn start(sandbox: &Sandbox) -> Self {
        let session = Session::start(sandbox, &["-p", "team"]);
        let program = Program::new(session.client());
        Self { session, program, kills: 0 }
    }

    fn kill_worker(&mut self) {
        if self.kills < KILLS {
            self.session.end_worker(Signal::SIGKILL);
            self.kills += 1;
        }
    }

    /// Kills the collector while it has undelivered data, and ends the session.
    fn crash(mut self) {
        drop(self.program);
        self.session.kill_both();
        self.session.end_saying();
    }

    fn end(self) {
        drop(self.program);
        self.session.end_saying();
    }
}

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn the_sum_is_right_after_kills_at_any_time() {
    let (sandbox, mut prometheus) = (Sandbox::new(), Prometheus::start());
    profile(&sandbox, &prometheus, "");
    let mut random = Random::new(20_261_121);
    let mut clients: Vec<_> = (0..3).map(|_| Client::start(&sandbox)).collect();
    let (mut counted, mut is_down) = (0, false);
    for _ in 0..STEPS {
        let index = usize::try_from(random.below(3)).unwrap();
        match random.below(20) {
            0 | 1 => clients[index].kill_worker(),
            2 => {
                clients.swap_remove(index).crash();
                clients.push(Client::start(&sandbox));
            }
            3 => {
                clients.swap_remove(index).end();
                clients.push(Client::start(&sandbox));
            }
            4 => {
                let change = if is_down { Prometheus::restart } else { Prometheus::kill };
                change(&mut prometheus);
                is_down = !is_down;
            }
            _ => {
                let count = 1 + i64::try_from(random.below(9)).unwrap();
                clients[index].program.export([("work.done", Count(count))]);
                counted += count;
            }
        }
    }
    if is_down {
        prometheus.restart();
    }
    clients.into_iter().for_each(Client::end);
    sandbox.wait_for_end();
    wait_until("all data to be delivered", || sandbox.run(["queue", "flush"]).status.success());
    #[expect(clippy::cast_precision_loss, reason = "it is small")]
    prometheus.wait_for("work_done_total", counted as f64);
    let series = &prometheus.samples("work_done_total")[0];
    assert!(
        series.samples.is_sorted_by(|one, next| one.1 <= next.1),
        "the series never decreases: {:?}",
        series.samples
    );
    assert!(same(series.samples[0].1, 0.0), "the series starts at zero: {:?}", series.samples);
}
