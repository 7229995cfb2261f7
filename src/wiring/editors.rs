//! The locations of editors' user settings.

use std::path::{Path, PathBuf};

/// An editor's name, its directory below the user's configuration directory, and its directory in the home directory of
/// a remote machine.
const KNOWN: [(&str, &str, &str); 5] = [
    ("code", "Code", ".vscode-server"),
    ("code-insiders", "Code - Insiders", ".vscode-server-insiders"),
    ("codium", "VSCodium", ".vscodium-server"),
    ("cursor", "Cursor", ".cursor-server"),
    ("windsurf", "Windsurf", ".windsurf-server"),
];

/// Visual Studio Code in a browser.
const CODE_SERVER: &str = "code-server";

/// The names by which editors are selected.
pub const NAMES: [&str; 6] = ["code", "code-insiders", "codium", "cursor", "windsurf", CODE_SERVER];

/// The paths where the settings of these editors may be, or of all known editors if none is named: on this machine,
/// also as a remote machine. `config` and `data` are the user's base directories.
pub fn settings(names: &[String], home: &Path, config: &Path, data: &Path) -> Vec<PathBuf> {
    let wanted = |name: &str| names.is_empty() || names.iter().any(|wanted| wanted == name);
    let mut places = Vec::new();
    for (_, own, remote) in KNOWN.iter().filter(|(name, ..)| wanted(name)) {
        places.push(config.join(own).join("User"));
        places.push(home.join(remote).join("data/Machine"));
    }
    if wanted(CODE_SERVER) {
        places.push(data.join(CODE_SERVER).join("User"));
    }
    places.into_iter().map(|directory| directory.join("settings.json")).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_editor_has_a_local_and_a_server_path() {
        let (home, config, data) = (Path::new("/h"), Path::new("/h/.config"), Path::new("/h/.local/share"));
        let places = settings(&["codium".to_owned()], home, config, data);
        let expected = ["/h/.config/VSCodium/User/settings.json", "/h/.vscodium-server/data/Machine/settings.json"];
        assert_eq!(places, expected.map(PathBuf::from));
        assert_eq!(settings(&[], home, config, data).len(), 11);
        let named = NAMES.iter().map(|name| settings(&[(*name).to_owned()], home, config, data));
        assert!(named.into_iter().all(|places| !places.is_empty()));
    }
}
