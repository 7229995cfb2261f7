//! What only single events say: how long requests took, and which sessions were compacted.

use super::Asking;
use super::answer::MOST_ROWS;
use super::events::{dimension_of, facts, filter, select};
use super::schema::Logs;
use super::sql::columns;
use crate::report::SourceError;
use crate::report::details::{Details, Quantiles, Speed};
use crate::report::dimension::Dimension;
use crate::report::query::Query;
use crate::usage::Measure;

/// The details of a query's range and filter.
pub(super) fn read(asking: &Asking<'_>, logs: &Logs, query: &Query, zone: &str) -> Result<Details, SourceError> {
    let mut details = Details::default();
    asking.lines(&speeds(logs, query, zone)?, &mut |line| {
        let (is_total, speed) = speed(line)?;
        if is_total {
            details.all = speed;
        } else {
            details.speeds.push(speed);
        }
        Ok(())
    })?;
    asking.lines(&compactions(logs, query, zone)?, &mut |line| {
        let [session, count] =
            <[String; 2]>::try_from(columns(line)).map_err(|_| "a count has not two fields".to_owned())?;
        let count = count.parse().map_err(|_| "a count is no number".to_owned())?;
        details.compactions.push((session, count));
        Ok(())
    })?;
    Ok(details)
}

/// The quantiles of both times, by model and over all. They are by nearest rank, as the ledger has them, and so of whole
/// samples.
fn speeds(logs: &Logs, query: &Query, zone: &str) -> Result<String, SourceError> {
    let rows = select(logs, &Query { by: vec![Dimension::Model], ..query.clone() }, zone)?;
    let of = |measure: Measure, name: &str| {
        let time = format!("m{}", measure.index());
        format!("arraySort(groupArrayIf(toUInt32(least({time}, 4294967295)), {time} > 0)) AS {name}")
    };
    let quantiles = |name: &str| {
        let rank = |percent: u8| format!("{name}[intDiv(length({name}) * {percent} + 99, 100)]");
        format!("length({name}), {}, {}", rank(50), rank(95))
    };
    Ok(format!(
        "SELECT is_total, g1, {}, {} FROM (SELECT grouping(k1) AS is_total, k1 AS g1, {}, {} FROM ({rows}) WHERE m{} = 1 \
         GROUP BY GROUPING SETS ((k1), ())) ORDER BY is_total, length(times) DESC, g1 FORMAT TabSeparated",
        quantiles("firsts"),
        quantiles("times"),
        of(Measure::FirstTokenTime, "firsts"),
        of(Measure::RequestTime, "times"),
        Measure::Requests.index(),
    ))
}

fn speed(line: &str) -> Result<(bool, Speed), String> {
    let columns = columns(line);
    let [is_total, model, numbers @ ..] = columns.as_slice() else { return Err("a row has no model".to_owned()) };
    let numbers: Vec<i64> = numbers
        .iter()
        .map(|number| number.parse())
        .collect::<Result<_, _>>()
        .map_err(|_| "a time is no number".to_owned())?;
    let [first_count, first_p50, first_p95, count, p50, p95] =
        <[i64; 6]>::try_from(numbers).map_err(|_| "a row has not six times".to_owned())?;
    let quantiles = |count: i64, p50, p95| (count > 0).then_some(Quantiles { count, p50, p95 });
    let speed = Speed {
        model: Some(model.clone()).filter(|model| !model.is_empty()),
        first_token: quantiles(first_count, first_p50, first_p95),
        duration: quantiles(count, p50, p95),
    };
    Ok((is_total != "0", speed))
}

/// The sessions that were compacted automatically, and how often.
fn compactions(logs: &Logs, query: &Query, zone: &str) -> Result<String, SourceError> {
    let mut conditions = logs.of_claude();
    conditions.extend(logs.within(query.range.since, query.range.until));
    conditions.push(format!("c_e = 'compaction' AND {} = 'auto'", logs.own(&["trigger"])));
    conditions.extend(filter(&query.filter, |dimension| dimension_of(logs, dimension, query.range, zone))?);
    Ok(format!(
        "SELECT c_s, count() FROM (SELECT {} FROM {} WHERE {} LIMIT 1 BY c_id) GROUP BY c_s ORDER BY c_s LIMIT \
         {MOST_ROWS} FORMAT TabSeparated",
        facts(logs),
        logs.from(),
        conditions.join(" AND ")
    ))
}
