//! What the page consists of: lines, and tables below them.

/// A number or a name.
#[derive(Clone, Debug, Default, PartialEq)]
pub enum Value {
    /// There is none.
    #[default]
    None,
    /// Billionths of a US dollar.
    Dollars(i64),
    /// A count.
    Count(i64),
    /// Several counts.
    Counts(Vec<i64>),
    /// A mean of counts.
    Mean(f64),
    /// A share, of one.
    Share(f64),
    /// A relative change: 0.1 is a tenth more.
    Change(f64),
    /// Milliseconds.
    Time(i64),
    /// A name or a day.
    Text(String),
}

impl Value {
    /// The count of some things.
    pub(super) fn count(count: usize) -> Self {
        Self::Count(i64::try_from(count).unwrap_or(i64::MAX))
    }
}

/// An amount, and what it is of.
#[derive(Clone, Debug, PartialEq)]
pub struct Quantity {
    /// The amount.
    pub value: Value,
    /// What it counts.
    pub of: String,
}

impl Quantity {
    /// An amount of something.
    pub(super) fn new(value: Value, of: impl Into<String>) -> Self {
        Self { value, of: of.into() }
    }
}

/// A number of the page, with what it is made from.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Figure {
    /// Its name in JSON.
    pub id: &'static str,
    /// Its name for people.
    pub name: &'static str,
    /// The number.
    pub value: Value,
    /// What is divided, or counted.
    pub numerator: Option<Quantity>,
    /// What it is divided by.
    pub denominator: Option<Quantity>,
}

impl Figure {
    /// A number by itself.
    pub(super) fn new(id: &'static str, name: &'static str, value: Value) -> Self {
        Self { id, name, value, numerator: None, denominator: None }
    }

    /// A number with what is counted.
    pub(super) fn of(mut self, numerator: Quantity) -> Self {
        self.numerator = Some(numerator);
        self
    }

    /// A number with what it is divided by.
    pub(super) fn by(mut self, denominator: Quantity) -> Self {
        self.denominator = Some(denominator);
        self
    }
}

/// A line of the page.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Line {
    /// Its main number.
    pub figure: Figure,
    /// Numbers beside it.
    pub beside: Vec<Figure>,
    /// What it is counted from.
    pub source: &'static str,
    /// What its reader must know.
    pub caveats: Vec<String>,
}

/// A table below the lines.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Section {
    /// Its name in JSON.
    pub id: &'static str,
    /// Its heading.
    pub name: &'static str,
    /// Its columns: each one's name in JSON, and its heading.
    pub columns: Vec<(&'static str, &'static str)>,
    /// How many columns are names. They come first.
    pub names: usize,
    /// Its rows, with a value for each column.
    pub rows: Vec<Vec<Value>>,
    /// How many rows are beyond the limit.
    pub more: usize,
}

/// A part divided by a whole, if there is a whole.
pub(super) fn share(part: i64, whole: i64) -> Value {
    if whole > 0 { Value::Share(quotient(part, whole)) } else { Value::None }
}

/// A quotient of two counts or amounts. The second must not be zero.
pub(super) fn quotient(part: i64, whole: i64) -> f64 {
    crate::usage::to_double(part) / crate::usage::to_double(whole)
}

/// The median: the middle, or the mean of the two in the middle.
pub(super) fn median(mut amounts: Vec<i64>) -> Option<i64> {
    amounts.sort_unstable();
    let middle = amounts.len() / 2;
    let upper = *amounts.get(middle)?;
    if amounts.len() % 2 == 1 {
        return Some(upper);
    }
    let lower = amounts[middle - 1];
    Some(lower + (upper - lower) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_median_is_in_the_middle() {
        assert_eq!(median(vec![]), None);
        assert_eq!(median(vec![9, 1, 4]), Some(4));
        assert_eq!(median(vec![9, 1, 4, 5]), Some(4), "the mean of 4 and 5, in whole billionths");
        assert_eq!(median(vec![10, 20]), Some(15));
    }

    #[test]
    fn nothing_has_no_share() {
        assert_eq!((share(1, 4), share(0, 0)), (Value::Share(0.25), Value::None));
    }
}
