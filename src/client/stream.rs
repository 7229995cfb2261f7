//! A connection for HTTP. It records the alert with which the peer closes TLS.

use std::io::{self, ErrorKind, IoSlice};
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll};

use hyper::rt::{Read, ReadBuf, ReadBufCursor, Write};
use hyper_rustls::MaybeHttpsStream;
use hyper_util::client::legacy::connect::{Connected, Connection};
use rustls::AlertDescription;

/// A connection.
pub(super) struct Stream {
    io: Pin<Box<dyn Io>>,
    /// Whether requests go to a proxy itself, with whole URLs in them (RFC 9112, 3.2.2).
    is_proxy: bool,
    /// Whether the handshake selected HTTP/2.
    is_http2: bool,
    /// Receives alerts if there is TLS.
    heard: Option<LastAlert>,
    /// Why writing is no longer possible.
    broken: Option<io::Error>,
}

/// The last alert on any connection of a client. In TLS 1.3, a server rejects a client certificate only after the
/// handshake. By then HTTP uses the connection, and may close it without reporting why.
#[derive(Clone, Debug, Default)]
pub(super) struct LastAlert(Arc<Mutex<Option<AlertDescription>>>);

/// The underlying byte stream.
pub(super) trait Io: Read + Write + Send {}

impl<T: Read + Write + Send> Io for T {}

impl Stream {
    /// A connection in plain text, or within another one.
    pub(super) fn new(io: impl Io + 'static) -> Self {
        Self { io: Box::pin(io), is_proxy: false, is_http2: false, heard: None, broken: None }
    }

    /// A connection whose requests go to a proxy itself.
    pub(super) fn to_proxy(io: impl Io + 'static) -> Self {
        Self { is_proxy: true, ..Self::new(io) }
    }

    /// A connection with TLS, if the URL requires it.
    pub(super) fn heard_by(heard: LastAlert, stream: MaybeHttpsStream<Self>) -> Self {
        let connected = stream.connected();
        let (is_proxy, is_http2) = (connected.is_proxied(), connected.is_negotiated_h2());
        let heard = matches!(stream, MaybeHttpsStream::Https(_)).then_some(heard);
        Self { is_proxy, is_http2, heard, ..Self::new(stream) }
    }

    /// Writes. If the peer has closed the connection, first reads its alert, which may explain the reason. After an
    /// error, nothing more is read.
    fn write<T>(
        &mut self,
        context: &mut Context<'_>,
        write: impl FnOnce(Pin<&mut (dyn Io + 'static)>, &mut Context<'_>) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        let error = match self.broken.take() {
            Some(error) => error,
            None => match write(self.io.as_mut(), context) {
                Poll::Ready(Err(error)) => error,
                written => return written,
            },
        };
        if let (Some(heard), ErrorKind::BrokenPipe | ErrorKind::ConnectionReset) = (&self.heard, error.kind()) {
            // The empty buffer reads an alert, and leaves the bytes of an answer to the caller.
            match self.io.as_mut().poll_read(context, ReadBuf::new(&mut []).unfilled()) {
                Poll::Ready(Err(reason)) => heard.note(&reason),
                Poll::Ready(Ok(())) => {}
                Poll::Pending => {
                    self.broken = Some(error);
                    return Poll::Pending;
                }
            }
        }
        Poll::Ready(Err(error))
    }
}

impl Connection for Stream {
    fn connected(&self) -> Connected {
        let connected = Connected::new().proxy(self.is_proxy);
        if self.is_http2 { connected.negotiated_h2() } else { connected }
    }
}

impl Read for Stream {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, to: ReadBufCursor<'_>) -> Poll<io::Result<()>> {
        let result = self.io.as_mut().poll_read(context, to);
        if let (Poll::Ready(Err(error)), Some(heard)) = (&result, &self.heard) {
            heard.note(error);
        }
        result
    }
}

impl Write for Stream {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, from: &[u8]) -> Poll<io::Result<usize>> {
        self.write(context, |io, context| io.poll_write(context, from))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.write(context, Write::poll_flush)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.io.as_mut().poll_shutdown(context)
    }

    fn is_write_vectored(&self) -> bool {
        self.io.is_write_vectored()
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        from: &[IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        self.write(context, |io, context| io.poll_write_vectored(context, from))
    }
}

impl LastAlert {
    /// The alert since the last call, if there was one.
    pub(super) fn take(&self) -> Option<AlertDescription> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).take()
    }

    fn note(&self, error: &io::Error) {
        let tls = error.get_ref().and_then(|error| error.downcast_ref::<rustls::Error>());
        if let Some(rustls::Error::AlertReceived(alert)) = tls {
            *self.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(*alert);
        }
    }
}
