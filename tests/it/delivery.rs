//! What a destination receives: stamped records in its protocol, with its headers, independent of other destinations.

use std::collections::BTreeMap;

use ccrun::profile::Protocol;
use opentelemetry_proto::tonic::common::v1::any_value::Value;

use crate::support::backend::{Backend, Export, Identity, Received, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::sandbox::{DEADLINE, Sandbox, cmdline, environ, text, wait_until};
use crate::support::session::Session;

/// The string attributes of the first record's resource.
fn resource(received: &Received) -> BTreeMap<String, String> {
    let Some(Export::Logs(request)) = &received.export else { panic!("{received:?}") };
    let attributes = &request.resource_logs[0].resource.as_ref().unwrap().attributes;
    let pair = |attribute: &opentelemetry_proto::tonic::common::v1::KeyValue| match attribute.value.clone()?.value? {
        Value::StringValue(value) => Some((attribute.key.clone(), value)),
        _ => None,
    };
    attributes.iter().filter_map(pair).collect()
}

#[test]
fn records_arrive_stamped_with_headers_over_either_protocol() {
    for (protocol, expected) in [("http/protobuf", Protocol::HttpProtobuf), ("grpc", Protocol::Grpc)] {
        let (sandbox, backend) = (Sandbox::new(), Backend::start());
        let attribute = "a b, c=d % \\\"é\\\" 😀";
        sandbox.profile(
            "team",
            format!(
                "[vars]\nendpoint = \"{}\"\nprotocol = \"{protocol}\"\n\
                 [team]\nid = \"platform\"\n[resource]\nodd = \"{attribute}\"\n\"service.name\" = \"ours\"\n\
                 [destination.otlp.headers]\nX-Key = \"sesame\"\n\
                 [destination.otlp]\nbatch = \"1ms\"\nendpoint = \"${{endpoint}}\"\nprotocol = \"${{protocol}}\"\n",
                backend.endpoint()
            ),
        );
        let session = Session::start(&sandbox, &["-p", "team", "-r", "ticket=ABC-1"]);
        let all = ids("record", 3);
        session.client().gzip().chunked().export(&all);
        let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
        assert_eq!(ids_of(&received), all);
        assert_eq!(received[0].protocol, expected);
        assert_eq!(received[0].header("x-key"), "sesame");
        let attributes = resource(&received[0]);
        let wanted = [
            ("team.id", "platform"),
            ("odd", "a b, c=d % \"é\" 😀"),
            ("ticket", "ABC-1"),
            ("service.name", "ours"),
            ("ccrun.profile", "team"),
            ("ccrun.session", &session.id),
            ("service.instance.id", &session.id),
            ("ccrun.version", env!("CARGO_PKG_VERSION")),
        ];
        for (key, value) in wanted {
            assert_eq!(attributes.get(key).map(String::as_str), Some(value), "{key}");
        }
    }
}

#[test]
fn a_destination_that_is_down_does_not_delay_others() {
    let (sandbox, backend, mut down) = (Sandbox::new(), Backend::start(), Backend::start());
    down.stop();
    let destination = |name: &str, backend: &Backend| {
        format!("[destination.{name}]\nbatch = \"1ms\"\nendpoint = \"{}\"\n", backend.endpoint())
    };
    sandbox.profile("two", destination("a-down", &down) + &destination("b-up", &backend));
    let session = Session::start(&sandbox, &["-p", "two"]);
    let all = ids("record", 2);
    let mut client = session.client();
    client.export(&all[..1]);
    backend.wait_for(|received| received.len() == 1, DEADLINE);
    client.export(&all[1..]);
    let received = backend.wait_for(|received| received.len() == 2, DEADLINE);
    assert_eq!(ids_of(&received), all);
    // The queue shows that the other destination has everything only a moment after it has.
    let is_noted = |queue: &[serde_json::Value]| queue.len() == 1 && queue[0]["last_error"].is_string();
    wait_until("the reason", || is_noted(&sandbox.queue()));
    let queue = sandbox.queue();
    assert_eq!(queue[0]["destination"], "a-down");
    assert!(queue[0]["last_error"].as_str().unwrap().contains("refused"), "{queue:?}");

    down.restart();
    drop(client);
    session.end();
    let received = down.wait_for(|received| ids_of(received).len() == 2, DEADLINE);
    assert_eq!(ids_of(&received), all, "the end of the session retries undelivered data");
    sandbox.wait_for_end();
    assert!(sandbox.queue().is_empty());
}

#[test]
fn a_destination_gets_only_its_signals() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    sandbox.profile(
        "metrics",
        format!("[destination.metrics]\nendpoint = \"{}\"\nsignals = [\"metrics\"]\n", backend.endpoint()),
    );
    let session = Session::start(&sandbox, &["-p", "metrics"]);
    session.client().export(&ids("record", 1));
    assert!(sandbox.queue().is_empty(), "no log records are queued");
    session.end();
    sandbox.wait_for_end();
    assert!(backend.received().is_empty());
}

#[test]
fn permanently_rejected_data_is_kept_with_the_backends_message() {
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    backend.reply(Reply::http(400, "no such \u{1b}[31mfield"));
    let session = Session::to(&sandbox, &backend.endpoint());
    let all = ids("record", 2);
    let mut client = session.client();
    client.export(&all[..1]);
    backend.wait_for(|received| received.len() == 1, DEADLINE);
    client.export(&all[1..]);
    backend.wait_for(|received| received.len() == 2, DEADLINE);
    drop(client);
    session.end();
    sandbox.wait_for_end();
    let queue = sandbox.queue();
    assert_eq!((queue.len(), &queue[0]["state"], &queue[0]["batches"]), (1, &"refused".into(), &1.into()));
    let reason = queue[0]["last_error"].as_str().unwrap();
    assert!(text(&sandbox.run(["queue", "flush"]).stdout).contains("everything is delivered"));
    assert!(reason.contains("400") && reason.contains("no such \\u{1b}[31mfield"), "{reason}");
}

#[test]
fn only_a_backend_signed_by_the_configured_authority_is_trusted() {
    let identity = Identity::of("localhost");
    let authority = identity.authority().to_owned();
    let (sandbox, backend) = (Sandbox::new(), Backend::start_tls(identity));
    let endpoint = format!("https://localhost:{}", backend.port());
    sandbox.write("home/.config/ccrun/profiles/authority.pem", authority);
    let destination = format!("[destination.tls]\nbatch = \"1ms\"\nendpoint = \"{endpoint}\"\nprotocol = \"grpc\"\n");
    sandbox.profile("strange", &destination);
    sandbox.profile("known", format!("{destination}tls.ca = \"authority.pem\"\n"));
    let all = ids("record", 2);

    let session = Session::start(&sandbox, &["-p", "strange"]);
    session.client().export(&all[..1]);
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    let why = sandbox.queue()[0]["last_error"].as_str().unwrap().to_owned();
    assert!(why.contains("certificate"), "{why}");

    let session = Session::start(&sandbox, &["-p", "known"]);
    session.client().export(&all[1..]);
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(ids_of(&received), all[1..]);
}

#[test]
fn secrets_and_tokens_do_not_leak() {
    let secret = "sk-destination-secret-0123456789";
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    // The backend rejects the batch, so that it stays in the store, and echoes the key, as some backends do.
    backend.reply_always(Reply::http(401, format!("bad key {secret}")));
    sandbox.profile(
        "team",
        format!(
            "[destination.d]\nbatch = \"1ms\"\nendpoint = \"{}\"\nheaders.authorization = \"Bearer {secret}\"\n",
            backend.endpoint()
        ),
    );
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&ids("record", 1));
    let received = backend.wait_for(|received| !received.is_empty(), DEADLINE);
    assert_eq!(received[0].header("authorization"), format!("Bearer {secret}"));
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    let token = session.endpoint.rsplit('/').next().unwrap();

    let program = std::fs::read(format!("/proc/{}/environ", session.pid())).unwrap();
    assert!(!contains(&program, secret), "the program's environment");
    for pid in sandbox.collectors() {
        for bytes in [environ(pid), cmdline(pid)] {
            assert!(!contains(&bytes, secret) && !contains(&bytes, token), "the collector's command line");
        }
    }
    for path in files(&sandbox.state()) {
        let bytes = std::fs::read(&path).unwrap();
        assert!(!contains(&bytes, secret), "{}", path.display());
        assert!(!contains(&bytes, token), "{}", path.display());
    }
    let said = sandbox.run(["queue", "status"]);
    assert!(!contains(&said.stdout, secret) && text(&said.stderr).is_empty());
}

fn contains(bytes: &[u8], word: &str) -> bool {
    bytes.windows(word.len()).any(|window| window == word.as_bytes())
}

fn files(directory: &std::path::Path) -> Vec<std::path::PathBuf> {
    let entries = std::fs::read_dir(directory).unwrap().map(|entry| entry.unwrap().path());
    entries.flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] }).collect()
}
