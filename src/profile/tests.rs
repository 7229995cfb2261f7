//! Profiles as their authors meet them.

mod destinations;
mod enforce;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Config, Directories, Faults, Profile, Protocol, Selection, Temporality, check_name};
use crate::credential::Source;
use crate::helper::Ground;
use crate::otlp::Signal;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(format!("{name}.toml")), text).unwrap();
    }
    directory
}

/// Resolves with the user's profiles in `user` and none of the machine's.
fn resolve(selection: &Selection, user: &Path) -> Result<Profile, Faults> {
    let directories = Directories { system: Path::new("/nonexistent"), user, inherited: None };
    let variables =
        BTreeMap::from([("SET".to_owned(), "value".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let ground = Ground::new(Path::new("/"), &variables);
    let merged = super::merge(selection, &Config::default(), None, directories)?;
    merged.meaning(ground).map(|resolved| resolved.profile)
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
fn built_in_profiles_are_valid_once_their_variables_are_set() {
    for (name, text) in super::sources::BUILT_IN {
        let variables = text.split("${").skip(1).filter_map(|rest| Some(rest.split_once('}')?.0.to_owned()));
        let value = |name: &str| if name.ends_with("url") || name == "endpoint" { "https://h.example" } else { "eu" };
        let variables = variables.filter(|name| name != "protocol").map(|name| (name.clone(), value(&name).to_owned()));
        let chosen = Selection { variables: variables.collect(), ..selection(&[name]) };
        let profile = resolve(&chosen, Path::new("/nonexistent")).unwrap();
        assert!(!profile.description.is_empty(), "{name}");
    }
}

#[test]
fn totals_are_asked_for_by_destination() {
    let file = "[destination.one]\nendpoint = \"http://localhost:1\"\ntemporality = \"cumulative\"\nseries_ttl = \"7d\"\n\
                [destination.two]\nendpoint = \"http://localhost:2\"\n";
    let directory = directory(&[("mine", file)]);
    let profile = resolve(&selection(&["mine"]), directory.path()).unwrap();
    let asked: Vec<_> =
        profile.destinations.iter().map(|one| (one.temporality, one.series_ttl.as_secs() / 86_400)).collect();
    assert_eq!(asked, [(Temporality::Cumulative, 7), (Temporality::Delta, 30)]);
}

#[test]
fn the_default_keeps_everything_here() {
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
    let headers = |name: &str| destination.headers[name].clone();
    assert_eq!(headers("x-a"), [Source::Literal("3".to_owned())], "header names ignore case");
    assert_eq!(headers("x-b"), [Source::Literal("2".to_owned())]);
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
        env: pairs(&[("A", "1")]),
        directory: None,
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

    error: `signals.metrics` is a string where `true` or `false` belongs
     --> bad.toml:3:11
      |
    3 | metrics = "yes"
      |           ^^^^^

    error: `soon` is no duration for `signals.log_interval`
     --> bad.toml:4:16
      |
    4 | log_interval = "soon"
      |                ^^^^^^
      |
      = help: write for example "10s" or "1m 30s", above zero

    error: `bad key` is no attribute's name: it may hold letters, digits and !#$%&'*+-.^_`|~
     --> bad.toml:6:1
      |
    6 | "bad key" = "x"
      | ^^^^^^^^^

    error: bad endpoint: user information does not belong in a URL; write a header
    --> bad.toml:8:12
     = help: write scheme, host, port and path: "https://otlp.example.com:443/path"

    error: `http` is none of what `destination.a.protocol` can be
     --> bad.toml:9:12
      |
    9 | protocol = "http"
      |            ^^^^^^
      |
      = help: did you mean "http/json"?

    error: `events` is none of what `destination.a.signals` can be
      --> bad.toml:10:12
       |
    10 | signals = ["events"]
       |            ^^^^^^^^
       |
       = help: allowed: "metrics" or "logs" or "traces"

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

#[test]
fn lower_layers_can_be_unset_and_values_fetched() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "from a file\n").unwrap();
    let base = format!(
        "[resource]\n\"a.b\" = \"1\"\nc = \"2\"\nfile = {{ file = {:?} }}\nenv = {{ env = \"SET\" }}\nrun = {{ command = [\"printf\", \"a\\\\nb\\\\n\"] }}\n\
         [destination.x]\nendpoint = \"https://x\"\n[destination.y]\nendpoint = \"https://y\"\n",
        secret.path()
    );
    let mine = "extends = \"base\"\nunset = [\"destination.x\", \"resource.a.b\"]\n";
    let profile = profile(&[("base", &base), ("mine", mine)], &["mine"]).unwrap();
    let attributes: Vec<_> = profile.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("c", "2"), ("env", "value"), ("file", "from a file"), ("run", "a\nb")]);
    assert_eq!(profile.destinations.iter().map(|found| found.name.as_str()).collect::<Vec<_>>(), ["y"]);
}

#[test]
fn a_value_that_cannot_be_had_is_named_with_its_place() {
    let text = "[team]\nid = { env = \"UNSET\" }\n[vars]\nx = { keyring = \"a\" }\n";
    insta::assert_snapshot!(complaint(&[("p", text)], &["p"]), @r#"
    error: `team.id`: the variable UNSET is not set
     --> p.toml:2:6
      |
    2 | id = { env = "UNSET" }
      |      ^^^^^^^^^^^^^^^^^
      |
      = help: set UNSET

    error: `vars.x` says no source for its value
     --> p.toml:4:5
      |
    4 | x = { keyring = "a" }
      |     ^^^^^^^^^^^^^^^^^
      |
      = help: allowed: a string, or a table with one of env, file, command
    "#);
}

#[test]
fn headers_and_variables_have_sources() {
    let text = r#"
[env]
A = "literal"
B = [{ env = "X" }, { keyring = "k" }]
[settings]
apiKeyHelper = "/bin/helper"
nested = { number = 5, list = [true] }
[destination.d]
endpoint = "https://d"
headers.authorization = { env = "TOKEN", format = "Bearer {}" }
"#;
    let profile = profile(&[("p", text)], &["p"]).unwrap();
    let shown = |sources: &[Source]| sources.iter().map(ToString::to_string).collect::<Vec<_>>();
    assert_eq!(shown(&profile.env["B"]), ["the variable X", "the keyring's k"]);
    assert_eq!(shown(&profile.destinations[0].headers["authorization"]), ["the variable TOKEN"]);
    let settings = serde_json::json!({"apiKeyHelper": "/bin/helper", "nested": {"number": 5, "list": [true]}});
    assert_eq!(serde_json::Value::Object(profile.settings), settings);
}

#[test]
fn a_header_is_unset_in_whatever_case_and_never_written_twice() {
    let base = "[destination.d]\nendpoint = \"https://h\"\nheaders = { X-Key = \"sk-1\" }\n";
    let mine = "extends = \"base\"\nunset = [\"destination.d.headers.X-KEY\"]\n";
    let profile = profile(&[("base", base), ("mine", mine)], &["mine"]).unwrap();
    assert!(profile.destinations[0].headers.is_empty());
    let twice =
        "[destination.d]\nendpoint = \"https://h\"\n[destination.d.headers]\nx-key = \"sk-1\"\nX-Key = \"sk-2\"\n";
    insta::assert_snapshot!(complaint(&[("twice", twice)], &["twice"]), @r#"
    error: header `x-key` stands there twice: header names ignore case
    --> twice.toml:5:1
    "#);
}

#[test]
fn what_an_extended_profile_unsets_is_unset_of_lower_layers_too() {
    let system = directory(&[("team", "[resource]\na = \"1\"\nb = \"2\"\nc = \"3\"\n")]);
    let user = directory(&[
        ("base", "unset = [\"resource.a\"]\n"),
        ("team", "extends = \"base\"\nunset = [\"resource.b\"]\n"),
    ]);
    let directories = Directories { system: system.path(), user: user.path(), inherited: None };
    let merged = super::merge(&selection(&["team"]), &Config::default(), None, directories).unwrap();
    let variables = BTreeMap::new();
    let ground = Ground::new(Path::new("/"), &variables);
    let profile = merged.meaning(ground).unwrap().profile;
    assert_eq!(profile.resource.keys().collect::<Vec<_>>(), ["c"]);
}
