//! A team's store: a database that a report can be read from.

use std::collections::BTreeMap;
use std::time::Duration;

use hyper::Uri;
use serde::{Deserialize, Serialize};

use crate::client::{Tls, is_this_machine};
use crate::secret::Source;

/// `[source.NAME]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct TeamStore {
    /// The table's name.
    pub name: String,
    /// Where it is.
    pub address: StoreAddress,
    /// The user's name.
    pub user: Option<String>,
    /// The sources of the password, if there is a user.
    pub password: Vec<Source>,
    /// How long a query may take, from connecting to the end of its answer.
    pub timeout: Duration,
    /// Header names in lower case, and the sources of each value.
    pub headers: BTreeMap<String, Vec<Source>>,
    /// Certificates.
    pub tls: Tls,
    /// The place of its URL: `FILE:LINE:COLUMN`.
    pub origin: String,
}

impl TeamStore {
    /// How long a query may take by default.
    pub const TIMEOUT: Duration = Duration::from_mins(1);

    /// A store that is known by its address alone.
    pub fn at(address: StoreAddress) -> Self {
        Self {
            name: address.to_string(),
            address,
            user: None,
            password: Vec::new(),
            timeout: Self::TIMEOUT,
            headers: BTreeMap::new(),
            tls: Tls::default(),
            origin: String::new(),
        }
    }

    /// The sources of its password and headers.
    pub fn sources(&self) -> impl Iterator<Item = &Source> {
        self.password.iter().chain(self.headers.values().flatten())
    }
}

/// What answers queries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Engine {
    /// `ClickHouse`, over its HTTP interface.
    ClickHouse,
    /// Prometheus, or what speaks its HTTP API.
    Prometheus,
}

impl Engine {
    /// The scheme of its URLs.
    pub fn scheme(self) -> &'static str {
        match self {
            Self::ClickHouse => "clickhouse",
            Self::Prometheus => "prometheus",
        }
    }

    fn default_port(self, is_secure: bool) -> u16 {
        match (self, is_secure) {
            (Self::ClickHouse, false) => 8123,
            (Self::ClickHouse, true) => 8443,
            (Self::Prometheus, _) => 9090,
        }
    }
}

/// The address of a team's store.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct StoreAddress {
    /// What answers there.
    pub engine: Engine,
    /// Scheme (`http` or `https`), host and port, and for Prometheus a path without a slash at its end.
    pub server: String,
    /// The database, if the URL names one.
    pub database: Option<String>,
}

/// The longest name of a database, in bytes. `ClickHouse` limits it by what a file may be called.
const LONGEST_DATABASE: usize = 200;

impl StoreAddress {
    /// Whether requests are sent in plain text to another machine.
    pub fn is_in_the_clear(&self) -> bool {
        let uri = self.server.parse::<Uri>().unwrap_or_default();
        uri.scheme_str() == Some("http") && !is_this_machine(uri.host().unwrap_or_default())
    }
}

/// `clickhouse://HOST:PORT/DATABASE?secure=1`, or the same with `prometheus` and a path. Errors never show the URL,
/// which may contain a password.
impl std::str::FromStr for StoreAddress {
    type Err = &'static str;

    fn from_str(url: &str) -> Result<Self, Self::Err> {
        if url.contains('#') {
            return Err("it must not have a fragment");
        }
        let uri = url.parse::<Uri>().map_err(|_| "it is not a URL")?;
        let engine = match uri.scheme_str() {
            Some("clickhouse") => Engine::ClickHouse,
            Some("prometheus") => Engine::Prometheus,
            _ => return Err("it must begin with clickhouse:// or prometheus://"),
        };
        let authority = uri.authority().ok_or("it has no host")?;
        if authority.as_str().contains('@') {
            return Err("it must not contain a user or a password: set `user` and `password` in a [source.NAME]");
        }
        if authority.host().is_empty() {
            return Err("it has no host");
        }
        let has_port = authority.as_str().len() > authority.host().len();
        if has_port && authority.port_u16().is_none_or(|port| port == 0) {
            return Err("its port is not a number from 1 to 65535");
        }
        let is_secure = is_secure(uri.query().unwrap_or_default())?;
        let port = authority.port_u16().unwrap_or_else(|| engine.default_port(is_secure));
        let scheme = if is_secure { "https" } else { "http" };
        let path = uri.path().trim_end_matches('/');
        let (path, database) = match engine {
            Engine::ClickHouse => ("", database(path)?),
            Engine::Prometheus => (path, None),
        };
        Ok(Self { engine, server: format!("{scheme}://{}:{port}{path}", authority.host()), database })
    }
}

/// Whether the only parameter that is allowed asks for TLS.
fn is_secure(query: &str) -> Result<bool, &'static str> {
    match query {
        "" | "secure=0" | "secure=false" => Ok(false),
        "secure=1" | "secure=true" => Ok(true),
        _ => Err("its only parameter is secure=1, for TLS"),
    }
}

fn database(path: &str) -> Result<Option<String>, &'static str> {
    let name = path.trim_start_matches('/');
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || "_-.".contains(c));
    match name {
        "" => Ok(None),
        name if name.len() <= LONGEST_DATABASE && is_plain => Ok(Some(name.to_owned())),
        _ => Err("its path is not the name of a database, of letters, digits, `_`, `-` and `.`"),
    }
}

/// As a URL.
impl std::fmt::Display for StoreAddress {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let (secure, rest) = match self.server.split_once("://") {
            Some(("https", rest)) => ("?secure=1", rest),
            Some((_, rest)) => ("", rest),
            None => ("", self.server.as_str()),
        };
        let database = self.database.as_ref().map_or_else(String::new, |database| format!("/{database}"));
        write!(formatter, "{}://{rest}{database}{secure}", self.engine.scheme())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(url: &str) -> (String, Option<String>) {
        let address: StoreAddress = url.parse().unwrap();
        (address.server, address.database)
    }

    #[test]
    fn ports_and_tls_have_defaults() {
        let database = |name: &str| Some(name.to_owned());
        assert_eq!(parsed("clickhouse://h"), ("http://h:8123".into(), None));
        assert_eq!(parsed("clickhouse://h/otel?secure=1"), ("https://h:8443".into(), database("otel")));
        assert_eq!(parsed("clickhouse://h:9000/otel/?secure=0"), ("http://h:9000".into(), database("otel")));
        assert_eq!(parsed("clickhouse://[::1]:8123"), ("http://[::1]:8123".into(), None));
        assert_eq!(parsed("prometheus://h"), ("http://h:9090".into(), None));
        assert_eq!(parsed("prometheus://h:443/api/prom/?secure=1"), ("https://h:443/api/prom".into(), None));
    }

    #[test]
    fn an_address_is_shown_as_its_url() {
        for url in ["clickhouse://h:8443/otel?secure=1", "clickhouse://h:1", "prometheus://h:9090/a/b"] {
            assert_eq!(url.parse::<StoreAddress>().unwrap().to_string(), url);
        }
    }

    #[test]
    fn faults_name_the_reason_and_no_secret() {
        let faults = [
            ("clickhouse://u:s3cr3t@h/otel", "must not contain a user"),
            ("https://h/s3cr3t", "must begin with clickhouse://"),
            ("clickhouse:///otel", "not a URL"),
            ("clickhouse://h:0", "port"),
            ("clickhouse://h/a/b", "database"),
            ("clickhouse://h/otel?password=s3cr3t", "only parameter is secure=1"),
            ("clickhouse://h/otel#x", "fragment"),
            ("clickhouse", "must begin with"),
        ];
        for (url, words) in faults {
            let reason = url.parse::<StoreAddress>().unwrap_err();
            assert!(reason.contains(words) && !reason.contains("s3cr3t"), "{url}: {reason}");
        }
    }

    #[test]
    fn plain_text_stays_on_this_machine() {
        let is_clear = |url: &str| url.parse::<StoreAddress>().unwrap().is_in_the_clear();
        assert!(is_clear("clickhouse://h") && !is_clear("clickhouse://h?secure=1"));
        assert!(!is_clear("clickhouse://127.0.0.1") && !is_clear("prometheus://localhost"));
    }
}
