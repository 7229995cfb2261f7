//! The alias and the completions, in real shells on a real terminal.

use crate::support::sandbox::Sandbox;
use crate::support::terminal::Terminal;

/// A sandbox with a profile, a secret that it names, and a `claude` that says what it was given.
fn sandbox() -> Sandbox {
    let sandbox = Sandbox::new();
    let destination = "[destination.own]\nendpoint = \"https://h\"\nheaders.x-key = { keyring = \"platform/key\" }\n";
    sandbox.profile("platform", destination);
    // What comes before the user's words is the session's settings file.
    sandbox.program("claude", "#!/bin/sh\nshift 2; echo \"claude got <$*> in session ${CCRUN_SESSION:+of ours}\"\n");
    sandbox
}

/// Types the beginning of a line in a shell that has evaluated our script, and sees it completed.
fn completes(terminal: &Terminal, typed: &str, completed: &str) {
    terminal.types(typed);
    terminal.press("Tab");
    terminal.wait_for(completed);
    terminal.press("C-u");
    // The next one is to be seen on an empty screen.
    terminal.enter("clear; echo wiped | rev");
    terminal.wait_for("depiw");
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
        ("ccrun --dry", "ccrun --dry-run"),
        ("ccrun env --format dot", "ccrun env --format dotenv"),
        ("ccrun secret remove plat", "ccrun secret remove platform/key"),
        ("ccrun -p platform claud", "ccrun -p platform claude"),
    ] {
        completes(&terminal, typed, completed);
    }
    terminal.enter(programs_own);
    completes(&terminal, "ccrun -p platform claude alph", "ccrun -p platform claude alphabet");
}

#[test]
#[ignore = "needs bash and tmux; scripts/test.sh runs it"]
fn bash() {
    // Where bash-completion is not installed a program's words are files.
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

/// Whatever a profile is called, and wherever the binary is, nothing of it acts in a shell.
#[test]
#[ignore = "needs bash; scripts/test.sh runs it"]
fn a_binary_that_is_not_on_the_path_is_called_by_its_own() {
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
