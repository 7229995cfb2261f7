//! Faults of the sources of headers and variables.

use base64::prelude::{BASE64_URL_SAFE_NO_PAD, Engine};

use super::{Fault, all_are_named, team};
use crate::support::sandbox::Sandbox;

fn header(sandbox: &Sandbox, source: &str) {
    team(sandbox, &format!("headers.Authorization = {source}\n"));
}

/// A JWT that expires at this time.
fn jwt(exp: i64) -> String {
    let claims = BASE64_URL_SAFE_NO_PAD.encode(format!("{{\"exp\": {exp}}}"));
    format!("\"Bearer eyJhbGciOiJub25lIn0.{claims}.c2ln\"")
}

const FAULTS: &[Fault] = &[
    Fault {
        name: "a variable that is not set",
        inject: |sandbox| header(sandbox, "{ env = \"TEAM_TOKEN\" }"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &[
            "telemetry for `backend` waits",
            "header `authorization` has no value: the variable TEAM_TOKEN is not set",
        ],
        fix: "set TEAM_TOKEN where ccrun is started",
    },
    Fault {
        name: "a file that is not there",
        inject: |sandbox| header(sandbox, "{ file = \"~/.secrets/token\" }"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &["the file ~/.secrets/token cannot be read: No such file"],
        fix: "write the value to `~/.secrets/token`",
    },
    Fault {
        name: "a command that fails",
        inject: |sandbox| header(sandbox, "{ command = [\"sh\", \"-c\", \"echo not logged in >&2; exit 4\"] }"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &["the command `sh` ended with exit status: 4: not logged in"],
        fix: "run the command `sh` by hand",
    },
    Fault {
        name: "a command that prints what is for all headers",
        inject: |sandbox| header(sandbox, "{ command = [\"echo\", \"{\\\"Authorization\\\": \\\"x\\\"}\"] }"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &["the command `echo` printed a JSON object, which is for `headers_helper`"],
        fix: "fix the error it reports",
    },
    Fault {
        name: "a command that hangs",
        inject: |sandbox| header(sandbox, "{ command = [\"sleep\", \"600\"] }"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &["the command `sleep` took longer than"],
        fix: "run the command `sleep` by hand",
    },
    Fault {
        name: "a helper that prints no JSON",
        inject: |sandbox| team(sandbox, "headers_helper = { command = [\"echo\", \"Authorization: x\"] }\n"),
        options: &["-p", "team"],
        id: "credentials.headers",
        level: "failed",
        says: &["the command `echo` printed no JSON object of headers: line 1 column 1"],
        fix: "run it by hand",
    },
    Fault {
        name: "a helper whose answer has expired",
        inject: |sandbox| {
            let answer = r#"{"headers": {"a": "b"}, "expires_at": "2020-01-01T00:00:00Z"}"#;
            team(sandbox, &format!("headers_helper = {{ command = [\"echo\", '{answer}'] }}\n"));
        },
        options: &["-p", "team"],
        id: "credentials.expiry",
        level: "failed",
        says: &["the header `a` of `backend` has expired"],
        fix: "run it by hand",
    },
    Fault {
        name: "a token that has expired",
        inject: |sandbox| header(sandbox, &jwt(1_600_000_000)),
        options: &["-p", "team"],
        id: "credentials.expiry",
        level: "failed",
        says: &["the header `authorization` of `backend` has expired, ", " days ago"],
        fix: "put a new token into the source that the profile reads",
    },
    Fault {
        name: "a token that expires soon",
        inject: |sandbox| header(sandbox, &jwt(jiff::Timestamp::now().as_second() + 3600)),
        options: &["-p", "team"],
        id: "credentials.expiry",
        level: "warning",
        says: &["the header `authorization` of `backend` expires in ", "and nothing renews it"],
        fix: "take it from a command",
    },
    Fault {
        name: "a secret of the program's that is not there",
        inject: |sandbox| drop(sandbox.profile("team", "[env]\nKEY = { env = \"TEAM_KEY\" }\n")),
        options: &["-p", "team"],
        id: "credentials.variables",
        level: "failed",
        says: &["telemetry is off: `env.KEY` has no value: the variable TEAM_KEY is not set"],
        fix: "set TEAM_KEY",
    },
    Fault {
        name: "no keyring at all",
        inject: |sandbox| header(sandbox, "{ keyring = \"team/key\" }"),
        options: &["-p", "team"],
        id: "credentials.keyring",
        level: "failed",
        says: &["the keyring is unavailable: there is no session bus"],
        fix: "start a keyring",
    },
];

#[test]
fn the_credentials() {
    all_are_named(FAULTS);
}
