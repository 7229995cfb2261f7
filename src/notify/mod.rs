//! Messages about budgets, to a program or a webhook.

mod webhook;

use std::time::Duration;

use serde_json::{Value, json};
use tokio::task::spawn_blocking;

use crate::profile::Notify;
use crate::secret::command::feed;
use crate::terminal::printable::printable;
use crate::workspace::Workspace;
use crate::workspace::trust::{Trust, TrustedDigest};

/// How long a program may take.
const LONGEST: Duration = Duration::from_secs(30);

/// A message.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// One line of plain text.
    pub text: String,
    /// What it is about, for programs: an object.
    pub details: Value,
}

impl Message {
    /// The message as one line of JSON: the details, and the text as `text`.
    fn line(&self) -> String {
        let mut object = self.details.clone();
        if let Value::Object(object) = &mut object {
            object.insert("text".to_owned(), json!(self.text));
        }
        format!("{object}\n")
    }
}

/// Sends a message. A webhook that is unavailable is tried again, at most twice. A receiver that a project's file names
/// must still be trusted.
///
/// The error names the receiver, without its arguments or its path, which may contain a key.
pub async fn send(
    receiver: &Notify,
    message: &Message,
    workspace: &Workspace,
    trusted_digest: &TrustedDigest,
) -> Result<(), String> {
    let (trust, digest) = (Trust::new(workspace.places.trust()), trusted_digest.clone());
    let trusted = spawn_blocking(move || trust.holds(&digest).map_err(|fault| printable(&fault.to_string())));
    trusted.await.unwrap_or_else(|error| Err(error.to_string()))?;
    match receiver {
        Notify::Webhook { url, headers } => webhook::post(url, headers, &message.text, workspace).await,
        Notify::Command(command) => {
            let (command, line, workspace) = (command.clone(), message.line(), workspace.clone());
            let run = move || {
                let timeout = command.timeout.min(LONGEST);
                feed(&command.argv, line.as_bytes(), workspace.context(), timeout)
                    .map_err(|reason| format!("{command} {reason}"))
            };
            spawn_blocking(run).await.unwrap_or_else(|error| Err(error.to_string()))
        }
    }
}
