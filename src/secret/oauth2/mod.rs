//! A token from `OAuth2` client credentials (RFC 6749, 4.4), sent as `Bearer` (RFC 6750, 2.1).
//!
//! The client authenticates with HTTP Basic, which every server must support (2.3.1). Some servers accept only the two
//! parameters in the body, so a server that does not recognise the client is asked once more in that way.

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
use crate::client::{Answer, Client, Proxies, Tls, html_words, status_words, without};
use crate::secret::command::FetchContext;
use crate::terminal::printable::printable;

/// The time limit for a token request, including the second attempt.
const TIMEOUT: Duration = Duration::from_secs(30);

/// The longest lifetime of a token, in seconds: a century, which no clock overflows.
const LONGEST_LIFE: f64 = 100.0 * 365.0 * 86_400.0;

/// The user agent, which is not the exporter's.
const AGENT: &str = concat!("ccrun/", env!("CARGO_PKG_VERSION"));

/// The characters that a form keeps unescaped (HTML 4.01, 17.13.4, to which RFC 6749, appendix B, refers). A space
/// becomes `+`.
const FORM: AsciiSet = NON_ALPHANUMERIC.remove(b'*').remove(b'-').remove(b'.').remove(b'_').remove(b' ');

/// How the client authenticates (RFC 6749, 2.3.1).
#[derive(Clone, Copy, PartialEq)]
enum ClientAuthentication {
    /// With HTTP Basic; id and secret are encoded as in a form.
    Basic,
    /// In the body.
    Body,
}

/// Why there is no token.
#[derive(Debug, PartialEq)]
struct Refusal {
    reason: String,
    /// The server does not recognise the client, but might with the other method.
    is_of_client: bool,
}

/// Requests a token. Must not be called on a runtime's thread. Takes at most thirty seconds, or the context's patience
/// if that is shorter. Proxies come from the launcher's environment, authorities from the system.
///
/// Errors continue the name of the token, and contain neither the token nor the secret.
pub(super) fn fetch(
    credentials: &ClientCredentials,
    secret: &Secret,
    context: FetchContext<'_>,
) -> Result<Fetched, String> {
    let lost = |reason: &str| format!("is unavailable: {reason}");
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| lost(&error.to_string()))?;
    let asked = runtime.block_on(ask(credentials, secret.expose(), context));
    // A name lookup may still hang; do not wait for it.
    runtime.shutdown_background();
    asked.map_err(|reason| lost(&reason))
}

async fn ask(credentials: &ClientCredentials, secret: &str, context: FetchContext<'_>) -> Result<Fetched, String> {
    let timeout = TIMEOUT.min(context.patience);
    let deadline = Instant::now() + timeout;
    let url: Uri = credentials.token_url.parse().map_err(|_| "that is not a URL".to_owned())?;
    let client = Client::new(url.clone(), Tls::default(), timeout).through(&Proxies::named_by(context.variables));
    let mut reasons: Vec<String> = Vec::new();
    for authentication in [ClientAuthentication::Basic, ClientAuthentication::Body] {
        let request = request(&url, credentials, secret, authentication).map_err(|error| error.to_string())?;
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
    // Only the server knows which of the two it would have accepted.
    Err(reasons.join("; and with the secret in the body "))
}

fn request(
    url: &Uri,
    credentials: &ClientCredentials,
    secret: &str,
    authentication: ClientAuthentication,
) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let mut form = vec![("grant_type", "client_credentials".to_owned())];
    if !credentials.scopes.is_empty() {
        form.push(("scope", credentials.scopes.join(" ")));
    }
    let mut request = Request::post(url)
        .header(ACCEPT, "application/json")
        .header(CONTENT_TYPE, "application/x-www-form-urlencoded")
        .header(USER_AGENT, AGENT);
    match authentication {
        ClientAuthentication::Basic => {
            let mut value = HeaderValue::try_from(format!("Basic {}", basic(&credentials.client_id, secret)))?;
            value.set_sensitive(true);
            request = request.header(AUTHORIZATION, value);
        }
        ClientAuthentication::Body => {
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

/// The secret in every form that a server may repeat.
fn shown(credentials: &ClientCredentials, secret: &str) -> [String; 3] {
    [basic(&credentials.client_id, secret), secret.to_owned(), form_encoded(secret)]
}

/// Parses an answer (RFC 6749, 5.1 and 5.2). `secrets` are removed from the server's message.
fn read(answer: &Answer, secrets: &[String]) -> Result<Fetched, Refusal> {
    let status = status_words(answer.status);
    let refusal = |reason: String| Refusal { reason, is_of_client: answer.status == StatusCode::UNAUTHORIZED };
    if answer.status.is_redirection() {
        // A redirect would pass the secret on.
        return Err(refusal(format!("{status}, and redirects are not followed")));
    }
    if let Some(cut) = answer.cut.filter(|_| answer.status.is_success()) {
        return Err(refusal(format!("{status}, but the answer {}", cut.words())));
    }
    let fields: Option<Map<String, Value>> = serde_json::from_slice(&answer.body).ok();
    let text = |key: &str| fields.as_ref().and_then(|fields| fields.get(key)?.as_str());
    // Some servers answer success with an error.
    if let Some(error) = text("error") {
        let description = text("error_description").map(|words| format!(": {words}")).unwrap_or_default();
        let reason = said(&status, &format!("{error}{description}"), secrets);
        let is_of_client = answer.status == StatusCode::BAD_REQUEST
            // A server that only reads the body does not see the client's id.
            && matches!(error, "invalid_client" | "invalid_request");
        return Err(Refusal { is_of_client: is_of_client || refusal(String::new()).is_of_client, reason });
    }
    let body = String::from_utf8_lossy(&answer.body);
    if !answer.status.is_success() {
        let words = if answer.is_html() { html_words(&body) } else { body.into_owned() };
        return Err(refusal(said(&status, &words, secrets)));
    }
    if answer.is_html() {
        return Err(refusal(said(&format!("{status}, but instead of a token"), &html_words(&body), secrets)));
    }
    let fields = fields.as_ref().ok_or_else(|| refusal(format!("{status}, but the answer is not a JSON object")))?;
    token(fields).map_err(|fault| refusal(said(&format!("{status}, but {fault}"), "", secrets)))
}

fn token(fields: &Map<String, Value>) -> Result<Fetched, String> {
    let token = fields.get("access_token").and_then(Value::as_str).filter(|token| !token.is_empty());
    let token = token.ok_or("the answer has no `access_token`")?;
    // The characters allowed in a token (RFC 6749, appendix A.12).
    if !token.bytes().all(|byte| matches!(byte, b' '..=b'~')) {
        return Err("its `access_token` contains invalid characters".to_owned());
    }
    // Required, but some servers omit it.
    let kind = fields.get("token_type").and_then(Value::as_str).unwrap_or("Bearer");
    if !kind.eq_ignore_ascii_case("Bearer") {
        return Err(format!("the token's type is `{}`, and ccrun supports only `Bearer`", printable(kind)));
    }
    let fresh_for = fields.get("expires_in").and_then(seconds);
    Ok(Fetched { value: Secret::from(format!("Bearer {token}")), fresh_for })
}

/// A number of seconds, which some servers write as a string.
fn seconds(value: &Value) -> Option<Duration> {
    let seconds = value.as_f64().or_else(|| value.as_str()?.trim().parse().ok())?;
    seconds.is_finite().then(|| Duration::from_secs_f64(seconds.clamp(0.0, LONGEST_LIFE)))
}

/// `head`, and after a colon the server's message with control characters escaped.
fn said(head: &str, words: &str, secrets: &[String]) -> String {
    let words = without(words.trim(), secrets.iter().map(String::as_str));
    if words.is_empty() { head.to_owned() } else { format!("{head}: {}", printable(&words)) }
}

#[cfg(test)]
mod tests;
