//! Reads what Claude Code sends to a hook: the event and its session. Everything else, such as the prompt or a tool's
//! input, is read past in constant memory, and never kept.

use super::Event;

/// The maximum size of a hook's input, in bytes. A prompt or a file to write may be large.
pub const MAXIMUM_INPUT: usize = 64 << 20;

/// How deep values may be nested.
const DEPTH: usize = 128;

/// The maximum length of a text that is kept, in bytes. Ids and names of events are shorter.
const LENGTH: usize = 64;

/// What is known about a call of the hook.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Call {
    /// What Claude Code asks about; `None` for another event.
    pub event: Option<Event>,
    /// Claude Code's id of its session, if it looks like one.
    pub session: Option<String>,
}

/// The input is not a single JSON object.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the input is not a JSON object")]
pub struct Malformed;

/// Reads the input piece by piece.
#[derive(Debug)]
pub struct Scan {
    /// The open objects and lists.
    open: Vec<Open>,
    state: State,
    /// The text that is being read, as far as it is kept.
    text: Vec<u8>,
    /// Whether the text is longer or has escapes, so that it is none of those that are wanted.
    is_other: bool,
    /// The key at the top whose value follows.
    key: Key,
    call: Call,
}

/// An open value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Open {
    Object,
    List,
}

/// What may follow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// The whole object.
    Start,
    /// A key, or the end of an empty object.
    FirstKey,
    /// A key.
    NextKey,
    /// A colon.
    Colon,
    /// A value.
    Value,
    /// A value, or the end of an empty list.
    FirstItem,
    /// A comma, or the end of what is open.
    AfterValue,
    /// The rest of a text, which is a key or a value.
    Text { is_key: bool },
    /// The character after a backslash in it.
    Escape { is_key: bool },
    /// The rest of a number, or of `true`, `false` or `null`.
    Word,
    /// Nothing but white space.
    End,
}

/// A key at the top.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Key {
    Event,
    Session,
    Other,
}

impl Default for Scan {
    fn default() -> Self {
        Self {
            open: Vec::new(),
            state: State::Start,
            text: Vec::new(),
            is_other: false,
            key: Key::Other,
            call: Call::default(),
        }
    }
}

impl Scan {
    /// Reads the next piece.
    pub fn feed(&mut self, mut piece: &[u8]) -> Result<(), Malformed> {
        while let Some((byte, rest)) = piece.split_first() {
            piece = rest;
            self.take(*byte)?;
            if let State::Text { .. } = self.state {
                // Most of the input is text.
                let end = memchr::memchr2(b'"', b'\\', piece).unwrap_or(piece.len());
                let (text, after) = piece.split_at(end);
                self.keep(text);
                piece = after;
            }
        }
        Ok(())
    }

    /// What was found, at the end of the input.
    pub fn finish(self) -> Result<Call, Malformed> {
        if self.state == State::End { Ok(self.call) } else { Err(Malformed) }
    }

    fn take(&mut self, byte: u8) -> Result<(), Malformed> {
        match (self.state, byte) {
            (State::Text { is_key }, b'"') => self.end_text(is_key),
            (State::Text { is_key }, b'\\') => self.state = State::Escape { is_key },
            (State::Text { .. }, _) => self.keep(&[byte]),
            (State::Escape { is_key }, _) => {
                self.is_other = true;
                self.state = State::Text { is_key };
            }
            (State::Word, b',' | b']' | b'}' | b' ' | b'\t' | b'\n' | b'\r') => {
                self.state = State::AfterValue;
                return self.take(byte);
            }
            (State::Word, b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'+' | b'-' | b'.')
            | (_, b' ' | b'\t' | b'\n' | b'\r') => {}
            (State::FirstKey | State::NextKey, b'"') => self.begin_text(true),
            (State::Colon, b':') => self.state = State::Value,
            (State::Start | State::Value | State::FirstItem, b'{') => return self.enter(Open::Object),
            (State::Value | State::FirstItem, b'[') => return self.enter(Open::List),
            (State::Value | State::FirstItem, b'"') => self.begin_text(false),
            (State::Value | State::FirstItem, b'-' | b'0'..=b'9' | b't' | b'f' | b'n') => self.state = State::Word,
            (State::AfterValue, b',') => {
                self.state = if self.open.last() == Some(&Open::Object) { State::NextKey } else { State::Value };
            }
            (State::FirstKey | State::AfterValue, b'}') => return self.leave(Open::Object),
            (State::FirstItem | State::AfterValue, b']') => return self.leave(Open::List),
            _ => return Err(Malformed),
        }
        Ok(())
    }

    fn enter(&mut self, open: Open) -> Result<(), Malformed> {
        if self.open.len() >= DEPTH {
            return Err(Malformed);
        }
        self.open.push(open);
        self.state = if open == Open::Object { State::FirstKey } else { State::FirstItem };
        Ok(())
    }

    fn leave(&mut self, open: Open) -> Result<(), Malformed> {
        if self.open.pop() != Some(open) {
            return Err(Malformed);
        }
        self.state = if self.open.is_empty() { State::End } else { State::AfterValue };
        Ok(())
    }

    fn begin_text(&mut self, is_key: bool) {
        self.text.clear();
        // Only keys at the top and the values of two of them are wanted.
        self.is_other = self.open.len() != 1 || !is_key && self.key == Key::Other;
        self.state = State::Text { is_key };
    }

    fn keep(&mut self, text: &[u8]) {
        self.is_other |= self.text.len() + text.len() > LENGTH;
        if !self.is_other {
            self.text.extend_from_slice(text);
        }
    }

    fn end_text(&mut self, is_key: bool) {
        self.state = if is_key { State::Colon } else { State::AfterValue };
        let text = if self.is_other { &[][..] } else { &self.text };
        if is_key {
            if self.open.len() == 1 {
                self.key = match text {
                    b"hook_event_name" => Key::Event,
                    b"session_id" => Key::Session,
                    _ => Key::Other,
                };
            }
            return;
        }
        if self.open.len() != 1 {
            return;
        }
        match self.key {
            Key::Event => self.call.event = Event::ALL.into_iter().find(|event| event.name().as_bytes() == text),
            Key::Session => self.call.session = session(text),
            Key::Other => {}
        }
    }
}

/// An id as Claude Code forms them.
fn session(text: &[u8]) -> Option<String> {
    let is_id = !text.is_empty() && text.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'-');
    String::from_utf8(text.to_vec()).ok().filter(|_| is_id)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Value, json};

    use super::*;

    fn scan(input: &[u8], step: usize) -> Result<Call, Malformed> {
        let mut scan = Scan::default();
        input.chunks(step).try_for_each(|piece| scan.feed(piece))?;
        scan.finish()
    }

    #[test]
    fn the_event_and_the_session_are_found_anywhere_at_the_top() {
        let input = json!({
            "tool_input": {"hook_event_name": "Stop", "session_id": "x", "deep": [[{"session_id": "y"}], "}\"{\\"]},
            "session_id": "d1762747-5c12-419f-a2ac-fbe90725e628",
            "prompt": "\"hook_event_name\": \"Stop\" \\",
            "effort": null, "n": -1.5e3, "yes": true, "none": [], "nothing": {},
            "hook_event_name": "PreToolUse",
        });
        let expected =
            Call { event: Some(Event::PreToolUse), session: Some("d1762747-5c12-419f-a2ac-fbe90725e628".to_owned()) };
        for step in 1..20 {
            assert_eq!(scan(input.to_string().as_bytes(), step), Ok(expected.clone()));
        }
        let pretty = serde_json::to_string_pretty(&input).unwrap();
        assert_eq!(scan(pretty.as_bytes(), 7), Ok(expected));
        assert_eq!(scan(b"{}", 1), Ok(Call::default()));
        let odd = json!({"hook_event_name": ["PreToolUse"], "session_id": "../../x"});
        assert_eq!(scan(odd.to_string().as_bytes(), 9), Ok(Call::default()));
    }

    #[test]
    fn other_input_is_malformed() {
        let deep = format!("{}{}", "[".repeat(DEPTH), "]".repeat(DEPTH));
        let deep = format!("{{\"a\": {deep}}}");
        for input in [
            "",
            " ",
            "[]",
            "\"x\"",
            "7",
            "{",
            "{\"a\"}",
            "{\"a\":}",
            "{\"a\":1,}",
            "{\"a\":1}}",
            "{\"a\":1} x",
            "{\"a\":[1}",
            "{\"a\":(1)}",
            "{a:1}",
            "{\"a\":\"b}",
            "{,}",
            "{\"a\" 1}",
            "{\"a\":1 \"b\":2}",
            &deep,
        ] {
            assert_eq!(scan(input.as_bytes(), 3), Err(Malformed), "{input}");
        }
    }

    #[test]
    fn large_input_takes_no_memory() {
        let mut scan = Scan::default();
        scan.feed(b"{\"prompt\":\"").unwrap();
        for _ in 0..1000 {
            scan.feed(&[b'x'; 1000]).unwrap();
        }
        scan.feed(b"\",\"hook_event_name\":\"UserPromptSubmit\"}").unwrap();
        assert!(scan.text.capacity() <= 4 * LENGTH);
        assert_eq!(scan.finish().unwrap().event, Some(Event::UserPromptSubmit));
    }

    fn any_json() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            Just(Value::Null),
            any::<bool>().prop_map(Value::from),
            any::<f64>().prop_map(Value::from),
            any::<String>().prop_map(Value::from),
            Just(json!("PreToolUse")),
        ];
        leaf.prop_recursive(4, 32, 6, |inner| {
            let key = prop_oneof![any::<String>(), Just("session_id".to_owned()), Just("hook_event_name".to_owned())];
            prop_oneof![
                prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
                prop::collection::btree_map(key, inner, 0..6)
                    .prop_map(|entries| Value::Object(entries.into_iter().collect())),
            ]
        })
    }

    proptest! {
        #[test]
        fn every_object_is_read_as_by_a_parser(input in any_json(), step in 1..40_usize) {
            let found = scan(input.to_string().as_bytes(), step);
            prop_assert_eq!(found.is_ok(), input.is_object());
            if let Ok(call) = found {
                let expected = Event::ALL.into_iter().find(|event| input["hook_event_name"] == event.name());
                prop_assert_eq!(call.event, expected);
            }
        }

        #[test]
        fn garbage_is_never_a_fault(input: Vec<u8>, step in 1..40_usize) {
            let _found = scan(&input, step);
        }
    }
}
