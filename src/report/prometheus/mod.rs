//! Reads a report from Prometheus, or from what speaks its HTTP API.

use super::dimension::Dimension;
use super::query::Query;
use super::remote::{Server, store};
use super::table::Table;
use super::{Details, Source, SourceError, Story, StoryOf};

/// A Prometheus server.
#[derive(Debug)]
pub struct PrometheusSource {
    server: Server,
}

impl PrometheusSource {
    /// Opens the source.
    pub fn open(server: Server) -> Result<Self, SourceError> {
        Ok(Self { server })
    }

    fn not_yet(&self) -> SourceError {
        store(format!("cannot read reports from {}: Prometheus is not supported yet", self.server.place()))
    }
}

impl Source for PrometheusSource {
    fn answers(&self, _queries: &[Query]) -> Result<Vec<Table>, SourceError> {
        Err(self.not_yet())
    }

    fn details(&self, _query: &Query) -> Result<Details, SourceError> {
        Err(self.not_yet())
    }

    fn values(&self, _dimension: Dimension) -> Result<Vec<String>, SourceError> {
        Err(self.not_yet())
    }

    fn stories(&self, _of: StoryOf, _prefix: &str) -> Result<Vec<Story>, SourceError> {
        Err(store("Prometheus has sums, not single events: `session` and `prompt` need a source of events"))
    }
}
