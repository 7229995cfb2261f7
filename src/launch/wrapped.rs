//! Claude Code as an editor names it: a program and arguments, the first of which may not be Claude Code's own.

use std::ffi::{OsStr, OsString};
use std::path::Path;

use crate::claude::is_claude;

/// Interpreters that run scripts.
const INTERPRETERS: [&str; 3] = ["bun", "node", "nodejs"];

/// File extensions of their scripts.
const SCRIPTS: [&str; 3] = ["cjs", "js", "mjs"];

/// Interpreter options whose value is the next word.
const WITH_VALUES: [&str; 6] = ["--conditions", "--import", "--loader", "--require", "-C", "-r"];

/// How many words of a program's arguments precede those of Claude Code. There are none if the program is Claude Code
/// itself, which has been a native program for a while. Before, extensions ran `node cli.js`, or the editor's own
/// program as node. The first words of a wrapper name the program to run.
pub fn words_before(program: &OsStr, words: &[OsString]) -> usize {
    if is_claude(program) {
        return 0;
    }
    let is_interpreter = Path::new(program).file_name().is_some_and(|name| INTERPRETERS.iter().any(|one| name == *one));
    let mut rest = words.iter().enumerate();
    while let Some((index, word)) = rest.next() {
        let is_option = word.as_encoded_bytes().starts_with(b"-");
        let is_path = !is_option && Path::new(word).components().count() > 1;
        if is_option && is_interpreter {
            let has_value = WITH_VALUES.iter().any(|option| word == *option);
            let _value = has_value.then(|| rest.next());
        } else if (is_path || is_interpreter) && (is_claude(word) || is_script(word)) {
            return index + 1;
        } else if !is_path {
            return 0;
        }
    }
    0
}

fn is_script(word: &OsStr) -> bool {
    Path::new(word).extension().is_some_and(|extension| SCRIPTS.iter().any(|one| extension == *one))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn before(program: &str, words: &[&str]) -> usize {
        words_before(OsStr::new(program), &words.iter().map(OsString::from).collect::<Vec<_>>())
    }

    #[test]
    fn arguments_follow_the_native_program() {
        assert_eq!(before("/x/native-binary/claude", &["--output-format", "stream-json"]), 0);
        assert_eq!(before("/x/claude", &["/x/prompt.js"]), 0);
        assert_eq!(before("/opt/own-build", &["--print", "/x/cli.js"]), 0);
        assert_eq!(before("/opt/own-build", &["--plugin-dir=/x/cli.js", "-p"]), 0);
        assert_eq!(before("/opt/own-build", &["mcp", "list"]), 0);
        assert_eq!(before("/opt/own-build", &[]), 0);
    }

    #[test]
    fn a_script_precedes_its_arguments() {
        assert_eq!(before("/usr/bin/node", &["/x/cli.js", "-p"]), 1);
        assert_eq!(before("node", &["cli.js", "-p", "/y/other.js"]), 1);
        assert_eq!(before("/usr/bin/node", &["--max-old-space-size=8192", "-r", "/x/pre.js", "/x/cli.js", "-p"]), 4);
        assert_eq!(before("/usr/share/code/code", &["/x/resources/claude-code/cli.js", "--verbose"]), 1);
        assert_eq!(before("/usr/bin/bun", &["/x/cli.mjs"]), 1);
    }

    #[test]
    fn the_program_of_a_wrapper_precedes_its_arguments() {
        assert_eq!(before("/opt/wrapper", &["/x/claude", "-p"]), 1);
        assert_eq!(before("/opt/wrapper", &["/opt/another", "/usr/bin/node", "/x/cli.js", "-p"]), 3);
        assert_eq!(before("/opt/wrapper", &["/opt/another", "-p", "/x/claude"]), 0);
    }
}
