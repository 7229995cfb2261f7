//! Pages of a report as a browser shows them.

use std::path::{Path, PathBuf};
use std::process::Command;

use serde_json::Value;

use super::sandbox::{Sandbox, text};

/// What a browser sees of a page: see `driver.js`.
pub fn look(page: &Path) -> Value {
    let output = driver().arg(page).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// Takes pictures of a page, each with its path, size and colours.
pub fn pictures(page: &Path, orders: &Value) {
    let output = driver().arg(page).arg(orders.to_string()).output().unwrap();
    assert!(output.status.success(), "{}", text(&output.stderr));
}

fn driver() -> Command {
    let node =
        std::env::var("TEST_BROWSER").expect("TEST_BROWSER names a node that knows axe-core and playwright-core");
    let mut command = Command::new(node);
    command.arg(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/support/browser/driver.js"));
    command.arg(which::which("chromium").unwrap());
    command
}

/// Writes a report's page into the sandbox.
pub fn page(sandbox: &Sandbox, name: &str, options: &[&str]) -> PathBuf {
    let file = sandbox.home().join(name);
    let output =
        sandbox.run([&["report"], options, &["--format", "html", "--output", file.to_str().unwrap()]].concat());
    assert!(output.status.success() && output.stdout.is_empty(), "{}", text(&output.stderr));
    file
}
