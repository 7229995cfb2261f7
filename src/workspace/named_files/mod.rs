//! The files of its repository that a project's file names, by itself and in the merged plan. Their content is as
//! powerful as the project's file, so it is trusted together with it.

mod collect;
pub(super) mod executables;
mod script;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use self::collect::{Kind, Said, collect};
use super::project::ProjectFile;
use crate::profile::tree::Node;
use crate::profile::{Diagnostic, Faults, tree};

/// How many different words are looked up: an untrusted file must not delay a launch.
const MAXIMUM_WORDS: usize = 512;

/// In how many directories the words of one script are looked up, likewise.
const MAXIMUM_BASES: usize = 16;

/// Where names are looked up.
#[derive(Clone, Copy, Debug)]
pub(super) struct Search<'a> {
    /// The home directory, in which commands run.
    pub home: &'a Path,
    /// The PATH, which may contain directories of a repository.
    pub path: Option<&'a OsStr>,
}

/// What a plan names within the repository.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Found {
    /// Files.
    pub files: BTreeSet<PathBuf>,
    /// Directories in which anything may run, each with the words that cause it.
    pub directories: BTreeMap<PathBuf, BTreeSet<String>>,
}

/// What the project's file itself names within its repository.
pub(super) fn named_files(project: &ProjectFile, search: Search<'_>) -> Result<Found, Faults> {
    let tree = tree::parse(&project.document)?;
    Ok(found((&tree, &tree), project, search)?)
}

/// What a tree names within the project's repository. The tree is given as written and with variables expanded. Text
/// that the project did not write and that contains no variable is the user's own. In doubt, a word names a file:
/// naming too many only asks for trust again, naming too few would not ask.
pub(super) fn found(
    (written, expanded): (&Node, &Node),
    project: &ProjectFile,
    search: Search<'_>,
) -> Result<Found, Diagnostic> {
    let said = collect(written, expanded, &project.document);
    let mut words = BTreeSet::new();
    let mut found = Found::default();
    for Said { text, kind } in said {
        match kind {
            Kind::Word => words.extend(script::pieces(text).map(str::to_owned)),
            Kind::Argument => {
                words.extend(script::pieces(text).map(str::to_owned));
                found.name_directory(text, text, project, search);
            }
            Kind::Script { in_project } => found.follow(text, in_project, &mut words, project, search)?,
        }
        if words.len() > MAXIMUM_WORDS {
            let fault = Diagnostic::nowhere("the project's file names too many paths to check");
            return Err(fault.help(format!("up to {MAXIMUM_WORDS} words in commands, `[env]` and `[settings]`")));
        }
    }
    let paths = words.iter().flat_map(|word| places(word, project, search));
    found.files.extend(paths.filter_map(|path| own(&path, project)));
    Ok(found)
}

impl Found {
    /// Records what a script names: its words go to `words`, and are also looked up in every directory that it names.
    fn follow(
        &mut self,
        text: &str,
        in_project: bool,
        words: &mut BTreeSet<String>,
        project: &ProjectFile,
        search: Search<'_>,
    ) -> Result<(), Diagnostic> {
        let said = script::words(text);
        for one in script::unfollowed(text, in_project) {
            self.name_directory(&one.directory, &one.word, project, search);
        }
        let mut bases = BTreeSet::new();
        for word in &said {
            self.name_directory(word, word, project, search);
            bases.extend(places(word, project, search).into_iter().filter(|path| path.is_dir()));
        }
        if bases.len() > MAXIMUM_BASES {
            let fault = Diagnostic::nowhere("a command names too many directories to check");
            return Err(fault.help(format!("up to {MAXIMUM_BASES}; move it to a script")));
        }
        let paths = bases.iter().flat_map(|base| said.iter().map(|word| base.join(word)));
        self.files.extend(paths.filter_map(|path| own(&path, project)));
        words.extend(said);
        Ok(())
    }

    /// Records every directory of the repository that a word may mean. An empty word means any.
    fn name_directory(&mut self, directory: &str, word: &str, project: &ProjectFile, search: Search<'_>) {
        let places = if directory.is_empty() { vec![project.root.clone()] } else { places(directory, project, search) };
        let places = places.into_iter().filter_map(|place| place.canonicalize().ok());
        for place in places.filter(|place| place.is_dir() && place.starts_with(&project.root)) {
            self.directories.entry(place).or_default().insert(word.to_owned());
        }
    }
}

/// Every path that a word may mean.
fn places(word: &str, project: &ProjectFile, search: Search<'_>) -> Vec<PathBuf> {
    // `$CLAUDE_PROJECT_DIR/…`. Of `"${CLAUDE_PROJECT_DIR}"/…`, only the part after the quotes is left.
    let relative = word.strip_prefix('$').and_then(|rest| Some(rest.split_once('/')?.1));
    let relative = relative.unwrap_or(word).trim_start_matches('/');
    // Joining an absolute path returns that path.
    let bases = [&project.directory, &project.root, search.home];
    let mut places = vec![project.directory.join(word)];
    places.extend(bases.into_iter().filter(|_| !relative.is_empty()).map(|base| base.join(relative)));
    places.extend(word.strip_prefix("~/").map(|rest| search.home.join(rest)));
    if !word.contains('/') {
        places.extend(which::which_in(word, search.path, &project.directory));
    }
    places
}

/// The path, if it is a file of the repository. Links within the repository are kept, to be refused later; others are
/// resolved.
fn own(path: &Path, project: &ProjectFile) -> Option<PathBuf> {
    if path.metadata().ok()?.is_dir() {
        return None;
    }
    let within = |path: &Path| path.starts_with(&project.root);
    let written = Some(normal(path)).filter(|path| within(path));
    written.or_else(|| path.canonicalize().ok().filter(|path| within(path)))
}

/// A path without `.` and `..`, computed without the file system.
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

    use super::super::project;
    use super::*;
    use crate::profile::Document;

    /// A checkout with a project in `app/`, and files that it names.
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
            self.found(text).files.into_iter().map(|path| self.shortened(&path)).collect()
        }

        fn found(&self, text: &str) -> Found {
            let mut project = project::find(&self.home.join("root/app"), &self.home).unwrap().unwrap();
            project.document = Arc::new(Document { label: String::new(), text: text.to_owned() });
            let tree = tree::parse(&project.document).unwrap();
            let path = self.home.join("root/tools").into_os_string();
            let search = Search { home: &self.home, path: Some(&path) };
            found((&tree, &tree), &project, search).unwrap()
        }

        fn shortened(&self, path: &Path) -> String {
            path.strip_prefix(&self.home).unwrap().display().to_string()
        }

        /// The directories in which anything may run because of a text.
        fn directories(&self, text: &str) -> Vec<String> {
            self.found(text).directories.into_keys().map(|path| self.shortened(&path)).collect()
        }
    }

    #[test]
    fn names_of_files_of_the_repository_are_found() {
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
        // Also through the PATH, if it is executable.
        fs::remove_file(repository.home.join("root/app/helper")).unwrap();
        let executable = fs::Permissions::from_mode(0o755);
        fs::set_permissions(repository.home.join("root/tools/helper"), executable).unwrap();
        assert_eq!(repository.named("command = [\"helper\"]"), tools);
    }

    #[test]
    fn files_outside_the_repository_are_not_found() {
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
    fn a_script_is_followed_through_directories_quotes_and_backslashes() {
        let repository = Repository::new();
        let sh = |script: &str| format!("command = [\"sh\", \"-c\", '''{script}''']");
        for script in [
            "cd ~/root/tools && python helper",
            "cd root && sh tools/helper",
            "to\\ols/hel\"per\"",
            "PATH=tools helper",
        ] {
            let named = repository.named(&sh(script));
            assert!(named.contains(&"root/tools/helper".to_owned()), "{script}: {named:?}");
        }
        for (script, directory) in [
            ("cd tools && ./x", "root/tools"),
            ("cd dir && ./x", "root/app/dir"),
            ("cat root/tools/*", "root/tools"),
            ("$R/x", "root"),
            ("x | sh", "root"),
        ] {
            assert_eq!(repository.directories(&sh(script)), [directory], "{script}");
        }
        assert_eq!(repository.directories("[settings]\napiKeyHelper = \"cat *.key\""), ["root"]);
        assert_eq!(repository.directories("command = [\"run-parts\", \"tools\"]"), ["root/tools"]);
        for text in [&sh("printf %s \"$TOKEN\" | head -1"), "[settings]\npermissions.allow = [\"Read(dir/**)\"]"] {
            assert_eq!(repository.directories(text), [] as [&str; 0], "{text}");
        }
    }

    /// A string with a variable is looked up wherever it comes from. Text without one that the user wrote is the user's
    /// own.
    #[test]
    fn variables_are_expanded_before_names_are_looked_up() {
        let repository = Repository::new();
        let mut project = project::find(&repository.home.join("root/app"), &repository.home).unwrap().unwrap();
        project.document = Arc::new(Document { label: String::new(), text: String::new() });
        let parse = |text: &str| tree::parse(&Arc::new(Document { label: String::new(), text: text.to_owned() }));
        let written = parse("team.id = { command = [\"${h}\"] }\ntls.ca = \"ca.pem\"\n").unwrap();
        let expanded = parse("team.id = { command = [\"./helper\"] }\ntls.ca = \"ca.pem\"\n").unwrap();
        let search = Search { home: &repository.home, path: None };
        let found = found((&written, &expanded), &project, search).unwrap();
        assert_eq!(found.files, [repository.home.join("root/app/helper")].into());
    }

    #[test]
    fn a_file_with_too_many_names_is_refused() {
        let repository = Repository::new();
        let mut project = project::find(&repository.home.join("root/app"), &repository.home).unwrap().unwrap();
        let words: Vec<String> = (0..600).map(|number| number.to_string()).collect();
        let text = format!("command = {words:?}");
        project.document = Arc::new(Document { label: String::new(), text });
        let tree = tree::parse(&project.document).unwrap();
        let search = Search { home: &repository.home, path: None };
        let refusal = found((&tree, &tree), &project, search).unwrap_err();
        assert!(refusal.to_string().contains("names too many paths"));
    }
}
