//! Opens the source that `--from` names: a `[source.NAME]` of the profile or of `config.toml`, or a URL.

use std::fmt;
use std::io::{self, IsTerminal, Write};
use std::process::ExitCode;
use std::sync::mpsc::{self, RecvTimeoutError};
use std::time::{Duration, Instant};

use base64::prelude::{BASE64_STANDARD, Engine as _};
use hyper::header::{AUTHORIZATION, HeaderMap, HeaderName, HeaderValue};
use jiff::Timestamp;

use super::report::USAGE;
use super::selection::selection;
use super::waiting::waiting;
use super::{complain, profile, refuse_inside_claude};
use crate::cli;
use crate::client::Proxies;
use crate::profile::schema::guess;
use crate::profile::{Engine, TeamStore};
use crate::report::clickhouse::ClickHouseSource;
use crate::report::prometheus::PrometheusSource;
use crate::report::remote::Server;
use crate::report::{Source, SourceError};
use crate::secret::{self, Secret};
use crate::system::process_environment::ProcessEnvironment;
use crate::terminal::printable::{printable, visible};
use crate::workspace::{Config, Workspace};

/// How long a query runs before progress is shown.
const SILENT: Duration = Duration::from_secs(1);

/// The interval between updates of the progress line.
const BETWEEN: Duration = Duration::from_millis(500);

/// A source and its place, for messages.
pub(super) type Opened = (Box<dyn Source>, String);

/// Opens the source. The error is an exit code: the reason has been printed.
pub(super) fn open(
    from: &str,
    which: cli::Which,
    (workspace, config): (&Workspace, &Config),
    process: &ProcessEnvironment,
    now: Timestamp,
) -> Result<Opened, ExitCode> {
    if let Some(refused) = refuse_inside_claude("report --from", process) {
        return Err(refused);
    }
    let found = find(from, which, (workspace, config), process)?;
    let connected = connect(&found, workspace).and_then(|server| {
        let place = server.place();
        let opened = with_progress(&place, || -> Result<Box<dyn Source>, SourceError> {
            Ok(match found.address.engine {
                Engine::ClickHouse => Box::new(ClickHouseSource::open(server, &found)?),
                Engine::Prometheus => Box::new(PrometheusSource::open(server, now)?),
            })
        });
        Ok((opened?, place))
    });
    connected.map_err(|error| {
        complain(&format!("cannot read the source `{}`: {error}", printable(&found.name)));
        ExitCode::FAILURE
    })
}

/// The store that a name or a URL means.
fn find(
    from: &str,
    which: cli::Which,
    (workspace, config): (&Workspace, &Config),
    process: &ProcessEnvironment,
) -> Result<TeamStore, ExitCode> {
    if from.contains("://") {
        return from.parse().map(TeamStore::at).map_err(|reason| {
            // It may contain a password, so it is not shown.
            complain(&format!("the URL of `--from` cannot be used: {reason}"));
            ExitCode::from(USAGE)
        });
    }
    let selection = selection(which.into(), process);
    let (resolved, ignored) = match workspace.resolve(&selection, config) {
        Ok(resolved) => resolved,
        Err(faults) => return Err(profile::invalid(&faults, process)),
    };
    let stores = resolved.profile.team_stores;
    if let Some(store) = stores.iter().find(|store| store.name == from) {
        return Ok(store.clone());
    }
    let mut names: Vec<&str> = stores.iter().map(|store| store.name.as_str()).collect();
    names.dedup();
    let shown = printable(from);
    complain(&match (guess(from, &names), names.as_slice()) {
        (Some(meant), _) => format!("there is no source `{shown}`: did you mean `{meant}`?"),
        (None, []) => format!(
            "there is no source `{shown}`: `-p NAME` chooses a profile that has it, and [source.NAME] with a `url` in \
             config.toml is for all profiles; or give a URL, as clickhouse://host:8123/otel or prometheus://host:9090"
        ),
        (None, names) => format!("there is no source `{shown}`: there are {}", names.join(", ")),
    });
    if let Some(ignored) = ignored {
        complain(&ignored.to_string());
    }
    Err(ExitCode::from(USAGE))
}

/// The server, with the headers of every request. Fetches the password and the headers.
fn connect(store: &TeamStore, workspace: &Workspace) -> Result<Server, SourceError> {
    let fetch = |what: String, sources: &[secret::Source]| -> Result<Secret, SourceError> {
        let names = sources.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        let fetched = waiting(&names, || secret::fetch(sources, workspace.context()));
        fetched
            .map(|fetched| fetched.value)
            .map_err(|error| SourceError::Store(format!("{what} is unavailable: {}", visible(&error.to_string()))))
    };
    let password = match store.password.as_slice() {
        [] => None,
        sources => Some(fetch("the password".to_owned(), sources)?),
    };
    let mut headers = HeaderMap::new();
    for (name, value) in credentials(store, password.as_ref()) {
        headers.insert(name, sensitive(&value, "the user or the password")?);
    }
    for (name, sources) in &store.headers {
        let what = format!("the header `{}`", printable(name));
        let value = sensitive(fetch(what.clone(), sources)?.expose(), &what)?;
        let name = HeaderName::try_from(name.as_str());
        let name = name.map_err(|_| SourceError::Store(format!("{what} has a name that cannot be sent")))?;
        headers.insert(name, value);
    }
    let proxies = Proxies::named_by(&workspace.variables);
    Server::new(&store.address, store.tls.clone(), headers, store.timeout, &proxies)
}

/// The headers that say who asks.
fn credentials(store: &TeamStore, password: Option<&Secret>) -> Vec<(HeaderName, String)> {
    let Some(user) = &store.user else { return Vec::new() };
    let password = password.map_or("", Secret::expose);
    match store.address.engine {
        Engine::ClickHouse => vec![
            (HeaderName::from_static("x-clickhouse-user"), user.clone()),
            (HeaderName::from_static("x-clickhouse-key"), password.to_owned()),
        ],
        Engine::Prometheus => {
            vec![(AUTHORIZATION, format!("Basic {}", BASE64_STANDARD.encode(format!("{user}:{password}"))))]
        }
    }
}

fn sensitive(value: &str, what: &str) -> Result<HeaderValue, SourceError> {
    let bad = || SourceError::Store(format!("{what} has a line break or another character that cannot be sent"));
    let mut value = HeaderValue::try_from(value).map_err(|_| bad())?;
    value.set_sensitive(true);
    Ok(value)
}

/// Runs a query. If it takes longer than a second on a terminal, shows what is waited for.
pub(super) fn with_progress<T>(place: &str, act: impl FnOnce() -> T) -> T {
    if !io::stderr().is_terminal() {
        return act();
    }
    let (done, ended) = mpsc::channel::<()>();
    let line = format!("querying {}", printable(place));
    let show = move || {
        let begun = Instant::now();
        let mut is_shown = false;
        let mut wait = SILENT;
        while ended.recv_timeout(wait) == Err(RecvTimeoutError::Timeout) {
            (is_shown, wait) = (true, BETWEEN);
            tell(format_args!("\r\x1b[K{line} … {}s, Ctrl-C stops it", begun.elapsed().as_secs()));
        }
        if is_shown {
            tell(format_args!("\r\x1b[K"));
        }
    };
    // If the thread cannot start, nothing is shown and the query still runs.
    let thread = std::thread::Builder::new().spawn(show);
    let result = act();
    drop(done);
    if let Ok(thread) = thread {
        drop(thread.join());
    }
    result
}

fn tell(text: fmt::Arguments<'_>) {
    let mut stderr = io::stderr().lock();
    drop(stderr.write_fmt(text));
    drop(stderr.flush());
}
