//! `ccrun report --from`: a team's store that answers, and the many ways in which it may not. The real engine is in
//! `needs_chdb`.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::Value;

use crate::support::sandbox::{DEADLINE, Sandbox, text};

/// The columns of contrib's table of events.
pub(crate) const CONTRIB: &str = "otel\totel_logs\tBody\tString\notel\totel_logs\tLogAttributes\tMap(LowCardinality(String), String)\n\
    otel\totel_logs\tResourceAttributes\tMap(LowCardinality(String), String)\notel\totel_logs\tScopeName\tString\n\
    otel\totel_logs\tTimestamp\tDateTime64(9)\n";

/// Names of attributes with dots, in five events.
pub(crate) const PROBED: &str = "5\t0\t5\t0\n";

/// A request that a store received.
#[derive(Debug)]
struct Asked {
    head: String,
    body: String,
}

/// What a store does with a request.
enum Reply {
    /// Answers with this status, these header lines and this body.
    Answer(u16, &'static str, String),
    /// Begins an answer and neither goes on nor closes.
    Begin,
    /// Says nothing.
    Hang,
    /// Sends this piece until the client has gone.
    Endless(&'static str),
}

/// How a store answers.
type Answering = fn(&Asked) -> Reply;

/// A store on loopback. Its requests come out of the channel, and a unit when a client has gone that was left waiting.
struct Store {
    address: String,
    asked: Receiver<Asked>,
    gone: Receiver<()>,
}

impl Store {
    fn start(reply: impl Fn(&Asked) -> Reply + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let ((to, asked), (ends, gone)) = (channel(), channel());
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&stream.unwrap(), &reply, &to, &ends);
            }
        });
        Self { address, asked, gone }
    }

    fn url(&self) -> String {
        format!("clickhouse://{}/otel", self.address)
    }

    fn all_asked(&self) -> Vec<Asked> {
        self.asked.try_iter().collect()
    }
}

/// Answers one request of a connection.
fn serve(stream: &TcpStream, reply: &dyn Fn(&Asked) -> Reply, asked: &Sender<Asked>, gone: &Sender<()>) {
    let mut reader = BufReader::new(stream);
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            return;
        }
    }
    let length = head.lines().find_map(|line| line.to_lowercase().strip_prefix("content-length: ")?.parse().ok());
    let mut body = vec![0; length.unwrap_or(0)];
    reader.read_exact(&mut body).unwrap();
    let request = Asked { head, body: String::from_utf8(body).unwrap() };
    let (reply, mut stream) = (reply(&request), stream);
    drop(asked.send(request));
    let wait = |mut reader: BufReader<&TcpStream>| {
        drop(reader.read(&mut [0; 1]));
        let _ = gone.send(());
    };
    match reply {
        Reply::Answer(status, headers, body) => {
            let length = body.len();
            drop(write!(
                stream,
                "HTTP/1.1 {status} X\r\nconnection: close\r\ncontent-length: {length}\r\n{headers}\r\n{body}"
            ));
        }
        Reply::Begin => {
            drop(write!(stream, "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n2\r\n1\t\r\n"));
            wait(reader);
        }
        Reply::Hang => wait(reader),
        Reply::Endless(piece) => {
            drop(write!(stream, "HTTP/1.1 200 OK\r\nconnection: close\r\n\r\n"));
            let piece = piece.repeat((1 << 16) / piece.len());
            while stream.write_all(piece.as_bytes()).is_ok() {}
        }
    }
}

fn ok(body: impl Into<String>) -> Reply {
    Reply::Answer(200, "", body.into())
}

/// A store with contrib's table, which answers queries for usage with `reply`.
fn contrib(reply: impl Fn(&Asked) -> Reply + Send + 'static) -> Store {
    Store::start(move |asked| match asked.body.as_str() {
        body if body.contains("system.columns") => ok(CONTRIB),
        body if body.contains("LIMIT 1000)") => ok(PROBED),
        _ => reply(asked),
    })
}

/// A row of an answer: a group, or the total. One request, 100 tokens in and 20 out, and 0.25 US dollars for each.
pub(crate) fn row(keys: Option<[&str; 2]>, requests: i64, groups: i64) -> String {
    let mut measures = [0; 24];
    (measures[0], measures[3], measures[4], measures[8]) =
        (requests, 100 * requests, 20 * requests, 250_000_000 * requests);
    let [first, second] = keys.unwrap_or_default();
    let measures = measures.map(|amount| amount.to_string()).join("\t");
    let (total, at) = (u8::from(keys.is_none()), 1_764_000_000_000_i64);
    format!("{total}\t{first}\t{second}\t{measures}\t1\t{at}\t{at}\t0\t{requests}\t{groups}\n")
}

/// Two days, or everything.
fn usage(asked: &Asked) -> Reply {
    if asked.body.contains("groupArrayIf") {
        return ok("1\t\t0\t0\t0\t0\t0\t0\n");
    }
    if asked.body.contains("'compaction'") {
        return ok("");
    }
    if !asked.body.contains("GROUPING SETS") {
        return ok(row(None, 3, 1));
    }
    ok(row(Some(["2026-11-28", ""]), 1, 2) + &row(Some(["2026-11-29", ""]), 2, 2) + &row(None, 3, 2))
}

/// A sandbox whose `config.toml` names a store with a password.
fn sandbox(address: &str, more: &str) -> Sandbox {
    let sandbox = Sandbox::new();
    let config = format!(
        "[source.team]\nurl = \"clickhouse://{address}/otel\"\nuser = \"reader\"\npassword = \"s3cr3t-key\"\n{more}\n"
    );
    sandbox.write("home/.config/ccrun/config.toml", config);
    sandbox
}

/// What a report from the store of a sandbox says on stderr. It fails, and shows no secret.
#[track_caller]
fn complaint(sandbox: &Sandbox, arguments: &[&str]) -> String {
    let output = sandbox.run([&["report", "--from", "team"], arguments].concat());
    let said = text(&output.stderr);
    assert!(!output.status.success(), "{said}{}", text(&output.stdout));
    assert!(!said.contains("s3cr3t"), "{said}");
    said
}

#[test]
fn a_report_comes_from_a_store() {
    let store = contrib(usage);
    let sandbox = sandbox(&store.address, "headers = { X-Team = \"platform\" }");
    let output = sandbox.run(["report", "--from", "team", "--by", "day", "--json"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    let report: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(report["rows"][0]["day"], "2026-11-28");
    assert_eq!((&report["rows"][1]["requests"], &report["rows"][1]["cost_usd"]), (&2.into(), &0.5.into()));
    assert_eq!((&report["total"]["cost_usd"], &report["coverage"]), (&0.75.into(), &Value::Null));
    let notes = report["notes"].to_string();
    assert!(notes.contains("there is no table of metrics") && notes.contains("read from otel.otel_logs"), "{notes}");
    for asked in store.all_asked() {
        let head = asked.head.to_lowercase();
        assert!(head.contains("x-clickhouse-user: reader") && head.contains("x-clickhouse-key: s3cr3t-key"), "{head}");
        assert!(head.contains("x-team: platform") && head.contains("readonly=2"), "{head}");
        assert!(head.contains("cancel_http_readonly_queries_on_client_close=1"), "{head}");
        assert!(head.contains("max_execution_time=59") && head.contains("max_result_rows="), "{head}");
        assert!(!asked.body.contains("s3cr3t"), "{}", asked.body);
    }
    // The overview and the week ask for what the ledger knows and a store does not.
    for verb in [&["report", "--from", "team"][..], &["report", "week", "--from", "team"]] {
        let output = sandbox.run(verb);
        assert!(output.status.success(), "{verb:?}: {}", text(&output.stderr));
        assert!(text(&output.stdout).contains("$0.75"), "{}", text(&output.stdout));
    }
}

#[test]
fn a_url_is_enough() {
    let store = contrib(usage);
    let sandbox = Sandbox::new();
    let output = sandbox.run(["report", "--from", &store.url(), "--by", "day"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
    assert!(text(&output.stdout).contains("2026-11-28"), "{}", text(&output.stdout));
}

#[test]
fn sources_that_are_not_there_are_named_with_what_is() {
    let sandbox = sandbox("127.0.0.1:1", "");
    let said = |from: &str| {
        let output = sandbox.run(["report", "--from", from]);
        assert_eq!(output.status.code(), Some(2), "{from}");
        text(&output.stderr)
    };
    assert!(said("taem").contains("there is no source `taem`: did you mean `team`?"));
    assert!(said("warehouse").contains("there is no source `warehouse`: there are team"));
    for url in ["clickhouse://reader:s3cr3t@h/otel", "https://h/?password=s3cr3t", "clickhouse://h?password=s3cr3t"] {
        let said = said(url);
        assert!(said.contains("the URL of `--from` cannot be used") && !said.contains("s3cr3t"), "{said}");
    }
    sandbox.write("home/.config/ccrun/config.toml", "");
    assert!(said("team").contains("[source.NAME] with a `url`"));
}

#[test]
fn claude_may_not_read_a_teams_store() {
    let store = contrib(usage);
    let mut sandbox = sandbox(&store.address, "");
    sandbox.set("CLAUDECODE", "1");
    for verb in [&["report", "--from", "team"][..], &["report", "week", "--from", "team"]] {
        let output = sandbox.run(verb);
        assert!(text(&output.stderr).contains("`report --from` is disabled inside a Claude session"));
    }
    assert!(store.all_asked().is_empty());
}

#[test]
fn a_projects_source_needs_trust() {
    let store = contrib(usage);
    let sandbox = Sandbox::new();
    sandbox.write("project/.ccrun.toml", format!("[source.team]\nurl = \"{}\"\n", store.url()));
    let output = sandbox.run(["report", "--from", "team", "--by", "day"]);
    assert!(text(&output.stderr).contains("is not trusted"), "{}", text(&output.stderr));
    assert!(store.all_asked().is_empty());
    let output = sandbox.run(["trust", "--yes"]);
    let said = text(&output.stdout) + &text(&output.stderr);
    assert!(said.contains("reads reports from") && said.contains(&format!("team → {}", store.url())), "{said}");
    let output = sandbox.run(["report", "--from", "team", "--by", "day"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn refusals_say_what_to_do() {
    let wrong = "Code: 516. DB::Exception: reader: Authentication failed: password is incorrect, or there is no user with \
                 such name. (AUTHENTICATION_FAILED) (version 26.1)\n";
    let denied = "Code: 497. DB::Exception: reader: Not enough privileges. To execute this query, it's necessary to have \
                  the grant SELECT(Body) ON otel.otel_logs. (ACCESS_DENIED)\n";
    let cases = [
        (403, "", wrong, "does not accept the user `reader` with this password"),
        (401, "", "", "401 unauthorized: it does not accept the user `reader`"),
        (500, "", denied, "`GRANT SELECT ON otel.otel_logs TO `reader``"),
        (404, "", "File not found", "is that the HTTP interface of ClickHouse"),
        (200, "content-type: text/html\r\n", "<html><title>Sign in</title>", "with a page of html titled `Sign in`"),
        (502, "", "<!doctype html><title>Bad gateway</title>", "a page of html titled `Bad gateway`"),
        (302, "location: https://login.example/?token=s3cr3t\r\n", "", "redirects are not followed"),
        (200, "", "{\"version\":\"1\"}\n", "no answer of ClickHouse's"),
        (200, "", "a\tb\tc\n", "no answer of ClickHouse's"),
    ];
    for (status, headers, body, expected) in cases {
        let store = Store::start(move |_| Reply::Answer(status, headers, body.to_owned()));
        let said = complaint(&sandbox(&store.address, ""), &["--by", "day"]);
        assert!(said.contains(expected) && said.contains(&store.address), "{expected}: {said}");
    }
    // Nothing listens.
    let closed = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().to_string();
    let said = complaint(&sandbox(&closed, ""), &[]);
    assert!(said.contains(&closed) && said.contains("refused"), "{said}");
}

#[test]
fn an_unknown_schema_names_what_is_there() {
    let with = |databases: &'static str, tables: &'static str| {
        Store::start(move |asked| match asked.body.as_str() {
            body if body.contains("system.databases") => ok(databases),
            body if body.contains("system.tables") => ok(tables),
            _ => ok(""),
        })
    };
    let cases = [
        ("default\notel\n", "otel\tspans\ndefault\tx\n", "seen by the user `reader`: there are otel.spans"),
        ("default\n", "default\tx\n", "shows the user `reader` no database `otel`: there are default"),
        ("otel\n", "", "shows the user `reader` no table: an administrator gives access with `GRANT SELECT ON otel.*"),
    ];
    for (databases, tables, expected) in cases {
        let store = with(databases, tables);
        let said = complaint(&sandbox(&store.address, ""), &["--by", "day"]);
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn answers_of_the_wrong_kind_are_not_believed() {
    let cases: [(Answering, &str); 6] = [
        (|_| ok(row(None, 3, 1).replace("\t300\t", "\tmany\t")), "a number is not one"),
        (|_| ok("1\t2\n"), "it has 2 columns instead of"),
        (|_| ok(row(Some(["2026-11-28", ""]), 1, 1)), "has no total"),
        (
            |_| ok(row(Some(["2026-11-28", ""]), 1, 1) + "Code: 241. DB::Exception: Memory limit"),
            "ran out of the memory",
        ),
        (|_| Reply::Endless("x"), "a line is longer than a mebibyte"),
        (|_| Reply::Endless(ROW), "it has more than 250000 rows"),
    ];
    for (reply, expected) in cases {
        let store = contrib(reply);
        let said = complaint(&sandbox(&store.address, ""), &["--by", "day"]);
        assert!(said.contains(expected), "{expected}: {said}");
    }
}

/// A row without an end to them.
const ROW: &str = "0\t2026-11-28\t\t1\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t0\t1\t1764000000000\t1764000000000\t0\t1\t1\n";

#[test]
fn a_store_that_hangs_is_given_up() {
    let store = contrib(|_| Reply::Hang);
    let said = complaint(&sandbox(&store.address, "timeout = \"1s\""), &["--by", "day"]);
    assert!(said.contains("did not answer within 1s"), "{said}");
    store.gone.recv_timeout(DEADLINE).unwrap();
    let store = contrib(|_| Reply::Begin);
    let said = complaint(&sandbox(&store.address, "timeout = \"1s\""), &["--by", "day"]);
    assert!(said.contains("did not finish its answer within 1s") && said.contains("raise `timeout`"), "{said}");
    store.gone.recv_timeout(DEADLINE).unwrap();
}

#[test]
fn settings_that_a_user_may_not_change_are_left_out() {
    let readonly =
        "Code: 164. DB::Exception: Cannot modify 'max_execution_time' setting in readonly mode. (READONLY)\n";
    let store = Store::start(move |asked| match asked.body.as_str() {
        _ if asked.head.contains("readonly=2") => Reply::Answer(500, "", readonly.to_owned()),
        body if body.contains("system.columns") => ok(CONTRIB),
        body if body.contains("LIMIT 1000)") => ok(PROBED),
        _ => usage(asked),
    });
    let output = sandbox(&store.address, "").run(["report", "--from", "team", "--by", "day"]);
    assert!(output.status.success(), "{}", text(&output.stderr));
}

#[test]
fn dimensions_that_a_store_cannot_know_name_one_that_it_can() {
    let store = contrib(usage);
    let sandbox = sandbox(&store.address, "");
    for (asked, instead) in [("project", "`repository`"), ("worktree", "`branch`"), ("machine", "`person`")] {
        for arguments in [["--by", asked], ["--where", &format!("{asked}=x")]] {
            let output = sandbox.run([&["report", "--from", "team"][..], &arguments].concat());
            let said = text(&output.stderr);
            assert!(output.status.code() == Some(2) && said.contains(instead), "{arguments:?}: {said}");
        }
    }
}

#[test]
fn ctrl_c_closes_the_connection_of_a_query() {
    let store = contrib(|_| Reply::Hang);
    let sandbox = sandbox(&store.address, "");
    let mut running = sandbox.ccrun(["report", "--from", "team", "--by", "day"]).spawn().unwrap();
    let asked =
        std::iter::from_fn(|| store.asked.recv_timeout(DEADLINE).ok()).find(|asked| asked.body.contains("GROUPING"));
    assert!(asked.is_some());
    kill(Pid::from_raw(running.id().try_into().unwrap()), Signal::SIGINT).unwrap();
    store.gone.recv_timeout(Duration::from_secs(10)).unwrap();
    assert!(!running.wait().unwrap().success());
}
