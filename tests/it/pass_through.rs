//! Everything in a process besides arguments and environment also reaches the program unchanged.

use std::process::Command;

use crate::support::sandbox::{Sandbox, text};

/// Prints the process's own state, except for what always differs.
const LOOK: &str = r#"
cat /proc/self/status | grep -E '^(Umask|Sig(Blk|Ign|Cgt)|ShdPnd|SigPnd|NoNewPrivs|Seccomp|Cpus_allowed_list|Groups|Cap.*):'
cat /proc/self/limits /proc/self/oom_score_adj
pwd; nice
for descriptor in /proc/self/fd/*; do
    number=${descriptor##*/}
    [ "$number" -le 9 ] && readlink "$descriptor" | sed "s/^/$number /; s/:\[[0-9]*\]//; s,/proc/[0-9]*/,/proc/N/,"
done
"#;

/// The program's output with and without `ccrun`, in a shell that has run `setup`.
fn looks(sandbox: &Sandbox, setup: &str) -> (String, String) {
    sandbox.program("look", &format!("#!/bin/bash\n{LOOK}"));
    let look = |launcher: &str| {
        let script = format!("{setup}\nexec {launcher} look");
        let output = sandbox.command("bash").args(["-c", &script]).output().unwrap();
        assert!(output.status.success(), "{}", text(&output.stderr));
        assert_eq!(text(&output.stderr), "");
        text(&output.stdout)
    };
    (look(""), look("ccrun"))
}

#[test]
fn the_program_sees_the_shells_environment_and_no_trace_of_ccrun() {
    let sandbox = Sandbox::new();
    let setup = "exec 5>five 7</dev/null 9<>nine; umask 027; ulimit -n 300 -c 0; renice -n 5 $$ >/dev/null\n\
                 echo 200 >/proc/self/oom_score_adj; trap '' USR1 HUP; mkdir -p below; cd below";
    let (without, with) = looks(&sandbox, setup);
    assert!(without.contains("/five\n") && without.contains("Umask:\t0027\n"), "{without}");
    assert_eq!(with, without);
    sandbox.wait_for_end();
}

#[test]
fn blocked_signals_stay_blocked() {
    let sandbox = Sandbox::new();
    // Blocks the signals and runs the rest.
    let block = "import os,signal,sys; signal.pthread_sigmask(signal.SIG_BLOCK,{signal.SIGUSR2,signal.SIGINT}); \
                 os.execvp(sys.argv[1], sys.argv[1:])";
    if Command::new("python3").arg("--version").output().is_err() {
        return;
    }
    let read = |words: &[&str]| {
        let words = words.iter().copied().chain(["grep", "SigBlk", "/proc/self/status"]);
        text(&sandbox.command("python3").args(["-c", block]).args(words).output().unwrap().stdout)
    };
    let without = read(&[]);
    assert_eq!(without, "SigBlk:\t0000000000000802\n");
    assert_eq!(read(&["ccrun"]), without);
    assert_eq!(read(&["ccrun", "--wait"]), without);
}

#[test]
fn process_group_session_and_terminal_are_the_shells() {
    let sandbox = Sandbox::new();
    let fields = "sed 's/^[0-9]* (.*) //' /proc/self/stat | cut -d' ' -f3-6";
    for launcher in ["ccrun", "CI=1 ccrun"] {
        // The shell leads the process group and the session, so their ids are its pid.
        let script = format!("echo $$; {launcher} sh -c \"{fields}\"");
        let output = sandbox.command("setsid").args(["--wait", "sh", "-c", &script]).output().unwrap();
        let stdout = text(&output.stdout);
        let (shell, seen) = stdout.trim().split_once('\n').unwrap();
        assert_eq!(seen, format!("{shell} {shell} 0 -1"), "{launcher}");
    }
}

#[test]
fn a_closed_pipe_ends_the_program_as_without_ccrun() {
    let sandbox = Sandbox::new();
    for launcher in ["", "ccrun", "ccrun --wait"] {
        let script = format!("{launcher} yes | head -n 2; echo ${{PIPESTATUS[0]}}");
        let output = sandbox.command("bash").args(["-c", &script]).output().unwrap();
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("y\ny\n141\n", ""), "{launcher}");
    }
    // The output of `ccrun` itself also ends quietly.
    for verb in ["profile list", "env --explain", "--dry-run true", "--help", "profile schema"] {
        let script = format!("trap '' PIPE; ccrun {verb} | true; echo ${{PIPESTATUS[0]}}");
        let output = sandbox.command("bash").args(["-c", &script]).output().unwrap();
        assert_eq!((text(&output.stdout).as_str(), text(&output.stderr).as_str()), ("0\n", ""), "{verb}");
    }
}

#[test]
fn data_in_pipes_is_unchanged() {
    let sandbox = Sandbox::new();
    let bytes: Vec<u8> = (0..200_000_u32).flat_map(|number| number.wrapping_mul(2_654_435_761).to_le_bytes()).collect();
    sandbox.write("project/in", &bytes);
    for launcher in ["ccrun", "ccrun --wait"] {
        let script = format!("{launcher} sh -c 'cat; cat in >&2' <in >out 2>err");
        assert!(sandbox.command("sh").args(["-c", &script]).status().unwrap().success());
        for file in ["out", "err"] {
            assert!(std::fs::read(sandbox.project().join(file)).unwrap() == bytes, "{launcher} {file}");
        }
    }
}
