//! The variables that control `ccrun`.

use crate::profile::schema::guess;
use crate::system::process_environment::ProcessEnvironment;

/// All of them: those for users, and those that one `ccrun` passes to another.
const KNOWN: [&str; 10] = [
    "CCRUN_CLAUDE",
    "CCRUN_DRAIN_TIMEOUT",
    "CCRUN_OFF",
    "CCRUN_OWN_RESOURCE_ATTRIBUTES",
    "CCRUN_OWN_SERVICE_NAME",
    "CCRUN_PROFILE",
    "CCRUN_SENTINEL",
    "CCRUN_SESSION",
    "CCRUN_STATE_DIR",
    "CCRUN_STATUSLINE",
];

/// A warning with a guess for every unknown variable that begins with `CCRUN_`.
pub fn unknown_variables(process: &ProcessEnvironment) -> Vec<String> {
    unknown(process.variables.keys().filter_map(|name| name.to_str()))
}

fn unknown<'a>(names: impl Iterator<Item = &'a str>) -> Vec<String> {
    let unknown = names.filter(|name| name.starts_with("CCRUN_") && !KNOWN.contains(name));
    let warning = |name: &str| match guess(name, &KNOWN) {
        Some(meant) => format!("unknown variable {name}: did you mean {meant}?"),
        None => format!("unknown variable {name}"),
    };
    unknown.map(warning).collect()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn a_mistyped_variable_gets_a_suggestion() {
        let warnings = unknown(["CCRUN_PROFIL", "CCRUN_PROFILE", "PATH"].into_iter());
        assert_eq!(warnings, ["unknown variable CCRUN_PROFIL: did you mean CCRUN_PROFILE?"]);
    }

    /// Every variable that the source code names is known here.
    #[test]
    fn every_variable_in_the_source_is_known() {
        let mut waiting = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
        while let Some(path) = waiting.pop() {
            if path.is_dir() {
                waiting.extend(std::fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
                continue;
            }
            let text = std::fs::read_to_string(&path).unwrap();
            for literal in text.split("\"CCRUN_").skip(1).filter_map(|rest| Some(rest.split_once('"')?.0)) {
                let name = format!("CCRUN_{literal}");
                let is_name = !literal.is_empty() && literal.chars().all(|c| c.is_ascii_uppercase() || c == '_');
                let in_test = ["CCRUN_PROFIL", "CCRUN_X"].contains(&name.as_str());
                assert!(!is_name || in_test || KNOWN.contains(&name.as_str()), "{}: {name}", path.display());
            }
        }
    }
}
