//! Asking destinations, side by side and within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::Uri;
use hyper::header::{DATE, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::cause::{Cause, cause};
use super::elsewhere::{self, Elsewhere};
use super::record;
use crate::client::{FailureKind, Good, Lifetime, Proxies};
use crate::credential::{Secret, Source};
use crate::doctor::Subject;
use crate::forward::{Heard, Outcome, Transport};
use crate::otlp::Signal;
use crate::printable::printable;
use crate::profile::{Destination, Temporality, is_this_machine};
use crate::random;

/// What is left of the subject's time for saying what was heard.
const GRACE: Duration = Duration::from_millis(100);

/// How much of the time is kept for finding out why.
const LOOKING: Duration = Duration::from_millis(600);

/// What a destination is given at least, however long its credentials took.
const SHORTEST: Duration = Duration::from_millis(200);

/// What was heard of a destination.
#[derive(Debug)]
pub(in crate::doctor) struct Asked {
    /// The destination, as the profile has it.
    pub destination: Destination,
    /// Its host and port, and the proxy before it.
    pub way: String,
    /// Where its endpoint is written: a file and a line, or an option.
    pub origin: Option<String>,
    /// What marks the records that were sent.
    pub mark: String,
    /// What became of its credentials.
    pub credentials: Given,
    /// The answer to a record of each signal; without credentials the answer to one empty request.
    pub replies: Vec<(Signal, Reply)>,
    /// Whether its name leads to this machine alone, although it does not look so.
    pub leads_home: bool,
    /// What answers instead, where that is something else.
    pub elsewhere: Option<Elsewhere>,
    /// When its certificate is good, if it has shown one that is.
    pub certificate: Option<Good>,
    /// By how many seconds its clock is ahead of this one.
    pub ahead: Option<i64>,
}

/// What became of credentials.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum Given {
    /// There were all; or none are wanted.
    All,
    /// Only a launch asks for them: by this command.
    AskedAtLaunch(String),
    /// They could not be had, for this reason.
    Missing(String),
}

/// An answer, read once.
#[derive(Clone, Debug)]
pub(in crate::doctor) struct Reply {
    /// What it comes from.
    pub cause: Cause,
    /// In the words of whoever said so: the backend, or the client.
    pub reason: String,
    /// Where a redirect leads.
    pub target: Option<String>,
}

/// Asks every destination of the profile that applies; none if none does.
pub(in crate::doctor) fn ask_all(subject: &Subject) -> Vec<Asked> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let end = subject.deadline.checked_sub(GRACE).unwrap_or(subject.deadline);
    let proxies = Proxies::named_by(&subject.setting.variables);
    let asking = resolved.profile.destinations.iter().map(|destination| {
        let origin = resolved.origin(["destination", &destination.name, "endpoint"]);
        let emitted = &resolved.profile.signals.emitted;
        let signals = emitted.intersection(&destination.signals).copied().collect();
        Asking { destination, origin, signals, proxies: &proxies, end }
    });
    // Each on a thread of its own, for some credentials take their time.
    std::thread::scope(|scope| {
        let asking: Vec<_> = asking.map(|asking| scope.spawn(move || asking.ask(subject))).collect();
        asking.into_iter().filter_map(|asked| asked.join().ok().flatten()).collect()
    })
}

/// All that one destination is asked with.
struct Asking<'a> {
    destination: &'a Destination,
    origin: Option<String>,
    /// Those that the profile has for it.
    signals: Vec<Signal>,
    proxies: &'a Proxies,
    end: Instant,
}

impl Asking<'_> {
    /// Nothing if this process can do nothing any more.
    fn ask(self, subject: &Subject) -> Option<Asked> {
        let mark = random::hex::<8>().ok()?;
        let (credentials, headers) = credentials(subject, self.destination);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let mut asked = Asked {
            destination: self.destination.clone(),
            way: printable(&self.destination.endpoint),
            origin: self.origin.clone(),
            mark,
            credentials,
            replies: Vec::new(),
            leads_home: false,
            elsewhere: None,
            certificate: None,
            ahead: None,
        };
        runtime.block_on(async {
            self.export(&mut asked, &headers).await;
            // What is not known by then is not said.
            drop(timeout_at(self.end.into(), look_further(&mut asked, self.proxies, self.end)).await);
        });
        // Looking up a name may hang; nobody waits for that.
        runtime.shutdown_background();
        Some(asked)
    }

    /// Sends a record of each signal; without credentials one empty request, to see who is there.
    async fn export(&self, asked: &mut Asked, headers: &HeaderMap) {
        let left = self.end.saturating_duration_since(Instant::now()).saturating_sub(LOOKING).max(SHORTEST);
        let hurried = Destination { timeout: left.min(self.destination.timeout), ..self.destination.clone() };
        let lifetime = Lifetime::default();
        let transport = match Transport::new(&hurried) {
            Ok(transport) => transport.through(self.proxies).noting(lifetime.clone()),
            Err(error) => {
                let reply = Reply { cause: Cause::Other, reason: error.to_string(), target: None };
                asked.replies.push((Signal::Logs, reply));
                return;
            }
        };
        asked.way = transport.way();
        let heard = match (&asked.credentials, self.signals.first()) {
            (Given::All, _) => send_all(transport, self.destination, &self.signals, &asked.mark, headers).await,
            (_, Some(signal)) => vec![(*signal, transport.ask(*signal, Bytes::new(), &HeaderMap::new()).await)],
            (_, None) => Vec::new(),
        };
        asked.certificate = lifetime.get();
        asked.ahead = heard.iter().find_map(|(_, heard)| ahead(heard.as_ref().ok()?, SystemTime::now()));
        asked.replies = heard.into_iter().map(|(signal, heard)| (signal, read(heard))).collect();
    }
}

/// The headers that the profile has for a destination, or why there are none. Nobody is asked anything.
fn credentials(subject: &Subject, destination: &Destination) -> (Given, HeaderMap) {
    let interactive = |source: &Source| match source {
        Source::Command(command, _) if command.interactive => Some(command.to_string()),
        _ => None,
    };
    let asked = destination.headers.values().flatten().find_map(interactive);
    let helper = destination.headers_helper.as_ref().filter(|helper| helper.interactive);
    if let Some(command) = asked.or_else(|| helper.map(ToString::to_string)) {
        return (Given::AskedAtLaunch(printable(&command)), HeaderMap::new());
    }
    let header = |(name, value): (String, Secret)| {
        let name = HeaderName::try_from(name).map_err(|error| error.to_string())?;
        let mut value = HeaderValue::try_from(value.0).map_err(|error| error.to_string())?;
        value.set_sensitive(true);
        Ok((name, value))
    };
    let headers = subject.headers(destination);
    match headers.and_then(|headers| headers.into_iter().map(header).collect::<Result<HeaderMap, String>>()) {
        Ok(headers) => (Given::All, headers),
        Err(reason) => (Given::Missing(printable(&reason)), HeaderMap::new()),
    }
}

/// Sends a record of each signal: one first, for where that gets no answer the others would be told less.
async fn send_all(
    transport: Transport,
    destination: &Destination,
    signals: &[Signal],
    mark: &str,
    headers: &HeaderMap,
) -> Vec<(Signal, Result<Heard, Outcome>)> {
    let transport = Arc::new(transport);
    let temporality = match destination.temporality {
        Temporality::Delta => AggregationTemporality::Delta,
        Temporality::Cumulative => AggregationTemporality::Cumulative,
    };
    let now = u64::try_from(Timestamp::now().as_nanosecond()).unwrap_or(0);
    let send = |signal: Signal| {
        let body = record::request(signal, mark, temporality, now);
        let (transport, headers) = (Arc::clone(&transport), headers.clone());
        async move { (signal, transport.ask(signal, body.into(), &headers).await) }
    };
    let Some((first, others)) = signals.split_first() else { return Vec::new() };
    let mut heard = vec![send(*first).await];
    if let [(_, Ok(Heard(Err(_))))] = heard.as_slice() {
        return heard;
    }
    let mut sending: JoinSet<_> = others.iter().copied().map(send).collect();
    while let Some(one) = sending.join_next().await {
        heard.extend(one);
    }
    heard.sort_by_key(|(signal, _)| *signal);
    heard
}

/// Finds out more about what went wrong.
async fn look_further(asked: &mut Asked, proxies: &Proxies, end: Instant) {
    let Some(cause) = asked.replies.iter().map(|(_, reply)| reply.cause).find(|cause| *cause != Cause::Accepted) else {
        return;
    };
    let host = asked.destination.endpoint.parse().ok().and_then(|endpoint: Uri| endpoint.host().map(str::to_owned));
    if cause == Cause::Failed(FailureKind::Unreached)
        && let Some(host) = host.filter(|host| !is_this_machine(host))
        && let Ok(addresses) = tokio::net::lookup_host((host, 0)).await
    {
        let addresses: Vec<_> = addresses.collect();
        let is_here = |address: &std::net::SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
        asked.leads_home = !addresses.is_empty() && addresses.iter().all(is_here);
    }
    // Twice, for what is found is tried against what answers to everything.
    let patience = end.saturating_duration_since(Instant::now()) / 2;
    asked.elsewhere = elsewhere::find(&asked.destination, cause, proxies, patience).await;
}

/// What an answer comes from, and its words.
pub(super) fn read(heard: Result<Heard, Outcome>) -> Reply {
    let heard = match heard {
        Ok(Heard(heard)) => heard,
        Err(outcome) => return Reply { cause: Cause::Other, reason: words(outcome), target: None },
    };
    match heard {
        Err(failure) => Reply { cause: Cause::Failed(failure.kind), reason: failure.to_string(), target: None },
        Ok((answer, outcome)) => {
            let target = answer.headers.get(hyper::header::LOCATION);
            let target = target.map(|target| String::from_utf8_lossy(target.as_bytes()).into_owned());
            Reply { cause: cause(&answer, &outcome), reason: words(outcome), target }
        }
    }
}

/// In the words of whoever decided it.
fn words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Delivered { message, .. } => message.unwrap_or_default(),
        Outcome::Refused { reason }
        | Outcome::TooLarge { reason }
        | Outcome::Unauthorized { reason }
        | Outcome::Held { reason, .. } => reason,
    }
}

/// By how many seconds the server's clock is ahead, as its `Date` says (RFC 9110, 6.6.1).
fn ahead(heard: &Heard, now: SystemTime) -> Option<i64> {
    let (answer, _) = heard.0.as_ref().ok()?;
    let date = httpdate::parse_http_date(answer.headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).ok();
    match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|seconds| -seconds),
    }
}
