//! The real engine of `ClickHouse` by its HTTP interface, with the tables of three schemas, and what a collector delivered
//! in them.

use std::path::Path;

use serde_json::Value;

use super::otelcol::Otelcol;
use super::server::{Server, post};

/// A user who may ask everything.
pub const USER: &str = "reader";

/// A user whose own settings allow reading only, so that a request cannot change any setting.
pub const LOCKED: &str = "locked";

/// The password of both.
pub const PASSWORD: &str = "a password: 100% of it";

/// A server with the engine. It is killed when dropped.
pub struct Chdb {
    server: Server,
}

/// Tables of our own statements, with the names and types of columns that a product has.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Schema {
    /// The contrib collector's `clickhouseexporter`.
    Contrib,
    ClickStack,
    SigNoz,
}

impl Schema {
    pub const ALL: [Self; 3] = [Self::Contrib, Self::ClickStack, Self::SigNoz];

    fn file(self) -> &'static str {
        match self {
            Self::Contrib => "contrib",
            Self::ClickStack => "clickstack",
            Self::SigNoz => "signoz",
        }
    }

    /// The database that a person would name. `SigNoz` has one for each signal.
    pub fn database(self) -> &'static str {
        match self {
            Self::Contrib => "otel",
            Self::ClickStack => "default",
            Self::SigNoz => "signoz_logs",
        }
    }
}

impl Chdb {
    /// Starts the engine with the Python in `TEST_CHDB` and empty tables of these schemas.
    pub fn start(schemas: &[Schema]) -> Self {
        let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/support/chdb/server.py");
        let server = Server::start("TEST_CHDB", "/ping", 1, |_, addresses| {
            let fixed = [script.display().to_string(), addresses[0].clone(), ".".to_owned()];
            fixed.into_iter().chain(schemas.iter().map(|schema| schema.file().to_owned())).collect()
        });
        Self { server }
    }

    /// Its host and port.
    pub fn address(&self) -> &str {
        &self.server.addresses[0]
    }

    /// The value of `url` in a source.
    pub fn url(&self, schema: Schema) -> String {
        format!("clickhouse://{}/{}", self.address(), schema.database())
    }

    /// A real collector that delivers everything to the tables, of all schemas. It acknowledges what is in them.
    pub fn collector(&self) -> Otelcol {
        Otelcol::start_with(&format!("otlp_http: {{endpoint: 'http://{}/otlp', encoding: json}}", self.address()))
    }

    /// Fills the tables with a request of OTLP in JSON. The signal is `logs` or `metrics`.
    #[track_caller]
    pub fn fill(&self, signal: &str, request: &Value) {
        let (status, body) = post(self.address(), &format!("/otlp/v1/{signal}"), "", &request.to_string()).unwrap();
        assert_eq!(status, 200, "{body} {}", self.said());
    }

    /// Runs a statement, and returns its result as text.
    #[track_caller]
    pub fn run(&self, statement: &str) -> String {
        let headers = format!("x-clickhouse-user: {USER}\r\nx-clickhouse-key: {PASSWORD}\r\n");
        let (status, body) = post(self.address(), "/", &headers, statement).unwrap();
        assert_eq!(status, 200, "{statement}: {body} {}", self.said());
        body
    }

    /// The rows of a query, each as an object.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<Value> {
        let lines = self.run(&format!("{query} FORMAT JSONEachRow"));
        lines.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// What was asked so far: objects with `statement`, `settings`, `user` and `database`.
    pub fn asked(&self) -> Vec<Value> {
        self.server.get("/asked").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        self.server.said()
    }
}
