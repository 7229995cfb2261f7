//! The `Debug` output of every type that holds a secret.

use std::collections::{BTreeMap, BTreeSet};

use ccrun::claude::SettingsFile;
use ccrun::claude::hooks::Caller;
use ccrun::client::{Client, Proxies, Tls};
use ccrun::collector::{Hook, Role, SessionPlan};
use ccrun::credential::Answers;
use ccrun::environment::{Changes, Endpoint};
use ccrun::forward::Transport;
use ccrun::profile::{Profile, Selection};
use ccrun::secret::Keyring;
use ccrun::state::Places;
use ccrun::store::sessions::Session;
use ccrun::system::process::Process;
use ccrun::system::process_environment::ProcessEnvironment;
use ccrun::workspace::trust::TrustedDigest;
use ccrun::workspace::{Config, LedgerRules, Workspace};

use super::{ALL, FROM_COMMAND, FROM_ENV, LITERAL, PASSWORD, assert_none, profile};
use crate::support::sandbox::{DEADLINE, Sandbox};

#[test]
fn debug_output_of_secret_types_hides_the_secret() {
    let mut sandbox = Sandbox::new();
    profile(&mut sandbox, "https://h", "grpc");
    let more = format!(
        "[destination.d.headers]\nx-oauth = {{ oauth2 = {{ token_url = \"https://t\", client_id = \"i\", \
         client_secret = \"{PASSWORD}\" }} }}\n[env]\nKEY = \"{LITERAL}\"\n"
    );
    sandbox.profile("more", more);
    let workspace = workspace(&sandbox);
    let selection = Selection {
        profiles: vec!["team".to_owned(), "more".to_owned()],
        env: vec![("OPTION".to_owned(), LITERAL.to_owned())],
        ..Selection::default()
    };
    let (resolved, _) = workspace.resolve(&selection, &Config::default()).unwrap();
    let destination = &resolved.profile.destinations[0];

    let mut sources = destination.headers.clone();
    sources.remove("x-oauth");
    let fetched: Vec<_> =
        sources.values().map(|sources| ccrun::secret::fetch(sources, workspace.context()).unwrap()).collect();
    assert!(fetched.iter().any(|fetched| fetched.value.expose() == FROM_COMMAND), "the secret was fetched");
    let proxies = Proxies::named_by(&workspace.variables);
    let transport = Transport::new(destination).unwrap().through(&proxies);
    let client = Client::new("https://h".parse().unwrap(), Tls::default(), DEADLINE).through(&proxies);
    let named: BTreeMap<_, _> = [("A".to_owned(), LITERAL.to_owned())].into();
    let process = ProcessEnvironment {
        variables: workspace.variables.iter().map(|(name, value)| (name.into(), value.into())).collect(),
        directory: "/".into(),
        executable: "/ccrun".into(),
        called_by: None,
        started_at: jiff::Timestamp::UNIX_EPOCH,
    };
    let endpoint = Endpoint { port: 1, token: PASSWORD.into() };
    let settings = SettingsFile { path: "/s".into(), variables: named.clone(), ..SettingsFile::default() };
    let changes = Changes { set: named, removed: BTreeSet::new() };
    let shown = [
        format!("{resolved:?} {destination:?} {:?} {:#?}", destination.headers, resolved.profile),
        format!("{fetched:?} {proxies:?} {transport:?} {client:?} {workspace:?} {:?}", workspace.context()),
        format!("{process:?} {endpoint:?} {settings:?} {changes:?}"),
        format!("{:?}", plan(selection, resolved.profile.clone(), workspace)),
    ];
    let shown = shown.concat();
    assert_none(&ALL, shown.as_bytes(), "what developers are shown");
    assert!(shown.contains("x-command") && shown.contains("CANARY"), "{shown}");
}

fn workspace(sandbox: &Sandbox) -> Workspace {
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
    Workspace {
        places,
        variables,
        withheld: BTreeSet::new(),
        project: None,
        keyring: Keyring::Desktop,
        ledger: LedgerRules::default(),
    }
}

fn plan(selection: Selection, profile: Profile, workspace: Workspace) -> SessionPlan {
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
    let (token, launched) = (PASSWORD.into(), Process::current());
    SessionPlan {
        role: Role::Keeper,
        worker: 0,
        session,
        profile,
        token,
        launched,
        settings: None,
        hook: Some(Hook { token: PASSWORD.into(), caller: Caller::Client, is_shown: true, shared: Vec::new() }),
        stays: false,
        workspace,
        answers: Answers::default(),
        trusted_digest: TrustedDigest::default(),
    }
}
