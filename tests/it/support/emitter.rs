//! A minimal OTLP client for tests: blocking, with one persistent connection. Each log record carries a unique id.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::TcpStream;

use ccrun::otlp::{Signal, gzip};
use opentelemetry_proto::tonic::collector::logs::v1::ExportLogsServiceRequest;
use opentelemetry_proto::tonic::common::v1::any_value::Value;
use opentelemetry_proto::tonic::common::v1::{AnyValue, KeyValue};
use opentelemetry_proto::tonic::logs::v1::{LogRecord, ResourceLogs, ScopeLogs};
use opentelemetry_proto::tonic::resource::v1::Resource;
use prost::Message;

use super::backend::{Export, Received};
use super::sandbox::DEADLINE;

/// A client of one endpoint.
pub struct Emitter {
    host: String,
    path: String,
    /// Its `service.name`.
    service: String,
    stream: Option<BufReader<TcpStream>>,
    is_gzip: bool,
    is_chunked: bool,
}

/// An answer without its body.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
}

impl Emitter {
    /// A client of the endpoint in `OTEL_EXPORTER_OTLP_ENDPOINT`. It connects on the first request.
    pub fn new(endpoint: &str) -> Self {
        let (host, path) = endpoint.strip_prefix("http://").unwrap().split_once('/').unwrap();
        Self {
            host: host.to_owned(),
            path: format!("/{path}").trim_end_matches('/').to_owned(),
            service: "test-client".to_owned(),
            stream: None,
            is_gzip: false,
            is_chunked: false,
        }
    }

    /// Sets its `service.name`.
    pub fn named(self, service: &str) -> Self {
        Self { service: service.to_owned(), ..self }
    }

    /// Compresses the bodies.
    pub fn gzip(self) -> Self {
        Self { is_gzip: true, ..self }
    }

    /// Sends the bodies in chunks, without a content length.
    pub fn chunked(self) -> Self {
        Self { is_chunked: true, ..self }
    }

    /// Sends one request of log records with these ids, without retries. After an error, the next call connects again.
    pub fn send(&mut self, ids: &[String]) -> io::Result<Answer> {
        let answer = self.exchange(&request_of(&self.service, ids).encode_to_vec());
        if answer.is_err() {
            self.stream = None;
        }
        answer
    }

    /// Sends records until they are answered, and returns how often the connection ended without an answer. Fails if a
    /// connection is refused: a collector that runs always accepts.
    #[track_caller]
    pub fn export(&mut self, ids: &[String]) -> usize {
        for resets in 0..100 {
            match self.send(ids) {
                Ok(answer) => {
                    assert_eq!(answer.status, 200, "{answer:?}");
                    return resets;
                }
                Err(error) => assert_ne!(error.kind(), ErrorKind::ConnectionRefused, "{error}"),
            }
        }
        panic!("no answer in a hundred attempts");
    }

    /// Sends one request and closes the connection at once.
    pub fn send_and_leave(mut self, ids: &[String]) {
        self.write(&request(ids).encode_to_vec()).unwrap();
    }

    /// Sends a request of any signal in protobuf.
    pub fn post(&mut self, signal: Signal, message: &[u8]) -> io::Result<Answer> {
        read_answer(self.write_to(signal, message)?)
    }

    /// Closes the connection. The next request opens another.
    pub fn disconnect(&mut self) {
        self.stream = None;
    }

    fn exchange(&mut self, message: &[u8]) -> io::Result<Answer> {
        self.post(Signal::Logs, message)
    }

    fn write(&mut self, message: &[u8]) -> io::Result<&mut BufReader<TcpStream>> {
        self.write_to(Signal::Logs, message)
    }

    fn write_to(&mut self, signal: Signal, message: &[u8]) -> io::Result<&mut BufReader<TcpStream>> {
        let body = if self.is_gzip { gzip(message)? } else { message.to_vec() };
        let encoding = if self.is_gzip { "content-encoding: gzip\r\n" } else { "" };
        let (framing, framed) = if self.is_chunked { chunks(&body) } else { whole(body) };
        let mut text = format!(
            "POST {}{} HTTP/1.1\r\nhost: {}\r\ncontent-type: application/x-protobuf\r\n{encoding}{framing}\r\n",
            self.path,
            signal.http_path(),
            self.host
        )
        .into_bytes();
        text.extend(framed);
        let stream = self.connected()?;
        stream.get_mut().write_all(&text)?;
        Ok(stream)
    }

    fn connected(&mut self) -> io::Result<&mut BufReader<TcpStream>> {
        if self.stream.is_none() {
            let stream = TcpStream::connect(&self.host)?;
            stream.set_nodelay(true)?;
            // A collector that never answers fails the test instead of blocking it.
            stream.set_read_timeout(Some(DEADLINE))?;
            self.stream = Some(BufReader::new(stream));
        }
        Ok(self.stream.as_mut().unwrap())
    }
}

fn whole(body: Vec<u8>) -> (String, Vec<u8>) {
    (format!("content-length: {}\r\n", body.len()), body)
}

/// The body in chunks whose boundaries differ from those of its messages.
fn chunks(body: &[u8]) -> (String, Vec<u8>) {
    let mut framed = Vec::new();
    for chunk in body.chunks(100) {
        framed.extend(format!("{:x}\r\n", chunk.len()).into_bytes());
        framed.extend(chunk);
        framed.extend(b"\r\n");
    }
    framed.extend(b"0\r\n\r\n");
    ("transfer-encoding: chunked\r\n".to_owned(), framed)
}

/// Reads an answer with a content length, and discards its body.
pub fn read_answer(stream: &mut BufReader<TcpStream>) -> io::Result<Answer> {
    let status = line(stream)?;
    let status = status.split(' ').nth(1).and_then(|status| status.parse().ok());
    let status = status.ok_or(io::Error::from(ErrorKind::InvalidData))?;
    let mut headers = BTreeMap::new();
    loop {
        let line = line(stream)?;
        if line.is_empty() {
            break;
        }
        if let Some((name, value)) = line.split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
    }
    let length = headers.get("content-length").and_then(|length| length.parse().ok()).unwrap_or(0);
    io::copy(&mut stream.take(length), &mut io::sink())?;
    Ok(Answer { status, headers })
}

fn line(stream: &mut BufReader<TcpStream>) -> io::Result<String> {
    let mut line = String::new();
    if stream.read_line(&mut line)? == 0 || !line.ends_with("\r\n") {
        return Err(ErrorKind::UnexpectedEof.into());
    }
    line.truncate(line.len() - 2);
    Ok(line)
}

/// A request of log records with one id in each body.
pub fn request(ids: &[String]) -> ExportLogsServiceRequest {
    request_of("test-client", ids)
}

/// A request of log records of a service.
fn request_of(service: &str, ids: &[String]) -> ExportLogsServiceRequest {
    let text = |text: &str| Some(AnyValue { value: Some(Value::StringValue(text.to_owned())) });
    let log_records = ids.iter().map(|id| LogRecord { body: text(id), ..LogRecord::default() }).collect();
    let service = KeyValue { key: "service.name".to_owned(), value: text(service), ..KeyValue::default() };
    let resource = Resource { attributes: vec![service], ..Resource::default() };
    let scope_logs = vec![ScopeLogs { log_records, ..ScopeLogs::default() }];
    let resource_logs = ResourceLogs { resource: Some(resource), scope_logs, ..ResourceLogs::default() };
    ExportLogsServiceRequest { resource_logs: vec![resource_logs] }
}

/// Unique ids: `prefix-0`, `prefix-1` and so on.
pub fn ids(prefix: &str, count: usize) -> Vec<String> {
    (0..count).map(|number| format!("{prefix}-{number}")).collect()
}

/// The ids of the log records in one request.
pub fn ids_in(received: &Received) -> Vec<String> {
    let Some(Export::Logs(request)) = &received.export else { return Vec::new() };
    let scopes = request.resource_logs.iter().flat_map(|resource| &resource.scope_logs);
    let bodies = scopes.flat_map(|scope| &scope.log_records).filter_map(|record| record.body.as_ref()?.value.as_ref());
    bodies.filter_map(|body| if let Value::StringValue(id) = body { Some(id.clone()) } else { None }).collect()
}

/// The ids of the log records in all requests, sorted, with duplicates.
pub fn ids_of(received: &[Received]) -> Vec<String> {
    let mut ids: Vec<_> = received.iter().flat_map(ids_in).collect();
    ids.sort();
    ids
}
