//! An HTTP proxy for tests. It opens tunnels and forwards requests, connects to this machine for every host name, and
//! records the requests.

use std::net::{SocketAddr, TcpListener};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, copy_bidirectional};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::backend::Identity;

/// A running proxy. It stops when dropped.
pub struct Proxy {
    address: SocketAddr,
    seen: Arc<Mutex<Vec<Seen>>>,
    running: Option<(oneshot::Sender<()>, JoinHandle<()>)>,
}

/// The first request of a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// The method and target.
    pub asked: String,
    /// The proxy credentials, or an empty string.
    pub credentials: String,
    /// The complete head of the request.
    pub head: String,
}

/// Which clients a proxy serves.
#[derive(Clone, Copy, Debug)]
pub enum Policy {
    Open,
    /// Clients with this `Proxy-Authorization`.
    With(&'static str),
    /// No clients: it answers with this status.
    No(u16),
    /// No clients: it answers in another protocol.
    Garbled,
    /// No clients: it closes the connection.
    Closed,
}

impl Proxy {
    pub fn start(policy: Policy) -> Self {
        Self::start_as(policy, None)
    }

    /// Starts a proxy that clients reach over TLS.
    pub fn start_tls(policy: Policy, identity: Identity) -> Self {
        Self::start_as(policy, Some(identity))
    }

    fn start_as(policy: Policy, identity: Option<Identity>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (stop, stopped) = oneshot::channel();
        let shared = Arc::clone(&seen);
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                tokio::select! {
                    () = accept(listener, identity, policy, shared) => (),
                    _ = stopped => (),
                }
            });
        });
        Self { address, seen, running: Some((stop, thread)) }
    }

    /// Its loopback port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests so far.
    pub fn seen(&self) -> Vec<Seen> {
        self.seen.lock().unwrap().clone()
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        let Some((stop, thread)) = self.running.take() else { return };
        if stop.send(()).is_ok() && !std::thread::panicking() {
            thread.join().unwrap();
        }
    }
}

async fn accept(listener: TcpListener, identity: Option<Identity>, policy: Policy, seen: Arc<Mutex<Vec<Seen>>>) {
    listener.set_nonblocking(true).unwrap();
    let listener = tokio::net::TcpListener::from_std(listener).unwrap();
    loop {
        let (stream, _) = listener.accept().await.unwrap();
        let (acceptor, seen) = (identity.as_ref().map(Identity::acceptor), Arc::clone(&seen));
        tokio::spawn(async move {
            match acceptor {
                None => serve(stream, policy, &seen).await,
                Some(acceptor) => match acceptor.accept(stream).await {
                    Ok(stream) => serve(stream, policy, &seen).await,
                    Err(_) => None,
                },
            }
        });
    }
}

/// Serves one connection until it ends. It may end at any moment.
async fn serve(mut client: impl AsyncRead + AsyncWrite + Unpin, policy: Policy, seen: &Mutex<Vec<Seen>>) -> Option<()> {
    let head = head(&mut client).await?;
    let mut words = head.split(' ');
    let (method, target) = (words.next()?.to_owned(), words.next()?.to_owned());
    let credentials = header(&head, "proxy-authorization").unwrap_or_default();
    let asked = format!("{method} {target}");
    seen.lock().unwrap().push(Seen { asked, credentials: credentials.clone(), head: head.clone() });
    let status = match policy {
        Policy::With(expected) if credentials != expected => 407,
        Policy::No(status) => status,
        Policy::Garbled => {
            client.write_all(b"SSH-2.0-proxy\r\n").await.ok()?;
            return client.shutdown().await.ok();
        }
        Policy::Closed => return None,
        Policy::Open | Policy::With(_) => 200,
    };
    if status != 200 {
        let refusal = format!("HTTP/1.1 {status} no\r\ncontent-length: 0\r\n\r\n");
        client.write_all(refusal.as_bytes()).await.ok()?;
        return client.shutdown().await.ok();
    }
    let authority = target.strip_prefix("http://").unwrap_or(&target).split('/').next()?;
    let port: u16 = authority.rsplit_once(':')?.1.parse().ok()?;
    let mut server = TcpStream::connect(("127.0.0.1", port)).await.ok()?;
    if method == "CONNECT" {
        client.write_all(b"HTTP/1.1 200 Connection established\r\n\r\n").await.ok()?;
    } else {
        // Headers for the proxy are not forwarded (RFC 9110, section 11.7.2).
        let lines = head.split_inclusive("\r\n").filter(|line| !line.to_ascii_lowercase().starts_with("proxy-"));
        let passed_on = lines.collect::<String>().replacen(&format!("http://{authority}"), "", 1);
        server.write_all(passed_on.as_bytes()).await.ok()?;
    }
    copy_bidirectional(&mut client, &mut server).await.ok().map(|_| ())
}

/// Reads up to the empty line and no further.
async fn head(client: &mut (impl AsyncRead + Unpin)) -> Option<String> {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(client.read_u8().await.ok()?);
    }
    String::from_utf8(head).ok()
}

fn header(head: &str, name: &str) -> Option<String> {
    let mut pairs = head.lines().filter_map(|line| line.split_once(": "));
    pairs.find(|(found, _)| found.eq_ignore_ascii_case(name)).map(|(_, value)| value.to_owned())
}
