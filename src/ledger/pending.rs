//! The spend that a session's log has and the ledger does not have yet.

use std::io;

use crate::otlp::Signal;
use crate::spool::{Found, Position, Source};
use crate::usage::{What, extract};

/// How much is read, in bytes of requests. Usually it is less than a second of one session.
const BYTES: usize = 4 << 20;

/// The cost of a request to the model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pending {
    /// The time, in Unix milliseconds.
    pub at: i64,
    /// Claude Code's id of its session.
    pub session: String,
    /// Billionths of a US dollar.
    pub cost: i64,
}

/// The costs in a session's log after a position. Metrics report the same usage again, so only events count.
pub fn pending(source: &Source, session: &str, from: Position) -> io::Result<Vec<Pending>> {
    let mut log = source.reader(session, from)?;
    let (mut bytes, mut pending) = (0, Vec::new());
    while bytes < BYTES
        && let Some(found) = log.next()?
    {
        let Found::Frame(frame) = found else { continue };
        let header = frame.header;
        if header.signal != Signal::Logs || header.body == 0 {
            continue;
        }
        let Some((_, body)) = log.parts(&frame)? else { continue };
        bytes += body.len();
        for fact in extract(header.signal, &body, header.time).facts {
            if let What::Request(request) = fact.what {
                pending.push(Pending { at: fact.at, session: fact.owner.session.to_owned(), cost: request.cost });
            }
        }
    }
    Ok(pending)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ledger::{empty, fold, position};
    use crate::store::fixture::Fixture;
    use crate::usage::samples::{api_request, event, logs, morning};

    #[test]
    fn only_what_the_ledger_does_not_have_is_pending() {
        let ledger = empty().unwrap();
        let mut fixture = Fixture::new();
        let time = morning().as_millisecond();
        let request = |number: i64, cost: f64| {
            logs(vec![event("client", number, 1, "api_request", api_request("model", [number, 1, 1, 1], cost))])
        };
        fixture.keep("one", Signal::Logs, &request(1, 0.5), time);
        let costs = |from| {
            let pending = pending(&fixture.source(), "one", from).unwrap();
            pending.into_iter().map(|pending| (pending.session, pending.cost)).collect::<Vec<_>>()
        };
        assert_eq!(costs(Position::START), [("client".to_owned(), 500_000_000)]);
        assert!(fold(&ledger, &fixture.source(), "one").unwrap());
        assert!(costs(position(&ledger, "one").unwrap()).is_empty());
        fixture.keep("one", Signal::Logs, &request(2, 0.25), time);
        let costs = pending(&fixture.source(), "one", position(&ledger, "one").unwrap()).unwrap();
        assert_eq!(costs.iter().map(|pending| pending.cost).collect::<Vec<_>>(), [250_000_000]);
    }
}
