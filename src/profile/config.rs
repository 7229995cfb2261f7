//! `config.toml`: what a user, or a machine's administrator, sets once for all profiles.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::diagnostic::{Diagnostic, Faults};
use super::document::Document;
use super::schema::{self, Key, Kind};
use super::sources;
use super::tree::{self, Node, Value};
use crate::credential::Keyring;

/// The keys of the user's file; the system's has `enforce` besides.
const CONFIG: &[Key] = &[
    Key { name: "profile", kind: Kind::Text, about: "the profile where none is chosen" },
    Key { name: "off", kind: Kind::Bool, about: "ccrun is a plain exec" },
    Key { name: "state_dir", kind: Kind::Text, about: "where ccrun keeps its store" },
    Key { name: "keyring", kind: Kind::Choice(&["keyutils"]), about: "the keyring to use instead of the desktop's" },
    Key { name: "editors", kind: Kind::Texts, about: "programs that are editors" },
    Key { name: "enforce", kind: Kind::Texts, about: "keys that are the system default profile's, whatever is chosen" },
];

/// What the files say, the user's before the system's.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// The profile where none is chosen.
    pub profile: Option<String>,
    /// The system's own default profile.
    pub system_profile: Option<String>,
    /// Whether `ccrun` is a plain exec.
    pub off: bool,
    /// Where `ccrun` keeps its store.
    pub state_dir: Option<PathBuf>,
    /// Which keyring entries are read from.
    pub keyring: Keyring,
    /// Keys of profiles that are the system default profile's, whatever profile is chosen.
    pub enforce: Vec<String>,
    /// Programs that are editors, by the names of their files; the usual ones where neither file says so.
    pub editors: Option<Vec<String>>,
}

/// Reads both files. `user` and `system` are the directories they are in.
pub fn read(user: &Path, system: &Path) -> Result<Config, Faults> {
    let own = file(&user.join("config.toml"))?;
    let machine = file(&system.join("config.toml"))?;
    if let Some(enforce) = own.as_ref().and_then(|own| own.get("enforce")) {
        let fault = Diagnostic::at(&enforce.key, "`enforce` is the system's alone");
        return Err(fault.help(format!("it belongs in `{}`", system.join("config.toml").display())).into());
    }
    let text = |key: &str| {
        let find = |config: &Option<Node>| Some(config.as_ref()?.get(key)?.text()?.to_owned());
        find(&own).or_else(|| find(&machine))
    };
    let truth = |config: &Option<Node>| {
        let value = config.as_ref().and_then(|config| config.get("off")).map(|node| &node.value);
        if let Some(Value::Bool(truth)) = value { Some(*truth) } else { None }
    };
    let of_machine = |key: &str| machine.as_ref().and_then(|machine| machine.get(key));
    Ok(Config {
        profile: text("profile"),
        system_profile: of_machine("profile").and_then(Node::text).map(str::to_owned),
        off: truth(&own).or_else(|| truth(&machine)).unwrap_or(false),
        state_dir: text("state_dir").map(PathBuf::from),
        editors: own.as_ref().and_then(|own| own.get("editors")).or_else(|| of_machine("editors")).map(texts),
        keyring: if text("keyring").is_some() { Keyring::Keyutils } else { Keyring::Desktop },
        enforce: of_machine("enforce").map(texts).unwrap_or_default(),
    })
}

/// The text of a user's file with another default profile, everything else as it is. Fails where the file is wrong.
pub fn with_default(path: &Path, text: &str, profile: &str) -> Result<String, Faults> {
    let document = Arc::new(Document { label: path.display().to_string(), text: text.to_owned() });
    let root = checked(&document)?;
    let quoted = serde_json::Value::from(profile).to_string();
    let Some(node) = root.get("profile") else { return Ok(format!("profile = {quoted}\n{text}")) };
    let mut changed = text.to_owned();
    changed.replace_range(node.origin.span.clone(), &quoted);
    Ok(changed)
}

fn texts(list: &Node) -> Vec<String> {
    list.texts().map(|(text, _)| text.to_owned()).collect()
}

fn file(path: &Path) -> Result<Option<Node>, Faults> {
    let Some(document) = sources::document(path)? else { return Ok(None) };
    checked(&document).map(Some)
}

fn checked(document: &Arc<Document>) -> Result<Node, Faults> {
    let root = tree::parse(document)?;
    let mut faults = Vec::new();
    schema::check(root.entries().unwrap_or(&tree::Entries::new()), CONFIG, "", &mut faults);
    if faults.is_empty() { Ok(root) } else { Err(Faults(faults)) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read_texts(user: &str, system: &str) -> Result<Config, Faults> {
        let directory = tempfile::tempdir().unwrap();
        let places = [directory.path().join("user"), directory.path().join("system")];
        for (place, text) in places.iter().zip([user, system]) {
            std::fs::create_dir(place).unwrap();
            std::fs::write(place.join("config.toml"), text).unwrap();
        }
        read(&places[0], &places[1])
    }

    #[test]
    fn the_users_word_comes_before_the_systems() {
        let system = "profile = \"team\"\noff = true\nenforce = [\"content.user_prompts\"]\n";
        let config = read_texts("profile = \"mine\"\noff = false\n", system).unwrap();
        assert_eq!((config.profile.as_deref(), config.system_profile.as_deref()), (Some("mine"), Some("team")));
        assert!(!config.off);
        assert_eq!(config.enforce, ["content.user_prompts"]);
        assert_eq!(config.keyring, Keyring::Desktop);
        assert_eq!(read_texts("", "keyring = \"keyutils\"\n").unwrap().keyring, Keyring::Keyutils);
        assert_eq!(read_texts("", system).unwrap().profile.as_deref(), Some("team"));
    }

    #[test]
    fn another_default_changes_nothing_else() {
        let write = |text: &str| with_default(Path::new("config.toml"), text, "te\"am");
        assert_eq!(write("").unwrap(), "profile = \"te\\\"am\"\n");
        assert_eq!(write("# mine\noff = false").unwrap(), "profile = \"te\\\"am\"\n# mine\noff = false");
        let text = "off = false # so\n\"profile\"  =  'other'   # why\neditors = []\n";
        let expected = "off = false # so\n\"profile\"  =  \"te\\\"am\"   # why\neditors = []\n";
        assert_eq!(write(text).unwrap(), expected);
        assert!(write("profil = 1").is_err());
    }

    #[test]
    fn the_users_editors_count() {
        assert_eq!(read_texts("", "").unwrap().editors, None);
        let named = read_texts("editors = [\"vim\"]\n", "editors = [\"emacs\"]\n").unwrap();
        assert_eq!(named.editors, Some(vec!["vim".to_owned()]));
        assert_eq!(read_texts("editors = []\n", "editors = [\"emacs\"]\n").unwrap().editors, Some(Vec::new()));
    }

    #[test]
    fn what_is_not_the_users_to_say_is_refused() {
        let fault = read_texts("enforce = [\"destination\"]\n", "").unwrap_err().to_string();
        assert!(fault.contains("config.toml:1:1: `enforce` is the system's alone"), "{fault}");
        let fault = read_texts("profil = \"x\"\n", "").unwrap_err().to_string();
        assert!(fault.contains("did you mean `profile`?"), "{fault}");
    }
}
