//! TLS to a backend: server names, client certificates, and certificate files that change.

use std::path::{Path, PathBuf};

use ccrun::client::Tls;
use ccrun::forward::{Outcome, Transport};
use ccrun::profile::{Destination, Protocol};
use hyper::HeaderMap;
use rustls::version::{TLS12, TLS13};
use tempfile::TempDir;

use crate::support::backend::{Authority, Backend, ClientIdentity, Identity};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;
use crate::transport::{BOTH, accepted, block_on, destination, held, reason_of, send, send_with};

/// A backend that accepts only clients of one authority, and a directory for certificate files.
struct Scene {
    backend: Backend,
    directory: TempDir,
}

impl Scene {
    fn new(identity: Identity) -> Self {
        let directory = tempfile::tempdir().unwrap();
        std::fs::write(directory.path().join("ca.pem"), identity.authority()).unwrap();
        Self { backend: Backend::start_tls(identity), directory }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    fn with_client(&self, client: &ClientIdentity) -> Tls {
        Tls {
            cert: Some(self.write("client.pem", &client.certificate)),
            key: Some(self.write("client.key", &client.pkcs8())),
            ..self.tls()
        }
    }

    fn tls(&self) -> Tls {
        Tls { ca: Some(self.path("ca.pem")), ..Tls::default() }
    }

    fn destination(&self, tls: Tls, protocol: Protocol) -> Destination {
        Destination { tls, ..destination(&self.backend.endpoint(), protocol) }
    }

    fn send(&self, tls: Tls, protocol: Protocol) -> Outcome {
        send(&self.destination(tls, protocol))
    }

    fn host(&self) -> String {
        format!("localhost:{}", self.backend.port())
    }
}

#[test]
fn a_client_certificate_works_with_every_key_format() {
    let clients = Authority::new();
    for versions in [&[&TLS12], &[&TLS13]] {
        let scene = Scene::new(Identity::demanding("localhost", &clients, versions));
        for protocol in BOTH {
            for client in [clients.client(), clients.rsa_client()] {
                let tls = scene.with_client(&client);
                assert_eq!(scene.send(tls.clone(), protocol), accepted());
                scene.write("client.key", &client.traditional());
                assert_eq!(scene.send(tls, protocol), accepted());
                // Some tools write both into one file.
                let both = Some(scene.write("both.pem", &(client.pkcs8() + &client.certificate)));
                assert_eq!(scene.send(Tls { cert: both.clone(), key: both, ..scene.tls() }, protocol), accepted());
            }
        }
    }
}

#[test]
fn a_client_without_the_right_certificate_gets_an_explanation() {
    let clients = Authority::new();
    let cases = [
        (None, "wants a client certificate: `tls.cert` and `tls.key` name one"),
        (Some(Authority::new().client()), "wants a client certificate, and another than `tls.cert` gives"),
        (Some(clients.expired_client()), "says that our client certificate, `tls.cert`, has expired"),
    ];
    let scene = Scene::new(Identity::demanding("localhost", &clients, &[&TLS13]));
    for (client, expected) in cases {
        for protocol in BOTH {
            let tls = client.as_ref().map_or_else(|| scene.tls(), |client| scene.with_client(client));
            let reason = reason_of(scene.send(tls, protocol));
            assert!(reason.starts_with(&format!("{} {expected}", scene.host())), "{protocol:?}: {reason}");
        }
    }
}

#[test]
fn invalid_files_are_distinguished() {
    let scene = Scene::new(Identity::of("localhost"));
    let (client, other) = (Authority::new().client(), Authority::new().client());
    let encrypted = "-----BEGIN ENCRYPTED PRIVATE KEY-----\nMIH0MF8GCSqG\n-----END ENCRYPTED PRIVATE KEY-----\n";
    let old = "-----BEGIN RSA PRIVATE KEY-----\nProc-Type: 4,ENCRYPTED\nDEK-Info: AES-128-CBC,00\n\nAAAA\n";
    let strange = "-----BEGIN PRIVATE KEY-----\nMAAA\n-----END PRIVATE KEY-----\n";
    let decrypted = "is encrypted, and there is no way to ask for its passphrase: `openssl pkey -in KEY -out NEW-FILE` \
                     decrypts it";
    let one_line = client.pkcs8().replace('\n', " ");
    let cut_off = "-----BEGIN PRIVATE KEY MIH0\nMIH0\n-----END PRIVATE KEY-----\n";
    let (certificate, key) = (client.certificate.as_str(), &client.pkcs8()[..]);
    let cases = [
        (certificate, encrypted, format!("the private key in `KEY` {decrypted}")),
        (certificate, old, format!("the private key in `KEY` {decrypted}")),
        (
            certificate,
            &other.pkcs8()[..],
            "the private key in `KEY` does not belong to the certificate in `CERT`".to_owned(),
        ),
        (certificate, "", "there is no private key in `KEY`: it is empty".to_owned()),
        (certificate, certificate, "there is no private key in `KEY`: it holds a certificate".to_owned()),
        (key, key, "there is no certificate in `CERT`: it holds a private key".to_owned()),
        ("\n", key, "there is no certificate in `CERT`: it is empty".to_owned()),
        (
            "0\u{1}",
            key,
            "there is no certificate in `CERT`: it is not a PEM file: those have a line that begins with `-----BEGIN`"
                .to_owned(),
        ),
        (
            certificate,
            "-----BEGIN X-----\nAAAA\n-----END X-----\n",
            "there is no private key in `KEY`: it holds something else".to_owned(),
        ),
        ("-----BEGIN CERTIFICATE-----\nAAAA\n", key, "`CERT` is not a valid PEM file: a section has no end".to_owned()),
        (certificate, &one_line[..], "`KEY` is not a valid PEM file: a section has no end; are line breaks".to_owned()),
        (certificate, cut_off, "`KEY` is not a valid PEM file: a section's first line is not".to_owned()),
        (certificate, strange, "the certificate in `CERT` or its private key in `KEY` cannot be used: ".to_owned()),
    ];
    for (cert, key, expected) in cases {
        let (cert, key) = (scene.write("client.pem", cert), scene.write("client.key", key));
        let tls = Tls { cert: Some(cert.clone()), key: Some(key.clone()), ..scene.tls() };
        let reason = reason_of(scene.send(tls, Protocol::HttpProtobuf));
        let plain = reason.replace(&cert.display().to_string(), "CERT").replace(&key.display().to_string(), "KEY");
        assert!(plain.starts_with(&expected), "{plain}");
        // Nor is it shown as a list of bytes.
        let is_shown = ["MIH0", "AAAA", "MIGH", "77, 73"].iter().any(|words| reason.contains(words));
        assert!(!is_shown, "{reason}");
    }
    let missing = Tls { cert: Some("/nonexistent/c.pem".into()), key: Some(scene.path("client.key")), ..scene.tls() };
    let reason = reason_of(scene.send(missing, Protocol::Grpc));
    assert!(reason.starts_with("cannot read the certificate in `/nonexistent/c.pem`"), "{reason}");
}

#[test]
fn a_server_name_is_sent_and_checked() {
    let scene = Scene::new(Identity::of("otel.corp"));
    for protocol in BOTH {
        let named = |name: &str| Tls { server_name: Some(name.to_owned()), ..scene.tls() };
        assert_eq!(scene.send(named("otel.corp"), protocol), accepted());
        let expected = format!("the certificate of {} is for another name, `otel.corp`", scene.host());
        assert_eq!(scene.send(named("other.corp"), protocol), held(&expected));
        assert_eq!(scene.send(scene.tls(), protocol), held(&expected));
    }
}

#[test]
fn changed_files_apply_to_the_next_request() {
    for protocol in BOTH {
        let clients = Authority::new();
        let scene = Scene::new(Identity::demanding("localhost", &clients, &[&TLS13]));
        let client = clients.client();
        let transport = Transport::new(&scene.destination(scene.with_client(&client), protocol)).unwrap();
        let headers = HeaderMap::new();
        let send = || send_with(&transport, &headers);
        block_on(async {
            assert_eq!(send().await, accepted());
            assert_eq!(send().await, accepted());
            assert_eq!(scene.backend.connections(), 1);

            // During a rotation, the certificate and the key may not match.
            let next = clients.client();
            replace(&scene.path("client.pem"), &next.certificate);
            let reason = reason_of(send().await);
            assert!(reason.contains("does not belong to the certificate"), "{reason}");
            replace(&scene.path("client.key"), &next.pkcs8());
            assert_eq!(send().await, accepted());
            assert_eq!(scene.backend.connections(), 2, "the new certificate uses a new connection");

            // The file is also overwritten in place.
            let ca = std::fs::read_to_string(scene.path("ca.pem")).unwrap();
            scene.write("ca.pem", Identity::of("localhost").authority());
            let reason = reason_of(send().await);
            assert!(reason.contains("not trusted here"), "{reason}");
            scene.write("ca.pem", &ca);
            assert_eq!(send().await, accepted());
        });
    }
}

#[test]
fn a_session_presents_its_certificate_and_follows_its_rotation() {
    let (clients, others) = (Authority::new(), Authority::new());
    let identity = Identity::demanding("otel.corp", &clients, &[&TLS13]);
    let sandbox = Sandbox::new();
    let file = |name: &str, text: &str| sandbox.write(format!("home/.config/ccrun/profiles/{name}"), text);
    file("ca.pem", identity.authority());
    let other = others.client();
    file("client.pem", &other.certificate);
    file("client.key", &other.pkcs8());
    let backend = Backend::start_tls(identity);
    sandbox.profile(
        "team",
        format!(
            "[destination.d]\nendpoint = \"{}\"\nprotocol = \"grpc\"\n[destination.d.tls]\nca = \"ca.pem\"\n\
             cert = \"client.pem\"\nkey = \"client.key\"\nserver_name = \"otel.corp\"\n",
            backend.endpoint()
        ),
    );
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 1);
    session.client().export(&all);
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    let why = sandbox.queue()[0]["last_error"].as_str().unwrap().to_owned();
    assert!(why.contains("wants a client certificate, and another"), "{why}");
    let client = clients.client();
    file("client.pem", &client.certificate);
    file("client.key", &client.pkcs8());
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(ids_of(&received), all);
    session.end();
    sandbox.wait_for_end();
}

/// Replaces a file atomically, as careful tools do.
fn replace(path: &Path, text: &str) {
    let new = path.with_extension("new");
    std::fs::write(&new, text).unwrap();
    std::fs::rename(new, path).unwrap();
}
