//! The line about speed.

use super::facts::{Facts, TOP};
use super::line::{Figure, Line, Quantity, Section, Value};
use crate::report::{Quantiles, Speed};

/// "Speed: p50, p95 of time to first token and duration, by model." The line has those over all models.
pub(super) fn speed(facts: &Facts) -> Line {
    let all = &facts.details.all;
    let counted = all.first_token.map_or(0, |first_token| first_token.count);
    let measured = all.duration.map_or(0, |duration| duration.count);
    let [first_token, first_token_95, duration, duration_95] = times(all);
    Line {
        figure: Figure::new("speed", "Speed", first_token)
            .of(Quantity::new(Value::Count(counted), "requests with a time to first token")),
        beside: vec![
            Figure::new("first_token_p95", "p95", first_token_95),
            Figure::new("duration_p50", "whole request p50", duration)
                .of(Quantity::new(Value::Count(measured), "requests with a duration")),
            Figure::new("duration_p95", "p95", duration_95),
        ],
        source: "answered requests, one by one",
        caveats: vec!["the line's number is the p50 of the time to first token".to_owned()],
    }
}

/// p50 and p95 of time to first token and of duration, in milliseconds.
fn times(speed: &Speed) -> [Value; 4] {
    let of = |quantiles: Option<Quantiles>, pick: fn(Quantiles) -> i64| {
        quantiles.map_or(Value::None, |quantiles| Value::Time(pick(quantiles)))
    };
    [
        of(speed.first_token, |quantiles| quantiles.p50),
        of(speed.first_token, |quantiles| quantiles.p95),
        of(speed.duration, |quantiles| quantiles.p50),
        of(speed.duration, |quantiles| quantiles.p95),
    ]
}

/// Speed by model.
pub(super) fn section(facts: &Facts) -> Section {
    let speeds = facts.details.speeds.iter().filter(|speed| speed.duration.is_some() || speed.first_token.is_some());
    let row = |speed: &Speed| {
        let requests = speed.duration.or(speed.first_token).map_or(0, |quantiles| quantiles.count);
        let mut row = vec![speed.model.clone().map_or(Value::None, Value::Text)];
        row.extend(times(speed));
        row.push(Value::Count(requests));
        row
    };
    let mut rows: Vec<_> = speeds.map(row).collect();
    let more = rows.len().saturating_sub(TOP);
    rows.truncate(TOP);
    let columns = vec![
        ("model", "model"),
        ("first_token_p50", "1st token p50"),
        ("first_token_p95", "p95"),
        ("duration_p50", "whole p50"),
        ("duration_p95", "p95"),
        ("requests", "requests"),
    ];
    Section { id: "speed", name: "Speed by model", columns, names: 1, rows, more }
}
