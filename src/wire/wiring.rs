//! All that is wired in one file, in and out.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jsonc::{self, Refusal, Removal, Spot};

/// A value that is to stand in a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where.
    pub spot: Spot,
    /// Which.
    pub value: Value,
}

/// What was put into a file. It shows no value, which may be a secret of a program's.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Where.
    pub spot: Spot,
    /// Which value.
    value: Value,
    /// What exactly is new of the text.
    inserted: String,
    /// Whether it is there only to hold others, and stays if it holds somebody else's by the end.
    holds: bool,
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Piece").field("spot", &self.spot).finish_non_exhaustive()
    }
}

/// Puts entries into a text, none if one cannot be.
pub fn wire(text: &str, entries: &[Entry]) -> Result<(String, Vec<Piece>), Refusal> {
    let mut wired = (text.to_owned(), Vec::new());
    // Each goes to the front: so the last first.
    for Entry { spot, value } in entries.iter().rev() {
        match spot {
            Spot::Key(_) => {}
            Spot::KeyOf(table, _) => hold(&mut wired, table, json!({}))?,
            Spot::In(list) => {
                hold(&mut wired, list, json!([]))?;
                refuse_named(&wired.0, list, value)?;
            }
        }
        put(&mut wired, spot.clone(), value.clone(), false)?;
    }
    Ok(wired)
}

/// Sees to it that there is something to put others into.
fn hold(wired: &mut (String, Vec<Piece>), key: &str, empty: Value) -> Result<(), Refusal> {
    let spot = Spot::Key(key.to_owned());
    if jsonc::find(&wired.0, &spot, &empty)?.is_some() { Ok(()) } else { put(wired, spot, empty, true) }
}

fn put((text, pieces): &mut (String, Vec<Piece>), spot: Spot, value: Value, holds: bool) -> Result<(), Refusal> {
    let (with, inserted) = jsonc::insert(text, &spot, &value)?;
    *text = with;
    pieces.push(Piece { spot, value, inserted, holds });
    Ok(())
}

/// A list of named values has none of that name yet.
fn refuse_named(text: &str, list: &str, value: &Value) -> Result<(), Refusal> {
    let all = jsonc::find(text, &Spot::Key(list.to_owned()), value)?.unwrap_or_default();
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    match all.as_array().into_iter().flatten().find(|other| other.get("name") == value.get("name")) {
        Some(other) => Err(Refusal::Taken { key: format!("{list}: {name}"), value: other.clone() }),
        None => Ok(()),
    }
}

/// Takes out what is still as it was put in. Gives the text, and where something else stands now.
pub fn unwire(text: &str, pieces: &[Piece]) -> Result<(String, Vec<Spot>), Refusal> {
    let (mut text, mut left) = (text.to_owned(), Vec::new());
    for piece in pieces.iter().rev() {
        match jsonc::remove(&text, &piece.spot, &piece.value, &piece.inserted)? {
            Removal::Removed(rest) => text = rest,
            Removal::Changed if !piece.holds => left.push(piece.spot.clone()),
            Removal::Changed | Removal::Gone => {}
        }
    }
    Ok((text, left))
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIST: &str = "claudeCode.environmentVariables";

    fn entries() -> Vec<Entry> {
        let variable = |name: &str, value: &str| Entry {
            spot: Spot::In(LIST.to_owned()),
            value: json!({"name": name, "value": value}),
        };
        let wrapper = Spot::Key("claudeCode.claudeProcessWrapper".to_owned());
        vec![Entry { spot: wrapper, value: json!("/w") }, variable("A", "1"), variable("B", "2")]
    }

    #[test]
    fn all_of_it_goes_in_and_out() {
        let before = "{\n  // mine\n  \"editor.fontSize\": 12,\n}\n";
        let (wired, pieces) = wire(before, &entries()).unwrap();
        let expected = r#"{
  "claudeCode.claudeProcessWrapper": "/w",
  "claudeCode.environmentVariables": [
    {"name":"A","value":"1"},
    {"name":"B","value":"2"}
  ],
  // mine
  "editor.fontSize": 12,
}
"#;
        assert_eq!(wired, expected);
        assert_eq!(unwire(&wired, &pieces).unwrap(), (before.to_owned(), vec![]));
    }

    #[test]
    fn what_others_have_added_since_stays_and_what_they_have_changed_is_told() {
        let (wired, pieces) = wire("{}", &entries()).unwrap();
        let changed = wired.replace("\"/w\"", "\"/mine\"").replace("\"2\"}", "\"2\"},\n        {\"name\":\"C\"}");
        let (rest, left) = unwire(&changed, &pieces).unwrap();
        assert_eq!(left, [Spot::Key("claudeCode.claudeProcessWrapper".to_owned())]);
        let rest: Value = serde_json::from_str(&rest).unwrap();
        assert_eq!(rest, json!({"claudeCode.claudeProcessWrapper": "/mine", LIST: [{"name": "C"}]}));
    }

    #[test]
    fn nothing_of_somebody_elses_is_overwritten() {
        for text in [
            r#"{"claudeCode.claudeProcessWrapper": "/theirs"}"#,
            r#"{"claudeCode.environmentVariables": [{"name": "B", "value": "theirs"}]}"#,
            r#"{"claudeCode.environmentVariables": {}}"#,
        ] {
            assert!(wire(text, &entries()).is_err(), "{text}");
        }
    }
}
