//! Reads a report from ClickHouse.

use super::dimension::Dimension;
use super::query::Query;
use super::remote::{Server, store};
use super::table::Table;
use super::{Details, Source, SourceError, Story, StoryOf};
use crate::profile::TeamStore;

/// A `ClickHouse` server.
#[derive(Debug)]
pub struct ClickHouseSource {
    server: Server,
}

impl ClickHouseSource {
    /// Opens the source.
    pub fn open(server: Server, _of: &TeamStore) -> Result<Self, SourceError> {
        Ok(Self { server })
    }

    fn not_yet(&self) -> SourceError {
        store(format!("cannot read reports from {}: ClickHouse is not supported yet", self.server.place()))
    }
}

impl Source for ClickHouseSource {
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
        Err(store("not yet"))
    }
}
