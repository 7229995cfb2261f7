//! Profiles as their authors use them.

mod budgets;
mod destinations;
mod enforce;
mod faults;
mod hiding;
mod team_stores;
mod variables;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use tempfile::TempDir;

use super::{Directories, Faults, Profile, Protocol, Selection, Temporality, check_name};
use crate::otlp::Signal;
use crate::profile::Defaults;
use crate::secret::Source;
use crate::secret::command::FetchContext;

fn directory(files: &[(&str, &str)]) -> TempDir {
    let directory = tempfile::tempdir().unwrap();
    for (name, text) in files {
        std::fs::write(directory.path().join(format!("{name}.toml")), text).unwrap();
    }
    directory
}

/// Resolves with the user's profiles in `user` and no system profiles.
fn resolve(selection: &Selection, user: &Path) -> Result<Profile, Faults> {
    let directories = Directories { system: Path::new("/nonexistent"), user, inherited: None };
    let variables =
        BTreeMap::from([("SET".to_owned(), "value".to_owned()), ("PATH".to_owned(), "/usr/bin:/bin".to_owned())]);
    let context = FetchContext::new(Path::new("/"), &variables);
    let merged = super::merge(selection, &Defaults::default(), None, directories)?;
    merged.meaning(context).map(|resolved| resolved.profile)
}

fn selection(profiles: &[&str]) -> Selection {
    Selection { profiles: profiles.iter().map(|name| (*name).to_owned()).collect(), ..Selection::default() }
}

fn profile(files: &[(&str, &str)], names: &[&str]) -> Result<Profile, Faults> {
    resolve(&selection(names), directory(files).path())
}

/// The faults shown to a profile's author, without the directory's name.
fn complaint(files: &[(&str, &str)], names: &[&str]) -> String {
    let directory = directory(files);
    let faults = resolve(&selection(names), directory.path()).unwrap_err();
    faults.render(false).replace(&format!("{}/", directory.path().display()), "")
}

#[test]
fn built_in_profiles_are_valid_once_their_variables_are_set() {
    for (name, _) in super::built_in::BUILT_IN {
        let url = |name: &str| if name.ends_with("url") || name == "endpoint" { "https://h.example" } else { "eu" };
        let variables = super::variables_of(name).unwrap().into_iter().map(|declared| {
            let value = declared.values.first().cloned().unwrap_or_else(|| url(&declared.name).to_owned());
            (declared.name, value)
        });
        let chosen = Selection { variables: variables.collect(), ..selection(&[name]) };
        let profile = resolve(&chosen, Path::new("/nonexistent")).unwrap();
        assert!(!profile.description.is_empty(), "{name}");
    }
}

#[test]
fn temporality_is_set_per_destination() {
    let file = "[destination.one]\nendpoint = \"http://localhost:1\"\ntemporality = \"cumulative\"\nseries_ttl = \"7d\"\n\
                [destination.two]\nendpoint = \"http://localhost:2\"\n";
    let directory = directory(&[("mine", file)]);
    let profile = resolve(&selection(&["mine"]), directory.path()).unwrap();
    let asked: Vec<_> =
        profile.destinations.iter().map(|one| (one.temporality, one.series_ttl.as_secs() / 86_400)).collect();
    assert_eq!(asked, [(Temporality::Cumulative, 7), (Temporality::Delta, 30)]);
}

#[test]
fn the_default_profile_sends_nothing() {
    let local = resolve(&Selection::default(), Path::new("/nonexistent")).unwrap();
    assert_eq!((local.name.as_str(), local.destinations.len()), ("local", 0));
    assert_eq!(local.signals.emitted, [Signal::Metrics, Signal::Logs].into());
    assert!(!local.content.user_prompts && local.cardinality.session_id && !local.cardinality.version);
}

#[test]
fn layers_merge_by_key_and_later_ones_take_precedence() {
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
fn a_file_named_like_a_built_in_profile_is_layered_on_it() {
    let over = profile(&[("otlp", "[vars]\nprotocol = \"grpc\"\n")], &["otlp"]).unwrap();
    assert_eq!(over.destinations[0].protocol, Protocol::Grpc);
    let extended = profile(&[("otlp", "extends = \"otlp\"\n[vars]\nprotocol = \"grpc\"\n")], &["otlp"]).unwrap();
    assert_eq!(extended.destinations[0].protocol, Protocol::Grpc, "extending its own name means the lower layer");
}

#[test]
fn options_override_files_and_the_last_option_applies() {
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
fn profile_names_are_safe_in_a_path() {
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

/// A fetched value is not expanded, and nothing is run for an undefined variable.
#[test]
fn variables_are_expanded_before_values_are_fetched() {
    let secret = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(secret.path(), "${x}").unwrap();
    let text = format!(
        "[vars]\nx = \"eu\"\ny = {{ file = {path:?} }}\n[team]\nid = {{ command = [\"printf\", \"%s\", \"${{x}}\"] }}\n\
         [resource]\na = {{ file = {path:?} }}\nb = \"${{y}}\"\n",
        path = secret.path()
    );
    let profile = profile(&[("p", &text)], &["p"]).unwrap();
    let attributes: Vec<_> = profile.resource.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect();
    assert_eq!(attributes, [("a", "${x}"), ("b", "${x}"), ("team.id", "eu")]);

    let made = tempfile::tempdir().unwrap();
    let path = made.path().join("made");
    let text = format!("[team]\nid = {{ command = [\"touch\", {path:?}, \"${{x}}\"] }}\n");
    assert!(self::profile(&[("p", &text)], &["p"]).unwrap_err().to_string().contains("variable `x` is not defined"));
    assert!(!path.exists());
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
fn header_names_ignore_case_in_unset_and_cannot_repeat() {
    let base = "[destination.d]\nendpoint = \"https://h\"\nheaders = { X-Key = \"sk-1\" }\n";
    let mine = "extends = \"base\"\nunset = [\"destination.d.headers.X-KEY\"]\n";
    let profile = profile(&[("base", base), ("mine", mine)], &["mine"]).unwrap();
    assert!(profile.destinations[0].headers.is_empty());
    let twice =
        "[destination.d]\nendpoint = \"https://h\"\n[destination.d.headers]\nx-key = \"sk-1\"\nX-Key = \"sk-2\"\n";
    insta::assert_snapshot!(complaint(&[("twice", twice)], &["twice"]), @r#"
    error: header `x-key` is set twice: header names ignore case
    --> twice.toml:5:1
    "#);
}

#[test]
fn unset_in_an_extended_profile_also_applies_to_lower_layers() {
    let system = directory(&[("team", "[resource]\na = \"1\"\nb = \"2\"\nc = \"3\"\n")]);
    let user = directory(&[
        ("base", "unset = [\"resource.a\"]\n"),
        ("team", "extends = \"base\"\nunset = [\"resource.b\"]\n"),
    ]);
    let directories = Directories { system: system.path(), user: user.path(), inherited: None };
    let merged = super::merge(&selection(&["team"]), &Defaults::default(), None, directories).unwrap();
    let variables = BTreeMap::new();
    let context = FetchContext::new(Path::new("/"), &variables);
    let profile = merged.meaning(context).unwrap().profile;
    assert_eq!(profile.resource.keys().collect::<Vec<_>>(), ["c"]);
}
