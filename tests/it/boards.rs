//! The boards are complete. The tests in `needs_prometheus`, `needs_victoriametrics` and `needs_victorialogs` run their
//! queries.

use std::collections::BTreeSet;

use serde_json::Value;

use crate::support::boards::{panels, read};

/// Units that Grafana and `SigNoz` know.
const UNITS: [&str; 5] = ["currencyUSD", "short", "percentunit", "s", "ms"];

#[test]
fn every_panel_of_grafana_has_a_query_a_title_a_unit_and_a_description() {
    for name in ["grafana/usage.json", "grafana/events.json"] {
        let board = read(name);
        assert_eq!(board["schemaVersion"], 42, "{name}");
        let variables = board["templating"]["list"].as_array().unwrap();
        assert!(variables[0]["type"] == "datasource" && variables[0]["name"] == "datasource", "{name}");
        let panels = panels(&board);
        assert!(panels.len() > 15, "{name}: {panels:#?}");
        for panel in &panels {
            assert!(!panel.title.is_empty() && panel.description.ends_with('.'), "{name}: {panel:?}");
            assert!(UNITS.contains(&&*panel.unit), "{name}: {panel:?}");
            assert!(!panel.queries.is_empty() && panel.queries.iter().all(|(query, _)| !query.is_empty()), "{panel:?}");
        }
        let titles: BTreeSet<_> = panels.iter().map(|panel| &panel.title).collect();
        assert_eq!(titles.len(), panels.len(), "{name}: the titles differ");
        places_are_free(&board, name);
    }
}

/// Checks that no two panels overlap, that each fits the width, and that their ids differ.
fn places_are_free(board: &Value, name: &str) {
    let panels = board["panels"].as_array().unwrap();
    let mut taken = BTreeSet::new();
    for panel in panels {
        let side = |key: &str| panel["gridPos"][key].as_u64().unwrap();
        let (left, top) = (side("x"), side("y"));
        assert!(left + side("w") <= 24, "{name}: {panel}");
        for row in top..top + side("h") {
            assert!((left..left + side("w")).all(|column| taken.insert((row, column))), "{name}: {panel}");
        }
    }
    let ids: BTreeSet<_> = panels.iter().map(|panel| panel["id"].as_u64().unwrap()).collect();
    assert_eq!(ids.len(), panels.len(), "{name}: the ids differ");
}

#[test]
fn every_panel_of_signoz_has_a_query_a_title_a_unit_and_a_description() {
    let board = read("signoz/claude-code.json");
    assert_eq!(board["version"], "v5");
    let widgets = board["widgets"].as_array().unwrap();
    let mut ids = BTreeSet::new();
    for widget in widgets {
        let text = |key: &str| widget[key].as_str().unwrap();
        assert!(!text("title").is_empty() && text("description").ends_with('.'), "{widget}");
        assert!(UNITS.contains(&text("yAxisUnit")), "{widget}");
        let query = &widget["query"];
        assert!(query["queryType"] == "clickhouse_sql", "{widget}");
        let sql = query["clickhouse_sql"][0]["query"].as_str().unwrap();
        assert!(sql.starts_with("SELECT ") && sql.contains("$start_timestamp_nano"), "{sql}");
        assert_eq!(sql.matches('(').count(), sql.matches(')').count(), "{sql}");
        assert!(ids.insert(text("id").to_owned()), "{widget}");
    }
    let layout = board["layout"].as_array().unwrap().iter();
    let placed: BTreeSet<_> = layout.map(|place| place["i"].as_str().unwrap().to_owned()).collect();
    assert_eq!(placed, ids, "each panel has a place");
}
