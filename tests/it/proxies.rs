//! Proxies between the collector and a backend.

use ccrun::client::{Proxies, Tls};
use ccrun::forward::{Outcome, Transport};
use ccrun::profile::{Destination, Protocol};
use hyper::HeaderMap;
use hyper::header::HeaderValue;

use crate::support::backend::{Backend, Identity, Reply};
use crate::support::emitter::{ids, ids_of};
use crate::support::proxy::{Policy, Proxy};
use crate::support::sandbox::{DEADLINE, Sandbox, wait_until};
use crate::support::session::Session;
use crate::transport::{BOTH, IMPATIENT, accepted, block_on, destination, held, pem_file, reason_of, send_with};

/// `Aladdin:open sesame`, the example in RFC 7617.
const CREDENTIALS: &str = "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ==";

fn proxies(variables: &[(&str, &str)]) -> Proxies {
    Proxies::named_by(&variables.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect())
}

fn send(destination: &Destination, variables: &[(&str, &str)]) -> Outcome {
    let transport = Transport::new(destination).unwrap().through(&proxies(variables));
    let mut headers = HeaderMap::new();
    headers.insert("x-key", HeaderValue::from_static("k"));
    block_on(send_with(&transport, &headers))
}

/// The endpoint of a backend under a name that only a proxy resolves. No proxy is used for loopback itself.
fn named(backend: &Backend, scheme: &str) -> String {
    format!("{scheme}://backend.test:{}", backend.port())
}

#[test]
fn both_protocols_pass_a_proxy_with_and_without_tls() {
    for protocol in BOTH {
        for scheme in ["http", "https"] {
            let identity = Identity::of("backend.test");
            let ca = pem_file(identity.authority());
            let backend = if scheme == "https" { Backend::start_tls(identity) } else { Backend::start() };
            let proxy = Proxy::start(Policy::With(CREDENTIALS));
            let url = format!("http://Aladdin:open%20sesame@127.0.0.1:{}", proxy.port());
            let tls = Tls { ca: Some(ca.path().to_owned()), ..Tls::default() };
            let destination = Destination { tls, ..destination(&named(&backend, scheme), protocol) };
            assert_eq!(send(&destination, &[("ALL_PROXY", &url)]), accepted(), "{protocol:?} {scheme}");
            let received = backend.received();
            assert_eq!((received.len(), received[0].protocol, received[0].header("x-key")), (1, protocol, "k"));
            assert!(!received[0].headers.contains_key("proxy-authorization"));
            let host = format!("backend.test:{}", backend.port());
            let is_passed_on = scheme == "http" && protocol == Protocol::HttpProtobuf;
            let expected = if is_passed_on { format!("POST http://{host}/v1/logs") } else { format!("CONNECT {host}") };
            let seen = proxy.seen();
            assert_eq!((seen.len(), &seen[0].asked), (1, &expected));
            assert_eq!(seen[0].credentials, CREDENTIALS);
            assert!(is_passed_on || !seen[0].head.contains("x-key"), "{}", seen[0].head);
        }
    }
}

#[test]
fn a_proxy_may_use_tls() {
    let identity = Identity::of("localhost");
    let ca = pem_file(identity.authority());
    let (backend, proxy) = (Backend::start(), Proxy::start_tls(Policy::Open, identity));
    let tls = Tls { ca: Some(ca.path().to_owned()), ..Tls::default() };
    let url = format!("https://localhost:{}", proxy.port());
    for protocol in BOTH {
        let destination = Destination { tls: tls.clone(), ..destination(&named(&backend, "http"), protocol) };
        assert_eq!(send(&destination, &[("HTTP_PROXY", &url)]), accepted());
    }
    let destination = destination(&named(&backend, "http"), Protocol::Grpc);
    let reason = reason_of(send(&destination, &[("HTTP_PROXY", &url)]));
    let words = format!("the certificate of the proxy localhost:{} (HTTP_PROXY) is from", proxy.port());
    // A machine without any authorities reports that instead.
    assert!(reason.starts_with(&words) || reason.starts_with("cannot set up tls"), "{reason}");
}

#[test]
fn connections_through_a_proxy_are_kept() {
    for protocol in BOTH {
        let (backend, proxy) = (Backend::start(), Proxy::start(Policy::Open));
        let transport = Transport::new(&destination(&named(&backend, "http"), protocol)).unwrap();
        let transport = transport.through(&proxies(&[("http_proxy", &format!("127.0.0.1:{}", proxy.port()))]));
        block_on(async {
            for _ in 0..3 {
                assert_eq!(send_with(&transport, &HeaderMap::new()).await, accepted());
            }
        });
        assert_eq!((backend.received().len(), proxy.seen().len()), (3, 1));
    }
}

#[test]
fn exempt_hosts_are_reached_directly() {
    for protocol in BOTH {
        let (backend, proxy) = (Backend::start(), Proxy::start(Policy::No(500)));
        let url = format!("http://127.0.0.1:{}", proxy.port());
        let straight = destination(&backend.endpoint(), protocol);
        assert_eq!(send(&straight, &[("ALL_PROXY", &url)]), accepted(), "loopback needs no proxy");
        let exempt = destination(&named(&backend, "http"), protocol);
        let variables = [("ALL_PROXY", url.as_str()), ("no_proxy", "other, .test")];
        let reason = reason_of(send(&exempt, &variables));
        assert!(reason.starts_with("cannot find the address of backend.test"), "{reason}");
        assert_eq!(proxy.seen(), []);
    }
}

#[test]
fn rejections_by_a_proxy_are_attributed_to_it() {
    let cases = [
        (Policy::No(403), "the proxy PROXY (ALL_PROXY) does not allow connections to HOST: 403 forbidden"),
        (Policy::No(502), "the proxy PROXY (ALL_PROXY) did not connect to HOST: 502 bad gateway"),
        (
            Policy::With("other"),
            "the proxy PROXY (ALL_PROXY) did not accept the credentials in its URL: 407 proxy authentication required",
        ),
        (
            Policy::Garbled,
            "the proxy PROXY (ALL_PROXY) answered with something other than http/1.1: is it a proxy of http?",
        ),
        (Policy::Closed, "the proxy PROXY (ALL_PROXY) closed the connection without an answer"),
    ];
    let backend = Backend::start();
    for (policy, expected) in cases {
        let proxy = Proxy::start(policy);
        let host = format!("127.0.0.1:{}", proxy.port());
        let expected = expected.replace("PROXY (", &format!("{host} (")).replace("HOST", &named(&backend, "")[3..]);
        let destination = destination(&named(&backend, "http"), Protocol::Grpc);
        let variables = [("ALL_PROXY", &*format!("http://u:sesame@{host}"))];
        assert_eq!(send(&destination, &variables), held(&expected));
    }
    assert_eq!(backend.connections(), 0);
}

#[test]
fn a_proxy_that_requires_credentials_is_reported_for_both_protocols() {
    let backend = Backend::start();
    for protocol in BOTH {
        let proxy = Proxy::start(Policy::With(CREDENTIALS));
        let host = format!("127.0.0.1:{}", proxy.port());
        let expected = "wants credentials: its URL takes them, as http://USER:PASSWORD@HOST:PORT";
        let outcome = send(&destination(&named(&backend, "http"), protocol), &[("http_proxy", &host)]);
        assert_eq!(outcome, held(&format!("the proxy {host} (http_proxy) {expected}")));
    }
}

#[test]
fn an_unreachable_proxy_is_reported() {
    let gone = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let deaf_address = deaf.local_addr().unwrap();
    let host = "backend.test:4318";
    for protocol in BOTH {
        for scheme in ["http", "https"] {
            // A separate authority, because a machine without any reports something else.
            let ca = pem_file(Identity::of("x").authority());
            let tls = Tls { ca: Some(ca.path().to_owned()), ..Tls::default() };
            let destination = Destination { tls, ..destination(&format!("{scheme}://{host}"), protocol) };
            let outcome = send(&destination, &[("ALL_PROXY", &format!("http://u:sesame@{gone}"))]);
            let expected = format!("the proxy {gone} (ALL_PROXY) refused the connection: does anything listen there?");
            assert_eq!(outcome, held(&expected));
            let outcome = send(&destination, &[("ALL_PROXY", "nowhere.invalid:3128")]);
            let expected = "cannot find the address of the proxy nowhere.invalid:3128 (ALL_PROXY): is the name right, \
                            and the network up?";
            assert_eq!(outcome, held(expected));
            let reason = reason_of(send(&destination, &[("ALL_PROXY", "socks5://u:sesame@proxy")]));
            assert!(reason.starts_with("ALL_PROXY names a SOCKS proxy") && !reason.contains("sesame"), "{reason}");
        }
    }
    let impatient = Destination { timeout: IMPATIENT, ..destination(&format!("http://{host}"), Protocol::Grpc) };
    let outcome = send(&impatient, &[("ALL_PROXY", &format!("http://u:sesame@{deaf_address}"))]);
    let expected = format!("cannot connect to {host} through the proxy {deaf_address} (ALL_PROXY) within 1s");
    assert_eq!(outcome, held(&expected));
}

#[test]
fn a_session_uses_the_launchers_proxy_and_its_password() {
    let (mut sandbox, backend) = (Sandbox::new(), Backend::start());
    let proxy = Proxy::start(Policy::With(CREDENTIALS));
    let refusing = Proxy::start(Policy::No(403));
    sandbox
        .profile("team", format!("[destination.d]\nendpoint = \"{}\"\nprotocol = \"grpc\"\n", named(&backend, "http")));
    backend.reply_always(Reply::accept());
    let url = |proxy: &Proxy| format!("http://Aladdin:open%20sesame@127.0.0.1:{}", proxy.port());
    sandbox.set("HTTP_PROXY", url(&refusing));
    let session = Session::start(&sandbox, &["-p", "team"]);
    let all = ids("record", 2);
    session.client().export(&all[..1]);
    wait_until("the reason", || sandbox.queue().iter().any(|entry| entry["last_error"].is_string()));
    let why = sandbox.queue()[0]["last_error"].as_str().unwrap().to_owned();
    let expected = format!("the proxy 127.0.0.1:{} (HTTP_PROXY) does not allow", refusing.port());
    assert!(why.starts_with(&expected), "{why}");
    for pid in sandbox.collectors() {
        let environ = crate::support::sandbox::environ(pid);
        assert!(!String::from_utf8_lossy(&environ).contains("sesame"), "the environment of a collector");
    }
    session.end();
    sandbox.wait_for_end();

    // The next launch delivers the rest through its proxy. Without this, it would print the notice.
    std::fs::remove_file(sandbox.state().join("notice")).unwrap();
    sandbox.set("HTTP_PROXY", url(&proxy));
    let session = Session::start(&sandbox, &["-p", "team"]);
    session.client().export(&all[1..]);
    let received = backend.wait_for(|received| received.len() == 2, DEADLINE);
    assert_eq!(ids_of(&received), all);
    session.end();
    sandbox.wait_for_end();
}
