//! Budgets as their authors write them, and what a project may do about one.

use std::sync::Arc;

use super::*;
use crate::profile::{Budget, Change, Document, Notify, Period, Resolved, Scope};

const TEAM: &str = r#"
[vars]
topic = "spend"
[budget]
daily = 20
monthly = 250.5
warn = [90, 50]
notify = [
  { command = ["./notify", "--now"] },
  { webhook = "https://ntfy.example/${topic}", headers = { Authorization = { keyring = "ntfy" }, Title = "Budget" } },
  { webhook = { env = "SLACK_URL" } },
]
"#;

#[test]
fn a_budget_has_a_limit_for_each_period() {
    let budgets = profile(&[("team", TEAM)], &["team"]).unwrap().budgets;
    let [daily, monthly] = budgets.as_slice() else { panic!("{budgets:?}") };
    assert_eq!((daily.period, daily.limit), (Period::Daily, 20_000_000_000));
    assert_eq!((monthly.period, monthly.limit), (Period::Monthly, 250_500_000_000));
    assert_eq!((daily.per, daily.stop, daily.warn.iter().copied().collect()), (Scope::Person, false, vec![50, 90]));
    assert!(daily.origin.ends_with("/team.toml:5:9"), "{}", daily.origin);
    let [Notify::Command(command), Notify::Webhook { url, headers }, Notify::Webhook { url: secret, .. }] =
        daily.notify.as_slice()
    else {
        panic!("{:?}", daily.notify)
    };
    assert!(command.argv[0].ends_with("/notify") && command.argv[1] == "--now");
    assert_eq!(url[0].literal(), Some("https://ntfy.example/spend"));
    assert_eq!(headers.keys().collect::<Vec<_>>(), ["authorization", "title"]);
    assert_eq!(secret[0].variables(), ["SLACK_URL"]);
    let defaults = profile(&[("a", "[budget]\nweekly = 1\n")], &["a"]).unwrap().budgets;
    assert_eq!(defaults[0].warn.iter().copied().collect::<Vec<_>>(), [50, 75, 90, 100]);
    for scope in Scope::ALL {
        let text = format!("[budget]\nweekly = 1\nper = \"{}\"\n", scope.name());
        assert_eq!(profile(&[("a", &text)], &["a"]).unwrap().budgets[0].per, scope);
    }
}

#[test]
fn the_programs_that_ccrun_runs_do_not_get_the_variables_of_webhooks() {
    let profile = profile(&[("team", TEAM)], &["team"]).unwrap();
    assert!(profile.own_sources().flat_map(Source::variables).any(|name| name == "SLACK_URL"));
}

#[test]
fn layers_merge_key_by_key_and_lists_are_replaced() {
    let files = [("team", TEAM), ("mine", "extends = \"team\"\n[budget]\ndaily = 30\nnotify = []\nstop = true\n")];
    let budgets = profile(&files, &["mine"]).unwrap().budgets;
    let limit = |budget: &Budget| (budget.limit / 1_000_000_000, budget.stop, budget.notify.len());
    assert_eq!(budgets.iter().map(limit).collect::<Vec<_>>(), [(30, true, 0), (250, true, 0)]);
    let none = profile(&[files[0], ("mine", "extends = \"team\"\nunset = [\"budget\"]\n")], &["mine"]).unwrap();
    assert!(none.budgets.is_empty());
}

#[test]
fn faults_of_a_budget_are_named_with_their_lines() {
    let text = r#"[budget]
dayly = 20
weekly = 0
monthly = "20"
per = "persn"
warn = [0, 50.5, 90]
stop = "yes"
notify = [
  { comand = ["x"] },
  { webhook = "http://hooks.example/secret" },
  { webhook = "https://hooks.example/secret", heders = {} },
  "x",
]
"#;
    insta::assert_snapshot!(complaint(&[("bad", text)], &["bad"]), @r#"
    error: unknown key `dayly` in `budget`
     --> bad.toml:2:1
      |
    2 | dayly = **
      | ^^^^^
      |
      = help: did you mean `daily`?

    error: `budget.weekly` is not a valid amount
     --> bad.toml:3:10
      |
    3 | weekly = 0
      |          ^
      |
      = help: write US dollars, for example 20 or 2.5, above zero

    error: `budget.monthly` is a string where an amount in US dollars belongs
     --> bad.toml:4:11
      |
    4 | monthly = "20"
      |           ^^^^

    error: `persn` is not a valid value of `budget.per`
     --> bad.toml:5:7
      |
    5 | per = "persn"
      |       ^^^^^^^
      |
      = help: did you mean "person"?

    error: `budget.warn` has a percentage that is not valid
     --> bad.toml:6:9
      |
    6 | warn = [0, 50.5, 90]
      |         ^
      |
      = help: write whole numbers from 1 to 1000

    error: `budget.warn` has a percentage that is not valid
     --> bad.toml:6:12
      |
    6 | warn = [0, 50.5, 90]
      |            ^^^^
      |
      = help: write whole numbers from 1 to 1000

    error: `budget.stop` is a string where `true` or `false` belongs
     --> bad.toml:7:8
      |
    7 | stop = "yes"
      |        ^^^^^

    error: an entry of `budget.notify` has no `command` or `webhook`
     --> bad.toml:9:3
      |
    9 |   { comand = ["x"] },
      |   ^^^^^^^^^^^^^^^^^^
      |
      = help: did you mean `command`?

    error: bad webhook: it would be sent in plain text to another host
    --> bad.toml:10:15
     = help: write, for example, "https://hooks.example.com/path"

    error: unknown key `heders` in `budget.notify`
      --> bad.toml:11:47
       |
    11 |   { webhook = "****************************", heders = {} },
       |                                               ^^^^^^
       |
       = help: did you mean `headers`?

    error: `budget.notify` has a string where a table belongs
      --> bad.toml:12:3
       |
    12 |   "x",
       |   ^^^
       |
       = help: allowed: a table with one of command, webhook
    "#);
    insta::assert_snapshot!(complaint(&[("bad", "[budget]\nstop = true\n")], &["bad"]), @r"
    error: `budget` has no limit
     --> bad.toml:1:2
      |
    1 | [budget]
      |  ^^^^^^
      |
      = help: write, for example, daily = 20; weekly and monthly are allowed as well
    ");
    let further = complaint(&[("bad", "[budgets.x]\ndaily = 1\n")], &["bad"]);
    assert!(further.contains("unknown key `budgets`") && further.contains("did you mean `budget`?"), "{further}");
    for bad in ["1e10", "-1", "nan", "inf", "1e-10", "true"] {
        assert!(profile(&[("a", &format!("[budget]\ndaily = {bad}\n"))], &["a"]).is_err(), "{bad}");
    }
}

/// Resolves with a project's file.
fn in_project(user: &[(&str, &str)], names: &[&str], project: &str, defaults: &Defaults) -> Result<Resolved, Faults> {
    let directory = directory(user);
    let directories = Directories { system: Path::new("/nonexistent"), user: directory.path(), inherited: None };
    let document = Arc::new(Document { label: "/p/.ccrun.toml".to_owned(), text: project.to_owned() });
    crate::profile::merge(&selection(names), defaults, Some(&document), directories)?.outline()
}

/// The limits in dollars, each with its scope.
fn limits(resolved: &Resolved) -> Vec<(i64, &'static str)> {
    let budgets = resolved.profile.budgets.iter();
    budgets.map(|budget| (budget.limit / 1_000_000_000, budget.per.name())).collect()
}

#[test]
fn a_project_adds_to_a_budget_and_replaces_none() {
    let team = [("team", "[budget]\ndaily = 20\nstop = true\n")];
    let resolve = |project: &str| in_project(&team, &["team"], project, &Defaults::default());
    for (project, expected) in [
        ("[budget]\ndaily = 500\nstop = false\nwarn = []\n", vec![(20, "person"), (500, "person")]),
        ("[budget]\ndaily = 5\nper = \"project\"\n", vec![(20, "person"), (5, "project")]),
        ("unset = [\"budget\"]\n", vec![(20, "person")]),
        ("unset = [\"budget.daily\", \"budget.stop\"]\n", vec![(20, "person")]),
    ] {
        let resolved = resolve(project).unwrap();
        assert_eq!(limits(&resolved), expected, "{project}");
        assert!(resolved.profile.budgets[0].stop);
    }
    let lines = resolve("[budget]\ndaily = 5\n").unwrap().lines();
    let shown: Vec<_> =
        lines.iter().filter(|line| line.key.starts_with("budget")).map(|line| line.key.as_str()).collect();
    assert_eq!(shown, ["budget.daily", "budget.stop", "budgets.\".ccrun.toml\".daily"]);
    for (project, said) in [
        ("[budget]\ndaily = \"5\"\n", "/p/.ccrun.toml:2:9: `budget.daily` is a string"),
        ("[budget]\nstop = true\n", "/p/.ccrun.toml:1:2: `budget` has no limit"),
        ("budget = 3\n", "`budget` is an integer where a table belongs"),
        ("[budgets.x]\ndaily = 5\n", "unknown key `budgets`"),
    ] {
        let fault = resolve(project).unwrap_err().to_string();
        assert!(fault.contains(said), "{fault}");
    }
}

#[test]
fn a_project_that_chooses_a_profile_keeps_the_budget_of_the_users() {
    let user = [
        (
            "team",
            "[vars]\nx = \"y\"\nz = { env = \"Z\" }\n[budget]\ndaily = 20\nnotify = [{ command = [\"${x}\"] }, { command = [\"${z}\"] }]\n",
        ),
        ("free", "description = \"none\"\n"),
        ("rich", "[budget]\ndaily = 900\n"),
    ];
    let defaults = Defaults { profile: Some("team".to_owned()), ..Defaults::default() };
    let resolve = |names: &[&str], project: &str| in_project(&user, names, project, &defaults).unwrap();
    assert_eq!(limits(&resolve(&[], "profile = \"free\"\n")), [(20, "person")]);
    assert_eq!(
        limits(&resolve(&[], "profile = \"rich\"\n[budget]\ndaily = 3\n")),
        [(900, "person"), (3, "person"), (20, "person")]
    );
    assert_eq!(limits(&resolve(&[], "extends = \"rich\"\nprofile = \"team\"\n")), [(20, "person"), (900, "person")]);
    assert_eq!(limits(&resolve(&["free"], "profile = \"rich\"\n")), [], "the user's own choice");
    let told = &resolve(&[], "profile = \"free\"\n").profile.budgets[0].notify;
    assert_eq!(told.len(), 1, "what only the other profile can complete is left out: {told:?}");
}

#[test]
fn an_administrator_who_enforces_the_budget_leaves_no_other() {
    let enforce = vec!["budget".to_owned()];
    let defaults = Defaults { enforce, enforced_by: "config.toml:1:1".to_owned(), ..Defaults::default() };
    let resolved = in_project(&[("team", TEAM)], &["team"], "[budget]\ndaily = 1\n", &defaults).unwrap();
    assert!(resolved.profile.budgets.is_empty());
    assert!(resolved.taken_away("budget").contains(&"budget.daily".to_owned()));
}

#[test]
fn a_review_shows_who_is_told_and_which_secret_goes_where() {
    let directory = directory(&[("team", "[budget]\ndaily = 20\n")]);
    let directories = Directories { system: Path::new("/nonexistent"), user: directory.path(), inherited: None };
    let project = r#"
[budget]
daily = 500
notify = [
  { command = ["./tell", "a"] },
  { webhook = "https://evil.example/x", headers = { Authorization = { keyring = "mine" } } },
  { webhook = { env = "SLACK" } },
]
"#;
    let document = Arc::new(Document { label: "/p/.ccrun.toml".to_owned(), text: project.to_owned() });
    let merged = |project| crate::profile::merge(&selection(&["team"]), &Defaults::default(), project, directories);
    let effects = merged(Some(&document)).unwrap().effects(merged(None).ok().as_ref(), &document);
    assert_eq!(effects.commands, [["./tell", "a"]]);
    let pair = |secret: &str, host: &str| (secret.to_owned(), host.to_owned());
    let expected = [
        pair("Authorization: { keyring = mine }", "https://evil.example/x"),
        pair("webhook: { env = SLACK }", "the host that it names"),
    ];
    assert_eq!(effects.secrets, expected.into());
    let opens: Vec<_> = effects.changes.iter().map(|Change { key, opens, .. }| (key.as_str(), *opens)).collect();
    assert_eq!(opens, [("budgets.\".ccrun.toml\".notify", true), ("budgets.\".ccrun.toml\".daily", false)]);
}

#[test]
fn a_webhook_is_not_shown() {
    let directory = directory(&[("team", TEAM)]);
    let directories = Directories { system: Path::new("/nonexistent"), user: directory.path(), inherited: None };
    let merged = crate::profile::merge(&selection(&["team"]), &Defaults::default(), None, directories).unwrap();
    let lines = merged.outline().unwrap().lines();
    let shown = lines.iter().find(|line| line.key == "budget.notify").unwrap().value.clone().unwrap();
    assert!(!shown.contains("ntfy.example") && !shown.contains("Budget"), "{shown}");
    assert!(shown.contains("SLACK_URL") && shown.contains("./notify"), "{shown}");
}
