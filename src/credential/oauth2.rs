//! A token by the client credentials of `OAuth2` (RFC 6749, 4.4), for whoever is sent it as `Bearer` (RFC 6750, 2.1).
//!
//! The client says who it is by HTTP Basic, which every server has to take (2.3.1). Some take only the two parameters
//! of the body all the same, so one that does not know the client is asked once more in that way.

use std::time::Duration;

use base64::prelude::{BASE64_STANDARD, Engine};
use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{ACCEPT, AUTHORIZATION, CONTENT_TYPE, HeaderValue, USER_AGENT};
use hyper::{Request, StatusCode, Uri};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::{Map, Value};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::{ClientCredentials, Fetched, Secret};
use crate::client::{Answer, Client, Proxies, html_words, status_words, without};
use crate::helper::Ground;
use crate::printable::printable;
use crate::profile::Tls;

/// How long asking may take, both ways together.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest that a token is good for, in seconds: a century, which no clock overflows.
const LONGEST_LIFE: f64 = 100.0 * 365.0 * 86_400.0;

/// Who asks; it is no exporter that does.
const AGENT: &str = concat!("ccrun/", env!("CARGO_PKG_VERSION"));

/// What a form keeps as it is (HTML 4.01, 17.13.4, to which RFC 6749, appendix B, refers); a space becomes `+`.
const FORM: AsciiSet = NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// How a client says who it is (RFC 6749, 2.3.1).
#[derive(Clone, Copy, PartialEq)]
enum Way {
    /// By HTTP Basic, with name and secret encoded as in a form.
    Basic,
    /// In the body.
    Body,
}

/// Why there is no token.
#[derive(Debug, PartialEq)]
struct Refusal {
    reason: String,
    /// The server does not know the client, which it may do if told otherwise.
    is_of_client: bool,
}

/// Asks for a token. Not to be called on a thread that belongs to a runtime; takes at most thirty seconds, and no more
/// than the ground's patience. Proxies are those of the launcher's environment, and authorities the system's.
///
/// Errors begin as what is said of the token, and hold neither it nor the secret.
pub(super) fn fetch(credentials: &ClientCredentials, secret: &Secret, ground: Ground<'_>) -> Result<Fetched, String> {
    let lost = |reason: &str| format!("is not to be had: {reason}");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| lost(&error.to_string()))?;
    let asked = runtime.block_on(ask(credentials, &secret.0, ground));
    // The host's name may still be looked up; nobody waits for that.
    runtime.shutdown_background();
    asked.map_err(|reason| lost(&reason))
}

async fn ask(credentials: &ClientCredentials, secret: &str, ground: Ground<'_>) -> Result<Fetched, String> {
    let timeout = TIMEOUT.min(ground.patience);
    let deadline = Instant::now() + timeout;
    let url: Uri = credentials.token_url.parse().map_err(|_| "that is no URL".to_owned())?;
    let client = Client::new(url.clone(), Tls::default(), timeout).through(&Proxies::named_by(ground.variables));
    let mut reasons: Vec<String> = Vec::new();
    for way in [Way::Basic, Way::Body] {
        let request = request(&url, credentials, secret, way).map_err(|error| error.to_string())?;
        let answer = client.exchange(request, deadline).await;
        let refusal = match answer.map(|answer| read(&answer, &shown(credentials, secret))) {
            Ok(Ok(fetched)) => return Ok(fetched),
            Ok(Err(refusal)) => refusal,
            Err(failure) => Refusal { reason: failure.to_string(), is_of_client: false },
        };
        if !reasons.contains(&refusal.reason) {
            reasons.push(refusal.reason);
        }
        if !refusal.is_of_client {
            break;
        }
    }
    // Which of the two the server would have taken, it alone knows.
    Err(reasons.join("; and with the secret in the body "))
}

fn request(
    url: &Uri,
    credentials: &ClientCredentials,
    secret: &str,
    way: Way,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !credentials.scopes.is_empty() {
        form.push(("scope", credentials.scopes.join(" ")));
    }
    let mut request = Request::post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(USER_AGENT, AGENT);
    match way {
        Way::Basic => {
            let mut value = HeaderValue::try_from(format!("Basic {}", basic(&credentials.client_id, secret)))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        Way::Body => {
            form.push(("client_id", credentials.client_id.clone()));
            form.push(("client_secret", secret.to_owned()));
        }
    }
    let body: Vec<_> = form.iter().map(|(name, value)| format!("{name}={}", form_encoded(value))).collect();
    request.body(Full::new(Bytes::from(body.join("&"))))
}

fn basic(client_id: &str, secret: &str) -> String {
    BASE64_STANDARD.encode(format!("{}:{}", form_encoded(client_id), form_encoded(secret)))
}

fn form_encoded(text: &str) -> String {
    utf8_percent_encode(text, &FORM).to_string().replace(' ', "+")
}

/// The secret in every form in which a server may repeat it.
fn shown(credentials: &ClientCredentials, secret: &str) -> [String; 3] {
    [basic(&credentials.client_id, secret), secret.to_owned(), form_encoded(secret)]
}

/// What an answer gives (RFC 6749, 5.1 and 5.2). `secrets` are taken out of whatever the server says.
fn read(answer: &Answer, secrets: &[String]) -> Result<Fetched, Refusal> {
    let status = status_words(answer.status);
    let refusal = |reason: String| Refusal { reason, is_of_client: answer.status == StatusCode::UNAUTHORIZED };
    if answer.status.is_redirection() {
        // The secret would go with it.
        return Err(refusal(format!("{status}, and redirects are not followed")));
    }
    if let Some(cut) = answer.cut.filter(|_| answer.status.is_success()) {
        return Err(refusal(format!("{status}, but the answer {}", cut.words())));
    }
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let text = |key: &str| fields.as_ref().and_then(|fields| fields.get(key)?.as_str());
    // Some say with a success that there is none.
    if let Some(error) = text("error") {
        let description = text("error_description").map(|words| format!(": {words}")).unwrap_or_default();
        let reason = said(&status, &format!("{error}{description}"), secrets);
        let is_of_client = answer.status == StatusCode::BAD_REQUEST
            // To one that looks into the body alone, what names the client is missing.
            && matches!(error, "invalid_client" | "invalid_request");
        return Err(Refusal { is_of_client: is_of_client || refusal(String::new()).is_of_client, reason });
    }
    let body = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        let words = if answer.is_html() { html_words(&body) } else { body.into_owned() };
        return Err(refusal(said(&status, &words, secrets)));
    }
    if answer.is_html() {
        return Err(refusal(said(&format!("{status}, but where a token belongs"), &html_words(&body), secrets)));
    }
    let fields = fields.as_ref().ok_or_else(|| refusal(format!("{status}, but the answer is no JSON object")))?;
    token(fields).map_err(|fault| refusal(said(&format!("{status}, but {fault}"), "", secrets)))
}

fn token(fields: &Map<String, Value>) -> Result<Fetched, String> {
    let token = fields.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or("the answer has no `access_token`")?;
    // All that it may be made of (RFC 6749, appendix A.12).
    if !token.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("no header can hold its `access_token`".to_owned());
    }
    // It has to be there, and some leave it out.
    let kind = fields.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !kind.eq_ignore_ascii_case("Bearer") {
        return Err(format!("the token's type is `{}`, and ccrun knows only `Bearer`", printable(kind)));
    }
    let fresh_for = fields.get("expires_in").and_then(seconds);
    Ok(Fetched { value: Secret(format!("Bearer {token}")), fresh_for })
}

/// A time in seconds, which some write as a string.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_LIFE)))
}

/// `head`, and behind a colon what the server said, fit for a terminal.
fn said(head: &str, words: &str, secrets: &[String]) -> String {
    let words = without(words.trim(), secrets.iter().map(String::as_str));
    if words.is_empty() { head.to_owned() } else { format!("{head}: {}", printable(&words)) }
}

#[cfg(test)]
#[path = "oauth2_tests.rs"]
mod tests;
