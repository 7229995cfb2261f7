//! The status line on the real client's screen, and which of several lines it shows.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::claude::{Client, USAGE, can_be_managed};
use crate::support::sandbox::{Sandbox, text, wait_until};
use crate::support::terminal::Terminal;
use ccrun::doctor::live::model::Script;

/// What our line begins with.
const OURS: &str = "spent so far";

/// A client whose profile `line` has a status line, in a folder that is trusted.
fn client() -> Client {
    let client = Client::new(Script::text("the answer is here").usage(USAGE));
    client.profile("line", format!("[statusline]\nshow = true\nformat = \"{OURS} {{cost}} · {{context}}\"\n"));
    client.settle_in();
    client
}

/// A status line that prints this, and leaves a file by that name at home.
fn line(name: &str) -> Value {
    let command = format!("cat > \"$HOME/{name}-ran\"; echo the {name} line");
    json!({"statusLine": {"type": "command", "command": command}})
}

/// The words of a command for a shell.
fn shell(command: &std::process::Command) -> String {
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    shlex::try_join(words.map(|word| word.to_str().unwrap())).unwrap()
}

/// Asks a question, and leaves once the screen shows these texts. Gives the screen as it was then.
fn converse(client: &Client, command: &str, shown: &[&str]) -> String {
    let terminal = Terminal::start(client, command);
    terminal.wait_for("❯");
    terminal.enter("a question");
    terminal.wait_for("the answer is here");
    for shown in shown {
        terminal.wait_for(shown);
    }
    let screen = terminal.screen();
    terminal.enter("/exit");
    assert_eq!(terminal.end(), 0);
    screen
}

fn ran(client: &Sandbox, name: &str) -> bool {
    client.home().join(format!("{name}-ran")).exists()
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn it_shows_the_sessions_cost_and_keeps_what_only_it_knows() {
    let client = client();
    let screen = converse(&client, "ccrun -p line claude", &[&format!("{OURS} $0.0")]);
    assert!(screen.contains(" · "), "{screen}");
    client.wait_for_end();
    for path in client.settings() {
        let settings: Value = serde_json::from_slice(&std::fs::read(path).unwrap()).unwrap();
        assert!(settings.get("statusLine").is_none(), "{settings}");
    }
    // What it shows is what the client says that the session cost.
    let cost = client.report()["total"]["cost_usd"].as_f64().unwrap();
    let shown = text(&client.run(["statusline", "--format", "{today}"]).stdout);
    assert_eq!(shown, format!("${cost:.2}\n"));
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn the_line_of_the_highest_layer_comes_first() {
    let client = client();
    for (name, path) in [
        ("user", "home/.claude/settings.json"),
        ("project", "project/.claude/settings.json"),
        ("local", "project/.claude/settings.local.json"),
    ] {
        client.write(path, line(name).to_string());
        let screen = converse(&client, "ccrun -p line claude", &[&format!("the {name} line"), OURS]);
        assert!(screen.find(&format!("the {name} line")) < screen.find(OURS), "{screen}");
    }
    // As the client itself would, it reads only what is asked for.
    std::fs::remove_file(client.home().join("local-ran")).unwrap();
    let screen = converse(&client, "ccrun -p line claude --setting-sources user", &["the user line", OURS]);
    assert!(!screen.contains("the local line") && !ran(&client, "local"), "{screen}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn nothing_runs_in_a_folder_that_is_not_trusted() {
    let client = client();
    client.write("home/.claude/settings.json", line("user").to_string());
    let state = client.home().join(".claude.json");
    let trusted = std::fs::read_to_string(&state).unwrap();
    std::fs::write(&state, trusted.replace("\"hasTrustDialogAccepted\":true", "\"hasTrustDialogAccepted\":false"))
        .unwrap();
    let terminal = Terminal::start(&client, "ccrun -p line claude");
    terminal.wait_for("❯ No, exit");
    // The client takes keys in quick succession for a paste.
    let mut pressed: Option<Instant> = None;
    wait_until("the client to leave", || {
        if pressed.is_none_or(|at| at.elapsed() > Duration::from_secs(2)) {
            terminal.press("Enter");
            pressed = Some(Instant::now());
        }
        terminal.exit_code().is_some()
    });
    assert!(!terminal.screen().contains(OURS) && !ran(&client, "user"), "{}", terminal.screen());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn with_disable_all_hooks_there_is_none() {
    let client = client();
    let mut settings = line("user");
    settings["disableAllHooks"] = json!(true);
    client.write("home/.claude/settings.json", settings.to_string());
    let screen = converse(&client, "ccrun -p line claude", &[]);
    assert!(!screen.contains(OURS) && !ran(&client, "user"), "{screen}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn a_users_settings_option_takes_precedence() {
    let client = client();
    let own = client.write("project/own.json", line("own").to_string());
    let screen = converse(&client, &format!("ccrun -p line claude --settings {}", own.display()), &["the own line"]);
    assert!(!screen.contains(OURS), "{screen}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn managed_settings_take_precedence() {
    if !can_be_managed() {
        return;
    }
    let client = client();
    let files = [("managed-settings.json", line("managed"))];
    let command = client.managed(&files, &["ccrun", "-p", "line", "claude"]);
    let screen = converse(&client, &shell(&command), &["the managed line"]);
    assert!(!screen.contains(OURS), "{screen}");
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn one_that_hangs_is_killed_and_ours_is_shown() {
    let client = client();
    let hangs = json!({"statusLine": {"type": "command", "command": "echo half; sleep 600"}});
    client.write("home/.claude/settings.json", hangs.to_string());
    let screen = converse(&client, "ccrun -p line claude", &[OURS]);
    assert!(!screen.contains("half"), "{screen}");
    wait_until("the processes to end", || client.processes().is_empty());
}

#[test]
#[ignore = "needs the real Claude Code; scripts/test.sh runs it"]
fn it_is_wired_for_a_client_that_ccrun_does_not_start() {
    let client = client();
    let path = client.write("home/.claude/settings.json", line("user").to_string());
    let before = std::fs::read(&path).unwrap();
    let wired = client.run(["wire", "statusline", "--format", &format!("{OURS} {{cost}}")]);
    assert!(wired.status.success(), "{}", text(&wired.stderr));
    let screen = converse(&client, "claude", &["the user line", &format!("{OURS} $0.0")]);
    assert!(screen.find("the user line") < screen.find(OURS), "{screen}");
    assert!(client.run(["unwire", "statusline"]).status.success());
    // The client may have added to the file.
    let now: Value = serde_json::from_slice(&std::fs::read(&path).unwrap()).unwrap();
    assert_eq!(now["statusLine"], serde_json::from_slice::<Value>(&before).unwrap()["statusLine"]);
}
