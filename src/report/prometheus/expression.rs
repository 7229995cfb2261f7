//! Queries in Prometheus' language.
//!
//! `increase()` extrapolates, and sees nothing of a series' first sample, so that short sessions count twice or not at
//! all. Here a counter's growth in a window is its last value minus the one before the window. Three things are special:
//!
//! - A series that begins in the window. If it has the id of a session, it began at zero with that session. Any other is a
//!   total over sessions, which existed before it was first seen, and the first value is where counting starts. `ccrun` and
//!   `ccrun metrics` send a zero first.
//! - A series that started again between two windows: its last value alone is the growth.
//! - A series that started again within the window: the largest value, minus the one before the window, plus the last. If
//!   it grew beyond the largest value from before the restart, `increase()` is near.

use super::metric::{Known, METRICS, SESSIONS};
use crate::report::dimension::Dimension;

/// How far back the value before a window is looked for. `ccrun` starts a total again that has not changed for thirty
/// days.
const BEFORE: &str = "31d";

/// How many characters of an installation's id are shown, as in the ledger's rows.
const INSTALLATION: usize = 12;

/// The label with a metric's number. It distinguishes the results of one query.
pub(super) const METRIC: &str = "ccrun_metric";

/// The labels with a dimension's values in results.
pub(super) fn label(dimension: Dimension) -> String {
    format!("ccrun_by_{}", dimension.name())
}

/// The growth of every metric by these dimensions in a window that ends at the time of the query, in milliseconds.
pub(super) fn usage(known: &Known, by: &[Dimension], window: i64) -> String {
    let session = known.labels(Dimension::Session).first().copied();
    let mut parts: Vec<String> = Vec::new();
    for (index, name) in &known.names {
        // Requests have more dimensions than the start of a session, which then counts only in total.
        let own = if *index == SESSIONS {
            by.iter().copied().filter(|dimension| is_of_starts(*dimension)).collect()
        } else {
            by.to_vec()
        };
        let grown = own.iter().fold(format!("({})", growth(name, window, session)), |vector, dimension| {
            with_dimension(known, &vector, *dimension)
        });
        let labels = own.iter().map(|dimension| label(*dimension));
        let kinds = METRICS[*index].kinds.iter().map(|kind| (*kind).to_owned());
        let labels: Vec<String> = labels.chain(kinds).collect();
        // Without this filter, every series that exists would be in the answer.
        let sum = format!("sum by ({}) ({grown}) > 0", labels.join(", "));
        parts.push(format!("label_replace({sum}, \"{METRIC}\", \"{index}\", \"\", \"\")"));
    }
    parts.join(" or ")
}

/// Whether the start of a session has a dimension.
pub(super) fn is_of_starts(dimension: Dimension) -> bool {
    use Dimension as D;
    !matches!(dimension, D::Model | D::Effort | D::Source | D::Agent | D::Skill | D::Tool | D::Mcp)
}

/// How much the series of one name grew in a window, in milliseconds.
fn growth(name: &str, window: i64, session: Option<&str>) -> String {
    let all = series(name, "");
    let over = |function: &str, of: &str| format!("{function}({of}[{window}ms])");
    let (first, most, last) = (over("min_over_time", &all), over("max_over_time", &all), over("last_over_time", &all));
    let before = format!("last_over_time({all}[{BEFORE}] offset {window}ms)");
    let restarted = format!("{} > 0", over("resets", &all));
    // Zero for each series of a session.
    let zero = session.map(|session| {
        let of_sessions = series(name, &format!("{}!=\"\"", quoted(session)));
        format!(" or {} * 0", over("max_over_time", &of_sessions))
    });
    let zero = zero.unwrap_or_default();
    format!(
        "{last} + {most} - ({before}{zero}) and {restarted} unless {most} <= {last} \
         or {} and {restarted} \
         or {last} - ({before} <= {first} or {before} * 0{zero} or {first})",
        over("increase", &all)
    )
}

/// A selector of the series of one name. Names with dots need quotes.
fn series(name: &str, condition: &str) -> String {
    let is_plain = name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    match (is_plain, condition) {
        (true, "") => name.to_owned(),
        (true, condition) => format!("{name}{{{condition}}}"),
        (false, "") => format!("{{{}}}", string(name)),
        (false, condition) => format!("{{{},{condition}}}", string(name)),
    }
}

/// The name of a label. Names with dots need quotes.
fn quoted(label: &str) -> String {
    let is_plain = label.chars().all(|c| c.is_ascii_alphanumeric() || c == '_');
    if is_plain { label.to_owned() } else { string(label) }
}

fn string(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// A vector with a label for a dimension's value. The strongest of several labels comes last and wins.
fn with_dimension(known: &Known, vector: &str, dimension: Dimension) -> String {
    let label = label(dimension);
    let set = |vector: String, value: &str, from: &str, pattern: &str| {
        format!("label_replace({vector}, \"{label}\", \"{value}\", {}, \"{pattern}\")", string(from))
    };
    let mut vector = vector.to_owned();
    if dimension == Dimension::Automation {
        vector = set(vector, "no", "", "");
        for (of, pattern) in [(Dimension::Source, "sdk"), (Dimension::Entrypoint, "sdk.*")] {
            for from in known.labels(of) {
                vector = set(vector, "yes", from, pattern);
            }
        }
        return vector;
    }
    if dimension == Dimension::Person
        && let Some(installation) = known.installation()
    {
        vector = set(vector, "installation $1", installation, &format!("(.{{1,{INSTALLATION}}}).*"));
    }
    for from in known.labels(dimension).into_iter().rev() {
        vector = set(vector, "$1", from, "(.+)");
    }
    vector
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(names: &[&str], labels: &[&str]) -> Known {
        let owned = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<Vec<_>>();
        Known::new(&owned(names), owned(labels))
    }

    #[test]
    fn each_metric_has_its_number_and_its_kinds() {
        let known = known(&["claude_code_token_usage_tokens_total", "claude_code_session_count_total"], &["model"]);
        let query = usage(&known, &[Dimension::Model], 1000);
        assert!(query.contains("sum by (ccrun_by_model, type) (label_replace("), "{query}");
        assert!(query.contains("\"ccrun_metric\", \"2\", \"\", \"\")"), "{query}");
        // Starts of sessions have no model.
        assert!(query.contains("sum by () ("), "{query}");
        assert!(query.contains("[1000ms]") && query.contains("offset 1000ms"), "{query}");
    }

    #[test]
    fn only_series_of_sessions_start_at_zero() {
        assert!(!growth("a_total", 5, None).contains("!=\"\""));
        let of_sessions = growth("a_total", 5, Some("session_id"));
        assert!(of_sessions.contains("max_over_time(a_total{session_id!=\"\"}[5ms]) * 0"), "{of_sessions}");
    }

    #[test]
    fn names_with_dots_are_quoted() {
        assert_eq!(series("claude_code.cost.usage", ""), "{\"claude_code.cost.usage\"}");
        let selector = series("claude_code.cost.usage", &format!("{}!=\"\"", quoted("session.id")));
        assert_eq!(selector, "{\"claude_code.cost.usage\",\"session.id\"!=\"\"}");
    }

    #[test]
    fn the_strongest_label_names_a_person() {
        let known = known(&[], &["user_id", "user_email", "enduser_id"]);
        let vector = with_dimension(&known, "v", Dimension::Person);
        let places = ["\"user_id\"", "\"user_email\"", "\"enduser_id\""].map(|label| vector.find(label).unwrap());
        assert!(places.is_sorted(), "{vector}");
    }
}
