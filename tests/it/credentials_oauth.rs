//! Tokens from the client credentials grant of `OAuth2`.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use ccrun::secret::command::FetchContext;
use ccrun::secret::{ClientCredentials, Fetched, Source, fetch};

use crate::support::backend::{Backend, Identity, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::issuer::{CLIENT, Issuer};
use crate::support::keys::{Locked, reasons};
use crate::support::sandbox::{DEADLINE, Sandbox, text, wait_until};
use crate::support::session::Session;

/// A profile whose backend requires a token of the issuer, in a sandbox with the client's secret.
fn sandbox(locked: &Locked, issuer: &Issuer, secret: &str) -> Sandbox {
    let mut sandbox = Sandbox::new();
    sandbox.set("CLIENT_SECRET", secret);
    sandbox.profile("team", locked.destination(&issuer.source("{ env = \"CLIENT_SECRET\" }")));
    sandbox
}

#[track_caller]
fn wait_for(locked: &Locked, ids: &[String]) {
    wait_until("all records to arrive", || ids_of(&locked.accepted()).len() >= ids.len());
    assert_eq!(ids_of(&locked.accepted()), ids);
}

/// Requests a token, with a time limit that suits a test.
fn ask(token_url: String, patience: Duration) -> Result<Fetched, String> {
    let client_secret = vec![Source::Literal(CLIENT.1.to_owned())];
    let (client_id, scopes) = (CLIENT.0.to_owned(), Vec::new());
    let source = Source::Oauth2(ClientCredentials { token_url, client_id, client_secret, scopes });
    let variables = BTreeMap::new();
    let context = FetchContext { patience, ..FetchContext::new(Path::new("/"), &variables) };
    fetch(&[source], context).map_err(|error| error.to_string())
}

#[test]
fn data_arrives_with_a_token_and_a_rejection_fetches_another() {
    let (locked, issuer) = (Locked::start(), Issuer::start("one"));
    let sandbox = sandbox(&locked, &issuer, CLIENT.1);
    locked.accept("one");
    let session = Session::start(&sandbox, &["-p", "team"]);
    assert_eq!(issuer.requests(), 0, "a session without telemetry needs no token");
    let all = ids("record", 3);
    let mut client = session.client();
    client.export(&all[..1]);
    wait_for(&locked, &all[..1]);
    client.export(&all[1..2]);
    wait_for(&locked, &all[..2]);
    let [asked] = &issuer.backend.received()[..] else { panic!("one request") };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("POST", "/token"));
    assert_eq!(&asked.raw[..], b"grant_type=client_credentials&scope=otlp%3Awrite+b");
    let basic = BASE64_STANDARD.encode(format!("{}:{}", CLIENT.0, CLIENT.1));
    assert_eq!(asked.header("authorization"), format!("Basic {basic}"));

    issuer.give("two");
    locked.accept("two");
    client.export(&all[2..]);
    wait_for(&locked, &all);
    assert_eq!((issuer.requests(), locked.refused()), (2, 1));
}

#[test]
fn a_client_authenticates_in_the_body_if_the_issuer_requires_it() {
    let (locked, issuer) = (Locked::start(), Issuer::start("one").by_body());
    let sandbox = sandbox(&locked, &issuer, CLIENT.1);
    locked.accept("one");
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 1);
    session.client().export(&all);
    wait_for(&locked, &all);
    let received = issuer.backend.received();
    assert_eq!((received.len(), received[1].header("authorization")), (2, ""));
}

#[test]
fn with_the_wrong_secret_data_stays_queued_with_the_reason() {
    let (locked, issuer) = (Locked::start(), Issuer::start("one"));
    let wrong = "wrong-secret-93ab";
    let sandbox = sandbox(&locked, &issuer, wrong);
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&ids("record", 1));
    let words = format!(
        "the header `authorization` has no value: the token from {}/token is unavailable: \
         401 unauthorized: invalid_client: who is that?",
        issuer.backend.endpoint()
    );
    wait_until("the reason", || reasons(&sandbox).iter().any(|reason| reason.starts_with(&words)));
    let said = reasons(&sandbox).concat();
    assert!(!said.contains("in the body") && !said.contains(wrong), "the reason is reported once: {said}");
    assert_eq!(locked.backend.connections(), 0);
    assert!(issuer.requests() >= 2, "both ways to authenticate are tried");
}

#[test]
fn ten_sessions_request_tokens_one_after_the_other() {
    let (locked, issuer) = (Locked::start(), Issuer::start("one").held());
    let sandbox = sandbox(&locked, &issuer, CLIENT.1);
    locked.accept("one");
    let sessions: Vec<_> = (0..10).map(|_| Session::start(&sandbox, &["-p", "team"])).collect();
    let all = ids("record", 10);
    for (session, id) in sessions.iter().zip(&all) {
        session.client().export(std::slice::from_ref(id));
    }
    for number in 1..=sessions.len() {
        let received = issuer.backend.wait_for(|received| received.len() >= number, DEADLINE);
        assert_eq!(received.len(), number, "each request waits for the answer to the previous one");
        issuer.backend.release(1);
    }
    wait_for(&locked, &all);
    assert_eq!((issuer.requests(), locked.refused()), (10, 0));
}

#[test]
fn a_token_is_used_for_the_lifetime_that_its_issuer_states() {
    let issuer = Issuer::start("one");
    let fetched = ask(format!("{}/token?tenant=a", issuer.backend.endpoint()), DEADLINE).unwrap();
    assert_eq!((fetched.value.expose(), fetched.fresh_for), ("Bearer one", Some(Duration::from_hours(1))));
}

#[test]
fn each_reason_for_a_missing_token_is_reported() {
    let target = Backend::start();
    let cases = [
        (Reply::http(302, "").header("location", &target.endpoint()), "302 found, and redirects are not followed"),
        (Reply::http(503, "busy"), "503 service unavailable: busy"),
        (Reply::http(200, "{}").stalled(), "200 ok, but the answer did not end in time"),
        (Reply::http(200, "{}").endless(), "200 ok, but the answer was longer than 64 KiB"),
        (Reply::hang(), "HOST did not answer within 1s"),
        (Reply::close(), "HOST closed the connection without an answer"),
    ];
    for (reply, reason) in cases {
        let backend = Backend::start();
        backend.reply(reply);
        let said = ask(format!("{}/token?tenant=a", backend.endpoint()), Duration::from_secs(1)).unwrap_err();
        let host = format!("127.0.0.1:{}", backend.port());
        assert_eq!(
            said,
            format!("the token from http://{host}/token is unavailable: {}", reason.replace("HOST", &host))
        );
        assert_eq!(backend.received().len(), 1);
    }
    assert_eq!(target.connections(), 0);
}

#[test]
fn an_issuer_is_verified_with_the_systems_authorities() {
    let backend = Backend::start_tls(Identity::of("localhost"));
    let said = ask(format!("{}/token", backend.endpoint()), DEADLINE).unwrap_err();
    let host = format!("localhost:{}", backend.port());
    let reason = format!("is unavailable: the certificate of {host} is from an authority that is not trusted here");
    assert!(said.starts_with(&format!("the token from https://{host}/token {reason}")), "{said}");
    assert_eq!(backend.received().len(), 0);
}

#[test]
fn a_variable_can_be_a_token_and_delays_the_start_only_briefly() {
    let issuer = Issuer::start("one");
    let sandbox = Sandbox::new();
    sandbox.profile("gateway", format!("[env]\nKEY = {}\n", issuer.source(&format!("\"{}\"", CLIENT.1))));
    let show = ["-p", "gateway", "sh", "-c", "echo ${KEY-none}"];
    let output = sandbox.run(show);
    assert_eq!(text(&output.stdout), "Bearer one\n", "{:?} {}", output.status, text(&output.stderr));
    issuer.backend.reply(Reply::hang());
    let output = sandbox.run(show);
    assert_eq!(text(&output.stdout), "none\n");
    let said = text(&output.stderr);
    assert!(said.contains("`env.KEY` has no value: ") && (said.contains(" 2 s") || said.contains(" 2s")), "{said}");
}
