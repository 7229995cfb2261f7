//! Posts a message to a webhook, in a body that Slack takes, and ntfy by the headers.

use std::collections::BTreeMap;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use serde_json::json;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::client::{Client, Proxies, Tls, is_this_machine, status_words};
use crate::secret::{self, Secret, Source};
use crate::workspace::Workspace;

/// How long one attempt may take.
const TIMEOUT: Duration = Duration::from_secs(5);

/// The pauses before further attempts.
const PAUSES: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(5)];

/// The headers of every request, unless the profile sets them. The last three make ntfy (since 2.10) show the text of the
/// body instead of the whole body; others ignore them.
const HEADERS: [(HeaderName, &str); 5] = [
    (CONTENT_TYPE, "application/json"),
    (USER_AGENT, concat!("ccrun/", env!("CARGO_PKG_VERSION"))),
    (HeaderName::from_static("x-template"), "yes"),
    (HeaderName::from_static("x-title"), "ccrun"),
    (HeaderName::from_static("x-message"), "{{.text}}"),
];

/// Posts a text. Fetches the values first.
pub(super) async fn post(
    url: &[Source],
    headers: &BTreeMap<String, Vec<Source>>,
    text: &str,
    workspace: &Workspace,
) -> Result<(), String> {
    let (url, headers, of) = (url.to_vec(), headers.clone(), workspace.clone());
    let fetched = spawn_blocking(move || fetch(&url, &headers, &of)).await;
    let (url, headers) = fetched.unwrap_or_else(|error| Err(error.to_string()))?;
    let client = Client::new(url.clone(), Tls::default(), TIMEOUT).through(&Proxies::named_by(&workspace.variables));
    let body = Bytes::from(json!({ "text": text }).to_string());
    let named = |reason: &str| format!("the webhook at {}: {reason}", client.way());
    let mut pauses = PAUSES.into_iter();
    loop {
        let mut request =
            Request::post(&url).body(Full::new(body.clone())).map_err(|error| named(&error.to_string()))?;
        request.headers_mut().extend(headers.clone());
        let reason = match client.exchange(request, Instant::now() + TIMEOUT).await {
            Ok(answer) if answer.status.is_success() => return Ok(()),
            Ok(answer) if !is_temporary(answer.status) => return Err(named(&status_words(answer.status))),
            Ok(answer) => status_words(answer.status),
            Err(failure) => failure.to_string(),
        };
        match pauses.next() {
            Some(pause) => sleep(pause).await,
            None => return Err(named(&reason)),
        }
    }
}

/// Whether another attempt may succeed.
fn is_temporary(status: StatusCode) -> bool {
    status.is_server_error() || matches!(status, StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_MANY_REQUESTS)
}

/// The URL and the headers.
fn fetch(
    url: &[Source],
    headers: &BTreeMap<String, Vec<Source>>,
    workspace: &Workspace,
) -> Result<(Uri, HeaderMap), String> {
    let value = |what: &str, sources: &[Source]| {
        let fetched = secret::fetch(sources, workspace.context());
        fetched.map(|fetched| fetched.value).map_err(|error| format!("{what} of a webhook has no value: {error}"))
    };
    let url = target(&value("the URL", url)?)?;
    let mut map: HeaderMap = HEADERS.map(|(name, value)| (name, HeaderValue::from_static(value))).into_iter().collect();
    for (name, sources) in headers {
        let value = value(&format!("the header `{name}`"), sources)?;
        let bad = || format!("the header `{name}` of a webhook is not valid");
        let mut value = HeaderValue::try_from(value.expose()).map_err(|_| bad())?;
        value.set_sensitive(true);
        map.insert(HeaderName::try_from(name).map_err(|_| bad())?, value);
    }
    Ok((url, map))
}

/// The URL, if nothing is sent to another machine in plain text. It may be secret, so errors do not contain it.
fn target(url: &Secret) -> Result<Uri, String> {
    let uri: Uri = url.expose().trim().parse().map_err(|_| "the URL of a webhook is not valid".to_owned())?;
    let host = uri.host().unwrap_or_default();
    match uri.scheme_str() {
        Some("https") if !host.is_empty() => Ok(uri),
        Some("http") if is_this_machine(host) => Ok(uri),
        Some("http") if !host.is_empty() => {
            Err(format!("the webhook at {host} is not https, and another machine gets nothing in plain text"))
        }
        _ => Err("the URL of a webhook begins with neither https:// nor http://".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plain_text_stays_on_this_machine() {
        for url in ["https://hooks.slack.com/services/T/B/x", "http://127.0.0.1:8080/topic", "http://localhost/x"] {
            assert!(target(&url.into()).is_ok(), "{url}");
        }
        for url in ["http://ntfy.sh/secret-topic", "ftp://h/secret-topic", "secret-topic", "/secret-topic", "http://"] {
            let error = target(&url.into()).unwrap_err();
            assert!(!error.contains("secret-topic"), "{error}");
        }
    }

    #[test]
    fn only_temporary_failures_are_tried_again() {
        for status in [500, 502, 503, 408, 429] {
            assert!(is_temporary(StatusCode::from_u16(status).unwrap()));
        }
        for status in [301, 400, 401, 403, 404, 410] {
            assert!(!is_temporary(StatusCode::from_u16(status).unwrap()));
        }
    }
}
