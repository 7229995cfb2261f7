//! What an administrator enforces.

use super::*;

#[test]
fn the_system_layer_is_below_the_users_and_can_be_enforced() {
    let system = directory(&[(
        "team",
        "description = \"theirs\"\n[content]\nuser_prompts = false\n[resource]\nx = \"system\"\n\"team.id\" = \"t\"\n",
    )]);
    let user = directory(&[
        ("team", "[content]\nuser_prompts = true\n[resource]\nx = \"user\"\n"),
        ("other", "[content]\nuser_prompts = true\n"),
    ]);
    let directories = Directories { system: system.path(), user: user.path(), inherited: None };
    let variables = BTreeMap::new();
    let context = FetchContext::new(Path::new("/"), &variables);
    let resolve = |name: Option<&str>, enforce: &[&str]| {
        let config = Defaults {
            profile: Some("team".to_owned()),
            system_profile: Some("team".to_owned()),
            enforce: enforce.iter().map(|path| (*path).to_owned()).collect(),
            enforced_by: "config.toml:1:11".to_owned(),
        };
        let selection = selection(name.as_slice());
        crate::profile::merge(&selection, &config, None, directories).unwrap().meaning(context).unwrap()
    };
    let free = resolve(None, &[]);
    assert_eq!(free.overruled("content.user_prompts"), None);
    let free = free.profile;
    assert_eq!(
        (free.name.as_str(), free.resource["x"].as_str(), free.resource["team.id"].as_str()),
        ("team", "user", "t")
    );
    assert!(free.content.user_prompts);
    let enforced = ["content.user_prompts", "resource"];
    let bound = resolve(None, &enforced);
    for (key, place) in [("content.user_prompts", "team.toml:2:16"), ("resource.x", "team.toml:4:5")] {
        let user = format!("{}/{place}", user.path().display());
        assert_eq!(bound.overruled(key), Some(user), "the user's own value is still known");
    }
    let line = |key: &str| bound.lines().into_iter().find(|line| line.key == key).unwrap();
    let enforced_line = line("content.user_prompts");
    assert_eq!(enforced_line.value.as_deref(), Some("false"));
    let instead = format!("{}/team.toml:2:16", user.path().display());
    assert_eq!(enforced_line.enforced, Some(("config.toml:1:11".to_owned(), Some(instead.clone()))));
    assert_eq!((bound.taken_away("content"), line("description").enforced), (Vec::new(), None));
    // Values that the administrator's profile does not have are removed, and that is reported as well.
    let emptied = resolve(None, &["content", "signals"]);
    assert_eq!(emptied.lines().iter().filter(|line| line.value.is_none()).count(), 0);
    let system_without = directory(&[("team", "")]);
    let config = Defaults {
        profile: Some("team".to_owned()),
        enforce: vec!["content".to_owned()],
        enforced_by: "config.toml:1:11".to_owned(),
        ..Defaults::default()
    };
    let directories = Directories { system: system_without.path(), ..directories };
    let merged = crate::profile::merge(&super::selection(&["team"]), &config, None, directories).unwrap();
    let emptied = merged.meaning(context).unwrap();
    assert_eq!(emptied.taken_away(""), ["content.user_prompts"]);
    let gone = emptied.lines().into_iter().find(|line| line.key == "content.user_prompts").unwrap();
    assert_eq!((gone.value, gone.enforced), (None, Some(("config.toml:1:11".to_owned(), Some(instead)))));
    let bound = bound.profile;
    assert!(!bound.content.user_prompts && bound.resource["x"] == "system");
    let bound = resolve(Some("other"), &enforced).profile;
    assert!(!bound.content.user_prompts && bound.resource["team.id"] == "t", "the rule applies to every profile");
}

#[test]
fn enforced_values_do_not_depend_on_other_layers_variables() {
    let system = directory(&[(
        "team",
        "extends = \"otlp\"\n[vars]\nendpoint = \"https://team.example\"\n[resource]\n\"team.id\" = \"t\"\n\
         [destination.otlp.headers]\nX-Key = \"theirs\"\n",
    )]);
    let user = directory(&[(
        "mine",
        "extends = \"team\"\n[vars]\nendpoint = \"https://mine.example\"\n[resource]\n\"team.id\" = \"m\"\nx = \"1\"\n\
         [destination.otlp.headers]\nX-Key = \"mine\"\nX-Own = \"mine\"\n",
    )]);
    let variables = BTreeMap::new();
    let context = FetchContext::new(Path::new("/"), &variables);
    let resolve = |enforce: &[&str]| {
        let config = Defaults {
            system_profile: Some("team".to_owned()),
            enforce: enforce.iter().map(|path| (*path).to_owned()).collect(),
            ..Defaults::default()
        };
        let variables = vec![("endpoint".to_owned(), "https://option.example".to_owned())];
        let selection = Selection { variables, ..selection(&["mine"]) };
        let directories = Directories { system: system.path(), user: user.path(), inherited: None };
        crate::profile::merge(&selection, &config, None, directories).unwrap().meaning(context).unwrap().profile
    };
    assert_eq!(resolve(&[]).destinations[0].endpoint, "https://option.example");
    assert_eq!(resolve(&["destination"]).destinations[0].endpoint, "https://team.example");
    let bound = resolve(&["resource.team.id", "destination.otlp.headers.X-KEY", "nothing.there"]);
    assert_eq!((bound.resource["team.id"].as_str(), bound.resource["x"].as_str()), ("t", "1"));
    let headers: Vec<_> =
        bound.destinations[0].headers.iter().map(|(name, value)| (name.as_str(), &value[0])).collect();
    let literal = |text: &str| Source::Literal(text.to_owned());
    assert_eq!(headers, [("x-key", &literal("theirs")), ("x-own", &literal("mine"))]);
}
