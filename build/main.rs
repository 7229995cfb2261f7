//! Tells the program which commit and target it is built from, for `ccrun --version`.

mod commit;

use std::path::Path;

#[expect(clippy::print_stdout, clippy::disallowed_methods, reason = "so cargo and its build scripts talk")]
fn main() {
    let variable = |name| std::env::var(name).unwrap_or_default();
    let root = variable("CARGO_MANIFEST_DIR");
    let root = Path::new(&root);
    println!("cargo::rerun-if-changed=build");
    println!("cargo::rerun-if-env-changed=CCRUN_COMMIT");
    let given = variable("CCRUN_COMMIT");
    // A debug build names none: all of its tests would be compiled again after each commit.
    let is_release = variable("PROFILE") == "release";
    let found = if is_release { commit::commit(root) } else { None };
    let commit = Some(given).filter(|given| !given.is_empty()).or(found);
    for path in if is_release { commit::watched(root) } else { Vec::new() } {
        println!("cargo::rerun-if-changed={path}");
    }
    let parts: Vec<_> = commit.into_iter().chain([variable("TARGET")]).collect();
    println!("cargo::rustc-env=BUILT_FROM={}", parts.join(", "));
}
