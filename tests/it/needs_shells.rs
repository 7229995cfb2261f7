//! The alias and the completions in real shells on a real terminal.

use crate::support::emitter::ids;
use crate::support::sandbox::Sandbox;
use crate::support::session::Session;
use crate::support::terminal::Terminal;

/// A sandbox with a profile, a secret in it, and a `claude` that prints its arguments.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let destination = "[vars.country]\ndescription = \"yours\"\ndefault = \"x\"\n[destination.own]\nendpoint = \"https://h\"\nheaders.x-key = { keyring = \"platform/key\" }\n";
    sandbox.profile("platform", destination);
    // The first two arguments are the session's settings file.
    sandbox.program("claude", "#!/bin/sh\nshift 2; echo \"claude got <$*> in session ${CCRUN_SESSION:+of ours}\"\n");
    sandbox.program("zz-program", "#!/bin/sh\n");
    sandbox
}

/// Runs a session that receives something in a project with a long name, and returns its id.
fn session(sandbox: &Sandbox) -> String {
    let project = sandbox.home().join("work/clients/a-customer-with-a-long-name/services/an-api-with-a-long-name");
    std::fs::create_dir_all(&project).unwrap();
    let mut command = sandbox.ccrun(["-p", "platform"]);
    command.current_dir(&project);
    let session = Session::start_by(command);
    session.client().export(&ids("record", 3));
    let id = session.id.clone();
    // Reports the missing key, so that the list of undelivered data is not empty.
    session.end_saying();
    id
}

/// Types the start of a command line in a shell with the completions, and waits for the completed line.
fn completes(terminal: &Terminal, typed: &str, completed: &str) {
    terminal.types(typed);
    terminal.press("Tab");
    terminal.wait_for(completed);
    terminal.press("C-u");
    // Clears the screen for the next completion.
    terminal.enter("clear; echo wiped | rev");
    terminal.wait_for("depiw");
}

/// Without input, the completion offers `claude`, `code` and the verbs instead of every program. No input causes an
/// error message of the shell.
fn offers_verbs_first(terminal: &Terminal) {
    terminal.types("ccrun");
    terminal.press("Space");
    terminal.press("Tab");
    terminal.press("Tab");
    terminal.wait_for("untrust");
    let screen = terminal.screen();
    let rows: Vec<Vec<_>> = screen.lines().map(|line| line.split_whitespace().collect()).collect();
    // In columns, the second is below the first.
    let follows = |first: &[&str], next: &[&str]| first.get(1) == Some(&"code") || next.first() == Some(&"code");
    let is_first = |pair: &[Vec<&str>]| pair[0].first() == Some(&"claude") && follows(&pair[0], &pair[1]);
    assert!(rows.windows(2).any(is_first), "{screen}");
    assert!(!screen.contains("zz-program"), "{screen}");
    terminal.press("C-c");
    terminal.enter("clear; echo wiped | rev");
    terminal.wait_for("depiw");
    for typed in ["ccrun --v", "ccrun -", "ccrun -- --v"] {
        terminal.types(typed);
        terminal.press("Tab");
        terminal.press("C-u");
        terminal.enter("echo done | rev");
        terminal.wait_for("enod");
        let screen = terminal.screen();
        let complaint =
            ["unknown option", "error", "invalid", "bad pattern"].iter().find(|word| screen.contains(**word));
        assert_eq!(complaint, None, "{typed}: {screen}");
        terminal.enter("clear; echo wiped | rev");
        terminal.wait_for("depiw");
    }
}

fn speaks(shell: &str, init: &str, programs_own: &str) {
    let sandbox = sandbox();
    let terminal = Terminal::start(&sandbox, shell);
    terminal.enter(init);
    terminal.enter("echo ready | rev");
    terminal.wait_for("ydaer");
    terminal.enter("claude \"two words\" -v");
    terminal.wait_for("claude got <two words -v> in session of ours");
    for (typed, completed) in [
        ("ccrun -p plat", "ccrun -p platform"),
        ("ccrun managed-s", "ccrun managed-settings"),
        ("ccrun --verb", "ccrun --verbose"),
        ("ccrun setup honey", "ccrun setup honeycomb"),
        ("ccrun headers -p platform --destination ow", "ccrun headers -p platform --destination own"),
        ("ccrun report --by weekd", "ccrun report --by weekday"),
        ("ccrun -p platform --var coun", "ccrun -p platform --var country="),
        ("ccrun zz-p", "ccrun zz-program"),
        ("ccrun --dry", "ccrun --dry-run"),
        ("ccrun env --format dot", "ccrun env --format dotenv"),
        ("ccrun secret remove plat", "ccrun secret remove platform/key"),
        ("ccrun -p platform claud", "ccrun -p platform claude"),
    ] {
        completes(&terminal, typed, completed);
    }
    offers_verbs_first(&terminal);
    let id = session(&sandbox);
    completes(&terminal, &format!("ccrun sessions {}", &id[..6]), &format!("ccrun sessions {id}"));
    terminal.enter(programs_own);
    completes(&terminal, "ccrun -p platform claude alph", "ccrun -p platform claude alphabet");
}

#[test]
#[ignore = "needs bash and tmux; scripts/test.sh runs it"]
fn bash() {
    // Without bash-completion, the shell completes a program's arguments as files.
    speaks("bash --norc -i", "eval \"$(ccrun init bash)\"", "touch alphabet");
}

#[test]
#[ignore = "needs zsh and tmux; scripts/test.sh runs it"]
fn zsh() {
    let own = "_alphabet() { compadd alphabet }; compdef _alphabet claude";
    speaks("zsh -f -i", "eval \"$(ccrun init zsh)\"", own);
}

#[test]
#[ignore = "needs fish and tmux; scripts/test.sh runs it"]
fn fish() {
    speaks("fish --no-config -i", "ccrun init fish | source", "complete -c claude -f -a alphabet");
}

/// A shell interprets neither the profile's name nor the path of the binary.
#[test]
#[ignore = "needs bash; scripts/test.sh runs it"]
fn a_binary_outside_path_is_called_by_its_path() {
    let sandbox = sandbox();
    let odd = sandbox.home().join("it's $(touch pwned)");
    std::fs::create_dir(&odd).unwrap();
    std::fs::copy(env!("CARGO_BIN_EXE_ccrun"), odd.join("ccrun")).unwrap();
    std::fs::remove_file(sandbox.home().with_file_name("bin").join("ccrun")).unwrap();
    let script = "shopt -s expand_aliases; eval \"$(\"$0\" init bash)\"\neval 'claude hello'; ls";
    let output = sandbox.command("bash").args(["-c", script]).arg(odd.join("ccrun")).output().unwrap();
    let said = String::from_utf8(output.stdout).unwrap();
    assert_eq!(said, "claude got <hello> in session of ours\n", "{}", String::from_utf8_lossy(&output.stderr));
}

/// At usual widths, no line is wrapped by the terminal or ends with spaces.
#[test]
#[ignore = "needs tmux; scripts/test.sh runs it"]
fn listings_fit_the_terminal() {
    let sandbox = sandbox();
    sandbox.profile(
        "a-team-with-a-long-name",
        "description = \"sends all of it to a place that takes a while to describe\"\n",
    );
    let id = session(&sandbox);
    for width in [40, 60, 80, 120] {
        for verb in
            ["sessions", &format!("sessions {id}"), "setup", "report", "profile list", "secret list", "queue status"]
        {
            let command = format!(
                "while [ \"$(stty size)\" != '80 {width}' ]; do :; done; ccrun {verb} 2>/dev/null; echo ended | rev"
            );
            let terminal = Terminal::start(&sandbox, &command);
            terminal.resize(width, 80);
            terminal.wait_for("dedne");
            for line in terminal.unbroken().lines() {
                assert!(line.chars().count() <= width as usize, "{verb} at {width}: `{line}`");
            }
        }
    }
}
