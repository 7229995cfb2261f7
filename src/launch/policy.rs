//! Decides what a launch does, from facts known before it starts. Pure, and tested by a table of cases.

use std::time::Duration;

use super::{Drain, Program};
use crate::profile::{DEFAULT, INHERITED, Inherited, Profile, Selection};
use crate::{claude, editor};

/// How long the collector may take besides delivering before the launcher stops waiting for it.
const MARGIN: Duration = Duration::from_secs(5);

/// The options of a launch.
#[derive(Clone, Debug, Default)]
pub struct Request {
    /// The selected profiles and overrides.
    pub selection: Selection,
    /// Run without a collector.
    pub is_direct: bool,
    /// Wait until the program has exited.
    pub waits: bool,
    /// Do not start the program without telemetry.
    pub is_required: bool,
    /// How long to deliver once the program has ended; as the profile says where it is none.
    pub drain_timeout: Option<Duration>,
}

/// Everything that the decision depends on.
#[derive(Clone, Copy, Debug)]
pub struct Facts<'a> {
    /// The program.
    pub program: &'a Program,
    /// The options of the launch.
    pub request: &'a Request,
    /// The profile that applies.
    pub profile: &'a Profile,
    /// Whether the program is an editor.
    pub is_editor: bool,
    /// The service name of Claude Code's telemetry in an editor's session.
    pub service_name: Option<&'a String>,
    /// Telemetry configured without `ccrun`, or `None` if a profile was chosen.
    pub inherited: Option<&'a Inherited>,
    /// Whether nothing outlives the program: in a job, or as pid 1.
    pub is_last: bool,
}

/// What a launch does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy {
    /// Whether the program must not start without telemetry.
    pub is_required: bool,
    /// How telemetry is exported.
    pub mode: Mode,
    /// Whether to show notices that ended sessions left. An extension's log is not read, so they are not shown there.
    pub shows_notices: bool,
    /// A one-time notice about telemetry that was configured without `ccrun`.
    pub inherited_notice: Option<String>,
}

/// How telemetry is exported.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Mode {
    /// By the program itself.
    Direct,
    /// Through the session's own collector.
    Collector {
        /// Patterns of `service.name`, one of which must match for telemetry to be accepted. `None` accepts everything.
        accept: Option<Vec<String>>,
        /// What the launcher waits for, if it stays as the program's parent.
        stays: Option<Drain>,
    },
}

/// Decides what a launch does.
pub fn decide(facts: Facts<'_>) -> Policy {
    let Facts { program, request, profile, .. } = facts;
    let mode = if is_direct(request.is_direct, profile) {
        Mode::Direct
    } else {
        Mode::Collector { accept: accept(facts), stays: stays(facts) }
    };
    Policy {
        is_required: request.is_required || profile.require,
        shows_notices: !program.is_wrapped,
        inherited_notice: inherited_notice(facts).filter(|_| mode != Mode::Direct),
        mode,
    }
}

/// Whether a program is an editor. `editors` are those of `config.toml`, or `None` for the usual ones.
pub fn is_editor(program: &Program, editors: Option<&[String]>) -> bool {
    !program.is_claude && editor::is_editor(&program.name, editors)
}

/// Whether a launch runs without a collector: the command line or the profile says so.
pub fn is_direct(is_asked: bool, profile: &Profile) -> bool {
    is_asked || profile.collector.direct
}

/// Programs in an editor's terminals inherit the endpoint, but their telemetry is not the session's. An editor's
/// session accepts only Claude Code's, under each name that it may have.
fn accept(facts: Facts<'_>) -> Option<Vec<String>> {
    let usual = || facts.is_editor.then(|| claude::services(facts.service_name.cloned().into_iter()));
    facts.profile.collector.accept.clone().or_else(usual)
}

/// An editor's windows outlive its command, so with `--wait` the session is awaited until it is idle.
fn stays(facts: Facts<'_>) -> Option<Drain> {
    let waits = facts.request.waits;
    let drain = || Drain::For(facts.profile.collector.drain_timeout + MARGIN);
    (waits || facts.is_last).then(|| if facts.is_editor && waits { Drain::UntilIdle } else { drain() })
}

/// The notice applies where the inherited profile applies, or the default profile if nothing was inherited.
fn inherited_notice(facts: Facts<'_>) -> Option<String> {
    let found = facts.inherited.filter(|_| !facts.program.is_wrapped)?;
    let applies = facts.profile.name == if found.is_profile() { INHERITED } else { DEFAULT };
    found.notice().filter(|_| applies)
}

#[cfg(test)]
mod tests {
    use std::path::Path;
    use std::sync::Arc;

    use super::*;
    use crate::profile::{Directories, Document, check_document};

    /// The facts of a test case in plain types.
    struct Case {
        program: &'static str,
        is_wrapped: bool,
        profile: &'static str,
        asked: &'static [&'static str],
        editors: Option<Vec<String>>,
        service_name: Option<&'static str>,
        inherited: Option<Inherited>,
        is_last: bool,
    }

    const PLAIN: Case = Case {
        program: "claude",
        is_wrapped: false,
        profile: "",
        asked: &[],
        editors: None,
        service_name: None,
        inherited: None,
        is_last: false,
    };

    fn profile(text: &str) -> Profile {
        let document = Arc::new(Document { label: "p.toml".to_owned(), text: text.to_owned() });
        let nowhere = Path::new("/nonexistent");
        check_document(&document, Directories { system: nowhere, user: nowhere, inherited: None }).unwrap().profile
    }

    fn decided(case: &Case) -> Policy {
        let mut program = Program::new(case.program.into(), format!("/bin/{}", case.program).into(), Vec::new());
        program.is_wrapped = case.is_wrapped;
        let asked = |what| case.asked.contains(&what);
        let request = Request {
            selection: Selection::default(),
            is_direct: asked("--direct"),
            waits: asked("--wait"),
            is_required: asked("--require"),
            drain_timeout: None,
        };
        let profile = profile(case.profile);
        decide(Facts {
            program: &program,
            request: &request,
            profile: &profile,
            is_editor: is_editor(&program, case.editors.as_deref()),
            service_name: case.service_name.map(str::to_owned).as_ref(),
            inherited: case.inherited.as_ref(),
            is_last: case.is_last,
        })
    }

    fn collector(accept: Option<&[&str]>, stays: Option<Drain>) -> Mode {
        let accept = accept.map(|patterns| patterns.iter().map(|pattern| (*pattern).to_owned()).collect());
        Mode::Collector { accept, stays }
    }

    #[test]
    fn the_mode_of_export_depends_on_program_profile_and_options() {
        let usual = Drain::For(Duration::from_secs(10) + MARGIN);
        let services = |more: &[&'static str]| [&["claude-code*"], more].concat();
        let vim = || Some(vec!["vim".to_owned()]);
        let direct = "[collector]\nmode = \"direct\"\n";
        let cases: [(&str, Case, Mode); 15] = [
            ("a terminal's session", PLAIN, collector(None, None)),
            (
                "a profile's patterns",
                Case { profile: "[collector]\naccept = [\"a*\"]\n", ..PLAIN },
                collector(Some(&["a*"]), None),
            ),
            ("an editor", Case { program: "code", ..PLAIN }, collector(Some(&services(&[])), None)),
            (
                "an editor with a name of its own",
                Case { program: "code", service_name: Some("mine"), ..PLAIN },
                collector(Some(&services(&["mine"])), None),
            ),
            (
                "an editor and a profile's patterns",
                Case { program: "code", profile: "[collector]\naccept = [\"*\"]\n", ..PLAIN },
                collector(Some(&["*"]), None),
            ),
            (
                "an editor by configuration",
                Case { program: "vim", editors: vim(), ..PLAIN },
                collector(Some(&services(&[])), None),
            ),
            ("no editor by configuration", Case { program: "code", editors: vim(), ..PLAIN }, collector(None, None)),
            (
                "Claude Code is no editor",
                Case { editors: Some(vec!["claude".to_owned()]), asked: &["--wait"], ..PLAIN },
                collector(None, Some(usual)),
            ),
            ("waiting", Case { asked: &["--wait"], ..PLAIN }, collector(None, Some(usual))),
            ("in a job", Case { is_last: true, ..PLAIN }, collector(None, Some(usual))),
            (
                "in a job with a time of its own",
                Case { is_last: true, profile: "[collector]\ndrain_timeout = \"1s\"\n", ..PLAIN },
                collector(None, Some(Drain::For(Duration::from_secs(1) + MARGIN))),
            ),
            (
                "waiting for an editor",
                Case { program: "code", asked: &["--wait"], ..PLAIN },
                collector(Some(&services(&[])), Some(Drain::UntilIdle)),
            ),
            (
                "an editor in a job",
                Case { program: "code", is_last: true, ..PLAIN },
                collector(Some(&services(&[])), Some(usual)),
            ),
            ("direct by option", Case { asked: &["--direct", "--wait"], is_last: true, ..PLAIN }, Mode::Direct),
            ("direct by profile", Case { program: "code", profile: direct, ..PLAIN }, Mode::Direct),
        ];
        for (what, case, expected) in cases {
            assert_eq!(decided(&case).mode, expected, "{what}");
        }
    }

    #[test]
    fn requirements_and_notices_are_decided() {
        let found = |endpoint: &str| {
            let variables = [("CLAUDE_CODE_ENABLE_TELEMETRY", "1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
            let variables = variables.map(|(name, value)| (name.to_owned(), (value.to_owned(), "here".to_owned())));
            Inherited::find(&variables.into())
        };
        let required = "require = true\n";
        // Whether it is required, whether notices are shown, whether inherited telemetry is mentioned.
        let cases = [
            ("a terminal's session", PLAIN, [false, true, false]),
            ("--require", Case { asked: &["--require"], ..PLAIN }, [true, true, false]),
            ("a profile that is required", Case { profile: required, ..PLAIN }, [true, true, false]),
            ("required and direct", Case { profile: required, asked: &["--direct"], ..PLAIN }, [true, true, false]),
            ("wrapped by an editor", Case { is_wrapped: true, ..PLAIN }, [false, false, false]),
            (
                "another profile than what was found",
                Case { inherited: found("http://h:4318"), ..PLAIN },
                [false, true, false],
            ),
        ];
        for (what, case, expected) in cases {
            let Policy { is_required, shows_notices, inherited_notice, .. } = decided(&case);
            assert_eq!([is_required, shows_notices, inherited_notice.is_some()], expected, "{what}");
        }
    }

    #[test]
    fn inherited_telemetry_is_mentioned_where_it_applies() {
        let find = |endpoint: &str| {
            let variables = [("CLAUDE_CODE_ENABLE_TELEMETRY", "1"), ("OTEL_EXPORTER_OTLP_ENDPOINT", endpoint)];
            let variables = variables.map(|(name, value)| (name.to_owned(), (value.to_owned(), "here".to_owned())));
            Inherited::find(&variables.into()).unwrap()
        };
        let (usable, unusable) = (find("http://h:4318"), find("ftp://h"));
        assert!(usable.is_profile() && !unusable.is_profile() && unusable.notice().is_some());
        let is_said = |found: &Inherited, name: &str, is_wrapped: bool, is_direct: bool| {
            let mut program = Program::new("claude".into(), "/bin/claude".into(), Vec::new());
            program.is_wrapped = is_wrapped;
            let profile = Profile { name: name.to_owned(), ..profile("") };
            let (request, inherited) = (Request { is_direct, ..Request::default() }, Some(found));
            let (program, request, profile) = (&program, &request, &profile);
            let facts =
                Facts { program, request, profile, is_editor: false, service_name: None, inherited, is_last: false };
            decide(facts).inherited_notice.is_some()
        };
        assert!(is_said(&usable, INHERITED, false, false) && is_said(&unusable, DEFAULT, false, false));
        assert!(!is_said(&usable, DEFAULT, false, false) && !is_said(&unusable, INHERITED, false, false));
        assert!(!is_said(&usable, INHERITED, true, false) && !is_said(&usable, INHERITED, false, true));
    }
}
