//! Which files of its repository a project's file names. What they hold is as good as written in it, and is trusted
//! with it.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::diagnostic::{Diagnostic, Faults};
use super::project::ProjectFile;
use super::tree::{self, Node, Value};

/// Keys whose strings name files, wherever they stand.
const KEYS: [&str; 5] = ["command", "file", "ca", "cert", "key"];

/// Tables of which every string may: Claude Code's own settings run commands under many keys, and a variable may hold
/// an option that loads a file.
const TABLES: [&str; 2] = ["settings", "env"];

/// How many different words are looked up: a stranger's file must not keep a launch busy.
const MAXIMUM_WORDS: usize = 512;

/// Where names lead.
#[derive(Clone, Copy, Debug)]
pub struct Search<'a> {
    /// What `~` stands for.
    pub home: &'a Path,
    /// The PATH, for a repository may be on it.
    pub path: Option<&'a OsStr>,
}

/// The files of its repository that a project's file names in its own words.
pub fn named_files(project: &ProjectFile, search: Search<'_>) -> Result<BTreeSet<PathBuf>, Faults> {
    Ok(files(&tree::parse(&project.document)?, project, search)?)
}

/// The files of the project's repository that a tree, its variables put in, names. Where there is doubt whether a word
/// names a file, it does: a file too many asks for trust once more, one too few would not ask.
pub(super) fn files(root: &Node, project: &ProjectFile, search: Search<'_>) -> Result<BTreeSet<PathBuf>, Diagnostic> {
    let mut strings = Vec::new();
    for (key, node) in entries(root) {
        collect(node, [&KEYS[..], &TABLES].concat().contains(&key.as_str()), &mut strings);
    }
    let words: BTreeSet<&str> = strings.into_iter().flat_map(pieces).collect();
    if words.len() > MAXIMUM_WORDS {
        let fault = Diagnostic::nowhere("the project's file names too much to look it all up");
        return Err(fault.help(format!("up to {MAXIMUM_WORDS} words in commands, `[env]` and `[settings]`")));
    }
    Ok(words
        .into_iter()
        .flat_map(|word| places(word, project, search))
        .filter_map(|path| own(&path, project))
        .collect())
}

fn entries(node: &Node) -> impl Iterator<Item = (&String, &Node)> {
    let entries = if let Value::Table(entries) = &node.value { Some(entries) } else { None };
    entries.into_iter().flatten()
}

fn collect<'a>(node: &'a Node, naming: bool, strings: &mut Vec<&'a str>) {
    match &node.value {
        Value::Text(text) if naming => strings.push(text),
        Value::List(items) => items.iter().for_each(|item| collect(item, naming, strings)),
        Value::Table(_) => {
            entries(node).for_each(|(key, below)| collect(below, naming || KEYS.contains(&key.as_str()), strings));
        }
        _ => {}
    }
}

/// A string, and, as it may be an option or a command for a shell, what it is made of.
fn pieces(text: &str) -> impl Iterator<Item = &str> {
    let pieces = text.split(|c: char| c.is_whitespace() || "\"'`=;|&<>(),:@{}".contains(c));
    std::iter::once(text).chain(pieces.filter(move |piece| *piece != text)).filter(|piece| !piece.is_empty())
}

/// Every path that a word may mean.
fn places(word: &str, project: &ProjectFile, search: Search<'_>) -> Vec<PathBuf> {
    // `$CLAUDE_PROJECT_DIR/…`; of `"${CLAUDE_PROJECT_DIR}"/…` only what comes after is left.
    let relative = word.strip_prefix('$').and_then(|rest| Some(rest.split_once('/')?.1));
    let relative = relative.unwrap_or(word).trim_start_matches('/');
    // Joining an absolute path gives that path.
    let mut places = vec![project.directory.join(word), project.directory.join(relative), project.root.join(relative)];
    places.extend(word.strip_prefix("~/").map(|rest| search.home.join(rest)));
    if !word.contains('/') {
        places.extend(which::which_in(word, search.path, &project.directory));
    }
    places
}

/// The file, if it is one of the repository: with its links where they are the repository's, to be refused there, else
/// without.
fn own(path: &Path, project: &ProjectFile) -> Option<PathBuf> {
    if path.metadata().ok()?.is_dir() {
        return None;
    }
    let within = |path: &Path| path.starts_with(&project.root);
    let written = Some(normal(path)).filter(|path| within(path));
    written.or_else(|| path.canonicalize().ok().filter(|path| within(path)))
}

/// A path without `.` and `..`, by its words alone.
fn normal(path: &Path) -> PathBuf {
    let mut normal = PathBuf::new();
    for component in path.components() {
        match component {
            Component::ParentDir => drop(normal.pop()),
            Component::CurDir => {}
            other => normal.push(other),
        }
    }
    normal
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;
    use std::sync::Arc;

    use super::super::document::Document;
    use super::super::project;
    use super::*;

    /// A checkout with a project in `app/`, and files named in it.
    struct Repository {
        _keep: tempfile::TempDir,
        home: PathBuf,
    }

    impl Repository {
        fn new() -> Self {
            let keep = tempfile::tempdir().unwrap();
            let home = keep.path().canonicalize().unwrap();
            let repository = Self { _keep: keep, home };
            fs::create_dir_all(repository.home.join("root/.git")).unwrap();
            for file in ["root/tools/helper", "root/app/helper", "root/app/ca.pem", "secret", "root/app/dir/x"] {
                let path = repository.home.join(file);
                fs::create_dir_all(path.parent().unwrap()).unwrap();
                fs::write(path, "").unwrap();
            }
            fs::write(repository.home.join("root/app").join(project::FILE_NAME), "").unwrap();
            repository
        }

        /// The files that a text names, relative to the home directory.
        fn named(&self, text: &str) -> Vec<String> {
            let project = project::find(&self.home.join("root/app"), &self.home).unwrap().unwrap();
            let tree = tree::parse(&Arc::new(Document { label: String::new(), text: text.to_owned() })).unwrap();
            let path = self.home.join("root/tools").into_os_string();
            let files = files(&tree, &project, Search { home: &self.home, path: Some(&path) }).unwrap();
            let shorten = |path: PathBuf| path.strip_prefix(&self.home).unwrap().display().to_string();
            files.into_iter().map(shorten).collect()
        }
    }

    #[test]
    fn what_names_a_file_of_the_repository_is_found() {
        let repository = Repository::new();
        let (app, tools) = (vec!["root/app/helper"], vec!["root/tools/helper"]);
        let absolute = format!("command = [\"{}\"]", repository.home.join("root/tools/helper").display());
        let cases = [
            ("[destination.d.headers]\nX = { command = [\"./helper\", \"-v\"] }", &app),
            ("[destination.d.headers_helper]\ncommand = [\"sh\", \"../tools/helper\"]", &tools),
            // From the root of the checkout, by an absolute path, by `~`.
            ("command = [\"tools/helper\"]", &tools),
            (&absolute, &tools),
            ("command = [\"~/root/tools/helper\"]", &tools),
            // As part of an option, or of a command for a shell.
            ("command = [\"curl\", \"--data=@./helper\"]", &app),
            ("command = [\"sh\", \"-c\", \"cat x;'tools/helper' | tr a b\"]", &tools),
            ("team.id = { file = \"dir/../helper\" }", &app),
            ("[[resource.x]]\nfile = \"helper\"\n", &vec!["root/app/helper"]),
            ("[settings]\napiKeyHelper = \"$CLAUDE_PROJECT_DIR/tools/helper x\"", &tools),
            ("[settings.hooks]\nStop = [{ hooks = [{ run = '\"$${P}\"/tools/helper' }] }]", &tools),
            ("[env]\nNODE_OPTIONS = \"--require ./dir/x\"", &vec!["root/app/dir/x"]),
        ];
        for (text, expected) in cases {
            let named = repository.named(text);
            assert!(expected.iter().all(|file| named.contains(&(*file).to_owned())), "{text}: {named:?}");
        }
        let tls = "[destination.d.tls]\nca = \"ca.pem\"\ncert = \"dir/x\"\nkey = \"none\"";
        assert_eq!(repository.named(tls), ["root/app/ca.pem", "root/app/dir/x"]);
        // Through the PATH, too, where it can be run.
        fs::remove_file(repository.home.join("root/app/helper")).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(repository.home.join("root/tools/helper"), executable).unwrap();
        assert_eq!(repository.named("command = [\"helper\"]"), tools);
    }

    #[test]
    fn what_is_elsewhere_or_names_nothing_is_not() {
        let repository = Repository::new();
        for text in [
            "team.id = { file = \"~/secret\" }",
            "team.id = { file = \"../../secret\" }",
            "command = [\"/bin/sh\", \"dir\", \"missing\", \".\"]",
            "description = \"helper\"\nextends = \"helper\"\n[resource]\nx = \"helper\"",
        ] {
            assert_eq!(repository.named(text), [] as [&str; 0], "{text}");
        }
    }

    #[test]
    fn a_file_that_would_keep_a_launch_busy_is_refused() {
        let repository = Repository::new();
        let project = project::find(&repository.home.join("root/app"), &repository.home).unwrap().unwrap();
        let words: Vec<String> = (0..600).map(|number| number.to_string()).collect();
        let text = format!("command = {words:?}");
        let tree = tree::parse(&Arc::new(Document { label: String::new(), text })).unwrap();
        let refusal = files(&tree, &project, Search { home: &repository.home, path: None }).unwrap_err();
        assert!(refusal.to_string().contains("names too much"));
    }
}
