//! Profiles as the user sees them and as they reach a destination.

use crate::support::backend::Backend;
use crate::support::emitter::ids;
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

#[test]
fn profiles_are_listed_with_their_layer_and_the_default_is_marked() {
    let sandbox = Sandbox::new();
    sandbox.profile("team", "description = \"ours\"\nextends = \"otlp\"\n");
    sandbox.profile("broken", "description = [\n");
    sandbox.write("home/.config/ccrun/config.toml", "profile = \"team\"\n");
    let output = sandbox.run(["profile", "list", "--json"]);
    let list: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let find = |name: &str| list.iter().find(|entry| entry["name"] == name).unwrap();
    assert_eq!((&find("team")["layer"], &find("team")["default"]), (&"user".into(), &true.into()));
    assert_eq!((&find("local")["layer"], &find("local")["default"]), (&"built-in".into(), &false.into()));
    assert!(find("broken")["description"].as_str().unwrap().starts_with("invalid: "), "{list:?}");
    let table = text(&sandbox.run(["profile", "list"]).stdout);
    let marked: Vec<_> = table.lines().filter(|line| line.trim_start().starts_with("* ")).collect();
    assert!(marked.len() == 2 && marked[0].contains("team"), "{table}");
    let started = sandbox.run(["sh", "-c", "echo $OTEL_RESOURCE_ATTRIBUTES"]);
    assert_eq!(text(&started.stderr), "", "the default profile applies");
}

#[test]
fn a_profile_shows_each_value_with_its_place_and_no_secret() {
    let sandbox = Sandbox::new();
    sandbox.profile(
        "team",
        "extends = \"otlp\"\n[destination.otlp.headers]\nX-Key = \"sk-secret\"\nAuthorization = { env = \"TOKEN\" }\n",
    );
    let output = sandbox.run(["profile", "show", "team", "--var", "endpoint=https://h", "-r", "a.b=c", "--json"]);
    assert_eq!(text(&output.stderr), "");
    assert!(!text(&output.stdout).contains("sk-secret"));
    let lines: Vec<serde_json::Value> = serde_json::from_slice(&output.stdout).unwrap();
    let line = |key: &str| {
        let line = lines.iter().find(|line| line["key"] == key).unwrap_or_else(|| panic!("{key} in {lines:?}"));
        (line["value"].as_str().unwrap().to_owned(), line["origin"].as_str().unwrap().to_owned())
    };
    assert_eq!(line("destination.otlp.endpoint"), ("\"https://h\"".into(), "--var:2:14".into()));
    assert_eq!(line("vars.endpoint"), ("\"https://h\"".into(), "--var:2:14".into()));
    assert_eq!(line("resource.\"a.b\""), ("\"c\"".into(), "--resource:2:9".into()));
    let (value, origin) = line("destination.otlp.headers.authorization");
    assert!(value == "{ env = \"TOKEN\" }" && origin.ends_with("/team.toml:4:17"), "{value} {origin}");
}

#[test]
fn profile_check_reports_every_fault_and_exits_with_2() {
    let sandbox = Sandbox::new();
    sandbox.profile("good", "extends = \"otlp\"\n[destination.otlp.headers]\nx-key = { env = \"UNSET\" }\n");
    let output = sandbox.run(["profile", "check"]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert!(
        text(&output.stdout).contains("good: ok\n  destination otlp: the header `x-key` has no value"),
        "{output:?}"
    );
    let file = sandbox.write("project/bad.toml", "[signal]\nmetrics = true\n[content]\nuser_prompts = 1\n");
    let output = sandbox.run(["profile".as_ref(), "check".as_ref(), file.as_os_str()]);
    assert_eq!(output.status.code(), Some(2));
    let stderr = text(&output.stderr);
    assert!(stderr.contains("bad.toml:1:2") && stderr.contains("did you mean `signals`?"), "{stderr}");
    assert!(stderr.contains("bad.toml:4:16"), "{stderr}");
}

#[test]
fn a_new_profile_is_valid_and_never_overwrites_another() {
    let sandbox = Sandbox::new();
    let arguments = ["profile", "new", "mine", "--extends", "otlp", "--var", "endpoint=https://h"];
    let output = sandbox.run(arguments);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(text(&sandbox.run(["profile", "check", "mine"]).stdout), "mine: ok\n");
    let output = sandbox.run(arguments);
    let said = text(&output.stderr);
    assert!(output.status.code() == Some(1) && said.contains("`ccrun profile edit mine` edits it"), "{said}");
    let path = text(&sandbox.run(["profile", "path", "mine"]).stdout);
    assert!(std::fs::read_to_string(path.trim()).unwrap().contains("extends = \"otlp\""));
    let schema: serde_json::Value = serde_json::from_slice(&sandbox.run(["profile", "schema"]).stdout).unwrap();
    assert_eq!(schema["type"], "object");
}

#[test]
fn values_come_from_variables_and_files_and_the_program_keeps_no_token() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.set("TOKEN", "sk-1").set("WHO", "platform");
    sandbox.write("home/.config/ccrun/profiles/password", "sesame\n");
    let endpoint = backend.endpoint();
    sandbox.profile(
        "team",
        format!(
            "[team]\nid = {{ env = \"WHO\" }}\n[env]\nGREETING = \"hello\"\n[destination.d]\nendpoint = \"{endpoint}\"\n\
             [destination.d.headers]\nx-token = [{{ env = \"UNSET\" }}, {{ env = \"TOKEN\", format = \"Bearer {{}}\" }}]\n\
             authorization = {{ basic = {{ user = \"me\", password = {{ file = \"password\" }} }} }}\n"
        ),
    );
    let session = Session::start(&sandbox, &["-p", "team", "-e", "OWN=1"]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(received[0].header("x-token"), "Bearer sk-1");
    assert_eq!(received[0].header("authorization"), "Basic bWU6c2VzYW1l");
    let environment = std::fs::read(format!("/proc/{}/environ", session.pid())).unwrap();
    let environment = text(&environment);
    assert!(environment.contains("GREETING=hello\0") && environment.contains("OWN=1\0"), "{environment}");
    assert!(environment.contains("team.id=platform"), "{environment}");
    assert!(!environment.contains("sk-1") && !environment.contains("TOKEN="), "{environment}");
}

#[test]
fn data_without_credentials_is_queued_and_reported_in_one_line() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = backend.endpoint();
    let destination = format!("[destination.d]\nendpoint = \"{endpoint}\"\nheaders.x-key = {{ env = \"KEY\" }}\n");
    sandbox.profile("team", &destination);
    let output = sandbox.run(["-p", "team", "true"]);
    assert_eq!(
        text(&output.stderr),
        "ccrun: telemetry for destination `d` waits: the header `x-key` has no value: the variable KEY is not set\n"
    );
    let mut child = sandbox.ccrun(["-p", "team", "sh", "-c", "echo $OTEL_EXPORTER_OTLP_ENDPOINT; cat"]);
    let mut child = child.stdin(std::process::Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(child.stdout.as_mut().unwrap()), &mut line).unwrap();
    crate::support::emitter::Emitter::new(line.trim()).export(&ids("record", 1));
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    drop(child.stdin.take());
    child.wait().unwrap();
    assert!(backend.received().is_empty());
    // A new value may belong to another account, so the data is not sent with it.
    sandbox.set("KEY", "sk-1");
    sandbox.wait_for_end();
    assert_eq!(sandbox.queue()[0]["state"], "orphaned");
}

#[test]
fn the_profiles_settings_reach_claude_and_the_users_take_precedence() {
    let sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\ncat \"$2\"\n");
    sandbox.profile("local", "[settings]\nmodel = \"profile\"\napiKeyHelper = \"/bin/helper\"\n");
    let output = sandbox.run(["claude", "--settings", r#"{"model":"user"}"#]);
    let settings: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&settings["model"], &settings["apiKeyHelper"]), (&"user".into(), &"/bin/helper".into()));
}

#[test]
fn the_config_can_disable_ccrun_and_set_the_state_directory() {
    let sandbox = Sandbox::new();
    sandbox.write("home/.config/ccrun/config.toml", "state_dir = \"state\"\n");
    assert!(sandbox.run(["true"]).status.success());
    assert!(sandbox.home().join(".config/ccrun/state/locks").exists() && !sandbox.state().exists());
    sandbox.wait_for_end();
    sandbox.write("home/.config/ccrun/config.toml", "off = true\n");
    assert!(!text(&sandbox.run(["--", "env"]).stdout).contains("CCRUN_SESSION"));
    sandbox.write("home/.config/ccrun/config.toml", "of = true\n");
    let output = sandbox.run(["true"]);
    let stderr = text(&output.stderr);
    assert!(
        output.status.success() && stderr.contains("did you mean `off`?") && stderr.lines().count() == 1,
        "{stderr}"
    );
}

#[test]
fn a_colleagues_file_is_shown_before_it_is_added() {
    let mut sandbox = Sandbox::new();
    let profile = "[content]\nuser_prompts = true\n[destination.d]\nendpoint = \"https://h:1\"\n\
                   headers.x-key = { env = \"KEY\" }\n";
    let file = sandbox.write("project/team.toml", profile);
    let output = sandbox.run(["profile", "add", "team.toml"]);
    assert_eq!(output.status.code(), Some(1));
    let shown = text(&output.stdout);
    assert!(
        shown.contains("x-key: { env = KEY } → https://h:1") && shown.contains("  + content.user_prompts = true\n"),
        "{shown}"
    );
    assert!(!sandbox.home().join(".config/ccrun").exists());
    let output = sandbox.run(["profile", "add", "team.toml", "--yes"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let added = sandbox.home().join(".config/ccrun/profiles/team.toml");
    assert_eq!(std::fs::read(&added).unwrap(), std::fs::read(&file).unwrap());
    let output = sandbox.run(["profile", "add", "team.toml", "--yes"]);
    assert!(output.status.code() == Some(1) && text(&output.stderr).contains("is not overwritten"), "{output:?}");
    sandbox.write("project/bad.toml", "[signal]\n");
    let output = sandbox.run(["profile", "add", "bad.toml", "--yes"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("bad.toml:1:2"), "{output:?}");
    sandbox.set("CLAUDECODE", "1");
    for verb in [&["profile", "add", "team.toml"][..], &["profile", "edit", "team"]] {
        let output = sandbox.run(verb);
        assert!(
            output.status.code() == Some(1) && text(&output.stderr).contains("inside a Claude session"),
            "{output:?}"
        );
    }
}

#[test]
fn an_edited_profile_stays_as_it_was_until_it_is_valid() {
    let mut sandbox = Sandbox::new();
    sandbox.program("editor", "#!/bin/sh\n[ \"$1\" = --wait ] && cat \"$HOME/typed\" > \"$2\"\n");
    sandbox.set("EDITOR", "/bin/false").set("VISUAL", "editor --wait");
    let read = |sandbox: &Sandbox| {
        std::fs::read_to_string(sandbox.home().join(".config/ccrun/profiles/signoz.toml")).unwrap_or_default()
    };
    // A profile on top of the built-in one of that name, which defines the endpoint.
    let valid = "[vars]\nregion = \"eu\"\n[destination.signoz]\ntimeout = \"5s\"\n";
    sandbox.write("home/typed", valid);
    let output = sandbox.run(["profile", "edit", "signoz"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert_eq!(read(&sandbox), valid);
    sandbox.write("home/typed", "[signal]\n");
    let output = sandbox.run(["profile", "edit", "signoz"]);
    assert!(output.status.code() == Some(2) && text(&output.stderr).contains("did you mean `signals`?"), "{output:?}");
    assert_eq!(read(&sandbox), valid);
    sandbox.set("VISUAL", "");
    assert_eq!(sandbox.run(["profile", "edit", "signoz"]).status.code(), Some(1));
    sandbox.set("EDITOR", "true");
    assert!(sandbox.run(["profile", "new", "fresh"]).status.success());
    assert_eq!(text(&sandbox.run(["profile", "edit", "fresh"]).stdout), "nothing was changed\n");
    assert_eq!(text(&sandbox.run(["profile", "check", "fresh"]).stdout), "fresh: ok\n");
    let left = std::fs::read_dir(sandbox.home().join(".config/ccrun/profiles")).unwrap().count();
    assert_eq!(left, 2, "no copy is left");
}

#[test]
fn a_typo_does_not_create_a_profile() {
    let mut sandbox = Sandbox::new();
    sandbox.profile("team", "");
    let editor = sandbox.program("editor", "echo '# edited' >> \"$1\"");
    sandbox.set("EDITOR", editor.to_str().unwrap());
    let output = sandbox.run(["profile", "edit", "taem"]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    assert!(said.contains("did you mean `team`? `ccrun profile new taem` creates it"), "{said}");
    assert!(!sandbox.home().join(".config/ccrun/profiles/taem.toml").exists());
    let output = sandbox.run(["profile", "edit", "otlp"]);
    assert!(output.status.success() && text(&output.stderr).contains("what you write is layered on top"), "{output:?}");
    // A new profile lists what it does not do yet, and sets no undefined variable.
    let said = text(&sandbox.run(["profile", "new", "own"]).stdout);
    assert!(said.contains("it has no destination and sends nothing"), "{said}");
    let said = text(&sandbox.run(["profile", "new", "mine", "--extends", "signoz", "--var", "region=eu"]).stdout);
    assert!(!said.contains("sends nothing"), "{said}");
    let output = sandbox.run(["profile", "new", "other", "--extends", "signoz", "--var", "regoin=eu"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("did you mean `region`?"), "{output:?}");
}

#[test]
fn an_unknown_profile_name_gets_a_suggestion() {
    let mut sandbox = Sandbox::new();
    let start = ["sh", "-c", "echo started"];
    let output = sandbox.run(["-p", "otlp", "--var", "endpont=https://h"].iter().chain(&start));
    let (started, said) = (text(&output.stdout), text(&output.stderr));
    assert!(started == "started\n" && said.lines().count() == 1, "{said}");
    assert!(said.contains("telemetry is off") && said.contains("did you mean `endpoint`?"), "{said}");
    let output = sandbox.run(["--require", "-p", "otlp", "--var", "endpont=https://h"].iter().chain(&start));
    assert_eq!((output.status.code(), text(&output.stdout).as_str()), (Some(2), ""));

    sandbox.set("CCRUN_PROFIL", "team");
    sandbox.write("home/.config/ccrun/config.toml", "profil = \"team\"\n");
    let output = sandbox.run(start);
    let said = text(&output.stderr);
    assert!(text(&output.stdout) == "started\n" && said.contains("did you mean CCRUN_PROFILE?"), "{said}");
    assert!(said.contains("config.toml:1:1: unknown key `profil` (did you mean `profile`?)"), "{said}");
    assert!(!said.contains("telemetry is off"), "{said}");
    let found = text(&sandbox.run(["doctor"]).stdout);
    assert!(found.contains("did you mean CCRUN_PROFILE?") && found.contains("unknown key `profil`"), "{found}");
}
