//! A team's store behind TLS and behind a proxy.

use tempfile::NamedTempFile;

use crate::sources::{CONTRIB, PROBED, row};
use crate::support::backend::{Authority, Backend, Identity, Received, Reply};
use crate::support::proxy::{Policy, Proxy};
use crate::support::sandbox::{Sandbox, text};
use crate::transport::pem_file;

/// The password of the store's user.
const PASSWORD: &str = "s3cr3t-key";

/// Answers as contrib's tables with one request.
fn answer(received: &Received) -> Reply {
    let statement = std::str::from_utf8(&received.body).unwrap();
    Reply::http(
        200,
        match statement {
            _ if statement.contains("system.columns") => CONTRIB.to_owned(),
            _ if statement.contains("LIMIT 1000)") => PROBED.to_owned(),
            _ => row(Some(["2026-11-28", ""]), 1, 1) + &row(None, 1, 1),
        },
    )
}

/// A store that answers over TLS.
fn store(identity: Identity) -> Backend {
    let backend = Backend::start_tls(identity);
    backend.reply_with(answer);
    backend
}

/// A sandbox with a source at this host and port.
fn sandbox(place: &str, tls: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let config = format!(
        "[source.team]\nurl = \"clickhouse://{place}\"\nuser = \"reader\"\npassword = \"{PASSWORD}\"\n[source.team.tls]\n{tls}\n"
    );
    sandbox.write("home/.config/ccrun/config.toml", config);
    sandbox
}

/// Whether a report succeeds, and what it says.
fn said(sandbox: &Sandbox) -> (bool, String) {
    let output = sandbox.run(["report", "--from", "team", "--by", "day"]);
    let said = text(&output.stderr) + &text(&output.stdout);
    assert!(!said.contains(PASSWORD), "{said}");
    (output.status.success(), said)
}

#[track_caller]
fn succeeds(sandbox: &Sandbox) {
    let (is_success, said) = said(sandbox);
    assert!(is_success && said.contains("2026-11-28"), "{said}");
}

#[track_caller]
fn fails(sandbox: &Sandbox, expected: &[&str]) {
    let (is_success, said) = said(sandbox);
    assert!(!is_success && expected.iter().any(|words| said.contains(words)), "{said}");
}

/// A file with a certificate, and the setting that names it.
fn file(setting: &str, content: &str) -> (NamedTempFile, String) {
    let file = pem_file(content);
    let line = format!("{setting} = \"{}\"\n", file.path().display());
    (file, line)
}

#[test]
fn a_store_is_asked_over_tls() {
    let identity = Identity::of("localhost");
    let (_file, ca) = file("ca", identity.authority());
    let backend = store(identity);
    let place = format!("localhost:{}/otel?secure=1", backend.port());
    succeeds(&sandbox(&place, &ca));
    assert!(backend.received().iter().all(|received| received.header("x-clickhouse-key") == PASSWORD));
    backend.clear();
    // A machine without any authorities says that instead.
    fails(&sandbox(&place, ""), &["the certificate of localhost", "cannot set up tls"]);
    assert!(backend.received().is_empty(), "nothing is asked of a server that is not known");
}

#[test]
fn certificates_that_do_not_fit_are_explained() {
    for (identity, expected) in
        [(Identity::of("other.test"), "other.test"), (Identity::expired("localhost"), "expired")]
    {
        let (_file, ca) = file("ca", identity.authority());
        let backend = store(identity);
        fails(&sandbox(&format!("localhost:{}/otel?secure=1", backend.port()), &ca), &[expected]);
    }
}

#[test]
fn a_store_may_want_a_client_certificate() {
    let clients = Authority::new();
    let identity = Identity::demanding("localhost", &clients, rustls::ALL_VERSIONS);
    let (_file, ca) = file("ca", identity.authority());
    let backend = store(identity);
    let place = format!("localhost:{}/otel?secure=1", backend.port());
    let client = clients.client();
    let ((_cert, cert), (_key, key)) = (file("cert", &client.certificate), file("key", &client.pkcs8()));
    succeeds(&sandbox(&place, &[&*ca, &cert, &key].concat()));
    fails(&sandbox(&place, &ca), &["wants a client certificate"]);
}

#[test]
fn a_store_is_reached_through_a_proxy() {
    let identity = Identity::of("backend.test");
    let (_file, ca) = file("ca", identity.authority());
    let backend = store(identity);
    let mut sandbox = sandbox(&format!("backend.test:{}/otel?secure=1", backend.port()), &ca);
    let proxy = Proxy::start(Policy::Open);
    sandbox.set("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port()));
    succeeds(&sandbox);
    let seen = proxy.seen();
    assert_eq!(seen[0].asked, format!("CONNECT backend.test:{}", backend.port()));
    assert!(seen.iter().all(|seen| !seen.head.contains(PASSWORD)), "{seen:?}");
    for (policy, expected) in [
        (Policy::No(403), "does not allow connections to backend.test"),
        (Policy::With("other"), "wants credentials"),
        (Policy::Closed, "the proxy 127.0.0.1"),
    ] {
        let proxy = Proxy::start(policy);
        sandbox.set("HTTPS_PROXY", format!("http://127.0.0.1:{}", proxy.port()));
        fails(&sandbox, &[expected]);
    }
}

/// Without TLS a password would be readable on the way.
#[test]
fn a_password_needs_tls_or_permission() {
    let backend = Backend::start();
    backend.reply_with(answer);
    let place = format!("backend.test:{}/otel", backend.port());
    let proxy = Proxy::start(Policy::Open);
    let with = |tls: &str| {
        let mut sandbox = sandbox(&place, tls);
        sandbox.set("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port()));
        sandbox
    };
    fails(&with(""), &["tls.insecure", "insecure = true"]);
    assert!(proxy.seen().is_empty() && backend.received().is_empty());
    succeeds(&with("insecure = true"));
    assert!(!backend.received().is_empty());
}
