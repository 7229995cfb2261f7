//! The model's gateway: whether it answers and accepts the key, and whether the switches between providers agree.
//!
//! One request that costs nothing, to whom Claude Code itself would send the key; never to whom a repository's settings
//! name.

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
use crate::client::{Answer, Client, Proxies, html_words, status_words};
use crate::printable::printable;
use crate::profile::Tls;

pub(super) const CHECKS: &[Check] = &[
    Check { id: "settings.gateway", group: Group::Settings, look: gateway },
    Check { id: "settings.providers", group: Group::Settings, look: providers },
];

/// What Claude Code calls when nobody says otherwise.
const OWN: &str = "api.anthropic.com";

/// Switches between providers, and what belongs to each.
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

/// Variables with the places that say them.
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

/// Of several providers Claude Code takes one, and what belongs to the others is for nothing.
fn contradictions(variables: &Variables) -> Vec<Finding> {
    let on: Vec<_> = PROVIDERS.iter().filter(|(_, switch, _)| is_on(variables, switch)).collect();
    let mut found = Vec::new();
    if on.len() > 1 {
        let names: Vec<_> = on.iter().map(|(_, switch, _)| named(variables, switch)).collect();
        let what = format!("{} providers are switched on, and Claude Code takes one: {}", on.len(), names.join(", "));
        found.push(Finding::failed(what).fix("leave one of them on"));
    }
    if let ([(provider, switch, _)], true) = (on.as_slice(), variables.contains_key("ANTHROPIC_BASE_URL")) {
        let what = format!(
            "{} is not used: {} has Claude Code speak to {provider}",
            named(variables, "ANTHROPIC_BASE_URL"),
            named(variables, switch)
        );
        found
            .push(Finding::warning(what).fix(format!("take one of the two out; {provider} has a base URL of its own")));
    }
    for (provider, switch, own) in PROVIDERS.iter().filter(|(_, switch, _)| !is_on(variables, switch)) {
        let unused: Vec<_> =
            own.iter().filter(|name| variables.contains_key(**name) && name.contains("BASE_URL")).collect();
        found.extend(unused.into_iter().map(|name| {
            let what = format!("{} is not used, for {provider} is not switched on", named(variables, name));
            Finding::warning(what).fix(format!("{switch}=1, or take it out"))
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
        return vec![Finding::failed(format!("{place} is no URL")).fix("write it as https://HOST:PORT")];
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
            vec![finding.detail(format!("it is named by {place}")).fix("is it up, and the URL right?")]
        }
    }
}

/// What an answer to the list of models says of the gateway and the key.
fn judged(answer: &Answer, shown: &str, place: &str, key: Option<&str>) -> Finding {
    let status = status_words(answer.status);
    let said = said(answer);
    let with = |finding: Finding| said.iter().fold(finding, |finding, said| finding.detail(format!("it says: {said}")));
    match (answer.status, key) {
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, Some(key)) => {
            with(Finding::failed(format!("{shown} does not accept the key ({key}): {status}")))
                .fix("put a valid key there")
        }
        (StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN, None) => {
            Finding::ok(format!("{shown} answers and wants a key, which no variable has"))
                .detail("Claude Code takes it from its login, or from `apiKeyHelper`, neither of which is asked here")
        }
        (status, _) if status.is_success() => Finding::ok(format!("{shown} answers, and accepts the key")),
        (status, _) if status.is_redirection() => {
            with(Finding::warning(format!("{shown} sends elsewhere: {}", status_words(status))))
                .fix(format!("write the URL that it means: {place}"))
        }
        (status, _) if status.is_server_error() => {
            with(Finding::warning(format!("{shown} is in trouble: {}", status_words(status))))
                .fix("ask whoever runs it")
        }
        // Many have no list of models.
        _ => Finding::ok(format!("{shown} answers"))
            .detail(format!("whether it accepts the key it does not tell: {status}")),
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

/// Asks for the models, with the key as Claude Code sends it.
fn ask(uri: &Uri, variables: &Variables, subject: &Subject) -> Result<Answer, String> {
    let patience = subject.patience();
    let runtime = Builder::new_current_thread().enable_all().build().map_err(|error| error.to_string())?;
    let authorities = variables.get("NODE_EXTRA_CA_CERTS").map(|(path, _)| PathBuf::from(path));
    let asked = runtime.block_on(async {
        // Those besides the system's; who is of the system's is found without.
        if let Some(ca) = authorities.filter(|path| path.is_file()) {
            let tls = Tls { ca: Some(ca), ..Tls::default() };
            if let Ok(answer) = exchange(uri, variables, tls, patience / 2, subject).await {
                return Ok(answer);
            }
        }
        exchange(uri, variables, Tls::default(), subject.patience().min(patience), subject).await
    });
    // The host's name may still be looked up; nobody waits for that.
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
    let proxies = Proxies::named_by(&subject.setting.variables);
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
    fn providers_contradict_each_other() {
        let said = |pairs: &[(&str, &str)]| {
            let found = contradictions(&variables(pairs));
            found.into_iter().map(|finding| finding.summary).collect::<Vec<_>>()
        };
        assert!(said(&[("CLAUDE_CODE_USE_BEDROCK", "1"), ("CLAUDE_CODE_USE_VERTEX", "0")]).is_empty());
        let both = said(&[("CLAUDE_CODE_USE_BEDROCK", "1"), ("CLAUDE_CODE_USE_VERTEX", "true")]);
        assert!(both[0].starts_with("2 providers are switched on"), "{both:?}");
        let past = said(&[("CLAUDE_CODE_USE_FOUNDRY", "1"), ("ANTHROPIC_BASE_URL", "https://h")]);
        assert!(past[0].starts_with("ANTHROPIC_BASE_URL in here is not used"), "{past:?}");
        let unused = said(&[("ANTHROPIC_BEDROCK_BASE_URL", "https://h")]);
        assert!(unused[0].contains("Bedrock is not switched on"), "{unused:?}");
    }

    #[test]
    fn a_gateways_answer_is_judged() {
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
