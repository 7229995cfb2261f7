//! A token endpoint for the client credentials grant (RFC 6749, section 4.4) with one client.

use std::sync::{Arc, Mutex};

use base64::prelude::{BASE64_STANDARD, Engine};

use super::backend::{Backend, Received, Reply};

/// The client's id and secret. Form encoding changes neither.
pub const CLIENT: (&str, &str) = ("ccrun", "client-secret-7d1e");

/// A running issuer. It issues the same token until told otherwise.
pub struct Issuer {
    pub backend: Backend,
    issued: Arc<Mutex<Issued>>,
}

#[derive(Default)]
struct Issued {
    token: String,
    /// Whether it requires the credentials in the body.
    by_body: bool,
    /// Whether it holds answers until the backend releases them.
    are_held: bool,
}

impl Issuer {
    pub fn start(token: &str) -> Self {
        let issued = Arc::new(Mutex::new(Issued { token: token.to_owned(), ..Issued::default() }));
        let (backend, shared) = (Backend::start(), Arc::clone(&issued));
        backend.reply_with(move |received| answer(&shared.lock().unwrap(), received));
        Self { backend, issued }
    }

    /// Sets the token that it issues from now on.
    pub fn give(&self, token: &str) {
        token.clone_into(&mut self.issued.lock().unwrap().token);
    }

    /// Requires the client's credentials in the body.
    pub fn by_body(self) -> Self {
        self.issued.lock().unwrap().by_body = true;
        self
    }

    /// Holds answers until the backend releases them.
    pub fn held(self) -> Self {
        self.issued.lock().unwrap().are_held = true;
        self
    }

    /// The number of token requests so far.
    pub fn requests(&self) -> usize {
        self.backend.received().len()
    }

    /// A profile value that takes its token from this issuer.
    pub fn source(&self, secret: &str) -> String {
        format!(
            "{{ oauth2 = {{ token_url = \"{}/token\", client_id = \"{}\", client_secret = {secret}, \
             scopes = [\"otlp:write\", \"b\"] }} }}",
            self.backend.endpoint(),
            CLIENT.0
        )
    }
}

fn answer(issued: &Issued, received: &Received) -> Reply {
    let (id, secret) = CLIENT;
    let basic = format!("Basic {}", BASE64_STANDARD.encode(format!("{id}:{secret}")));
    let in_body = format!("&client_id={id}&client_secret={secret}");
    let is_known = if issued.by_body {
        received.raw.ends_with(in_body.as_bytes())
    } else {
        received.header("authorization") == basic
    };
    let reply = if is_known {
        let answer = serde_json::json!({ "access_token": issued.token, "token_type": "bearer", "expires_in": 3600 });
        Reply::http(200, answer.to_string())
    } else {
        Reply::http(401, r#"{"error":"invalid_client","error_description":"who is that?"}"#)
    };
    let reply = reply.header("content-type", "application/json");
    if issued.are_held { reply.held() } else { reply }
}
