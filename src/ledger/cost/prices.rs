//! Prices given by the user, for requests that have no other cost.

use std::collections::HashMap;

use rusqlite::Connection;
use serde::Deserialize;
use thiserror::Error;

use super::Tokens;
use crate::ledger::change::{Place, change};
use crate::ledger::columns::request;
use crate::ledger::row::{CONTEXT, REQUEST, Row};
use crate::ledger::sums::Sums;
use crate::usage::{Basis, Outcome, to_double};

/// How many requests are priced in one commit.
const AT_ONCE: usize = 2000;

/// Prices by model, as in `LiteLLM`'s `model_prices_and_context_window.json`.
#[derive(Clone, Debug, Default)]
pub struct Prices(HashMap<String, Price>);

/// US dollars per token.
#[derive(Clone, Copy, Debug, Default, Deserialize)]
pub struct Price {
    /// Input tokens.
    #[serde(default)]
    pub input_cost_per_token: f64,
    /// Output tokens.
    #[serde(default)]
    pub output_cost_per_token: f64,
    /// Tokens read from the cache.
    #[serde(default)]
    pub cache_read_input_token_cost: f64,
    /// Tokens written to the cache.
    #[serde(default)]
    pub cache_creation_input_token_cost: f64,
    /// Tokens written to the cache for an hour; twice the price of input if missing.
    pub cache_creation_input_token_cost_above_1hr: Option<f64>,
}

/// Why a list of prices is invalid.
#[derive(Debug, Error)]
pub enum PricesError {
    /// It is not JSON of that form.
    #[error("it is not a price list in LiteLLM's format")]
    Format(#[from] serde_json::Error),
    /// No entry has prices.
    #[error("it has no price for any model")]
    Empty,
}

impl Prices {
    /// Reads the list. Entries without such prices are passed over.
    pub fn read(text: &[u8]) -> Result<Self, PricesError> {
        let all: HashMap<String, serde_json::Value> = serde_json::from_slice(text)?;
        let prices = all.into_iter().filter_map(|(model, entry)| {
            let price: Price = serde_json::from_value(entry).ok()?;
            let is_sound =
                [price.input_cost_per_token, price.output_cost_per_token].iter().all(|p| (0.0..1.0).contains(p));
            (is_sound && price.output_cost_per_token > 0.0).then_some((model, price))
        });
        let prices = Self(prices.collect());
        if prices.0.is_empty() { Err(PricesError::Empty) } else { Ok(prices) }
    }

    /// The price of a model, by its name, its name among Anthropic's, or its name without a date.
    fn of(&self, model: &str) -> Option<&Price> {
        let find = |name: &str| self.0.get(name).or_else(|| self.0.get(&format!("anthropic/{name}")));
        find(model).or_else(|| {
            let (name, date) = model.rsplit_once('-')?;
            (date.len() == 8 && date.bytes().all(|byte| byte.is_ascii_digit())).then(|| find(name))?
        })
    }
}

impl Price {
    /// The cost of tokens, in billionths of a US dollar.
    #[expect(clippy::cast_possible_truncation, reason = "tokens and prices are bounded")]
    fn cost(&self, tokens: Tokens) -> i64 {
        let [input, output, read, written, hour] = tokens.map(to_double);
        let hourly = self.cache_creation_input_token_cost_above_1hr.unwrap_or(2.0 * self.input_cost_per_token);
        let dollars = input * self.input_cost_per_token
            + output * self.output_cost_per_token
            + read * self.cache_read_input_token_cost
            + (written - hour) * self.cache_creation_input_token_cost
            + hour * hourly;
        (dollars * 1e9).round() as i64
    }
}

/// Prices some of the requests without a cost, and returns their number. `after` is where to continue, and is moved.
/// Returns zero once all requests have been examined. Runs in the caller's transaction.
pub fn price(connection: &Connection, prices: &Prices, after: &mut (i64, i64, i64)) -> rusqlite::Result<Option<usize>> {
    let rows = unpriced(connection, *after)?;
    let Some((last, row)) = rows.last() else { return Ok(None) };
    *after = (row[CONTEXT], last.day, last.identity);
    let mut sums = Sums::default();
    let mut count = 0;
    for (place, row) in &rows {
        let (model, session): (String, i64) = connection
            .prepare_cached("SELECT t.text, c.session FROM text t, context c WHERE t.id = ?1 AND c.id = ?2")?
            .query_row((row[request::MODEL], row[CONTEXT]), |row| Ok((row.get(0)?, row.get(1)?)))?;
        let Some(price) = prices.of(&model) else { continue };
        let mut tokens = Tokens::default();
        tokens.copy_from_slice(&row[request::PRICED]);
        let mut after = *row;
        (after[10], after[11]) = (price.cost(tokens), Basis::Priced as i64);
        change(connection, &mut sums, session, *place, row, &after)?;
        count += 1;
    }
    sums.write(connection)?;
    Ok(Some(count))
}

fn unpriced(connection: &Connection, after: (i64, i64, i64)) -> rusqlite::Result<Vec<(Place, Row)>> {
    let select = format!(
        "SELECT day, identity, {} FROM request WHERE basis != 0 AND basis = ?4 AND outcome = ?5
         AND (context, day, identity) > (?1, ?2, ?3) ORDER BY context, day, identity LIMIT {AT_ONCE}",
        REQUEST.columns.join(", ")
    );
    let mut statement = connection.prepare_cached(&select)?;
    let mut rows = statement.query((after.0, after.1, after.2, Basis::None as i64, Outcome::Answered as i64))?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        let place = Place { table: 0, day: row.get(0)?, identity: row.get(1)? };
        found.push((place, crate::ledger::change::read(row, 2, REQUEST.columns.len())?));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_parsed_leniently_and_found_without_the_models_date() {
        let list = br#"{"sample_spec": {"input_cost_per_token": "0.0"}, "anthropic/opus-9": {"input_cost_per_token": 5e-6,
            "output_cost_per_token": 2.5e-5, "cache_read_input_token_cost": 5e-7, "cache_creation_input_token_cost": 6.25e-6,
            "mode": "chat"}}"#;
        let prices = Prices::read(list).unwrap();
        let price = prices.of("opus-9-20261101").unwrap();
        assert_eq!(
            price.cost([1000, 100, 10_000, 3000, 1000]),
            5_000_000 + 2_500_000 + 5_000_000 + 12_500_000 + 10_000_000
        );
        assert!(prices.of("opus").is_none());
        assert!(matches!(Prices::read(b"{}"), Err(PricesError::Empty)));
        assert!(matches!(Prices::read(b"[1"), Err(PricesError::Format(_))));
    }
}
