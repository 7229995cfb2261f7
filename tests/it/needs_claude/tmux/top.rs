//! `ccrun top` beside the real client, and what it leaves of its terminal.

use ccrun::doctor::live::model::Script;

use crate::support::claude::{Client, USAGE};
use crate::support::sandbox::{Sandbox, cmdline, kill, pids, wait_until};
use crate::support::terminal::Terminal;

const NOTHING: &str = "No session is running";

/// The process of a program in a sandbox, once there is one.
fn process(sandbox: &Sandbox, words: &str) -> i32 {
    let find = || sandbox.processes().into_iter().find(|pid| cmdline(*pid).ends_with(words.as_bytes()));
    wait_until("the program", || find().is_some());
    find().unwrap()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_session_is_seen_from_its_start_to_its_end() {
    let client = Client::new(Script::text("the answer is here").bash("touch asked").usage(USAGE));
    client.settle_in();
    let top = Terminal::beside(&client, "ccrun top");
    top.wait_for(NOTHING);
    let claude = Terminal::start(&client, "ccrun claude --permission-mode default");
    claude.wait_for("❯");
    top.wait_for("1 session: 1 idle");
    claude.enter("a question");
    claude.wait_for("Do you want to proceed?");
    top.wait_for("1 session: 1 waiting");
    top.wait_for("permission prompt");
    claude.press("Enter");
    claude.wait_for("the answer is here");
    top.wait_for("1 session: 1 idle");
    wait_until("all requests", || top.view().contains(&format!("  {} requests", client.questions())));
    let cost = client.report()["total"]["cost_usd"].as_f64().unwrap();
    let shown = format!("${cost:.2}");
    assert!(top.view().matches(&shown).count() >= 3, "today, the last hour, the session: {shown}");
    assert!(!top.view().contains("not recorded"), "{}", top.view());
    // Its prompts and tools.
    top.press("Enter");
    for part in ["prompt", "10 characters", "Bash", "accepted by user_temporary", "Esc back"] {
        top.wait_for(part);
    }
    assert!(!top.screen().contains("a question"), "no content is recorded");
    top.press("Escape");
    wait_until("the list", || top.view().contains("Enter details"));
    claude.enter("/exit");
    assert_eq!(claude.end(), 0);
    wait_until("the session to leave", || top.view().contains(NOTHING));
    top.press("q");
    assert_eq!(top.end(), 0);
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn sessions_that_are_killed_or_not_recorded_are_shown_and_leave() {
    let client = Client::new(Script::text("the answer is here").usage(USAGE));
    client.settle_in();
    let top = Terminal::beside(&client, "ccrun top --project .");
    top.wait_for(NOTHING);
    {
        let alone = Terminal::start(&client, "claude");
        alone.wait_for("❯");
        wait_until("it to be there", || top.view().contains("not recorded"));
        top.press("Enter");
        top.wait_for("ccrun does not record this session");
        alone.close();
        // Its details close with it.
        wait_until("it to leave", || top.view().contains(NOTHING));
    }
    let claude = Terminal::start(&client, "ccrun claude");
    claude.wait_for("❯");
    wait_until("it to be there", || top.view().contains("1 session: 1 idle"));
    let files = std::fs::read_dir(client.home().join(".claude/sessions")).unwrap().flatten();
    let pids = files.filter_map(|file| file.file_name().to_str()?.strip_suffix(".json")?.parse::<i32>().ok());
    pids.for_each(|pid| kill(pid, "KILL"));
    wait_until("it to leave", || top.view().contains(NOTHING));
    top.close();
    wait_until("top to end", || !client.processes().iter().any(|pid| cmdline(*pid).starts_with(b"ccrun\0top")));
}

/// The modes of a terminal, which a program in it has written to a file, without its size.
fn modes(sandbox: &Sandbox, name: &str) -> String {
    let text = std::fs::read_to_string(sandbox.project().join(name)).unwrap();
    text.lines().filter(|line| !line.contains("rows")).collect::<Vec<_>>().join("\n")
}

#[test]
#[ignore = "needs tmux, as others with Claude Code; scripts/test.sh runs it"]
fn every_way_out_restores_the_terminal() {
    let sandbox = Sandbox::new();
    let terminal = Terminal::start(&sandbox, "PS1='ready> ' bash --norc -i");
    terminal.wait_for("ready>");
    let stty = |name: &str| {
        terminal.enter(&format!("stty -a > {name}; echo {name} is written"));
        wait_until("the modes", || terminal.view().contains(&format!("\n{name} is written")));
        modes(&sandbox, name)
    };
    let before = stty("before");
    let start = || {
        terminal.enter("clear; ccrun top");
        wait_until("the view", || terminal.is_taken() && terminal.view().contains(NOTHING));
    };
    let left = |code: i32| {
        wait_until("the shell", || !terminal.is_taken());
        terminal.enter("echo code $?");
        wait_until("the code", || terminal.view().contains(&format!("\ncode {code}\n")));
    };
    start();
    terminal.press("C-z");
    wait_until("the shell", || terminal.view().contains("Stopped") && !terminal.is_taken());
    assert_eq!(stty("stopped"), before);
    terminal.enter("fg");
    wait_until("the view again", || terminal.is_taken() && terminal.view().contains(NOTHING));
    for (columns, rows) in [(60, 15), (20, 4), (120, 30)] {
        terminal.resize(columns, rows);
        wait_until("the size to be used", || {
            let view = terminal.view();
            let is_wide = view.contains("Ctrl-Z stop  q Ctrl-C quit");
            view.starts_with("ccrun top") && is_wide == (columns >= 60)
        });
    }
    terminal.press("q");
    left(0);
    assert_eq!(stty("quit"), before);
    for (signal, code) in [("TERM", 143), ("HUP", 129), ("INT", 130)] {
        start();
        kill(process(&sandbox, "ccrun\0top\0"), signal);
        left(code);
        assert_eq!(stty(signal), before);
    }
    // By another process, as by a key.
    start();
    kill(process(&sandbox, "ccrun\0top\0"), "TSTP");
    wait_until("the shell", || terminal.view().contains("Stopped") && !terminal.is_taken());
    terminal.enter("fg");
    wait_until("the view again", || terminal.is_taken() && terminal.view().contains(NOTHING));
    terminal.press("C-c");
    left(130);
    assert_eq!(stty("interrupted"), before);
    // A terminal that is closed.
    start();
    let pid = process(&sandbox, "ccrun\0top\0");
    terminal.close();
    wait_until("top to end", || !pids().any(|other| other == pid));
}
