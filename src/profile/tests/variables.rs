//! Variables: which profile they belong to, their allowed values, and errors about them.

use super::*;

fn with(names: &[&str], variables: &[(&str, &str)]) -> Selection {
    let variables = variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned()));
    Selection { variables: variables.collect(), ..selection(names) }
}

fn complaint_of(files: &[(&str, &str)], selection: &Selection) -> String {
    let directory = directory(files);
    let faults = resolve(selection, directory.path()).unwrap_err();
    faults.render(false).replace(&format!("{}/", directory.path().display()), "")
}

fn endpoints(files: &[(&str, &str)], selection: &Selection) -> Vec<(String, String, Protocol)> {
    let profile = resolve(selection, directory(files).path()).unwrap();
    profile.destinations.into_iter().map(|one| (one.name, one.endpoint, one.protocol)).collect()
}

#[test]
fn each_shipped_profile_has_its_own_variables() {
    let both = [("both", "extends = [\"signoz-selfhosted\", \"otelcol\"]\n")];
    let found = endpoints(&both, &selection(&["both"]));
    let expected = [
        ("otelcol", "http://127.0.0.1:4317", Protocol::Grpc),
        ("signoz", "http://127.0.0.1:4318", Protocol::HttpProtobuf),
    ];
    assert_eq!(found, expected.map(|(name, endpoint, protocol)| (name.to_owned(), endpoint.to_owned(), protocol)));
    // The full name works in a file and as an option. The plain name is ambiguous.
    let named = [("both", "extends = [\"signoz-selfhosted\", \"otelcol\"]\nvars.otelcol.endpoint = \"http://h:1\"\n")];
    assert_eq!(endpoints(&named, &selection(&["both"]))[0].1, "http://h:1");
    let option = with(&["both"], &[("signoz-selfhosted.endpoint", "http://h:2")]);
    assert_eq!(endpoints(&named, &option)[1].1, "http://h:2");
    let said = complaint_of(&both, &with(&["both"], &[("endpoint", "http://h")]));
    assert!(said.contains("`endpoint` is a variable of `otelcol` and of `signoz-selfhosted`"), "{said}");
    assert!(said.contains("write \"otelcol.endpoint\" or \"signoz-selfhosted.endpoint\""), "{said}");
}

/// While it is unambiguous, the plain name works in every place.
#[test]
fn an_unambiguous_plain_name_sets_the_variable_of_an_extended_profile() {
    for files in [
        [("mine", "extends = \"signoz\"\n[vars]\nregion = \"eu\"\n[resource]\nx = \"${region}\"\n"), ("other", "")],
        [
            ("mine", "extends = [\"signoz\", \"other\"]\nresource.x = \"${region}\"\n"),
            ("other", "vars.region = \"eu\"\n"),
        ],
        [
            ("mine", "extends = [\"other\", \"signoz\"]\nresource.x = \"${region}\"\n"),
            ("other", "vars.region = \"eu\"\n"),
        ],
    ] {
        let profile = resolve(&selection(&["mine"]), directory(&files).path()).unwrap();
        assert_eq!(profile.destinations[0].endpoint, "https://ingest.eu.signoz.cloud:443", "{files:?}");
        assert_eq!(profile.resource["x"], "eu", "{files:?}");
    }
    // The user's layer of the same name, an overlay, and an option.
    let layer = [("signoz", "vars.region = \"in\"\n"), ("eu", "vars.region = \"eu\"\n")];
    let region = |selection: &Selection| endpoints(&layer, selection)[0].1.clone();
    assert!(region(&selection(&["signoz"])).contains(".in."));
    assert!(region(&selection(&["signoz", "eu"])).contains(".eu."));
    assert!(region(&with(&["signoz", "eu"], &[("region", "us")])).contains(".us."));
}

#[test]
fn the_allowed_values_are_shown_where_a_variable_is_set() {
    insta::assert_snapshot!(complaint_of(&[], &with(&["signoz"], &[("region", "mars")])), @r#"
    error: `mars` is not a valid value of `region`
     --> --var:2:12
      |
    2 | "region" = "****"
      |            ^^^^^^
      |
      = help: allowed: us, eu or in
    "#);
    insta::assert_snapshot!(complaint_of(&[], &selection(&["signoz"])), @r#"
    error: variable `region` is not defined
      --> built-in profile `signoz`:15:12
       |
    15 | endpoint = "https://ingest.${region}.signoz.cloud:443"  # also accepts gRPC: protocol = "grpc"
       |            ^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^^
       |
       = help: your SigNoz region: us, eu or in; `--var region=us` sets it
    "#);
    let own =
        "[vars.site]\nvalues = [\"a\", \"b\"]\ndescription = \"where\"\ndefault = \"c\"\n[resource]\nx = \"${site}\"\n";
    let said = complaint_of(&[("own", own)], &selection(&["own"]));
    assert!(said.contains("`c` is not a valid value of `site`") && said.contains("own.toml:4:11"), "{said}");
    let said = complaint_of(&[("own", "[vars.site]\nvalue = \"a\"\n")], &selection(&["own"]));
    assert!(said.contains("`vars.site` names no source") && said.contains("did you mean `values`?"), "{said}");
    let said = complaint_of(&[("own", "[vars.site]\ndefault = \"a\"\nvalue = 1\n")], &selection(&["own"]));
    assert!(said.contains("unknown key `value` in `vars.site`"), "{said}");
}

#[test]
fn an_option_for_an_unknown_variable_is_an_error_with_a_suggestion() {
    let said = complaint_of(&[], &with(&["otlp"], &[("endpont", "https://sk-secret")]));
    assert!(
        said.contains("the profile has no variable `endpont`") && said.contains("did you mean `endpoint`?"),
        "{said}"
    );
    assert!(!said.contains("sk-secret"), "{said}");
    let said = complaint_of(&[], &with(&["otlp"], &[("drain_timeout", "1s")]));
    assert!(said.contains("its variables: endpoint, protocol"), "{said}");
    let said = complaint_of(&[], &with(&["local"], &[("x", "1")]));
    assert!(said.contains("it has no variables at all"), "{said}");
    // A variable that is only part of a string is found as well.
    let own = [("own", "[resource]\nx = \"${site}\"\n")];
    assert_eq!(resolve(&with(&["own"], &[("site", "a")]), directory(&own).path()).unwrap().resource["x"], "a");
}

/// An invalid value is reported where it is set, not where it is used.
#[test]
fn a_value_is_reported_where_it_is_set() {
    let mine = [("mine", "extends = \"honeycomb\"\n[vars]\nendpoint = \"honeycomb\"\n")];
    insta::assert_snapshot!(complaint_of(&mine, &selection(&["mine"])).split("\n\n").next().unwrap(), @r#"
    error: bad endpoint: it must begin with http:// or https://
     --> mine.toml:3:12
      |
    3 | endpoint = "*********"
      |            ^^^^^^^^^^^
      |
      = help: write scheme, host, port and path: "https://otlp.example.com:443/path"
    "#);
}

#[test]
fn files_that_set_a_variable_differently_conflict_unless_resolved() {
    let files = |mine: &'static str| {
        [("a", "vars.x = \"1\"\n"), ("b", "vars.x = \"2\"\n"), ("c", "vars.x = \"1\"\n"), ("mine", mine)]
    };
    insta::assert_snapshot!(complaint_of(&files("extends = [\"a\", \"b\"]\n"), &selection(&["mine"])), @r#"
    error: `x` is set differently by a.toml:1:10 and by b.toml:1:10
     --> mine.toml:1:17
      |
    1 | extends = ["a", "b"]
      |                 ^^^
      |
      = help: set it in the `[vars]` of this file
    "#);
    let settled = "extends = [\"a\", \"b\"]\nvars.x = \"3\"\nresource.x = \"${x}\"\n";
    for (mine, expected) in [(settled, "3"), ("extends = [\"a\", \"c\"]\nresource.x = \"${x}\"\n", "1")] {
        assert_eq!(profile(&files(mine), &["mine"]).unwrap().resource["x"], expected);
    }
}

#[test]
fn a_profile_shows_the_declarations_of_its_variables() {
    let directory = directory(&[]);
    let directories = Directories { system: Path::new("/nonexistent"), user: directory.path(), inherited: None };
    let merged =
        crate::profile::merge(&with(&["signoz"], &[("region", "eu")]), &Defaults::default(), None, directories);
    let lines = merged.unwrap().outline().unwrap().lines();
    let line = lines.iter().find(|line| line.key == "vars.region").unwrap();
    assert_eq!((line.value.as_deref(), line.origin.as_str()), (Some("\"eu\""), "--var:2:12"));
    assert_eq!(line.about.as_deref(), Some("your SigNoz region: us, eu or in"));
    let merged = crate::profile::merge(&selection(&["otlp"]), &Defaults::default(), None, directories).unwrap();
    let lines = merged.outline().unwrap().lines();
    let line = lines.iter().find(|line| line.key == "vars.endpoint").unwrap();
    assert_eq!(line.value.as_deref(), Some("\"http://127.0.0.1:4318\""), "defaults are shown too");
}

/// A suggested command repeats the failed selection: profiles, variables and project, but no secrets.
#[test]
fn a_suggested_command_repeats_the_selection() {
    let chosen = Selection {
        directory: Some("/home/me/my project".into()),
        ..with(&["team", "eu"], &[("region", "eu"), ("endpoint", "https://h:1/x"), ("key", "sk-0123456789abcdef")])
    };
    let options = "-p team -p eu --var 'region=eu' --var 'endpoint=https://h:1/x' --var 'key=…'";
    let said = chosen.command("doctor", true);
    assert_eq!(said.replace('\'', ""), format!("cd /home/me/my project && ccrun doctor {options}").replace('\'', ""));
    assert!(said.starts_with("cd '/home/me/my project' && "), "{said}");
    assert_eq!(Selection::default().command("doctor", true), "ccrun doctor");
    assert!(!chosen.command("doctor", false).contains("cd "));
}
