//! Queries for a report.

use std::path::{Path, PathBuf};

use jiff::Timestamp;
use jiff::tz::TimeZone;

use super::column::Column;
use super::dimension::Dimension;

/// A query. By default it covers everything.
#[derive(Clone, Debug)]
pub struct Query {
    /// The time range.
    pub range: Range,
    /// The dimensions to group by, at most two.
    pub by: Vec<Dimension>,
    /// The filter. Conditions on the same dimension are combined with *or*, those on different dimensions with *and*.
    pub filter: Vec<Condition>,
    /// The columns to show. Other columns need not be read.
    pub columns: Vec<&'static Column>,
    /// The column to sort by, largest first. By default rows are sorted by cost, or in order of time.
    pub sort: Option<&'static Column>,
    /// The maximum number of rows, or all of them by default.
    pub top: Option<usize>,
    /// The time zone that determines days.
    pub zone: TimeZone,
    /// When it is asked, which a page says.
    pub asked_at: Option<Timestamp>,
}

impl Query {
    /// A query for everything, with days in this time zone.
    pub fn new(zone: TimeZone) -> Self {
        let columns = Column::all().iter().collect();
        Self {
            range: Range::default(),
            by: Vec::new(),
            filter: Vec::new(),
            columns,
            sort: None,
            top: None,
            zone,
            asked_at: None,
        }
    }
}

/// A half-open range, in Unix milliseconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Range {
    /// Not before this.
    pub since: Option<i64>,
    /// Before this.
    pub until: Option<i64>,
}

/// A value that a dimension must have.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Condition {
    /// The dimension.
    pub dimension: Dimension,
    /// The value, in lower case; `none` matches a missing value.
    pub value: String,
    /// Whether a part of the value matches.
    pub is_part: bool,
}

impl std::str::FromStr for Condition {
    type Err = String;

    /// `DIMENSION=VALUE` or `DIMENSION~PART`.
    fn from_str(text: &str) -> Result<Self, String> {
        let Some(at) = text.find(['=', '~']) else {
            return Err("write it as DIMENSION=VALUE, or DIMENSION~PART for a part of it".to_owned());
        };
        let (name, value) = (&text[..at], &text[at + 1..]);
        Ok(Self { dimension: name.parse()?, value: value.to_lowercase(), is_part: text[at..].starts_with('~') })
    }
}

impl Condition {
    /// Whether a value matches. For a project its last component is enough, for a model one of its words, for sessions
    /// and prompts a prefix of the id.
    pub fn matches(&self, value: Option<&str>) -> bool {
        let Some(value) = value else { return self.value == "none" && !self.is_part };
        let value = value.to_lowercase();
        if self.is_part {
            return value.contains(&self.value);
        }
        value == self.value
            || match self.dimension {
                Dimension::Project => {
                    let below = value.strip_prefix(&self.value);
                    value.rsplit('/').next() == Some(&self.value) || below.is_some_and(|rest| rest.starts_with('/'))
                }
                Dimension::Model => value.split('-').any(|word| word == self.value),
                Dimension::Session | Dimension::Prompt => self.value.len() >= 4 && value.starts_with(&self.value),
                _ => false,
            }
    }

    /// Makes a relative path in the condition absolute, as seen from a directory. `root_of` finds the project of a
    /// directory.
    #[must_use]
    pub fn seen_from(mut self, directory: &Path, home: &Path, root_of: impl Fn(&Path) -> PathBuf) -> Self {
        let is_path = self.value.starts_with(['.', '~', '/']) && !self.is_part;
        if self.dimension == Dimension::Project && is_path {
            let path = match self.value.strip_prefix("~/") {
                Some(rest) => home.join(rest),
                None if self.value == "~" => home.to_owned(),
                None => directory.join(&self.value),
            };
            let path = path.canonicalize().unwrap_or(path);
            self.value = root_of(&path).to_string_lossy().to_lowercase();
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(condition: &str, value: &str) -> bool {
        condition.parse::<Condition>().unwrap().matches(Some(value))
    }

    #[test]
    fn a_whole_value_or_a_part_matches() {
        assert!(matches("project=api", "/home/me/api") && matches("project=/home/me", "/home/me/api"));
        assert!(!matches("project=ap", "/home/me/api") && matches("project~ap", "/home/me/api"));
        assert!(matches("model=opus", "claude-opus-5-5") && !matches("model=pus", "claude-opus-5-5"));
        assert!(matches("team=Platform", "platform") && matches("session=7a64", "7a64b203-14d5"));
        assert!("team=none".parse::<Condition>().unwrap().matches(None));
        assert!("team".parse::<Condition>().unwrap_err().contains("DIMENSION=VALUE"));
        assert!("taem=x".parse::<Condition>().unwrap_err().contains("no dimension `taem`"));
    }
}
