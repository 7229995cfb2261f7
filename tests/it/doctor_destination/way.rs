//! Faults of the connection to a destination: names, ports, timeouts, certificates, TLS, proxies.

use super::*;

#[test]
fn unreachable_names_and_ports_are_distinguished() {
    let gone = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let sandbox = Sandbox::new();
    look(&sandbox, &to("http://nowhere.invalid:4318")).says(
        "failed",
        "cannot find the address of nowhere.invalid",
        "correct the host in `endpoint`",
    );
    look(&sandbox, &to(&format!("http://{gone}"))).says("failed", "refused the connection", "start the server there");
    // Like the answer of a DNS filter. The system also resolves this address.
    look(&sandbox, &to(&format!("http://127.1:{}", gone.port()))).says(
        "failed",
        "resolves to this machine, where nothing listens",
        "/etc/hosts",
    );
}

#[test]
fn timeouts_and_closed_connections_are_distinguished() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let (sandbox, backend) = (Sandbox::new(), Backend::start());
    let found = look_within(&sandbox, &to(&format!("http://{}", deaf.local_addr().unwrap())), IMPATIENT);
    found.says("failed", "did not answer within", "what listens there");
    backend.reply_always(Reply::close());
    look_within(&sandbox, &to(&backend.endpoint()), IMPATIENT).says(
        "failed",
        "closed the connection without an answer",
        "accepts OTLP",
    );
}

#[test]
fn checks_run_in_parallel_within_the_time_limit() {
    let deaf = TcpListener::bind("127.0.0.1:0").unwrap();
    let sandbox = Sandbox::new();
    let one = |name: &str| format!("[destination.{name}]\nendpoint = \"http://{}\"\n", deaf.local_addr().unwrap());
    sandbox.profile("many", (0..8).map(|number| one(&format!("d{number}"))).collect::<String>());
    let found = examine(&sandbox, &["-p", "many", "--timeout", IMPATIENT]);
    let silent = found.iter().filter(|found| found["summary"].as_str().unwrap().contains("did not answer")).count();
    // The checks run in parallel: one after the other, eight would not fit the limit.
    assert_eq!(silent, 8, "{found:#?}");
}

#[test]
fn certificate_faults_are_distinguished() {
    let found = |identity: Identity, ca: Option<&str>, more: &str| {
        let sandbox = Sandbox::new();
        let path = sandbox.write("home/ca.pem", ca.unwrap_or(identity.authority()));
        let backend = Backend::start_tls(identity);
        look(&sandbox, &format!("{}tls.ca = \"{}\"\n{more}", to(&backend.endpoint()), path.display()))
    };
    let other = Identity::of("localhost");
    found(Identity::expired("localhost"), None, "").says("failed", "has expired, on 2021-01-01", "renew");
    found(Identity::of("otel.corp.example"), None, "").says(
        "failed",
        "is for another name, `otel.corp.example`",
        "`server_name` in `[destination.d.tls]`",
    );
    found(Identity::of("localhost"), Some(other.authority()), "").says(
        "failed",
        "from an authority that is not trusted here",
        "set `ca` in `[destination.d.tls]`",
    );
    found(Identity::demanding("localhost", &Authority::new(), &[&TLS13]), None, "").says(
        "failed",
        "wants a client certificate",
        "`cert` and `key`",
    );
    found(Identity::of("localhost"), Some("no certificate"), "").says(
        "failed",
        "there is no certificate authority in",
        "",
    );
    found(Identity::of("localhost").without_http2(), None, "protocol = \"grpc\"\n").says(
        "failed",
        "does not offer http/2",
        "set `protocol = \"http/protobuf\"`: this endpoint answers",
    );
    let ending = found(Identity::ending("localhost", Duration::from_hours(3 * 24 + 12)), None, "");
    ending.says("warning", "the certificate expires on ", "renew");
    assert!(ending.one()["summary"].as_str().unwrap().ends_with(", in 3 days"), "{:?}", ending.one());
    let healthy = found(Identity::of("localhost"), None, "");
    assert!(healthy.0.iter().all(|found| found["level"] == "ok"), "{:#?}", healthy.0);
}

#[test]
fn wrong_schemes_are_reported() {
    let (sandbox, plain) = (Sandbox::new(), Backend::start());
    let identity = Identity::of("localhost");
    let ca = sandbox.write("home/ca.pem", identity.authority());
    let secure = Backend::start_tls(identity);
    let more = format!("tls.ca = \"{}\"\n", ca.display());
    for protocol in ["http/protobuf", "grpc"] {
        let more = format!("protocol = \"{protocol}\"\n{more}");
        let found = look(&sandbox, &(to(&format!("https://localhost:{}", plain.port())) + &more));
        found.says(
            "failed",
            "does not speak tls",
            &format!("set `endpoint = \"http://localhost:{}\"`: this endpoint answers", plain.port()),
        );
        let found = look(&sandbox, &(to(&format!("http://localhost:{}", secure.port())) + &more));
        found.says(
            "failed",
            "",
            &format!("set `endpoint = \"https://localhost:{}\"`: this endpoint answers", secure.port()),
        );
    }
}

#[test]
fn proxies_are_named_by_their_variables() {
    let cases = [
        (Policy::No(403), "does not allow connections to backend.test:4318: 403"),
        (Policy::No(502), "did not connect to backend.test:4318: 502"),
        (Policy::With("Basic QQ=="), "wants credentials: its URL takes them"),
        (Policy::Garbled, "answered with something other than http/1.1: is it a proxy of http?"),
        (Policy::Closed, "closed the connection without an answer"),
    ];
    for (policy, expected) in cases {
        let (mut sandbox, proxy) = (Sandbox::new(), Proxy::start(policy));
        sandbox.set("HTTP_PROXY", format!("http://127.0.0.1:{}", proxy.port()));
        let found = look(&sandbox, &(to("http://backend.test:4318") + "protocol = \"grpc\"\n"));
        let expected = format!("the proxy 127.0.0.1:{} (HTTP_PROXY) {expected}", proxy.port());
        found.says("failed", &expected, "NO_PROXY");
    }
    let mut sandbox = Sandbox::new();
    sandbox.set("ALL_PROXY", "socks5://u:sesame@proxy");
    look(&sandbox, &to("http://backend.test:4318")).says("failed", "ALL_PROXY names a SOCKS proxy", "NO_PROXY");
}
