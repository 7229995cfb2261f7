//! Usage reports for people.
//!
//! A [`Query`] goes to a [`Source`], which answers with a [`Table`]; [`render`] shows the table. A new dimension is a
//! line in `dimension`, and a new column is a line in `column`.

pub mod clickhouse;
mod column;
mod details;
mod dimension;
pub mod forecast;
pub mod ledger;
pub mod live;
pub mod metrics;
mod numbers;
mod overview;
pub mod prometheus;
mod query;
pub mod range;
pub mod remote;
pub mod render;
mod standing;
pub mod status_line;
mod story;
mod table;
pub mod week;

use thiserror::Error;

pub use column::{Column, Number};
pub use details::{Details, Quantiles, Speed};
pub use dimension::Dimension;
pub use numbers::dollars;
pub use overview::{Extent, Overview, Period, overview, suggestions};
pub use query::{Condition, Query, Range};
pub use standing::Standing;
pub use story::{Sources, Step, Story, StoryOf};
pub use table::{Coverage, Line, Table};

/// A source of usage data: this machine's ledger, or a team's store.
pub trait Source {
    /// Answers queries, in order.
    fn answers(&self, queries: &[Query]) -> Result<Vec<Table>, SourceError>;

    /// Answers a query.
    fn answer(&self, query: &Query) -> Result<Table, SourceError> {
        Ok(self.answers(std::slice::from_ref(query))?.pop().unwrap_or_default())
    }

    /// What only single facts say about a query's range and filter. Its dimensions do not matter.
    fn details(&self, query: &Query) -> Result<Details, SourceError>;

    /// The values of a dimension, in order or the most used first. They are shown if the requested value does not
    /// exist.
    fn values(&self, dimension: Dimension) -> Result<Vec<String>, SourceError>;

    /// Whether its data has this dimension. A query by one that it does not know fails.
    fn knows(&self, _dimension: Dimension) -> bool {
        true
    }

    /// The sessions or prompts whose id starts with a prefix, step by step: none, one, or several, of which only the
    /// ids are known, for the user to choose from.
    fn stories(&self, of: StoryOf, prefix: &str) -> Result<Vec<Story>, SourceError>;
}

/// The answers to the queries of a page, in order. Those by a dimension that the source does not know are empty: a page
/// shows what there is.
fn answers_of_page(source: &dyn Source, queries: &[Query]) -> Result<Vec<Table>, SourceError> {
    let is_known = |query: &Query| query.by.iter().all(|dimension| source.knows(*dimension));
    let known: Vec<_> = queries.iter().filter(|query| is_known(query)).cloned().collect();
    let mut answers = source.answers(&known)?.into_iter();
    let empty = |query: &Query| Table { by: query.by.clone(), ..Table::default() };
    let answer = |query| if is_known(query) { answers.next() } else { None }.unwrap_or_else(|| empty(query));
    Ok(queries.iter().map(answer).collect())
}

/// Why a query has no answer.
#[derive(Debug, Error)]
pub enum SourceError {
    /// The ledger's file.
    #[error("cannot read the ledger: {0}")]
    Ledger(#[from] rusqlite::Error),
    /// No fact has both of these dimensions.
    #[error("`{0}` and `{1}` do not go together: a tool's run does not say which model asked for it")]
    Apart(&'static str, &'static str),
    /// The source's data does not have this dimension. The second says which one it has instead.
    #[error("`{0}` is not known to a team's store: {1}")]
    Unknown(&'static str, String),
    /// A team's store: what is wrong, and what to do about it. It contains no secret.
    #[error("{0}")]
    Store(String),
}

impl SourceError {
    /// Whether the query is at fault, rather than the source.
    pub fn is_of_query(&self) -> bool {
        matches!(self, Self::Apart(..) | Self::Unknown(..))
    }
}
