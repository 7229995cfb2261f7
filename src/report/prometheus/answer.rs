//! Prometheus' HTTP API: requests, results, and what its errors mean.

use std::collections::BTreeMap;

use bytes::Bytes;
use hyper::{Method, StatusCode};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use serde::Deserialize;

use super::super::SourceError;
use super::super::remote::{Ask, Refusal, Server, store};
use super::bucket::Windows;
use crate::terminal::printable::printable;

/// The longest answer, in bytes. A thousand rows for each day of a year take half of it.
const LONGEST: usize = 32 << 20;

/// The name of what should answer, for messages.
const ENGINE: &str = "Prometheus";

/// What to do about a query that is too large.
const NARROW: &str = "narrow the query with --since or --where, or use fewer dimensions";

/// A series of a result.
#[derive(Debug, Deserialize)]
pub(super) struct Series {
    /// Its labels.
    pub(super) metric: BTreeMap<String, String>,
    /// The times in seconds since 1970, and the values as text.
    pub(super) values: Vec<(f64, String)>,
}

#[derive(Debug, Deserialize)]
struct Answer<T> {
    data: T,
    /// What a result lacks, such as a part of a cluster.
    #[serde(default)]
    warnings: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Matrix {
    result: Vec<Series>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default, rename_all = "camelCase")]
struct Failure {
    error_type: String,
    error: String,
}

/// The names of labels, or the values of one, in series that match a selector.
pub(super) fn names(server: &Server, path: &str, selector: &str, since: i64) -> Result<Vec<String>, SourceError> {
    let path = format!("/api/v1/{path}?match[]={}&start={}", encoded(selector), since.div_euclid(1000));
    let ask = Ask { method: Method::GET, path: &path, body: Bytes::new(), form: false, engine: ENGINE };
    let answer: Answer<Vec<String>> = answer(server, &ask)?;
    Ok(answer.data)
}

/// The values of a query at the ends of windows, and warnings about them.
pub(super) fn values(
    server: &Server,
    query: &str,
    windows: Windows,
) -> Result<(Vec<Series>, Vec<String>), SourceError> {
    // The window before a moment contains it, and the end of a day does not belong to that day.
    let [first, last] = [windows.end, windows.last()].map(|end| milliseconds(end - 1));
    // `VictoriaMetrics` moves times to multiples of the step, unless it is told not to cache.
    let body = format!(
        "query={}&start={first}&end={last}&step={}&timeout={}s&nocache=1",
        encoded(query),
        milliseconds(windows.length),
        server.timeout().as_secs().max(1)
    );
    let ask = Ask { method: Method::POST, path: "/api/v1/query_range", body: body.into(), form: true, engine: ENGINE };
    let answer: Answer<Matrix> = answer(server, &ask)?;
    Ok((answer.data.result, answer.warnings))
}

/// Milliseconds as seconds.
fn milliseconds(milliseconds: i64) -> String {
    format!("{}.{:03}", milliseconds.div_euclid(1000), milliseconds.rem_euclid(1000))
}

fn encoded(text: &str) -> String {
    utf8_percent_encode(text, NON_ALPHANUMERIC).to_string()
}

fn answer<T: for<'a> Deserialize<'a>>(server: &Server, ask: &Ask<'_>) -> Result<T, SourceError> {
    let body = server.whole(ask, LONGEST)?.map_err(|refusal| meaning(&refusal, &server.place()))?;
    serde_json::from_slice(&body).map_err(|error| {
        let place = server.place();
        store(format!(
            "{place} did not answer as Prometheus does: check the host, the port and the path of the URL ({error})"
        ))
    })
}

/// What a refusal means, and what to do about it.
fn meaning(refusal: &Refusal, place: &str) -> SourceError {
    let failure: Failure = serde_json::from_str(&refusal.text).unwrap_or_default();
    let words = if failure.error.is_empty() { refusal.words() } else { printable(&failure.error) };
    let is_large =
        ["too many samples", "maximum resolution", "exceed", "limit"].iter().any(|part| words.contains(part));
    store(match refusal.status {
        StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => format!(
            "{place} refused the request ({words}): set `user` and `password`, or `headers`, in the [source.NAME]"
        ),
        StatusCode::NOT_FOUND => format!(
            "there is no API of Prometheus at {place} ({words}): if it is below a path, write that into the URL, as \
             prometheus://host:9090/prometheus"
        ),
        _ if failure.error_type == "timeout" => format!("{place} took too long ({words}): {NARROW}"),
        _ if is_large => format!("the query is too large for {place} ({words}): {NARROW}"),
        _ => format!("{place} cannot answer the query: {words}"),
    })
}

#[cfg(test)]
mod tests {
    use hyper::header::HeaderMap;

    use super::*;

    fn meant(status: u16, text: &str) -> String {
        let status = StatusCode::from_u16(status).unwrap();
        meaning(&Refusal { status, headers: HeaderMap::new(), text: text.to_owned() }, "host:9090").to_string()
    }

    #[test]
    fn an_error_says_what_to_do() {
        let samples = r#"{"status":"error","errorType":"execution","error":"query processing would load too many samples into memory in query execution"}"#;
        assert!(meant(422, samples).contains("too large for host:9090") && meant(422, samples).contains("--since"));
        let timeout = r#"{"status":"error","errorType":"timeout","error":"query timed out in expression evaluation"}"#;
        assert!(meant(503, timeout).contains("took too long") && meant(503, timeout).contains("--since"));
        assert!(meant(401, "Unauthorized\n").contains("`user` and `password`"));
        assert!(meant(404, "404 page not found").contains("prometheus://host:9090/prometheus"));
        let parse = r#"{"status":"error","errorType":"bad_data","error":"1:3: parse error"}"#;
        assert_eq!(meant(400, parse), "host:9090 cannot answer the query: 1:3: parse error");
    }

    #[test]
    fn times_are_exact_to_the_millisecond() {
        assert_eq!([milliseconds(1_764_547_199_999), milliseconds(5)], ["1764547199.999", "0.005"]);
    }
}
