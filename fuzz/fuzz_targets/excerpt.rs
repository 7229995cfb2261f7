//! For any file and any place in it, the excerpt shows the place, escapes control characters, and hides secrets.
#![no_main]

use std::sync::Arc;

use ccrun::profile::{Diagnostic, Document, Origin};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    let Some((places, rest)) = bytes.split_first_chunk::<4>() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let place = |high: u8, low: u8| {
        let place = usize::from(u16::from_be_bytes([high, low])) % (text.len() + 1);
        text.floor_char_boundary(place)
    };
    let (one, other) = (place(places[0], places[1]), place(places[2], places[3]));
    let span = one.min(other)..one.max(other);
    let document = Arc::new(Document { label: "fuzz.toml".to_owned(), text: text.to_owned() });
    let origin = Origin { document, span };
    let fault = Diagnostic::at(&origin, text).help(text);
    let shown = fault.render(false);
    assert!(!shown.is_empty() && fault.to_string().lines().count() == 1);
    let acts = |c: char| (c.is_control() && c != '\n') || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    assert!(!shown.contains(acts), "{shown:?}");
    assert!(!fault.render(true).is_empty());
    let secret = Diagnostic::at(&origin, "wrong").secret();
    assert!(secret.line().is_none());
    assert_eq!(secret.render(false).lines().count(), 2, "the message has a line for the place");
});
