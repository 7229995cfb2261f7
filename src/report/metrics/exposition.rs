//! Prometheus' text formats (`prometheus.io/docs/instrumenting/exposition_formats`; `OpenMetrics` 1.0).

use std::fmt::Write;

use super::metric::METRICS;
use super::series::{Labels, Series};

/// A text format.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    /// Prometheus' own, version 0.0.4.
    Prometheus,
    /// `OpenMetrics`, version 1.0.0.
    OpenMetrics,
}

impl Format {
    /// The format that a client prefers by its `Accept` header (RFC 9110, 12.5.1).
    pub fn accepted(accept: &str) -> Self {
        let (mut text, mut open_metrics) = (0.0, 0.0);
        for part in accept.split(',') {
            let mut fields = part.split(';').map(str::trim);
            let media = fields.next().unwrap_or_default().to_ascii_lowercase();
            let parameters: Vec<_> = fields.filter_map(|field| field.split_once('=')).collect();
            let value = |name: &str| {
                let found = parameters.iter().find(|(key, _)| key.eq_ignore_ascii_case(name));
                found.map(|(_, value)| value.trim_matches('"'))
            };
            let quality: f32 = value("q").and_then(|quality| quality.parse().ok()).unwrap_or(1.0);
            match (media.as_str(), value("version")) {
                ("application/openmetrics-text", None | Some("1.0.0")) => open_metrics = quality.max(open_metrics),
                ("text/plain" | "text/*" | "*/*", _) => text = quality.max(text),
                _ => {}
            }
        }
        if open_metrics > 0.0 && open_metrics >= text { Self::OpenMetrics } else { Self::Prometheus }
    }

    /// Its `Content-Type`.
    pub fn content_type(self) -> &'static str {
        match self {
            Self::Prometheus => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

/// What is shown besides usage.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct About<'a> {
    /// Whether the values are those of the ledger now.
    pub is_up: bool,
    /// When the ledger was read, in Unix milliseconds.
    pub read_at: Option<i64>,
    /// How many series were added up in those for the rest.
    pub rest: usize,
    /// The version of `ccrun`.
    pub version: &'a str,
}

/// The text of series, in order, with their values.
pub fn exposition<'a>(shown: impl IntoIterator<Item = (&'a Series, i64)>, about: &About<'_>, format: Format) -> String {
    let mut text = Text { text: String::new(), format };
    let mut current = None;
    for (series, value) in shown {
        let metric = &METRICS[series.metric];
        if current.replace(series.metric) != Some(series.metric) {
            text.head(metric.name, "counter", metric.unit, metric.help);
        }
        text.sample(metric.name, "_total", &series.labels, &decimal(value, metric.digits));
    }
    text.about(about);
    if format == Format::OpenMetrics {
        text.text.push_str("# EOF\n");
    }
    text.text
}

struct Text {
    text: String,
    format: Format,
}

impl Text {
    fn about(&mut self, about: &About<'_>) {
        self.gauge(
            "ccrun_up",
            None,
            "Whether the values are those of the ledger now; 0 if they are the last known ones.",
            &u8::from(about.is_up).to_string(),
        );
        if let Some(read_at) = about.read_at {
            let help = "When the ledger was read.";
            self.gauge("ccrun_ledger_read_timestamp_seconds", Some("seconds"), help, &decimal(read_at, 3));
        }
        let help = "Series beyond the limit, which are added up in those with the label value `other`.";
        self.gauge("ccrun_other_series", None, help, &about.rest.to_string());
        self.head("ccrun_build", "info", None, "The version of ccrun.");
        self.sample("ccrun_build", "_info", &vec![("version", about.version.to_owned())], "1");
    }

    fn gauge(&mut self, name: &str, unit: Option<&str>, help: &str, value: &str) {
        self.head(name, "gauge", unit, help);
        self.sample(name, "", &Vec::new(), value);
    }

    /// Describes a metric. `OpenMetrics` names a counter without `_total`, and knows its unit.
    fn head(&mut self, name: &str, kind: &str, unit: Option<&str>, help: &str) {
        let (suffix, kind) = match (self.format, kind) {
            (Format::Prometheus, "counter") => ("_total", kind),
            // Prometheus' own format has no such type.
            (Format::Prometheus, "info") => ("_info", "gauge"),
            _ => ("", kind),
        };
        let help = match self.format {
            Format::Prometheus => help.replace('\\', r"\\").replace('\n', r"\n"),
            Format::OpenMetrics => escaped(help),
        };
        _ = writeln!(self.text, "# HELP {name}{suffix} {help}");
        _ = writeln!(self.text, "# TYPE {name}{suffix} {kind}");
        if let (Format::OpenMetrics, Some(unit)) = (self.format, unit) {
            _ = writeln!(self.text, "# UNIT {name} {unit}");
        }
    }

    fn sample(&mut self, name: &str, suffix: &str, labels: &Labels, value: &str) {
        let labels: Vec<_> = labels.iter().map(|(name, value)| format!("{name}=\"{}\"", escaped(value))).collect();
        let labels = if labels.is_empty() { String::new() } else { format!("{{{}}}", labels.join(",")) };
        _ = writeln!(self.text, "{name}{suffix}{labels} {value}");
    }
}

/// A label's value as both formats write it.
fn escaped(value: &str) -> String {
    value.replace('\\', r"\\").replace('"', "\\\"").replace('\n', r"\n")
}

/// A number of which this many digits come after the decimal point, exactly.
fn decimal(number: i64, digits: usize) -> String {
    let text = format!("{number:0width$}", width = digits + 1);
    let (whole, fraction) = text.split_at(text.len() - digits);
    let fraction = fraction.trim_end_matches('0');
    if fraction.is_empty() { whole.to_owned() } else { format!("{whole}.{fraction}") }
}
