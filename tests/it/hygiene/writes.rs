//! Files on which later runs depend are written by one function, which syncs them.

use std::path::Path;

use super::files;

/// Ways to replace a file that do not sync.
const WAYS: [&str; 5] = [".persist(", ".persist_noclobber(", "fs::rename(", "fs::write(", "File::create("];

/// Files that may use them, with the reason.
const EXCEPT: [(&str, &str); 5] = [
    ("src/state/file.rs", "it syncs"),
    ("src/state/notice.rs", "a notice that is being said goes"),
    ("src/store/damage/replace.rs", "it syncs"),
    ("src/commands/report.rs", "a page that the user asked for, which no later run reads"),
    ("src/commands/profile/edit.rs", "a copy for the editor, which is written back when it is right"),
];

#[test]
fn persistent_files_are_written_through_one_function() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut met = 0;
    for path in files(&root.join("src")) {
        let name = path.strip_prefix(root).unwrap().to_str().unwrap();
        let text = std::fs::read_to_string(&path).unwrap();
        let code = text.split("#[cfg(test)]").next().unwrap();
        let found: Vec<_> = WAYS.into_iter().filter(|way| code.contains(way)).collect();
        let is_link = name == "src/wiring/records.rs" && code.contains("state::sync_entry");
        if EXCEPT.iter().any(|(except, _)| *except == name) || is_link {
            met += 1;
        } else {
            assert!(found.is_empty() || name.contains("test"), "{name} calls {found:?}: use `state::write`");
        }
    }
    assert_eq!(met, EXCEPT.len() + 1);
}
