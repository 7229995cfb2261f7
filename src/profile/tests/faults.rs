//! Faults as their authors see them: each with its line and, where there is one, a suggestion.

use super::*;

#[test]
fn all_faults_of_a_file_are_reported_at_once_with_their_lines() {
    let text = r#"descripton = "x"
[signals]
metrics = "yes"
log_interval = "soon"
[resource]
"bad key" = "x"
[destination.a]
endpoint = "https://user:pass@h"
protocol = "http"
signals = ["events"]
[destination.a.headers]
Content-Length = "5"
X-Key = "a\nb"
[destination.b]
"#;
    insta::assert_snapshot!(complaint(&[("bad", text)], &["bad"]), @r#"
    error: unknown key `descripton`
     --> bad.toml:1:1
      |
    1 | descripton = "*"
      | ^^^^^^^^^^
      |
      = help: did you mean `description`?

    error: `signals.metrics` is a string where `true` or `false` belongs
     --> bad.toml:3:11
      |
    3 | metrics = "yes"
      |           ^^^^^

    error: `soon` is not a valid duration for `signals.log_interval`
     --> bad.toml:4:16
      |
    4 | log_interval = "soon"
      |                ^^^^^^
      |
      = help: write, for example, "10s" or "1m 30s", above zero

    error: `bad key` is not a valid attribute name: it may contain only letters, digits and !#$%&'*+-.^_`|~
     --> bad.toml:6:1
      |
    6 | "bad key" = "*"
      | ^^^^^^^^^

    error: bad endpoint: a URL must not contain user information; use a header
    --> bad.toml:8:12
     = help: write scheme, host, port and path: "https://otlp.example.com:443/path"

    error: `http` is not a valid value of `destination.a.protocol`
     --> bad.toml:9:12
      |
    9 | protocol = "http"
      |            ^^^^^^
      |
      = help: did you mean "http/json"?

    error: `events` is not a valid value of `destination.a.signals`
      --> bad.toml:10:12
       |
    10 | signals = ["events"]
       |            ^^^^^^^^
       |
       = help: allowed: "metrics" or "logs" or "traces"

    error: `content-length` frames the message and cannot be set
    --> bad.toml:12:1
     = help: ccrun sets it if the protocol needs it

    error: the value of header `x-key` holds a line break or another control character
    --> bad.toml:13:9

    error: destination `b` has no `endpoint`
      --> bad.toml:14:14
       |
    14 | [destination.b]
       |              ^
       |
       = help: write, for example, endpoint = "https://otlp.example.com"
    "#);
}

#[test]
fn invalid_toml_is_shown_at_the_error() {
    insta::assert_snapshot!(complaint(&[("bad", "[signals\nmetrics = true\n")], &["bad"]), @r#"
    error: invalid TOML: unclosed table, expected `]`
     --> bad.toml:1:9
      |
    1 | [signals
      |         ^
    "#);
}

#[test]
fn control_characters_in_a_line_are_escaped() {
    let text = "[content]\nuser_prompts = \"\u{9b}31m\u{61c}\u{200b}\u{2028}\u{e0041}\u{202e}\"\n";
    insta::assert_snapshot!(complaint(&[("bad", text)], &["bad"]), @r#"
    error: `content.user_prompts` is a string where `true` or `false` belongs
     --> bad.toml:2:16
      |
    2 | user_prompts = "\u{9b}31m\u{61c}\u{200b}\u{2028}\u{e0041}\u{202e}"
      |                ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
    "#);
}

#[test]
fn a_cycle_of_profiles_is_shown() {
    let files = [("a", "extends = \"b\"\n"), ("b", "extends = [\"otlp\", \"a\"]\n")];
    insta::assert_snapshot!(complaint(&files, &["a"]), @r#"
    error: profiles extend each other: a → b → a
     --> b.toml:1:20
      |
    1 | extends = ["otlp", "a"]
      |                    ^^^
    "#);
}

#[test]
fn an_unknown_profile_gets_a_suggestion() {
    let files = [("platform", "extends = \"oltp\"\n")];
    insta::assert_snapshot!(complaint(&files, &["plaform"]), @r#"
    error: there is no profile `plaform`
     |
     = help: did you mean `platform`?
    "#);
    insta::assert_snapshot!(complaint(&files, &["platform"]), @r#"
    error: there is no profile `oltp`
     --> platform.toml:1:11
      |
    1 | extends = "oltp"
      |           ^^^^^^
      |
      = help: did you mean `otlp`?
    "#);
}

#[test]
fn unreadable_files_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let complaint = |bytes: &[u8]| {
        std::fs::write(directory.path().join("bad.toml"), bytes).unwrap();
        resolve(&selection(&["bad"]), directory.path()).unwrap_err().to_string()
    };
    assert!(complaint(b"a = 1\n\xff").contains("line 2 is not UTF-8"));
    assert!(complaint(&vec![b'#'; 257 << 10]).contains("it is larger than 256 KiB"));
}

#[test]
fn an_unavailable_value_is_reported_with_its_place() {
    let text = "[team]\nid = { env = \"UNSET\" }\n[vars]\nx = { keyring = \"a\" }\n";
    insta::assert_snapshot!(complaint(&[("p", text)], &["p"]), @r#"
    error: `team.id`: the variable UNSET is not set
     --> p.toml:2:6
      |
    2 | id = { env = "UNSET" }
      |      ^^^^^^^^^^^^^^^^^
      |
      = help: set UNSET

    error: `vars.x` names no source for its value
     --> p.toml:4:5
      |
    4 | x = { keyring = "*" }
      |     ^^^^^^^^^^^^^^^^^
      |
      = help: allowed: a string, or a table with one of env, file, command, values, description, default
    "#);
}
