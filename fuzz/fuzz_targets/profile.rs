//! Arbitrary bytes as a profile: the reader accepts them, or reports each mistake with its place.
#![no_main]

use std::path::Path;
use std::sync::Arc;

use ccrun::profile::{Directories, Document, check_document};
use libfuzzer_sys::fuzz_target;

/// The profile below the text, chosen by its first byte: none, or a built-in one. Together, these have every kind of
/// key.
const BASES: [&str; 6] = ["", "otlp", "signoz", "grafana-cloud", "litellm", "langfuse"];

fuzz_target!(|bytes: &[u8]| {
    let Some((first, rest)) = bytes.split_first() else { return };
    let Ok(text) = std::str::from_utf8(rest) else { return };
    let text = match BASES[usize::from(*first) % BASES.len()] {
        "" => text.to_owned(),
        base => format!("extends = \"{base}\"\n{text}"),
    };
    let document = Arc::new(Document { label: "fuzz.toml".to_owned(), text });
    let nowhere = Path::new("/nonexistent");
    let directories = Directories { system: nowhere, user: nowhere, inherited: None };
    // Only checked, because arbitrary text may contain any command.
    match check_document(&document, directories) {
        Ok(resolved) => drop(resolved.lines()),
        Err(faults) => {
            assert!(!faults.0.is_empty());
            for fault in &faults.0 {
                drop(fault.origin.as_ref().map(ToString::to_string));
                assert!(!fault.render(true).is_empty() && fault.to_string().lines().count() == 1);
            }
        }
    }
});
