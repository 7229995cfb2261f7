//! docs/platforms.md lists every file that differs between platforms.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// What makes code differ between platforms.
const SEAMS: [&str; 7] =
    ["target_os", "target_family", "target_vendor", "target_arch", "target_env", "(unix)", "(windows)"];

/// All Rust files in the folders, except this one.
fn sources() -> Vec<PathBuf> {
    fn walk(folder: &Path, found: &mut Vec<PathBuf>) {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                walk(&path, found);
            } else if is_rust(&path) {
                found.push(path);
            }
        }
    }
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut found = Vec::new();
    for folder in ["src", "tests", "benches", "examples"] {
        walk(&root.join(folder), &mut found);
    }
    found.retain(|path| !path.ends_with("tests/it/platforms.rs"));
    found
}

fn is_rust(path: &Path) -> bool {
    path.extension().is_some_and(|extension| extension == "rs")
}

/// What is between backticks in a text.
fn quoted(text: &str) -> BTreeSet<&str> {
    text.split('`').skip(1).step_by(2).collect()
}

/// Whether a line of a file differs between platforms: by a condition, or because it reads what only Linux has.
fn differs(path: &Path, line: &str) -> bool {
    let reads = path.starts_with("src") && line.contains("\"/proc");
    reads || line.contains("cfg") && SEAMS.iter().any(|seam| line.contains(seam))
}

#[test]
fn every_file_that_differs_between_platforms_is_listed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let page = include_str!("../../docs/platforms.md");
    let seams = page.split("\n## ").find(|section| section.starts_with("Seams in the code")).unwrap();
    let listed: BTreeSet<_> = quoted(seams).into_iter().filter(|name| is_rust(Path::new(name))).collect();
    let mut found = BTreeSet::new();
    for path in sources() {
        let text = fs::read_to_string(&path).unwrap();
        let path = path.strip_prefix(root).unwrap();
        if text.lines().any(|line| differs(path, line)) {
            found.insert(path.to_str().unwrap().to_owned());
        }
    }
    assert!(found.len() > 15, "not all files were searched: {found:?}");
    let found: BTreeSet<_> = found.iter().map(String::as_str).collect();
    let missing: Vec<_> = found.difference(&listed).collect();
    assert!(missing.is_empty(), "docs/platforms.md does not say what differs in {missing:?}");
    let stale: Vec<_> = listed.difference(&found).collect();
    assert!(stale.is_empty(), "docs/platforms.md lists files in which nothing differs: {stale:?}");
}

#[test]
fn every_test_named_there_exists() {
    let page = include_str!("../../docs/platforms.md");
    let all: String = sources().iter().map(|path| fs::read_to_string(path).unwrap()).collect();
    let tests: Vec<_> = quoted(page).into_iter().filter(|name| name.contains("::")).collect();
    assert!(tests.len() > 15, "{tests:?}");
    for test in tests {
        let name = test.rsplit("::").next().unwrap();
        assert!(all.contains(&format!("fn {name}()")), "there is no test `{test}`");
    }
}
