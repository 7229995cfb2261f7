use std::path::Path;
use std::time::Duration;

use super::*;
use crate::secret::{Format, Keyring};
use crate::state::Places;

fn command(argv: &[&str]) -> Command {
    let argv = argv.iter().map(|word| (*word).to_owned()).collect();
    Command { argv, ttl: Some(Duration::from_mins(15)), timeout: Duration::from_mins(1), interactive: false }
}

fn wanted(directory: &Path, headers: &[(&str, Vec<Source>)], helper: Option<Command>) -> Wanted {
    let at = |name: &str| directory.join(name);
    let places = Places { home: at("."), ..Places::below(directory) };
    let variables = [("PATH".to_owned(), "/usr/bin:/bin".to_owned())].into();
    Wanted {
        headers: headers.iter().map(|(name, sources)| ((*name).to_owned(), sources.clone())).collect(),
        helper,
        workspace: Arc::new(Workspace {
            places,
            variables,
            withheld: BTreeSet::new(),
            project: None,
            keyring: Keyring::Desktop,
            ledger: crate::workspace::LedgerRules::default(),
        }),
        answers: Arc::default(),
        trusted_digest: TrustedDigest::default(),
        turn: at("turn"),
    }
}

#[test]
fn combined_sources_have_the_strictest_requirements() {
    let directory = tempfile::tempdir().unwrap();
    let kind = |sources: Vec<Source>| wanted(directory.path(), &[("a", sources)], None).kind();
    let literal = Source::Literal("x".to_owned());
    let file = Source::File("/f".into(), Format::default());
    let run = Source::Command(command(&["x"]), Format::default());
    let login = Source::Command(Command { interactive: true, ..command(&["x"]) }, Format::default());
    let (none, reads) = (Kind::default(), Kind { changes: true, ..Kind::default() });
    assert_eq!(kind(vec![literal.clone()]), none);
    assert_eq!(kind(vec![literal.clone(), file]), reads);
    let token = Source::Oauth2(ClientCredentials {
        token_url: "https://t".to_owned(),
        client_id: "i".to_owned(),
        client_secret: vec![literal.clone()],
        scopes: Vec::new(),
    });
    assert_eq!(kind(vec![token]), Kind { runs: true, ..reads });
    assert_eq!(kind(vec![Source::Basic("me".to_owned(), vec![run])]), Kind { runs: true, ..reads });
    assert_eq!(kind(vec![login]), Kind { is_strict: true, ..none });
}

#[test]
fn all_headers_are_fetched_together_and_expire_with_the_first() {
    let directory = tempfile::tempdir().unwrap();
    let own = Source::Command(command(&["echo", "own"]), Format("Bearer {}".to_owned()));
    let helper =
        Command { ttl: Some(Duration::from_mins(5)), ..command(&["echo", r#"{"A": "theirs", "B": "theirs"}"#]) };
    let fetched = wanted(directory.path(), &[("a", vec![own])], Some(helper)).fetch(0).unwrap();
    let headers = fetched.to_send().unwrap();
    assert_eq!((headers["a"].to_str().unwrap(), headers["b"].to_str().unwrap()), ("Bearer own", "theirs"));
    assert!(headers.values().all(hyper::header::HeaderValue::is_sensitive));
    assert_eq!(fetched.fresh_for(), Some(Duration::from_mins(5)));
}

#[test]
fn an_invalid_header_is_an_error_without_its_value() {
    let directory = tempfile::tempdir().unwrap();
    let two = Source::Literal("one\ntwo".to_owned());
    let fetched = wanted(directory.path(), &[("a", vec![two])], None).fetch(0).unwrap();
    let said = fetched.to_send().unwrap_err().to_string();
    assert_eq!(said, "the value of the header `a` contains a line break or another control character");
    let login = Command { interactive: true, ..command(&["login"]) };
    let said =
        wanted(directory.path(), &[("a", vec![Source::Command(login.clone(), Format::default())])], None).fetch(0);
    let absent = "the command `login` will be run at the next launch";
    assert_eq!(said.unwrap_err().to_string(), format!("the header `a` has no value: {absent}"));
    assert_eq!(wanted(directory.path(), &[], Some(login)).fetch(0).unwrap_err().to_string(), absent);
}
