//! What developers are shown of everything that holds a secret.

use std::collections::{BTreeMap, BTreeSet};

use ccrun::claude::SettingsFile;
use ccrun::client::{Client, Proxies};
use ccrun::collector::{Plan, Role, Token};
use ccrun::credential::{Answers, Keyring};
use ccrun::environment::{Changes, Endpoint};
use ccrun::forward::Transport;
use ccrun::process::Process;
use ccrun::profile::{Profile, Selection, Tls};
use ccrun::setting::Setting;
use ccrun::store::sessions::Session;
use ccrun::surroundings::{Places, Surroundings};
use ccrun::trust::Seal;

use super::{ALL, FROM_COMMAND, FROM_ENV, LITERAL, PASSWORD, assert_none, profile};
use crate::support::sandbox::{DEADLINE, Sandbox};

#[test]
fn nothing_that_holds_a_secret_shows_it_to_developers() {
    let mut sandbox = Sandbox::new();
    profile(&mut sandbox, "https://h", "grpc");
    let more = format!(
        "[destination.d.headers]\nx-oauth = {{ oauth2 = {{ token_url = \"https://t\", client_id = \"i\", \
         client_secret = \"{PASSWORD}\" }} }}\n[env]\nKEY = \"{LITERAL}\"\n"
    );
    sandbox.profile("more", more);
    let setting = setting(&sandbox);
    let selection = Selection {
        profiles: vec!["team".to_owned(), "more".to_owned()],
        env: vec![("OPTION".to_owned(), LITERAL.to_owned())],
        ..Selection::default()
    };
    let (resolved, _) = setting.resolve(&selection).unwrap();
    let destination = &resolved.profile.destinations[0];

    let mut sources = destination.headers.clone();
    sources.remove("x-oauth");
    let fetched: Vec<_> =
        sources.values().map(|sources| ccrun::credential::fetch(sources, setting.ground()).unwrap()).collect();
    assert!(fetched.iter().any(|fetched| fetched.value.0 == FROM_COMMAND), "the look would find what there is");
    let proxies = Proxies::named_by(&setting.variables);
    let transport = Transport::new(destination).unwrap().through(&proxies);
    let client = Client::new("https://h".parse().unwrap(), Tls::default(), DEADLINE).through(&proxies);
    let named: BTreeMap<_, _> = [("A".to_owned(), LITERAL.to_owned())].into();
    let surroundings = Surroundings {
        variables: setting.variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: "/".into(),
        executable: "/ccrun".into(),
    };
    let endpoint = Endpoint { port: 1, token: PASSWORD.to_owned() };
    let settings = SettingsFile { path: "/s".into(), variables: named.clone(), ..SettingsFile::default() };
    let changes = Changes { set: named, removed: BTreeSet::new() };
    let shown = [
        format!("{resolved:?} {destination:?} {:?} {:#?}", destination.headers, resolved.profile),
        format!("{fetched:?} {proxies:?} {transport:?} {client:?} {setting:?} {:?}", setting.ground()),
        format!("{surroundings:?} {endpoint:?} {settings:?} {changes:?}"),
        format!("{:?}", plan(selection, resolved.profile.clone(), setting)),
    ];
    let shown = shown.concat();
    assert_none(&ALL, shown.as_bytes(), "what developers are shown");
    assert!(shown.contains("x-command") && shown.contains("CANARY"), "{shown}");
}

fn setting(sandbox: &Sandbox) -> Setting {
    let places = Places {
        home: sandbox.home(),
        config: sandbox.home().join(".config/ccrun"),
        system: sandbox.home().join("nowhere"),
        state: sandbox.state(),
        moved_from: None,
        claude: sandbox.home().join(".claude"),
    };
    let path = format!("{}:/usr/bin:/bin", sandbox.home().with_file_name("bin").display());
    let proxy = format!("http://u:{PASSWORD}@proxy:1");
    let variables = [("CANARY", FROM_ENV), ("PATH", &path), ("HTTPS_PROXY", &proxy)];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    Setting { places, variables, withheld: BTreeSet::new(), project: None, keyring: Keyring::Desktop }
}

fn plan(selection: Selection, profile: Profile, setting: Setting) -> Plan {
    let session = Session {
        id: "0".repeat(16),
        parent: None,
        profile: profile.name.clone(),
        team: None,
        program: "claude".to_owned(),
        project: "/".to_owned(),
        branch: None,
        started_at: 0,
        selection,
    };
    let (token, launched) = (Token(PASSWORD.to_owned()), Process::current());
    Plan {
        role: Role::Keeper,
        session,
        profile,
        token,
        launched,
        settings: None,
        stays: false,
        setting,
        answers: Answers::default(),
        seal: Seal::default(),
    }
}
