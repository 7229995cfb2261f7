//! A real `VictoriaLogs`, and the results of queries.

use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use super::prometheus::Series;
use super::server::{Server, get};

/// A `VictoriaLogs` at an address.
pub struct VictoriaLogs {
    pub address: String,
    /// Killed when dropped, unless something else has started it.
    server: Option<Server>,
}

impl VictoriaLogs {
    /// Starts the one in `TEST_VICTORIALOGS`.
    pub fn start() -> Self {
        let server = Server::start("TEST_VICTORIALOGS", "/health", 1, |_, addresses| {
            let address = format!("-httpListenAddr={}", addresses[0]);
            vec!["-storageDataPath=data".to_owned(), "-loggerLevel=WARN".to_owned(), address]
        });
        Self { address: server.addresses[0].clone(), server: Some(server) }
    }

    /// One that something else has started, and will stop.
    pub fn at(address: String) -> Self {
        Self { address, server: None }
    }

    /// Its output so far.
    pub fn said(&self) -> String {
        self.server.as_ref().map(Server::said).unwrap_or_default()
    }

    /// Makes everything that was acknowledged visible to queries.
    pub fn flush(&self) {
        assert_eq!(get(&self.address, "/internal/force_flush").unwrap().0, 200);
    }

    /// The value of `victorialogs_url` in the shipped profile.
    pub fn url(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The series of a query that ends in `stats`, over everything.
    #[track_caller]
    pub fn stats(&self, query: &str) -> Vec<Series> {
        self.series("stats_query", query, "")
    }

    /// The same in steps of an hour.
    #[track_caller]
    pub fn stats_range(&self, query: &str) -> Vec<Series> {
        self.series("stats_query_range", query, "&start=-1h&end=now&step=1h")
    }

    /// The rows of a query.
    #[track_caller]
    pub fn rows(&self, query: &str) -> Vec<Value> {
        self.ask("query", query, "").lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    /// The only number of a query.
    #[track_caller]
    pub fn value(&self, query: &str) -> f64 {
        let found = self.stats(query);
        assert_eq!(found.len(), 1, "{query}: {found:#?}");
        found[0].samples[0].1
    }

    #[track_caller]
    fn series(&self, kind: &str, query: &str, times: &str) -> Vec<Series> {
        let answer: Value = serde_json::from_str(&self.ask(kind, query, times)).unwrap();
        answer["data"]["result"].as_array().unwrap().iter().map(Series::of).collect()
    }

    #[track_caller]
    fn ask(&self, kind: &str, query: &str, times: &str) -> String {
        let encoded = utf8_percent_encode(query, NON_ALPHANUMERIC);
        let (status, body) = get(&self.address, &format!("/select/logsql/{kind}?query={encoded}{times}")).unwrap();
        assert_eq!(status, 200, "{query}: {body}");
        body
    }
}
