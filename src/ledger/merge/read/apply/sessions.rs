//! Applies the data about whole sessions.

use rusqlite::Connection;
use serde_json::Value;

use super::{Applying, LARGEST};
use crate::ledger::cost::{Moment, State};

impl Applying {
    /// How a session began.
    pub(super) fn start(&self, connection: &Connection, line: &Value) -> rusqlite::Result<Option<()>> {
        let Some([session, kind, at]) = numbers(&line[1]) else { return Ok(None) };
        let (Some(session), Some(kind)) = (self.texts.get(&session), self.texts.get(&kind)) else {
            return Ok(None);
        };
        connection
            .prepare_cached("INSERT OR IGNORE INTO start (session, type, at) VALUES (?1, ?2, ?3)")?
            .execute((session, kind, at))?;
        Ok(Some(()))
    }

    /// The data that a transcript has about a whole session.
    pub(super) fn session(&mut self, line: &Value) -> Option<()> {
        let row = line[1].as_array()?;
        let number = |index: usize| row.get(index)?.as_i64();
        let session = *self.texts.get(&number(0)?)?;
        let told = self.told.entry(session).or_default();
        told.session = session;
        let tokens = |from: usize| -> Option<[i64; 5]> {
            let mut tokens = [0; 5];
            for (index, tokens) in tokens.iter_mut().enumerate() {
                *tokens = number(from + index).filter(|tokens| (0..=LARGEST).contains(tokens))?;
            }
            Some(tokens)
        };
        match line[0].as_str()? {
            "transcript" => {
                (told.first, told.last, told.copied_until) = (number(1)?, number(2)?, number(4)?);
                told.parent = self.texts.get(&number(3)?).copied().unwrap_or_default();
            }
            "cost" => {
                let (at, until, started, is_guessed) = (number(1)?, Some(number(3)?), number(4)?, number(5)? != 0);
                let model = self.texts.get(&number(2)?).copied().unwrap_or_default();
                let cost = number(11).filter(|cost| (0..=LARGEST).contains(cost))?;
                let state = State { model, tokens: tokens(6)?, cost };
                match told.moments.iter_mut().find(|moment| moment.at == at) {
                    Some(moment) => moment.models.push(state),
                    None => told.moments.push(Moment { at, until, started, is_guessed, models: vec![state] }),
                }
            }
            _ => told.copied.push((*self.texts.get(&number(1)?)?, tokens(2)?)),
        }
        Some(())
    }
}

fn numbers<const N: usize>(value: &Value) -> Option<[i64; N]> {
    let mut numbers = [0; N];
    for (index, number) in numbers.iter_mut().enumerate() {
        *number = value[index].as_i64()?;
    }
    Some(numbers)
}
