//! Detects sessions whose program works while no telemetry arrives, and reports them at once.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::time::sleep;

use super::connections::Connections;
use super::plan::SessionPlan;
use crate::claude::live_session;
use crate::otlp::Signal;
use crate::state::log::Log;
use crate::state::{self, Places, notice};
use crate::system::process::Process;

/// How long a program may work before something must arrive. Metrics arrive every ten seconds unless a profile changes
/// that, and Claude Code counts its own start.
const PATIENCE: Duration = Duration::from_mins(1);

/// When to check, for programs that end sooner, whether the program has started to work.
const LOOKS: [Duration; 3] = [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(10)];

/// What must be known about a session for that.
#[derive(Clone)]
pub(super) struct Silence {
    places: Places,
    session: String,
    program: String,
    project: String,
    /// The command that tries the same way.
    live: String,
    launched: Process,
    /// Whether the program is Claude Code in its own session, with telemetry that must arrive.
    is_claude: bool,
    /// Whether it exports metrics, so that even one that only waits for its user has something to send.
    counts: bool,
    patience: Duration,
    connections: Connections,
    /// Whether it was seen working.
    has_worked: Arc<AtomicBool>,
    log: Log,
}

impl Silence {
    pub(super) fn of(plan: &SessionPlan, connections: Connections, log: Log) -> Self {
        Self {
            places: plan.workspace.places.clone(),
            session: plan.session.id.clone(),
            program: plan.session.program.clone(),
            project: plan.session.project.clone(),
            live: plan.session.selection.command("doctor --live", plan.workspace.project.is_some()),
            launched: plan.launched,
            is_claude: plan.settings.is_some() && !plan.profile.signals.emitted.is_empty(),
            counts: plan.profile.signals.emitted.contains(&Signal::Metrics),
            patience: PATIENCE.max(3 * plan.profile.signals.metric_interval),
            connections,
            has_worked: Arc::default(),
            log,
        }
    }

    /// Checks regularly until something has arrived or is missing.
    pub(super) async fn watch(self) {
        for pause in LOOKS {
            sleep(pause).await;
            if !self.is_claude || self.connections.have_kept() {
                return;
            }
            self.has_worked.fetch_or(self.works(false), Ordering::Relaxed);
        }
        while self.is_claude && !self.connections.have_kept() {
            sleep(self.patience).await;
            if !self.connections.have_kept() && self.works(self.counts) {
                let minutes = self.patience.as_secs().div_ceil(60);
                return self
                    .tell(&format!("has been working for {minutes} min, and none of its telemetry has arrived"));
            }
        }
    }

    /// Once the session is over: withdraws a premature report, and reports telemetry that arrived and could not be
    /// stored.
    pub(super) fn judge(&self) {
        if self.connections.have_kept() {
            drop(fs::remove_file(self.places.silence(&self.session)));
        } else if self.connections.have_brought() {
            self.tell("sent telemetry, and none of it could be stored");
        } else if self.has_worked.load(Ordering::Relaxed) {
            self.tell("worked, and sent no telemetry");
        }
    }

    fn works(&self, at_rest: bool) -> bool {
        live_session::works(&self.places.claude, self.launched, at_rest)
    }

    /// Reports to the session's log, the next launch, and the commands that show sessions.
    fn tell(&self, what: &str) {
        self.log.note(&format!("the program {what}"));
        let project = Places::shortened(Path::new(&self.project));
        let shown = format!("`ccrun sessions {}` shows its log, `{}` tests the whole path", self.session, self.live);
        notice::leave(&self.places, &format!("a session of `{}` in {project} {what}: {shown}", self.program));
        let noted = fs::create_dir_all(self.places.silences())
            .and_then(|()| state::write(&self.places.silence(&self.session), what.as_bytes()));
        if let Err(error) = noted {
            self.log.note(&format!("cannot record that: {error}"));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A session whose program is the test itself, with or without Claude Code's file about it.
    fn silence(directory: &Path, status: Option<&str>) -> Silence {
        let places = Places::below(directory);
        let launched = Process::current();
        fs::create_dir_all(places.claude.join("sessions")).unwrap();
        fs::create_dir_all(&places.state).unwrap();
        if let Some(status) = status {
            let note = format!("{{\"pid\": {}, \"status\": \"{status}\"}}", launched.pid);
            fs::write(places.claude.join(format!("sessions/{}.json", launched.pid)), note).unwrap();
        }
        Silence {
            log: Log::of(&places, "s"),
            places,
            session: "s".to_owned(),
            program: "claude".to_owned(),
            project: "/project".to_owned(),
            live: "ccrun doctor --live -p team".to_owned(),
            launched,
            is_claude: true,
            counts: true,
            patience: PATIENCE,
            connections: Connections::default(),
            has_worked: Arc::default(),
        }
    }

    fn told(silence: &Silence) -> (bool, Vec<String>) {
        (silence.places.silence("s").exists(), notice::take(&silence.places))
    }

    #[tokio::test(start_paused = true)]
    async fn a_working_program_without_telemetry_is_reported_once() {
        let directory = tempfile::tempdir().unwrap();
        let silence = silence(directory.path(), Some("idle"));
        silence.clone().watch().await;
        let (is_marked, lines) = told(&silence);
        assert!(
            is_marked && lines.len() == 1 && lines[0].contains("has been working for 1 min, and none of its"),
            "{lines:?}"
        );
        // Something arrives after all.
        silence.connections.brought(true);
        silence.judge();
        assert_eq!(told(&silence), (false, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_is_idle_or_has_sent_something_is_not_reported() {
        let directory = tempfile::tempdir().unwrap();
        let silence = silence(directory.path(), None);
        let watching = tokio::spawn(silence.clone().watch());
        sleep(10 * PATIENCE).await;
        assert!(!watching.is_finished());
        silence.judge();
        assert_eq!(told(&silence), (false, Vec::new()), "it did no work");
        silence.connections.brought(true);
        watching.await.unwrap();
        silence.judge();
        assert_eq!(told(&silence), (false, Vec::new()));
    }

    #[tokio::test(start_paused = true)]
    async fn a_program_that_worked_and_ended_early_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let silence = silence(directory.path(), Some("busy"));
        let watching = tokio::spawn(silence.clone().watch());
        sleep(2 * LOOKS[0]).await;
        watching.abort();
        silence.judge();
        let (is_marked, lines) = told(&silence);
        assert!(is_marked && lines[0].contains("worked, and sent no telemetry"), "{lines:?}");
    }

    #[test]
    fn telemetry_that_could_not_be_stored_is_reported() {
        let directory = tempfile::tempdir().unwrap();
        let silence = silence(directory.path(), None);
        silence.connections.brought(false);
        silence.judge();
        let (is_marked, lines) = told(&silence);
        assert!(is_marked && lines[0].contains("none of it could be stored"), "{lines:?}");
    }
}
