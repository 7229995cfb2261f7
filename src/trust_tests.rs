use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::profile::project;

/// A home with a repository `main`, a linked worktree `linked`, and the records.
struct Home {
    _keep: tempfile::TempDir,
    path: PathBuf,
    trust: Trust,
}

impl Home {
    fn new() -> Self {
        let keep = tempfile::tempdir().unwrap();
        let home = keep.path().canonicalize().unwrap();
        let administration = home.join("main/.git/worktrees/w");
        fs::create_dir_all(&administration).unwrap();
        for checkout in ["main", "linked"] {
            fs::create_dir_all(home.join(checkout).join("app/tools")).unwrap();
            fs::write(home.join(checkout).join("app").join(FILE_NAME), "file = \"helper\"\n").unwrap();
            fs::write(home.join(checkout).join("app/helper"), "one").unwrap();
            fs::write(home.join(checkout).join("ca"), "two").unwrap();
        }
        fs::write(home.join("linked/.git"), format!("gitdir: {}\n", administration.display())).unwrap();
        fs::write(administration.join("gitdir"), format!("{}\n", home.join("linked/.git").display())).unwrap();
        fs::write(administration.join("commondir"), "../..\n").unwrap();
        let trust = Trust::new(home.join("state/trust"));
        Self { _keep: keep, path: home, trust }
    }

    fn project(&self, checkout: &str) -> ProjectFile {
        project::find(&self.path.join(checkout).join("app/tools"), &self.path).unwrap().unwrap()
    }

    fn named(&self, checkout: &str) -> Named {
        let directory = self.path.join(checkout);
        let pairs = [("keyring `team`".to_owned(), "a.example".to_owned())];
        Named { files: [directory.join("app/helper"), directory.join("ca")].into(), pairs: pairs.into() }
    }

    fn subject(&self, checkout: &str) -> Subject {
        Subject::read(&self.project(checkout), &self.named(checkout)).unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.path.join(path), content).unwrap();
    }

    fn grant(&self, checkout: &str) {
        self.trust.grant(&self.subject(checkout), Timestamp::UNIX_EPOCH).unwrap();
    }

    fn verdict(&self, checkout: &str) -> Verdict {
        self.trust.verdict(&self.subject(checkout))
    }

    fn refused(&self, file: &str) -> String {
        let named = Named { files: [self.path.join(file)].into(), pairs: BTreeSet::new() };
        Subject::read(&self.project("main"), &named).unwrap_err().to_string()
    }
}

#[test]
fn trust_is_granted_and_taken_back() {
    let home = Home::new();
    let project = home.project("main");
    assert_eq!(home.verdict("main"), Verdict::Untrusted);
    assert!(!home.trust.is_known(&project) && !home.trust.revoke(&project.path).unwrap());
    home.grant("main");
    assert_eq!(home.verdict("main"), Verdict::Trusted);
    assert!(home.trust.is_known(&project) && home.trust.revoke(&project.path).unwrap());
    assert_eq!(home.verdict("main"), Verdict::Untrusted);
}

#[test]
fn a_change_of_anything_ends_the_trust() {
    for (file, content) in [("main/app/.ccrun.toml", "file = \"helper\" "), ("main/app/helper", "on"), ("main/ca", "")]
    {
        let home = Home::new();
        home.grant("main");
        let hash = home.subject("main").hash();
        home.write(file, content);
        let Verdict::Changed { accepted } = home.verdict("main") else { panic!("{file} may change unseen") };
        assert_eq!((accepted.document.as_str(), &accepted.hash), ("file = \"helper\"\n", &hash));
        assert_ne!(home.subject("main").hash(), hash);
    }
}

#[test]
fn a_file_that_is_named_now_or_no_more_ends_the_trust() {
    let home = Home::new();
    home.grant("main");
    let mut named = home.named("main");
    named.files.insert(home.path.join("main/app").join(FILE_NAME));
    let verdict = |named: &Named| home.trust.verdict(&Subject::read(&home.project("main"), named).unwrap());
    assert!(matches!(verdict(&named), Verdict::Changed { .. }));
    named.files = BTreeSet::new();
    assert!(matches!(verdict(&named), Verdict::Changed { .. }));
}

#[test]
fn a_secret_that_goes_elsewhere_ends_the_trust_and_one_that_goes_nowhere_does_not() {
    let home = Home::new();
    home.grant("main");
    let verdict = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(secret, host)| ((*secret).to_owned(), (*host).to_owned())).collect();
        home.trust.verdict(&Subject { pairs, ..home.subject("main") })
    };
    assert_eq!(verdict(&[("keyring `team`", "a.example")]), Verdict::Trusted);
    assert_eq!(verdict(&[]), Verdict::Trusted);
    assert!(matches!(verdict(&[("keyring `team`", "b.example")]), Verdict::Changed { .. }));
    assert!(matches!(verdict(&[("keyring `mine`", "a.example")]), Verdict::Changed { .. }));
    let more = [("keyring `team`", "a.example"), ("keyring `team`", "b.example")];
    assert!(matches!(verdict(&more), Verdict::Changed { .. }));
}

#[test]
fn the_same_content_elsewhere_is_untrusted_and_has_the_same_hash() {
    let (home, other) = (Home::new(), Home::new());
    home.grant("main");
    assert_eq!(home.trust.verdict(&other.subject("main")), Verdict::Untrusted);
    assert_eq!(home.subject("main").hash(), other.subject("main").hash());
    assert_eq!(home.subject("main").hash().len(), 64);
}

#[test]
fn checkouts_of_a_repository_share_trust_for_the_same_content() {
    for (granted, other) in [("main", "linked"), ("linked", "main")] {
        let home = Home::new();
        home.grant(granted);
        assert_eq!(home.verdict(other), Verdict::Trusted);
        assert!(home.trust.is_known(&home.project(other)));
        home.write(&format!("{other}/app/helper"), "other");
        assert!(matches!(home.verdict(other), Verdict::Changed { .. }));
        assert_eq!(home.verdict(granted), Verdict::Trusted);
        // Taken back in one of them, it is taken back.
        home.write(&format!("{other}/app/helper"), "one");
        home.trust.revoke(&home.project(other).path).unwrap();
        assert_eq!(home.verdict(granted), Verdict::Untrusted);
    }
}

#[test]
fn another_place_in_the_repository_shares_nothing() {
    let home = Home::new();
    home.grant("main");
    fs::rename(home.path.join("linked/app"), home.path.join("linked/ppa")).unwrap();
    let project = project::find(&home.path.join("linked/ppa"), &home.path).unwrap().unwrap();
    let named = Named {
        files: [home.path.join("linked/ppa/helper"), home.path.join("linked/ca")].into(),
        ..home.named("linked")
    };
    assert_eq!(home.trust.verdict(&Subject::read(&project, &named).unwrap()), Verdict::Untrusted);
}

#[test]
fn a_forged_claim_inherits_nothing() {
    let home = Home::new();
    home.grant("main");
    // A checkout that names the repository, which knows another one by that name.
    fs::rename(home.path.join("linked"), home.path.join("forged")).unwrap();
    assert_eq!(home.verdict("forged"), Verdict::Untrusted);
    assert!(!home.trust.is_known(&home.project("forged")));
    // Git itself would mend that in the repository.
    let git = home.path.join("forged/.git");
    home.write("main/.git/worktrees/w/gitdir", &format!("{}\n", git.display()));
    assert_eq!(home.verdict("forged"), Verdict::Trusted);
}

#[test]
fn what_cannot_be_told_cannot_be_trusted() {
    let home = Home::new();
    std::os::unix::fs::symlink("helper", home.path.join("main/app/link")).unwrap();
    assert!(home.refused("main/app/link").contains("is a link, which is never followed: `link`"));
    std::os::unix::fs::symlink("app", home.path.join("main/way")).unwrap();
    assert!(home.refused("main/way/helper").contains("is a link"));
    std::os::unix::fs::symlink("/dev/zero", home.path.join("main/zero")).unwrap();
    assert!(home.refused("main/zero").contains("is a link, which is never followed: `../zero`"));
    nix::unistd::mkfifo(&home.path.join("main/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(home.refused("main/fifo").contains("is no regular file"));
    home.write("main/large", &"x".repeat((1 << 20) + 1));
    assert!(home.refused("main/large").contains("is larger than 1024 KiB"));
    let files = (0..65).map(|number| PathBuf::from(format!("/{number}"))).collect();
    let many = Subject::read(&home.project("main"), &Named { files, pairs: BTreeSet::new() });
    assert!(many.unwrap_err().to_string().contains("names too many files"));
}

#[test]
fn a_seal_holds_as_long_as_nothing_changes() {
    let home = Home::new();
    let subject = home.subject("main");
    let seal = subject.seal;
    assert_eq!(seal.files.len(), 2);
    assert!(seal.check().is_ok());
    assert!(home.trust.holds(&seal).unwrap_err().to_string().contains("it is not trusted any more"));
    home.grant("main");
    assert!(home.trust.holds(&seal).is_ok());
    home.write("main/app/.ccrun.toml", "");
    assert!(home.trust.holds(&seal).unwrap_err().to_string().contains("a trusted file has changed"));
    assert!(seal.check().is_ok(), "what is read again and again is as it was");
    home.write("main/app/.ccrun.toml", &subject.project.document.text);
    assert!(home.trust.holds(&seal).is_ok());
    home.write("main/app/helper", "one\n");
    assert!(home.trust.holds(&seal).is_err());
    assert!(home.trust.holds(&Seal::default()).is_ok(), "no project's file takes part");
    assert!(seal.check().unwrap_err().to_string().contains("main/app/helper"));
    fs::remove_file(home.path.join("main/app/helper")).unwrap();
    assert!(seal.check().is_err());
}

#[test]
fn records_are_private_and_a_broken_one_accepts_nothing() {
    let home = Home::new();
    home.grant("main");
    let record = home.trust.record(&home.project("main").path);
    assert_eq!(record.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.trust.directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(&record, "{").unwrap();
    assert_eq!(home.verdict("main"), Verdict::Untrusted);
}

#[test]
fn paths_are_told_from_the_projects_directory() {
    let from = |path| relative(Path::new(path), Path::new("/a/b/c"));
    assert_eq!(from("/a/b/c/d/e"), "d/e");
    assert_eq!(from("/a/b/x"), "../x");
    assert_eq!(from("/x/y"), "../../../x/y");
}
