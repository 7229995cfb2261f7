//! The alert rules with Prometheus' own tool for them.

use std::path::Path;
use std::process::Command;

use crate::support::boards::path;
use crate::support::sandbox::text;

#[test]
#[ignore = "needs TEST_PROMETHEUS; scripts/test.sh runs it"]
fn promtool_accepts_the_rules_and_their_tests_pass() {
    let prometheus = std::env::var("TEST_PROMETHEUS").expect("TEST_PROMETHEUS is the path of Prometheus");
    let tool = Path::new(&prometheus).with_file_name("promtool");
    for words in [&["check", "rules", "--lint-fatal", "ccrun.rules.yml"][..], &["test", "rules", "ccrun.test.yml"]] {
        let output = Command::new(&tool).args(words).current_dir(path("alerts")).output();
        let output = output.unwrap_or_else(|error| panic!("{}: {error}", tool.display()));
        assert!(output.status.success(), "{words:?}: {}{}", text(&output.stdout), text(&output.stderr));
    }
}
