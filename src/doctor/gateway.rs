//! Checks the model gateway: whether it answers and accepts the key, and whether the provider switches agree.
//!
//! It sends one request that costs nothing, only to a host that Claude Code itself would send the key to. A host named
//! by a repository's settings gets nothing.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use bytes::Bytes;
use http_body_util::Full;
use hyper::header::{AUTHORIZATION, HeaderName, HeaderValue};
use hyper::{Request, StatusCode, Uri};
use tokio::runtime::Builder;
use tokio::time::Instant;

use super::{Check, Finding, Group, Subject, settings};
use crate::client::{Answer, Client, Proxies, Tls, html_words, status_words};
use crate::terminal::printable::printable;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "settings.gateway", group: Group::Settings, look: gateway },
    Check { id: "settings.providers", group: Group::Settings, look: providers },
];

/// The host that Claude Code calls by default.
const OWN: &str = "api.anthropic.com";

/// The provider switches, and the variables that belong to each.
const PROVIDERS: [(&str, &str, &[&str]); 3] = [
    (
        "Bedrock",
        "CLAUDE_CODE_USE_BEDROCK",
        &["ANTHROPIC_BEDROCK_BASE_URL", "AWS_BEARER_TOKEN_BEDROCK", "CLAUDE_CODE_SKIP_BEDROCK_AUTH"],
    ),
    (
        "Vertex",
        "CLAUDE_CODE_USE_VERTEX",
        &["ANTHROPIC_VERTEX_PROJECT_ID", "ANTHROPIC_VERTEX_BASE_URL", "CLAUDE_CODE_SKIP_VERTEX_AUTH"],
    ),
    (
        "Foundry",
        "CLAUDE_CODE_USE_FOUNDRY",
        &["ANTHROPIC_FOUNDRY_BASE_URL", "ANTHROPIC_FOUNDRY_RESOURCE", "CLAUDE_CODE_SKIP_FOUNDRY_AUTH"],
    ),
];

/// Variables, each with its value and the place that sets it.
type Variables = BTreeMap<String, (String, String)>;

fn is_on(variables: &Variables, name: &str) -> bool {
    let value = variables.get(name).map(|(value, _)| value.trim().to_ascii_lowercase());
    value.is_some_and(|value| ["1", "true", "yes", "on"].contains(&value.as_str()))
}

/// `NAME in PLACE`.
fn named(variables: &Variables, name: &str) -> String {
    variables.get(name).map_or(name.to_owned(), |(_, place)| format!("{name} in {place}"))
}

fn providers(subject: &Subject) -> Vec<Finding> {
    contradictions(&settings::effective(subject))
}

/// If several providers are switched on, Claude Code uses one and ignores the variables of the others.
fn contradictions(variables: &Variables) -> Vec<Finding> {
    let on: Vec<_> = PROVIDERS.iter().filter(|(_, switch, _)| is_on(variables, switch)).collect();
    let mut found = Vec::new();
    if on.len() > 1 {
        let names: Vec<_> = on.iter().map(|(_, switch, _)| named(variables, switch)).collect();
        let what =
            format!("{} providers are switched on, but Claude Code uses only one: {}", on.len(), names.join(", "));
        found.push(Finding::failed(what).fix("keep only one of them"));
    }
    if let ([(provider, switch, _)], true) = (on.as_slice(), variables.contains_key("ANTHROPIC_BASE_URL")) {
        let what = format!(
            "{} has no effect: {} makes Claude Code use {provider}",
            named(variables, "ANTHROPIC_BASE_URL"),
            named(variables, switch)
        );
        found.push(
            Finding::warning(what).fix(format!("remove one of the two; {provider} has its own base URL variable")),
        );
    }
    for (provider, switch, own) in PROVIDERS.iter().filter(|(_, switch, _)| !is_on(variables, switch)) {
        let unused: Vec<_> =
            own.iter().filter(|name| variables.contains_key(**name) && name.contains("BASE_URL")).collect();
        found.extend(unused.into_iter().map(|name| {
            let what = format!("{} has no effect, because {provider} is not switched on", named(variables, name));
            Finding::warning(what).fix(format!("set {switch}=1, or remove it"))
        }));
    }
    found
}

fn gateway(subject: &Subject) -> Vec<Finding> {
    let variables = settings::effective(subject);
    if PROVIDERS.iter().any(|(_, switch, _)| is_on(&variables, switch)) {
        return Vec::new();
    }
    let Some((url, _)) = variables.get("ANTHROPIC_BASE_URL") else { return Vec::new() };
    let place = named(&variables, "ANTHROPIC_BASE_URL");
    let uri = url.trim().parse::<Uri>().ok().filter(|uri| uri.scheme().is_some() && uri.host().is_some());
    let Some(uri) = uri else {
        return vec![Finding::failed(format!("{place} is not a URL")).fix("write it as https://HOST:PORT")];
    };
    if uri.host() == Some(OWN) {
        return Vec::new();
    }
    let keys = ["ANTHROPIC_AUTH_TOKEN", "ANTHROPIC_API_KEY"].into_iter().filter(|name| variables.contains_key(*name));
    let key = keys.map(|name| named(&variables, name)).next();
    let shown = format!("the gateway `{}`", url.trim().split(['?', '#']).next().unwrap_or_default());
    match ask(&uri, &variables, subject) {
        Ok(answer) => vec![judged(&answer, &shown, &place, key.as_deref())],
        Err(reason) => {
            let finding = Finding::failed(format!("{shown} does not answer: {reason}"));
            vec![finding.detail(format!("it is set by {place}")).fix("check that it is up and that the URL is correct")]
        }
    }
}

/// What the answer to a request for the list of models says about the gateway and the key.
fn judged(answer: &Answer, shown: &str, place: &str, key: Option<&str>) -> Finding {
    let status = status_words(answer.status);
    let said = said(answer);
    let with = |finding: Finding| said.iter().fold(finding, |finding, said| finding.detail(format!("it says: {said}")));
    match (answer.status, key) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(key)) => {
            with(Finding::failed(format!("{shown} does not accept the key ({key}): {status}")))
                .fix("set it to a valid key")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
            Finding::ok(format!("{shown} answers and requires a key, which no variable sets"))
                .detail("Claude Code takes it from its login or `apiKeyHelper`, which doctor does not use")
        }
        (status, _) if status.is_success() => Finding::ok(format!("{shown} answers, and accepts the key")),
        (status, _) if status.is_redirection() => {
            with(Finding::warning(format!("{shown} redirects: {}", status_words(status))))
                .fix(format!("use the final URL: {place}"))
        }
        (status, _) if status.is_server_error() => {
            with(Finding::warning(format!("{shown} is failing: {}", status_words(status)))).fix("ask its operator")
        }
        // Many gateways have no list of models.
        _ => Finding::ok(format!("{shown} answers"))
            .detail(format!("its answer does not show whether it accepts the key: {status}")),
    }
}

fn said(answer: &Answer) -> Option<String> {
    let body = String::from_utf8_lossy(&answer.body);
    let body = body.trim();
    if body.is_empty() {
        return None;
    }
    Some(if answer.is_html() { html_words(body) } else { printable(body) })
}

/// Requests the list of models, with the key as Claude Code sends it.
fn ask(uri: &Uri, variables: &Variables, subject: &Subject) -> Result<Answer, String> {
    let patience = subject.patience();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let authorities = variables.get("NODE_EXTRA_CA_CERTS").map(|(path, _)| PathBuf::from(path));
    let asked = runtime.block_on(async {
        // These are added to the system's authorities, which are always used.
        if let Some(ca) = authorities.filter(|path| path.is_file()) {
            let tls = Tls { ca: Some(ca), ..Tls::default() };
            if let Ok(answer) = exchange(uri, variables, tls, patience / 2, subject).await {
                return Ok(answer);
            }
        }
        exchange(uri, variables, Tls::default(), subject.patience().min(patience), subject).await
    });
    // A name lookup may still hang; do not wait for it.
    runtime.shutdown_background();
    asked
}

async fn exchange(
    uri: &Uri,
    variables: &Variables,
    tls: Tls,
    patience: Duration,
    subject: &Subject,
) -> Result<Answer, String> {
    let proxies = Proxies::named_by(&subject.workspace.variables);
    let client = Client::new(uri.clone(), tls, patience).through(&proxies);
    let request = request(uri, variables).map_err(|error| error.to_string())?;
    client.exchange(request, Instant::now() + patience).await.map_err(|failure| failure.to_string())
}

fn request(uri: &Uri, variables: &Variables) -> Result<Request<Full<Bytes>>, hyper::http::Error> {
    let base = uri.to_string();
    let base = base.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/').to_owned();
    let value = |name: &str| variables.get(name).map(|(value, _)| value.trim());
    let secret = |text: &str| {
        let mut value = HeaderValue::try_from(text)?;
        value.set_sensitive(true);
        Ok::<_, hyper::http::Error>(value)
    };
    let mut request = Request::get(format!("{base}/v1/models?limit=1"))
        .header("anthropic-version", "2023-06-01")
        .header("user-agent", concat!("ccrun/", env!("CARGO_PKG_VERSION")));
    if let Some(token) = value("ANTHROPIC_AUTH_TOKEN") {
        request = request.header(AUTHORIZATION, secret(&format!("Bearer {token}"))?);
    }
    if let Some(key) = value("ANTHROPIC_API_KEY") {
        request = request.header("x-api-key", secret(key)?);
    }
    for line in value("ANTHROPIC_CUSTOM_HEADERS").unwrap_or_default().lines() {
        if let Some((name, value)) = line.split_once(':') {
            request = request.header(HeaderName::try_from(name.trim())?, secret(value.trim())?);
        }
    }
    request.body(Full::default())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::Level;

    fn variables(pairs: &[(&str, &str)]) -> Variables {
        pairs.iter().map(|(name, value)| ((*name).to_owned(), ((*value).to_owned(), "here".to_owned()))).collect()
    }

    #[test]
    fn contradicting_providers_are_reported() {
        let said = |pairs: &[(&str, &str)]| {
            let found = contradictions(&variables(pairs));
            found.into_iter().map(|finding| finding.summary).collect::<Vec<_>>()
        };
        assert!(said(&[("CLAUDE_CODE_USE_BEDROCK", "1"), ("CLAUDE_CODE_USE_VERTEX", "0")]).is_empty());
        let both = said(&[("CLAUDE_CODE_USE_BEDROCK", "1"), ("CLAUDE_CODE_USE_VERTEX", "true")]);
        assert!(both[0].starts_with("2 providers are switched on"), "{both:?}");
        let past = said(&[("CLAUDE_CODE_USE_FOUNDRY", "1"), ("ANTHROPIC_BASE_URL", "https://h")]);
        assert!(past[0].starts_with("ANTHROPIC_BASE_URL in here has no effect"), "{past:?}");
        let unused = said(&[("ANTHROPIC_BEDROCK_BASE_URL", "https://h")]);
        assert!(unused[0].contains("Bedrock is not switched on"), "{unused:?}");
    }

    #[test]
    fn the_answer_of_a_gateway_is_judged() {
        let level = |status, key| {
            let answer = Answer { status: StatusCode::from_u16(status).unwrap(), ..Answer::default() };
            judged(&answer, "the gateway", "here", key).level
        };
        for (status, expected) in [
            (200, Level::Ok),
            (401, Level::Failed),
            (403, Level::Failed),
            (404, Level::Ok),
            (405, Level::Ok),
            (302, Level::Warning),
            (502, Level::Warning),
            (429, Level::Ok),
        ] {
            assert_eq!(level(status, Some("KEY")), expected, "{status}");
        }
        assert_eq!(level(401, None), Level::Ok);
    }
}
