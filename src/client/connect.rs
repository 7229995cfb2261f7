//! Connects to a server, directly or through a proxy.

use std::error::Error;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use bytes::Bytes;
use http_body_util::Empty;
use hyper::client::conn::http1;
use hyper::header::{HOST, HeaderValue, PROXY_AUTHORIZATION};
use hyper::http::uri::Scheme;
use hyper::rt::{Read, Write};
use hyper::upgrade::{self, Upgraded};
use hyper::{Request, StatusCode, Uri};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::client::legacy::connect::HttpConnector;
use rustls::ClientConfig;
use thiserror::Error;
use tower_service::Service;

use super::proxy::Proxy;
use super::stream::{LastAlert, Stream};

type AnyError = Box<dyn Error + Send + Sync>;

/// Connects to servers of one client.
#[derive(Clone, Debug)]
pub(super) struct Connector {
    tcp: HttpConnector,
    by: Option<Arc<ByProxy>>,
}

#[derive(Debug)]
struct ByProxy {
    proxy: Proxy,
    connector: HttpsConnector<HttpConnector>,
    /// Whether the proxy opens a tunnel. Otherwise it receives the requests themselves.
    is_tunnel: bool,
}

/// Connects, with TLS if the URL requires it, and records alerts after the handshake.
#[derive(Clone, Debug)]
pub(super) struct Listening {
    pub(super) connector: HttpsConnector<Connector>,
    pub(super) heard: LastAlert,
}

/// Why a proxy did not provide a connection.
#[derive(Debug, Error)]
#[error("a proxy gave no connection")]
pub(super) struct ProxyFailure {
    /// The proxy's host and port, and the variable that names it.
    pub(super) proxy: String,
    /// What happened.
    pub(super) what: ProxyFault,
}

/// What went wrong with a proxy.
#[derive(Debug)]
pub(super) enum ProxyFault {
    /// It was not reached, or closed the connection.
    Failed(AnyError),
    /// It does not speak HTTP.
    Garbled,
    /// It requires credentials. The field says whether it was given some.
    Unauthorized { were_given: bool },
    /// It refused.
    Refused(StatusCode),
}

impl Connector {
    /// Connects directly.
    pub(super) fn straight(tcp: HttpConnector) -> Self {
        Self { tcp, by: None }
    }

    /// Connects through a proxy, with `config` for an `https` proxy. The proxy opens a tunnel or receives the requests
    /// themselves.
    pub(super) fn by(proxy: Proxy, tcp: HttpConnector, config: ClientConfig, is_tunnel: bool) -> Self {
        let connector = HttpsConnectorBuilder::new().with_tls_config(config).https_or_http().enable_http1();
        let connector = connector.wrap_connector(tcp.clone());
        Self { tcp, by: Some(Arc::new(ByProxy { proxy, connector, is_tunnel })) }
    }
}

impl Service<Uri> for Connector {
    type Response = Stream;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, AnyError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.tcp.poll_ready(context).map_err(Into::into)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        if let Some(by) = self.by.clone() {
            return Box::pin(async move { Ok(by.connect(server).await?) });
        }
        let connecting = self.tcp.call(server);
        Box::pin(async move { Ok(Stream::new(connecting.await?)) })
    }
}

impl Service<Uri> for Listening {
    type Response = Stream;
    type Error = AnyError;
    type Future = Pin<Box<dyn Future<Output = Result<Stream, AnyError>> + Send>>;

    fn poll_ready(&mut self, context: &mut Context<'_>) -> Poll<Result<(), AnyError>> {
        self.connector.poll_ready(context)
    }

    fn call(&mut self, server: Uri) -> Self::Future {
        let (connecting, heard) = (self.connector.call(server), self.heard.clone());
        Box::pin(async move {
            let stream = connecting.await?;
            Ok(Stream::heard_by(heard, stream))
        })
    }
}

impl ByProxy {
    async fn connect(&self, server: Uri) -> Result<Stream, ProxyFailure> {
        let failed = |what| ProxyFailure { proxy: self.proxy.to_string(), what };
        let connected = self.connector.clone().call(self.proxy.url.clone()).await;
        let io = connected.map_err(|error| failed(ProxyFault::Failed(error)))?;
        if !self.is_tunnel {
            return Ok(Stream::to_proxy(io));
        }
        tunnel(io, &server, self.proxy.credentials.as_ref()).await.map(Stream::new).map_err(failed)
    }
}

/// Asks a proxy for a tunnel to a server (RFC 9110, 9.3.6). It uses hyper, because hyper-util's own tunnel does not
/// distinguish refusals, and loses the first bytes of an HTTP/2 server.
async fn tunnel(
    io: impl Read + Write + Unpin + Send + 'static,
    server: &Uri,
    credentials: Option<&HeaderValue>,
) -> Result<Upgraded, ProxyFault> {
    let failed =
        |error: hyper::Error| if error.is_parse() { ProxyFault::Garbled } else { ProxyFault::Failed(error.into()) };
    let (mut sender, connection) = http1::handshake(io).await.map_err(failed)?;
    // It ends with the sender, or continues as the tunnel.
    tokio::spawn(connection.with_upgrades());
    let default = if server.scheme() == Some(&Scheme::HTTPS) { 443 } else { 80 };
    let target = format!("{}:{}", server.host().unwrap_or_default(), server.port_u16().unwrap_or(default));
    let mut request = Request::connect(&target).header(HOST, &target);
    if let Some(credentials) = credentials {
        request = request.header(PROXY_AUTHORIZATION, credentials);
    }
    let request = request.body(Empty::<Bytes>::new()).map_err(|error| ProxyFault::Failed(error.into()))?;
    let response = sender.send_request(request).await.map_err(failed)?;
    match response.status() {
        status if status.is_success() => upgrade::on(response).await.map_err(failed),
        StatusCode::PROXY_AUTHENTICATION_REQUIRED => {
            Err(ProxyFault::Unauthorized { were_given: credentials.is_some() })
        }
        status => Err(ProxyFault::Refused(status)),
    }
}

#[cfg(test)]
mod tests {
    use hyper_util::rt::TokioIo;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    use super::*;

    /// The bytes from a tunnel whose proxy answers with these bytes.
    async fn through(answer: &'static [u8]) -> Result<String, ProxyFault> {
        let (client, mut proxy) = tokio::io::duplex(1024);
        let expected = b"CONNECT [::1]:80 HTTP/1.1\r\nhost: [::1]:80\r\n\r\n";
        let proxy = tokio::spawn(async move {
            let mut asked = vec![0; expected.len()];
            proxy.read_exact(&mut asked).await.unwrap();
            assert_eq!(asked, expected);
            proxy.write_all(answer).await.unwrap();
        });
        let opened = tunnel(TokioIo::new(client), &"http://[::1]".parse().unwrap(), None).await;
        proxy.await.unwrap();
        let mut said = String::new();
        TokioIo::new(opened?).read_to_string(&mut said).await.unwrap();
        Ok(said)
    }

    #[tokio::test]
    async fn an_immediate_answer_is_not_lost() {
        // An HTTP/2 server speaks first, and its first bytes may arrive with the proxy's answer.
        assert_eq!(through(b"HTTP/1.1 200 OK\r\n\r\nsettings").await.unwrap(), "settings");
        assert_eq!(through(b"HTTP/1.1 200 OK\r\ncontent-length: 3\r\n\r\nabc").await.unwrap(), "abc");
        assert!(matches!(through(b"HTTP/1.1 503 No\r\n\r\n").await, Err(ProxyFault::Refused(status)) if status == 503));
        let unauthorized = through(b"HTTP/1.1 407 No\r\ncontent-length: 0\r\n\r\n").await;
        assert!(matches!(unauthorized, Err(ProxyFault::Unauthorized { were_given: false })));
        assert!(matches!(through(b"SSH-2.0\r\n").await, Err(ProxyFault::Garbled)));
    }
}
