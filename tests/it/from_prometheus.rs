//! `ccrun report --from` a server that speaks Prometheus' API, with answers that a real one seldom gives.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::Output;
use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use crate::support::sandbox::{Sandbox, text};

/// A server that gives the same answers again and again: to questions for names, and to queries.
struct Server {
    address: String,
    /// The target of each request, and its body.
    asked: Arc<Mutex<Vec<(String, String)>>>,
}

/// A status and a body.
type Answer = (u16, String);

impl Server {
    fn start(names: &[&str], labels: &[&str], query: Answer) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let [names, labels] = [names, labels].map(|data| (200, json!({"status": "success", "data": data}).to_string()));
        let asked = Arc::new(Mutex::new(Vec::new()));
        let seen = Arc::clone(&asked);
        std::thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (target, body) = request(&stream);
                let (status, answer) = match target.split('?').next().unwrap() {
                    path if path.ends_with("/api/v1/label/__name__/values") => &names,
                    path if path.ends_with("/api/v1/labels") => &labels,
                    _ => &query,
                };
                seen.lock().unwrap().push((target, body));
                let length = answer.len();
                let head = format!("HTTP/1.1 {status} Said\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n");
                drop((&stream).write_all((head + answer).as_bytes()));
            }
        });
        Self { address, asked }
    }

    /// One that has the cost by model, and answers queries so.
    fn with_cost(query: Answer) -> Self {
        Self::start(&["claude_code_cost_usage_USD_total"], &["model", "user_id"], query)
    }

    fn report(&self, options: &[&str]) -> Output {
        let from = format!("prometheus://{}/some/path", self.address);
        Sandbox::new().run([&["report", "--json", "--from", &from], options].concat())
    }

    #[track_caller]
    fn table(&self, options: &[&str]) -> Value {
        let output = self.report(options);
        assert!(output.status.success(), "{}", text(&output.stderr));
        serde_json::from_slice(&output.stdout).unwrap()
    }

    #[track_caller]
    fn fails(&self, options: &[&str], code: i32, parts: &[&str]) {
        let output = self.report(options);
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{said}{}", text(&output.stdout));
        assert!(parts.iter().all(|part| said.contains(part)) && output.stdout.is_empty(), "{parts:?}: {said}");
    }
}

/// The target and the body of a request.
fn request(stream: &TcpStream) -> (String, String) {
    let mut stream = BufReader::new(stream);
    let (mut target, mut length, mut line) = (String::new(), 0, String::new());
    while stream.read_line(&mut line).is_ok_and(|read| read > 2) {
        if target.is_empty() {
            line.split(' ').nth(1).unwrap_or_default().clone_into(&mut target);
        }
        if let Some((name, value)) = line.split_once(':')
            && name.eq_ignore_ascii_case("content-length")
        {
            length = value.trim().parse().unwrap();
        }
        line.clear();
    }
    let mut body = vec![0; length];
    stream.read_exact(&mut body).unwrap();
    (target, String::from_utf8(body).unwrap())
}

/// Results of a query. A series is the model, and its values.
fn matrix(series: &[(&str, &[&str])]) -> Answer {
    let now = jiff::Timestamp::now().as_second();
    let series = series.iter().map(|(model, values)| {
        let values: Vec<_> = values.iter().map(|value| json!([now, value])).collect();
        json!({"metric": {"ccrun_by_model": model, "ccrun_metric": "1"}, "values": values})
    });
    let data = json!({"resultType": "matrix", "result": series.collect::<Vec<_>>()});
    (200, json!({"status": "success", "data": data, "warnings": ["a part of the cluster is away"]}).to_string())
}

fn error(status: u16, kind: &str, words: &str) -> Answer {
    (status, json!({"status": "error", "errorType": kind, "error": words}).to_string())
}

#[test]
fn numbers_that_cannot_be_true_are_left_out_and_warnings_are_shown() {
    let server = Server::with_cost(matrix(&[
        ("opus", &["0.25", "0.5"]),
        ("haiku", &["NaN", "+Inf", "-5", "many", "1"]),
        ("vast", &["1e300"]),
        ("", &["2"]),
    ]));
    let table = server.table(&["--by", "model", "--today"]);
    let rows: Vec<_> = table["rows"].as_array().unwrap().iter().map(|row| (&row["model"], &row["cost_usd"])).collect();
    let named = |name: Value| rows.iter().find(|(model, _)| **model == name).map(|(_, cost)| cost.as_f64().unwrap());
    let costs = [json!("opus"), json!("haiku"), json!("vast"), Value::Null].map(named);
    assert_eq!(costs, [Some(0.75), Some(1.0), None, Some(2.0)], "{table}");
    let notes = table["notes"].to_string();
    assert!(
        notes.contains("a part of the cluster is away") && notes.contains("5 numbers that cannot be true"),
        "{notes}"
    );
    let asked = server.asked.lock().unwrap();
    assert!(asked.iter().all(|(target, _)| target.starts_with("/some/path/api/v1/")), "{asked:?}");
    let queries: Vec<_> = asked.iter().filter(|(target, _)| target.ends_with("query_range")).collect();
    assert!(queries.len() == 1 && queries[0].1.contains("&timeout=60s"), "one query an answer: {queries:?}");
}

#[test]
fn errors_say_what_to_do() {
    let large = "query processing would load too many samples into memory in query execution";
    for (answer, parts) in [
        (error(422, "execution", large), &["too large", "too many samples", "--since"][..]),
        (error(503, "timeout", "query timed out in expression evaluation"), &["took too long", "--since"]),
        (error(400, "bad_data", "1:3: parse error"), &["cannot answer the query: 1:3: parse error"]),
        ((401, "Unauthorized".to_owned()), &["401", "`user` and `password`"]),
        ((404, "404 page not found".to_owned()), &["there is no API of Prometheus", "/prometheus"]),
        ((200, "<!doctype html><title>Log in</title>".to_owned()), &["Log in", "proxy"]),
        ((200, "{\"status\":\"success\",\"data\":{\"result\":7}}".to_owned()), &["did not answer as Prometheus does"]),
        ((200, "{\"status\":\"success\",".to_owned()), &["did not answer as Prometheus does"]),
    ] {
        Server::with_cost(answer).fails(&["--by", "model"], 1, parts);
    }
}

#[test]
fn what_it_does_not_have_is_named() {
    let server = Server::with_cost(matrix(&[]));
    server.fails(&["--by", "project"], 2, &["`project`", "it has hour, day", "model, person"]);
    server.fails(&["--where", "team=platform"], 2, &["`team`"]);
    let from = format!("prometheus://{}", server.address);
    let story = Sandbox::new().run(["report", "session", "7a64b203", "--from", &from]);
    assert!(story.status.code() == Some(1) && text(&story.stderr).contains("single events"), "{story:?}");
    let nothing = Server::start(&["claude_code_something_new"], &[], matrix(&[]));
    nothing.fails(&[], 1, &["no metrics of Claude Code", "claude_code"]);
}
