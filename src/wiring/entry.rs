//! Adds and removes all entries of one file.

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::jsonc::{self, Refusal, Removal, Spot};

/// A value to write to a file.
#[derive(Clone, Debug, PartialEq)]
pub struct Entry {
    /// Where.
    pub spot: Spot,
    /// Which.
    pub value: Value,
}

/// An entry that was written to a file. It is not shown, because its value may be a secret.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Piece {
    /// Where.
    pub spot: Spot,
    /// Which value.
    value: Value,
    /// The exact text that was inserted.
    inserted: String,
    /// Whether it only contains other entries. It stays if the user has added some.
    holds: bool,
    /// The exact text of the value that it replaced.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    replaced: Option<String>,
}

impl Piece {
    /// The value of a variable that was put into a list of them, by the variable's name.
    pub fn variable(&self, name: &str) -> Option<&str> {
        (self.value.get("name")? == name).then(|| self.value.get("value")?.as_str())?
    }
}

impl std::fmt::Debug for Piece {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Piece").field("spot", &self.spot).finish_non_exhaustive()
    }
}

/// Inserts entries into a text: all of them or none.
pub fn wire(text: &str, entries: &[Entry]) -> Result<(String, Vec<Piece>), Refusal> {
    let mut wired = (text.to_owned(), Vec::new());
    // Each goes to the front, so the last is inserted first.
    for Entry { spot, value } in entries.iter().rev() {
        match spot {
            Spot::Key(_) => {}
            Spot::Over(..) => {
                replace(&mut wired, spot, value)?;
                continue;
            }
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

/// Creates the object or list for other entries if it is missing.
fn hold(wired: &mut (String, Vec<Piece>), key: &str, empty: Value) -> Result<(), Refusal> {
    let spot = Spot::Key(key.to_owned());
    if jsonc::find(&wired.0, &spot, &empty)?.is_some() { Ok(()) } else { put(wired, spot, empty, true) }
}

fn put((text, pieces): &mut (String, Vec<Piece>), spot: Spot, value: Value, holds: bool) -> Result<(), Refusal> {
    let (with, inserted) = jsonc::insert(text, &spot, &value)?;
    *text = with;
    pieces.push(Piece { spot, value, inserted, holds, replaced: None });
    Ok(())
}

/// Replaces a value, if there is one.
fn replace((text, pieces): &mut (String, Vec<Piece>), spot: &Spot, value: &Value) -> Result<(), Refusal> {
    let inserted = value.to_string();
    if let Some((with, old)) = jsonc::replace(text, spot, &inserted)? {
        *text = with;
        let (spot, value) = (spot.clone(), value.clone());
        pieces.push(Piece { spot, value, inserted, holds: false, replaced: Some(old) });
    }
    Ok(())
}

/// Fails if a list of named values has one with this name.
fn refuse_named(text: &str, list: &str, value: &Value) -> Result<(), Refusal> {
    let all = jsonc::find(text, &Spot::Key(list.to_owned()), value)?.unwrap_or_default();
    let name = value.get("name").and_then(Value::as_str).unwrap_or_default();
    match all.as_array().into_iter().flatten().find(|other| other.get("name") == value.get("name")) {
        Some(other) => Err(Refusal::Taken { key: format!("{list}: {name}"), value: other.clone() }),
        None => Ok(()),
    }
}

/// Removes what is still as it was inserted. Returns the text, and the places that have changed.
pub fn unwire(text: &str, pieces: &[Piece]) -> Result<(String, Vec<Spot>), Refusal> {
    let (mut text, mut left) = (text.to_owned(), Vec::new());
    for piece in pieces.iter().rev() {
        if let Some(replaced) = &piece.replaced {
            match jsonc::find(&text, &piece.spot, &piece.value)? {
                Some(now) if now == piece.value => {
                    text = jsonc::replace(&text, &piece.spot, replaced)?.map_or(text, |(text, _)| text);
                }
                Some(_) => left.push(piece.spot.clone()),
                None => {}
            }
            continue;
        }
        match jsonc::remove(&text, &piece.spot, &piece.value, &piece.inserted)? {
            Removal::Removed(rest) => text = rest,
            Removal::Changed if !piece.holds => left.push(piece.spot.clone()),
            Removal::Changed | Removal::Gone => {}
        }
    }
    Ok((text, left))
}

/// Where a text does not have what was put there any more.
pub fn missing(text: &str, pieces: &[Piece]) -> Result<Vec<Spot>, Refusal> {
    let mut missing = Vec::new();
    for piece in pieces.iter().filter(|piece| !piece.holds) {
        if jsonc::find(text, &piece.spot, &piece.value)?.as_ref() != Some(&piece.value) {
            missing.push(piece.spot.clone());
        }
    }
    Ok(missing)
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
    fn wiring_and_unwiring_restore_the_text() {
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
    fn unwiring_keeps_later_additions_and_reports_changes() {
        let (wired, pieces) = wire("{}", &entries()).unwrap();
        let changed = wired.replace("\"/w\"", "\"/mine\"").replace("\"2\"}", "\"2\"},\n        {\"name\":\"C\"}");
        let (rest, left) = unwire(&changed, &pieces).unwrap();
        assert_eq!(left, [Spot::Key("claudeCode.claudeProcessWrapper".to_owned())]);
        let rest: Value = serde_json::from_str(&rest).unwrap();
        assert_eq!(rest, json!({"claudeCode.claudeProcessWrapper": "/mine", LIST: [{"name": "C"}]}));
    }

    #[test]
    fn a_replaced_value_comes_back() {
        let before = "{\n  \"statusLine\": { // mine\n    \"command\":  \"a\\u0062c\" , \"padding\": 0 },\n}\n";
        let spot = Spot::Over("statusLine".to_owned(), "command".to_owned());
        let entry = Entry { spot: spot.clone(), value: json!("ours") };
        let (wired, pieces) = wire(before, std::slice::from_ref(&entry)).unwrap();
        assert_eq!(wired, before.replace("\"a\\u0062c\"", "\"ours\""));
        assert!(missing(&wired, &pieces).unwrap().is_empty());
        assert_eq!(unwire(&wired, &pieces).unwrap(), (before.to_owned(), vec![]));
        let added = wired.replace("{\n  \"status", "{\n  \"a\": 1,\n  \"status");
        assert_eq!(unwire(&added, &pieces).unwrap().0, before.replace("{\n  \"status", "{\n  \"a\": 1,\n  \"status"));
        let changed = wired.replace("ours", "another");
        assert_eq!(unwire(&changed, &pieces).unwrap(), (changed, vec![spot]));
        assert_eq!(unwire("{}", &pieces).unwrap(), ("{}".to_owned(), vec![]));
        assert!(wire("{\"statusLine\": 1}", &[entry]).unwrap().1.is_empty());
    }

    #[test]
    fn existing_values_are_not_overwritten() {
        for text in [
            r#"{"claudeCode.claudeProcessWrapper": "/theirs"}"#,
            r#"{"claudeCode.environmentVariables": [{"name": "B", "value": "theirs"}]}"#,
            r#"{"claudeCode.environmentVariables": {}}"#,
        ] {
            assert!(wire(text, &entries()).is_err(), "{text}");
        }
    }
}
