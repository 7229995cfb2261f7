//! Sends test requests to destinations, concurrently and within limits.

use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use hyper::Uri;
use hyper::header::{DATE, HeaderMap};
use opentelemetry_proto::tonic::metrics::v1::AggregationTemporality;
use tokio::task::JoinSet;
use tokio::time::timeout_at;

use super::cause::Cause;
use super::elsewhere::{self, OtherEndpoint};
use super::record;
use super::reply::{Reply, read};
use crate::client::{CertificateLifetime, FailureKind, Proxies, ValidityPeriod, is_this_machine};
use crate::doctor::Subject;
use crate::forward::{Heard, Outcome, Transport};
use crate::otlp::Signal;
use crate::profile::{Destination, Temporality};
use crate::secret::Source;
use crate::system::random;
use crate::terminal::printable::printable;

/// Time reserved to report the answers.
const GRACE: Duration = Duration::from_millis(100);

/// Time reserved to search for the cause of a failure.
const LOOKING: Duration = Duration::from_millis(600);

/// The minimum time for each destination, even if its credentials were slow.
const SHORTEST: Duration = Duration::from_millis(200);

/// The result for one destination.
#[derive(Debug)]
pub(in crate::doctor) struct Probe {
    /// The destination as the profile defines it.
    pub destination: Destination,
    /// Its host and port, and the proxy in front of it.
    pub way: String,
    /// Where its endpoint is set: a file and line, or an option.
    pub origin: Option<String>,
    /// The mark on the records that were sent.
    pub mark: String,
    /// Whether its credentials are available.
    pub credentials: ProbeCredentials,
    /// The answer to a record of each signal. Without credentials, the answer to one empty request.
    pub replies: Vec<(Signal, Reply)>,
    /// Whether its name resolves only to this machine although it does not look like it.
    pub leads_home: bool,
    /// Another endpoint that answers in its place.
    pub elsewhere: Option<OtherEndpoint>,
    /// The validity period of its certificate, if it has presented a valid one.
    pub certificate: Option<ValidityPeriod>,
    /// How many seconds its clock is ahead of this machine's.
    pub ahead: Option<i64>,
}

/// Whether credentials are available.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(in crate::doctor) enum ProbeCredentials {
    /// All are available, or none are needed.
    All,
    /// Only a launch can ask for them, with this command.
    AskedAtLaunch(String),
    /// They could not be fetched, for this reason.
    Missing(String),
}

/// Tests every destination of the profile that applies.
pub(in crate::doctor) fn probe_all(subject: &Subject) -> Vec<Probe> {
    let Ok(resolved) = &subject.profile else { return Vec::new() };
    let end = subject.deadline.checked_sub(GRACE).unwrap_or(subject.deadline);
    let proxies = Proxies::named_by(&subject.workspace.variables);
    let asking = resolved.profile.destinations.iter().map(|destination| {
        let origin = resolved.origin(["destination", &destination.name, "endpoint"]);
        let emitted = &resolved.profile.signals.emitted;
        let signals = emitted.intersection(&destination.signals).copied().collect();
        Prober { subject, destination, origin, signals, proxies: &proxies, end }
    });
    // One thread each, because credentials may be slow.
    std::thread::scope(|scope| {
        let asking: Vec<_> = asking.map(|asking| scope.spawn(move || asking.ask())).collect();
        asking.into_iter().filter_map(|asking| asking.join().ok().flatten()).collect()
    })
}

/// Everything needed to test one destination.
struct Prober<'a> {
    subject: &'a Subject,
    destination: &'a Destination,
    origin: Option<String>,
    /// The signals that the profile sends to it.
    signals: Vec<Signal>,
    proxies: &'a Proxies,
    end: Instant,
}

impl Prober<'_> {
    /// Returns nothing if the process has run out of resources.
    fn ask(self) -> Option<Probe> {
        let mark = random::hex::<8>().ok()?;
        let (credentials, headers) = credentials(self.subject, self.destination);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().ok()?;
        let mut probe = Probe {
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
            self.export(&mut probe, &headers).await;
            // What is not known by then is left out.
            drop(timeout_at(self.end.into(), look_further(&mut probe, self.proxies, self.end)).await);
        });
        // A hanging name lookup must not delay the exit.
        runtime.shutdown_background();
        Some(probe)
    }

    /// Sends a record of each signal. Without credentials, sends one empty request to see what answers.
    async fn export(&self, probe: &mut Probe, headers: &HeaderMap) {
        let left = self.end.saturating_duration_since(Instant::now()).saturating_sub(LOOKING).max(SHORTEST);
        let hurried = Destination { timeout: left.min(self.destination.timeout), ..self.destination.clone() };
        let lifetime = CertificateLifetime::default();
        let transport = match Transport::new(&hurried) {
            Ok(transport) => transport.through(self.proxies).noting(lifetime.clone()),
            Err(error) => {
                let reply = Reply { cause: Cause::Other, reason: error.to_string(), target: None };
                probe.replies.push((Signal::Logs, reply));
                return;
            }
        };
        probe.way = transport.way();
        let heard = match (&probe.credentials, self.signals.first()) {
            (ProbeCredentials::All, _) => self.send_all(transport, &probe.mark, headers).await,
            (_, Some(signal)) => vec![(*signal, transport.ask(*signal, Bytes::new(), &HeaderMap::new()).await)],
            (_, None) => Vec::new(),
        };
        probe.certificate = lifetime.get();
        probe.ahead = heard.iter().find_map(|(_, heard)| ahead(heard.as_ref().ok()?, self.subject.now().into()));
        probe.replies = heard.into_iter().map(|(signal, heard)| (signal, read(heard))).collect();
    }

    /// Sends a record of each signal. One goes first: if it gets no answer, the others need not be sent.
    async fn send_all(
        &self,
        transport: Transport,
        mark: &str,
        headers: &HeaderMap,
    ) -> Vec<(Signal, Result<Heard, Outcome>)> {
        let transport = Arc::new(transport);
        let temporality = match self.destination.temporality {
            Temporality::Delta => AggregationTemporality::Delta,
            Temporality::Cumulative => AggregationTemporality::Cumulative,
        };
        let now = u64::try_from(self.subject.now().as_nanosecond()).unwrap_or(0);
        let send = |signal: Signal| {
            let body = record::request(signal, mark, temporality, now);
            let (transport, headers) = (Arc::clone(&transport), headers.clone());
            async move { (signal, transport.ask(signal, body.into(), &headers).await) }
        };
        let Some((first, others)) = self.signals.split_first() else { return Vec::new() };
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
}

/// The headers for a destination, or why there are none. Never prompts.
fn credentials(subject: &Subject, destination: &Destination) -> (ProbeCredentials, HeaderMap) {
    let interactive = |source: &Source| match source {
        Source::Command(command, _) if command.interactive => Some(command.to_string()),
        _ => None,
    };
    let command = destination.headers.values().flatten().find_map(interactive);
    let helper = destination.headers_helper.as_ref().filter(|helper| helper.interactive);
    if let Some(command) = command.or_else(|| helper.map(ToString::to_string)) {
        return (ProbeCredentials::AskedAtLaunch(printable(&command)), HeaderMap::new());
    }
    match subject.fetched(destination).and_then(|headers| headers.to_send()) {
        Ok(headers) => (ProbeCredentials::All, headers),
        Err(reason) => (ProbeCredentials::Missing(printable(&reason.to_string())), HeaderMap::new()),
    }
}

/// Looks for the cause of a failure.
async fn look_further(probe: &mut Probe, proxies: &Proxies, end: Instant) {
    let Some(cause) = probe.replies.iter().map(|(_, reply)| reply.cause).find(|cause| *cause != Cause::Accepted) else {
        return;
    };
    let host = probe.destination.endpoint.parse().ok().and_then(|endpoint: Uri| endpoint.host().map(str::to_owned));
    if cause == Cause::Failed(FailureKind::Unreached)
        && let Some(host) = host.filter(|host| !is_this_machine(host))
        && let Ok(addresses) = tokio::net::lookup_host((host, 0)).await
    {
        let addresses: Vec<_> = addresses.collect();
        let is_here = |address: &std::net::SocketAddr| address.ip().is_loopback() || address.ip().is_unspecified();
        probe.leads_home = !addresses.is_empty() && addresses.iter().all(is_here);
    }
    // Two rounds: each endpoint that answers is checked against a path that should not exist.
    let patience = end.saturating_duration_since(Instant::now()) / 2;
    probe.elsewhere = elsewhere::find(&probe.destination, cause, proxies, patience).await;
}

/// How many seconds the server's clock is ahead, by its `Date` header (RFC 9110, 6.6.1).
fn ahead(heard: &Heard, now: SystemTime) -> Option<i64> {
    let (answer, _) = heard.0.as_ref().ok()?;
    let date = httpdate::parse_http_date(answer.headers.get(DATE)?.to_str().ok()?).ok()?;
    let seconds = |time: Duration| i64::try_from(time.as_secs()).ok();
    match date.duration_since(now) {
        Ok(ahead) => seconds(ahead),
        Err(behind) => seconds(behind.duration()).map(|seconds| -seconds),
    }
}
