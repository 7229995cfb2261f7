//! No verb that prints a profile shows a secret, wherever users write it in a profile.

use super::{assert_none, files, read};
use crate::support::backend::{Backend, Reply};
use crate::support::emitter::ids;
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;

const CANARY: &str = "canary-5e1f";

/// Profiles with a secret in place of `{}`, in a wrong or an unusual position.
const FAULTY: [&str; 14] = [
    "[destination.d]\nendpoint = \"https://h\"\n[destination.d.headers]\nsignoz-ingestion-key = {}\n",
    "[env]\nTOK = \"{}\" junk\n",
    "[env]\nTOK: {}\n",
    "[destination.d]\nendpoint = \"https://h\"\nheders = { x-key = \"{}\" }\n",
    "[destination.d]\nendpoint = \"https://h/?api_key={}\"\n",
    "[destination.d]\nendpoint = \"https://user:{}@nodot\"\n",
    "[destination.d]\nendpoint = \"https://h\"\n[destination.d.headers]\nx-key = \"{}\"\nX-Key = \"{}\"\n",
    "[destination.d]\nendpoint = \"https://h\"\nheaders.a = { basic = { user = \"u\", password = \"{}\", more = 1 } }\n",
    "[destination.d]\nendpoint = \"https://h\"\nheaders.a = { oauth2 = { token_url = \"https://u:{}@h\", client_id = \"i\", \
     client_secret = \"{}\" } }\n",
    "[destination.d]\nendpoint = \"https://h\"\nheaders.a = [{ env = \"UNSET\" }, \"{}\", 7]\n",
    "[vars]\nmy_key = \"{}\"\nother = 3.5\n[destination.d]\nendpoint = \"https://h\"\nheaders.a = \"${my_key} ${no}\"\n",
    "[settings.env]\nA_TOKEN = \"{}\"\n[settings]\nenv = 1\n",
    "[redact]\nkey = \"{}\"\nhsh = [\"user.email\"]\n",
    "enviroment = { TOK = \"{}\" }\n",
];

/// A valid profile with a secret.
const RIGHT: &str = "[destination.d]\nendpoint = \"http://127.0.0.1:9\"\n[destination.d.headers]\nx-key = \"{}\"\n\
    authorization = { basic = { user = \"u\", password = \"{}\" } }\nx-other = \"${my_key}\"\n\
    x-list = [{ env = \"UNSET\" }, \"{}\"]\n[vars]\nmy_key = \"{}\"\n\
    [env]\nANTHROPIC_BASE_URL = \"https://user:{}@nodot\"\nANTHROPIC_AUTH_TOKEN = \"{}\"\n\
    GATEWAY = \"https://gateway.example/?key={}\"\n\
    [settings]\napiKey = \"{}\"\n[settings.env]\nMORE_TOKEN = \"{}\"\n[redact]\nkey = \"{}\"\nhash = [\"user.email\"]\n";

#[test]
fn no_verb_shows_a_secret_of_a_profile() {
    let mut sandbox = Sandbox::new();
    sandbox.program("claude", "#!/bin/sh\necho '2.1.329 (Claude Code)'\n");
    sandbox.set("HTTPS_PROXY", format!("http://user:{CANARY}@nodot:3128"));
    for (number, profile) in FAULTY.iter().chain([&RIGHT]).enumerate() {
        sandbox.profile(&format!("case-{number}"), profile.replace("{}", CANARY));
    }
    let says_nothing = |words: &[&str]| {
        let output = sandbox.run(words);
        let said = [output.stdout, output.stderr].concat();
        assert!(!said.is_empty(), "{words:?}");
        assert_none(&[CANARY], &said, &format!("what {words:?} says"));
    };
    for number in 0..=FAULTY.len() {
        let name = format!("case-{number}");
        let file = format!("{}/.config/ccrun/profiles/{name}.toml", sandbox.home().display());
        let verbs: [&[&str]; 9] = [
            &["profile", "check", &name],
            &["profile", "check", &file],
            &["profile", "show", &name],
            &["profile", "show", &name, "--json"],
            &["env", "-p", &name],
            &["env", "-p", &name, "--json", "--explain"],
            &["env", "-p", &name, "--direct"],
            &["-p", &name, "--dry-run", "true"],
            &["doctor", "-p", &name, "--json"],
        ];
        verbs.into_iter().for_each(says_nothing);
        if number < FAULTY.len() {
            says_nothing(&["-p", &name, "--require", "true"]);
            says_nothing(&["-p", &name, "true"]);
        }
    }
    for words in [&["profile", "list"][..], &["secret", "list"], &["doctor"]] {
        says_nothing(words);
    }
}

#[test]
fn a_secret_variable_is_not_written_to_disk() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let endpoint = backend.endpoint();
    let headers = "x-api-key = \"${k}\"\nauthorization = { basic = { user = \"u\", password = \"${p}\" } }";
    sandbox.profile(
        "team",
        format!("[vars]\nk = \"\"\np = \"\"\n[destination.d]\nendpoint = \"{endpoint}\"\n[destination.d.headers]\n{headers}\n"),
    );
    let (key, password) = (format!("k={CANARY}"), format!("p={CANARY}-too"));
    let session = Session::start(&sandbox, &["-p", "team", "--var", &key, "--var", &password]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(received[0].header("x-api-key"), CANARY);
    let check = || {
        for path in files(&sandbox.state()) {
            assert_none(&[CANARY], &read(&path), &path.display().to_string());
        }
    };
    check();
    session.end();
    sandbox.wait_for_end();
    check();
}

#[test]
fn a_secret_echoed_in_another_form_is_stored_nowhere() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let said = [
        "key canary+lit/7d1e0c=&x!",
        "key canary%2Blit%2F7d1e0c%3D%26x%21",
        r"key canary\u002blit\/7d1e0c=\u0026x!",
        "key canary&#43;lit&#x2f;7d1e0c=&amp;x!",
        "user u:pass+55d8f3/word wrong",
        "user u:pass%2B55d8f3%2Fword wrong",
        "key lit/7d1e0c",
        "user 55d8f3/wo…",
    ];
    backend.reply_with(move |_| Reply::http(401, said.join(", ")));
    let endpoint = backend.endpoint();
    let headers = "x-api-key = \"canary+lit/7d1e0c=&x!\"\n\
                   authorization = { basic = { user = \"u\", password = \"pass+55d8f3/word\" } }";
    let profile = format!(
        "[destination.d]\nendpoint = \"{endpoint}\"\n[destination.d.headers]\n{headers}\n\
         [collector]\ndrain_timeout = \"1s\"\n"
    );
    sandbox.profile("team", profile);
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&ids("record", 1));
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    let parts = ["7d1e0c", "55d8f3"];
    for words in [&["queue", "status"][..], &["queue", "status", "--json"], &["sessions", "--json"]] {
        let output = sandbox.run(words);
        assert_none(&parts, &[output.stdout, output.stderr].concat(), &format!("what {words:?} says"));
    }
    session.end();
    sandbox.wait_for_end();
    for path in files(&sandbox.state()) {
        assert_none(&parts, &read(&path), &path.display().to_string());
    }
}
