//! Keys, from the bytes that a terminal in raw mode sends. Pure.

/// The longest escape sequence that is searched for its end, in bytes. What is longer is no key.
const LONGEST: usize = 32;

/// A key.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the names are those on the keyboard")]
pub enum Key {
    Character(char),
    /// With the Control key, by its lower-case letter.
    Control(char),
    Up,
    Down,
    PageUp,
    PageDown,
    Enter,
    Escape,
    Backspace,
}

/// The keys in these bytes, in order. Keys without a meaning here are left out, and so is a sequence that the end of the
/// bytes cuts: a terminal sends each key in one piece.
pub fn keys(mut bytes: &[u8]) -> Vec<Key> {
    let mut keys = Vec::new();
    while let [first, rest @ ..] = bytes {
        let (key, length) = match first {
            0x1b => sequence(rest),
            b'\r' | b'\n' => (Some(Key::Enter), 1),
            0x7f | 0x08 => (Some(Key::Backspace), 1),
            control @ 1..0x20 => (Some(Key::Control(char::from(control + b'a' - 1))), 1),
            _ => character(bytes),
        };
        keys.extend(key);
        bytes = bytes.get(length..).unwrap_or_default();
    }
    keys
}

/// The key after an escape, and how many bytes it takes with that. ECMA-48, 5.4: a control sequence ends with a byte from
/// `@` to `~`.
fn sequence(rest: &[u8]) -> (Option<Key>, usize) {
    match rest {
        [] | [0x1b, ..] => (Some(Key::Escape), 1),
        [b'[', parameters @ ..] => {
            let Some(end) = parameters.iter().take(LONGEST).position(|byte| (0x40..0x7f).contains(byte)) else {
                return (None, 2 + parameters.len());
            };
            let key = match &parameters[..=end] {
                b"A" => Some(Key::Up),
                b"B" => Some(Key::Down),
                b"5~" => Some(Key::PageUp),
                b"6~" => Some(Key::PageDown),
                _ => None,
            };
            (key, end + 3)
        }
        // Some terminals send these for arrows.
        [b'O', b'A', ..] => (Some(Key::Up), 3),
        [b'O', b'B', ..] => (Some(Key::Down), 3),
        [b'O', _, ..] => (None, 3),
        // Another key with Alt.
        [_, ..] => (None, 2),
    }
}

/// A printable character, and how many bytes it takes. Bytes that are no UTF-8 are passed over.
fn character(bytes: &[u8]) -> (Option<Key>, usize) {
    let longest = &bytes[..bytes.len().min(4)];
    let valid = match std::str::from_utf8(longest) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&longest[..error.valid_up_to()]).unwrap_or_default(),
    };
    match valid.chars().next() {
        Some(character) => (Some(Key::Character(character)), character.len_utf8()),
        None => (None, 1),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn keys_are_recognised_and_others_passed_over() {
        use Key::{Character, Control, Down, Enter, Escape, PageUp, Up};
        for (bytes, expected) in [
            (&b"qs/"[..], &[Character('q'), Character('s'), Character('/')][..]),
            (b"\x1b[A\x1b[B\x1bOA\x1b[5~", &[Up, Down, Up, PageUp]),
            (b"\x1b", &[Escape]),
            (b"\x1b\x1b", &[Escape, Escape]),
            (b"\x03\x1a\r", &[Control('c'), Control('z'), Enter]),
            ("ü日".as_bytes(), &[Character('ü'), Character('日')]),
            (b"\x1b[1;5Aq\x1bxq\xffq\x1b[200~q", &[Character('q'); 4]),
            (b"\x1b[", &[]),
        ] {
            assert_eq!(keys(bytes), expected, "{bytes:?}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_end(bytes: Vec<u8>) {
            prop_assert!(keys(&bytes).len() <= bytes.len());
        }
    }
}
