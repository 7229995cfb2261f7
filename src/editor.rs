//! Programs that are editors: their sessions last as long as anything in them may send, windows and terminals included.

use std::ffi::OsStr;
use std::path::Path;

/// Those that are known, unless `editors` in `config.toml` names others.
const KNOWN: [&str; 6] = ["code", "code-insiders", "codium", "cursor", "windsurf", "zed"];

/// Whether a program is an editor, by the name of its file. `configured` is what `config.toml` says.
pub fn is_editor(program: &OsStr, configured: Option<&[String]>) -> bool {
    let Some(name) = Path::new(program).file_name().and_then(OsStr::to_str) else { return false };
    configured.map_or_else(|| KNOWN.contains(&name), |names| names.iter().any(|known| known == name))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn editors_are_known_by_the_name_of_their_file() {
        let is = |program: &str, configured: Option<&[String]>| is_editor(OsStr::new(program), configured);
        assert!(is("code", None) && is("/usr/share/cursor/cursor", None));
        assert!(!is("claude", None) && !is("vscode", None) && !is("/", None));
        let own = ["helix".to_owned()];
        assert!(is("helix", Some(&own)) && !is("code", Some(&own)));
    }
}
