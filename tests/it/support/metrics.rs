//! A running `ccrun metrics`, and its scrapers.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};

use ccrun::otlp::Signal;

use super::sandbox::{DEADLINE, Sandbox, kill, wait_until};
use super::session::Session;
use crate::tail::event;

/// A server. It is killed when dropped.
pub struct Metrics {
    process: Child,
    /// Its address and port.
    pub address: String,
}

impl Metrics {
    /// Serves on this address, with further options.
    pub fn start(sandbox: &Sandbox, listen: &str, options: &[&str]) -> Self {
        let mut command = sandbox.ccrun([&["metrics", "--listen", listen], options].concat());
        let mut process = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut line = String::new();
        BufReader::new(process.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        let address = line.trim().strip_prefix("http://").and_then(|line| line.strip_suffix("/metrics"));
        Self { address: address.unwrap_or_else(|| panic!("it does not serve: {line}")).to_owned(), process }
    }

    /// The pid.
    pub fn pid(&self) -> i32 {
        i32::try_from(self.process.id()).unwrap()
    }

    /// A new connection.
    pub fn scraper(&self) -> Scraper {
        let stream = TcpStream::connect(&self.address).unwrap();
        stream.set_read_timeout(Some(DEADLINE)).unwrap();
        Scraper { stream: BufReader::new(stream), host: self.address.clone() }
    }

    /// The metrics, as a new scraper sees them.
    pub fn text(&self) -> String {
        self.scraper().text()
    }

    /// Ends it as a service manager does, and returns what it said.
    pub fn stop(mut self) -> String {
        kill(self.pid(), "TERM");
        let status = self.process.wait().unwrap();
        assert_eq!(status.signal(), Some(15), "{status:?}");
        let mut said = String::new();
        self.process.stderr.as_mut().unwrap().read_to_string(&mut said).unwrap();
        said
    }
}

impl Drop for Metrics {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

/// A connection to a server.
pub struct Scraper {
    stream: BufReader<TcpStream>,
    host: String,
}

/// An answer.
#[derive(Debug)]
pub struct Scraped {
    pub status: u16,
    /// By name in lower case.
    pub headers: BTreeMap<String, String>,
    pub body: String,
}

impl Scraper {
    /// Sends a request with these lines of headers.
    pub fn ask(&mut self, method: &str, path: &str, headers: &str) -> Scraped {
        let host = if headers.to_ascii_lowercase().contains("host:") {
            String::new()
        } else {
            format!("host: {}\r\n", self.host)
        };
        write!(self.stream.get_mut(), "{method} {path} HTTP/1.1\r\n{host}{headers}\r\n").unwrap();
        let mut line = || {
            let mut line = String::new();
            self.stream.read_line(&mut line).unwrap();
            line.trim_end().to_owned()
        };
        let status = line().split(' ').nth(1).expect("an answer").parse().unwrap();
        let mut headers = BTreeMap::new();
        while let Some((name, value)) = line().split_once(':') {
            headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
        }
        let length = headers.get("content-length").filter(|_| method != "HEAD");
        let length = length.map_or(0, |length| length.parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        Scraped { status, headers, body: String::from_utf8(body).unwrap() }
    }

    /// The metrics.
    pub fn text(&mut self) -> String {
        let scraped = self.ask("GET", "/metrics", "");
        assert_eq!(scraped.status, 200, "{scraped:?}");
        scraped.body
    }
}

/// The value of a sample, by its name with its labels.
pub fn value(text: &str, sample: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix(sample)?.strip_prefix(' '));
    line.map(|value| value.parse().unwrap())
}

/// A session in which Claude Code makes one request that costs this much.
pub fn spend(sandbox: &Sandbox, number: u64, model: &str, cost: &str) {
    let session = Session::start(sandbox, &["-p", "local"]);
    let id = session.id.clone();
    let own =
        [("model", model), ("cost_usd", cost), ("input_tokens", "100"), ("request_id", &format!("{id}-{number}"))];
    assert_eq!(session.client().post(Signal::Logs, &event("api_request", number, &own)).unwrap().status, 200);
    session.end();
}

/// Waits until a sample has a value, as a new scraper sees it.
#[track_caller]
pub fn wait_for(metrics: &Metrics, sample: &str, expected: f64) {
    let mut last = String::new();
    wait_until(&format!("`{sample}` to be {expected}"), || {
        last = metrics.text();
        value(&last, sample) == Some(expected)
    });
}
