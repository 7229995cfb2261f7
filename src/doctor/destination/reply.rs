//! An answer of a destination, reduced to its cause and its text.

use super::cause::{Cause, cause};
use crate::forward::{Heard, Outcome};

/// An answer, reduced to what matters.
#[derive(Clone, Debug)]
pub(in crate::doctor) struct Reply {
    /// Its cause.
    pub cause: Cause,
    /// Its text: the backend's, or the client's error.
    pub reason: String,
    /// The target of a redirect.
    pub target: Option<String>,
}

/// Reduces an answer to its cause and its text.
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

/// The text of an outcome.
fn words(outcome: Outcome) -> String {
    match outcome {
        Outcome::Delivered { message, .. } => message.unwrap_or_default(),
        Outcome::Refused { reason }
        | Outcome::TooLarge { reason }
        | Outcome::Unauthorized { reason }
        | Outcome::Held { reason, .. } => reason,
    }
}
