//! Profiles as their authors meet them.

use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Faults, Profile, Protocol, Selection, check_name, resolve};
use crate::credential::Source;
use crate::otlp::Signal;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(format!("{name}.toml")), text).unwrap();
    }
    directory
}

fn selection(profiles: &[&str]) -> Selection {
    Selection { profiles: profiles.iter().map(|name| (*name).to_owned()).collect(), ..Selection::default() }
}

fn profile(files: &[(&str, &str)], names: &[&str]) -> Result<Profile, Faults> {
    resolve(&selection(names), directory(files).path())
}

/// What a profile's author is shown, without the directory's name.
fn complaint(files: &[(&str, &str)], names: &[&str]) -> String {
    let directory = directory(files);
    let faults = resolve(&selection(names), directory.path()).unwrap_err();
    faults.render(false).replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn built_in_profiles_are_valid() {
    for name in ["local", "otlp"] {
        let profile = resolve(&selection(&[name]), Path::new("/nonexistent")).unwrap();
        assert!(!profile.description.is_empty());
    }
    let local = resolve(&Selection::default(), Path::new("/nonexistent")).unwrap();
    assert_eq!((local.name.as_str(), local.destinations.len()), ("local", 0));
    assert_eq!(local.signals.emitted, [Signal::Metrics, Signal::Logs].into());
    assert!(!local.content.user_prompts && local.cardinality.session_id && !local.cardinality.version);
}

#[test]
fn layers_merge_key_by_key_and_later_ones_win() {
    let files = [
        ("base", "extends = \"otlp\"\n[team]\nid = \"a\"\n[resource]\nx = \"1\"\n\"team.id\" = \"resource wins\"\n"),
        (
            "mine",
            "extends = \"base\"\n[vars]\nendpoint = \"https://h/\"\n[destination.otlp.headers]\nX-A = \"1\"\nX-B = \"2\"\n",
        ),
        ("over", "[destination.otlp]\ntimeout = \"1m 30s\"\nheaders = { x-a = \"3\" }\n[resource]\nx = \"2\"\n"),
    ];
    let profile = profile(&files, &["mine", "over"]).unwrap();
    assert_eq!(profile.name, "mine");
    assert_eq!(profile.team.as_deref(), Some("resource wins"));
    assert_eq!(profile.resource["x"], "2");
    let destination = &profile.destinations[0];
    assert_eq!((destination.endpoint.as_str(), destination.protocol), ("https://h/", Protocol::HttpProtobuf));
    assert_eq!(destination.timeout, Duration::from_secs(90));
    let headers = destination.headers.iter().map(|(name, Source::Literal(value))| format!("{name}={value}"));
    assert_eq!(headers.collect::<Vec<_>>(), ["x-a=3", "x-b=2"], "header names ignore case");
}

#[test]
fn a_file_named_like_a_built_in_profile_is_laid_over_it() {
    let over = profile(&[("otlp", "[vars]\nprotocol = \"grpc\"\n")], &["otlp"]).unwrap();
    assert_eq!(over.destinations[0].protocol, Protocol::Grpc);
    let extended = profile(&[("otlp", "extends = \"otlp\"\n[vars]\nprotocol = \"grpc\"\n")], &["otlp"]).unwrap();
    assert_eq!(extended.destinations[0].protocol, Protocol::Grpc, "extending one's own name means the lower layer");
}

#[test]
fn options_come_last_and_the_last_of_them_counts() {
    let pairs = |pairs: &[(&str, &str)]| {
        pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>()
    };
    let selection = Selection {
        profiles: vec!["otlp".to_owned()],
        variables: pairs(&[("endpoint", "http://a:1"), ("endpoint", "http://b:2")]),
        resource: pairs(&[("odd", "\"\\\n\u{7f}😀")]),
    };
    let profile = resolve(&selection, Path::new("/nonexistent")).unwrap();
    assert_eq!(profile.destinations[0].endpoint, "http://b:2");
    assert_eq!(profile.resource["odd"], "\"\\\n\u{7f}😀");
}

#[test]
fn all_faults_of_a_file_come_at_once_each_with_its_line() {
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
    1 | descripton = "x"
      | ^^^^^^^^^^
      |
      = help: did you mean `description`?

    error: a string where `true` or `false` belongs
     --> bad.toml:3:11
      |
    3 | metrics = "yes"
      |           ^^^^^

    error: `soon` is no duration for `log_interval`
     --> bad.toml:4:16
      |
    4 | log_interval = "soon"
      |                ^^^^^^
      |
      = help: write for example "10s" or "1m 30s", above zero and at most 24h

    error: `bad key` is no attribute's name: it may hold letters, digits and !#$%&'*+-.^_`|~
     --> bad.toml:6:1
      |
    6 | "bad key" = "x"
      | ^^^^^^^^^

    error: bad endpoint: user information does not belong in a URL; write a header
    --> bad.toml:8:12
     = help: write scheme, host, port and path: "https://otlp.example.com:443/path"

    error: `http` is no protocol
     --> bad.toml:9:12
      |
    9 | protocol = "http"
      |            ^^^^^^
      |
      = help: allowed: "http/protobuf" or "grpc"

    error: `events` is no signal
      --> bad.toml:10:11
       |
    10 | signals = ["events"]
       |           ^^^^^^^^^^
       |
       = help: allowed: "metrics", "logs", "traces"

    error: `content-length` frames the message and cannot be set
    --> bad.toml:12:1
     = help: ccrun sets it where the protocol wants it

    error: the value of header `x-key` holds a line break or another control character
    --> bad.toml:13:9

    error: destination `b` has no `endpoint`
      --> bad.toml:14:14
       |
    14 | [destination.b]
       |              ^
       |
       = help: write for example endpoint = "https://otlp.example.com"
    "#);
}

#[test]
fn what_is_no_toml_is_shown_where_it_ends_to_be() {
    insta::assert_snapshot!(complaint(&[("bad", "[signals\nmetrics = true\n")], &["bad"]), @r#"
    error: invalid TOML: unclosed table, expected `]`
     --> bad.toml:1:9
      |
    1 | [signals
      |         ^
    "#);
}

#[test]
fn a_circle_of_profiles_is_shown() {
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
fn an_unknown_profile_is_guessed_at() {
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
fn files_that_are_none_are_named() {
    let directory = tempfile::tempdir().unwrap();
    let complaint = |bytes: &[u8]| {
        std::fs::write(directory.path().join("bad.toml"), bytes).unwrap();
        resolve(&selection(&["bad"]), directory.path()).unwrap_err().to_string()
    };
    assert!(complaint(b"a = 1\n\xff").contains("line 2 is not UTF-8"));
    assert!(complaint(&vec![b'#'; 257 << 10]).contains("it is larger than 256 KiB"));
}

#[test]
fn names_are_safe_in_a_path() {
    for name in ["a", "A-1.b_c"] {
        assert!(check_name(name).is_ok(), "{name}");
    }
    for name in ["", "../x", ".x", "-x", "a/b", "a b", "ä"] {
        assert!(check_name(name).is_err(), "{name}");
    }
}

#[test]
fn endpoints_are_checked() {
    let fault = |endpoint: &str| {
        let text = format!("[destination.d]\nendpoint = {endpoint:?}\n");
        profile(&[("p", &text)], &["p"]).err().map(|faults| faults.0[0].message.clone())
    };
    for good in ["http://127.0.0.1:4318", "https://h", "https://h:443/a/b", "https://[::1]:4317"] {
        assert_eq!(fault(good), None, "{good}");
    }
    for bad in [
        "h:4317",
        "ftp://h",
        "https://",
        "https://u@h",
        "https://h?x=1",
        "https://h#x",
        "https://h:0",
        "https://h:70000",
        "",
    ] {
        assert!(fault(bad).is_some_and(|fault| fault.starts_with("bad endpoint: ")), "{bad}");
    }
}
