use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::workspace::project;

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
        Named {
            files: [directory.join("app/helper"), directory.join("ca")].into(),
            pairs: pairs.into(),
            ..Named::default()
        }
    }

    fn review(&self, checkout: &str) -> Review {
        Review::read(&self.project(checkout), &self.named(checkout)).unwrap()
    }

    fn write(&self, path: &str, content: &str) {
        fs::write(self.path.join(path), content).unwrap();
    }

    fn grant(&self, checkout: &str) {
        self.trust.grant(&self.review(checkout), Timestamp::UNIX_EPOCH).unwrap();
    }

    fn verdict(&self, checkout: &str) -> Verdict {
        self.trust.verdict(&self.review(checkout))
    }

    fn refused(&self, file: &str) -> String {
        let named = Named { files: [self.path.join(file)].into(), ..Named::default() };
        Review::read(&self.project("main"), &named).unwrap_err().to_string()
    }
}

#[test]
fn trust_is_granted_and_revoked() {
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
fn any_change_ends_trust() {
    for (file, content) in [("main/app/.ccrun.toml", "file = \"helper\" "), ("main/app/helper", "on"), ("main/ca", "")]
    {
        let home = Home::new();
        home.grant("main");
        let hash = home.review("main").hash();
        home.write(file, content);
        let Verdict::Changed { accepted } = home.verdict("main") else { panic!("a change of {file} is not detected") };
        assert_eq!((accepted.document.as_str(), &accepted.hash), ("file = \"helper\"\n", &hash));
        assert_ne!(home.review("main").hash(), hash);
    }
}

#[test]
fn a_newly_named_or_unnamed_file_ends_trust() {
    let home = Home::new();
    home.grant("main");
    let mut named = home.named("main");
    named.files.insert(home.path.join("main/app").join(FILE_NAME));
    let verdict = |named: &Named| home.trust.verdict(&Review::read(&home.project("main"), named).unwrap());
    assert!(matches!(verdict(&named), Verdict::Changed { .. }));
    named.files = BTreeSet::new();
    assert!(matches!(verdict(&named), Verdict::Changed { .. }));
}

#[test]
fn a_secret_that_goes_to_another_host_ends_trust_and_a_removed_one_does_not() {
    let home = Home::new();
    home.grant("main");
    let verdict = |pairs: &[(&str, &str)]| {
        let pairs = pairs.iter().map(|(secret, host)| ((*secret).to_owned(), (*host).to_owned())).collect();
        home.trust.verdict(&Review { pairs, ..home.review("main") })
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
    assert_eq!(home.trust.verdict(&other.review("main")), Verdict::Untrusted);
    assert_eq!(home.review("main").hash(), other.review("main").hash());
    assert_eq!(home.review("main").hash().len(), 64);
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
        // Revoking trust in one of them revokes it in all.
        home.write(&format!("{other}/app/helper"), "one");
        home.trust.revoke(&home.project(other).path).unwrap();
        assert_eq!(home.verdict(granted), Verdict::Untrusted);
    }
}

#[test]
fn another_place_in_the_repository_shares_no_trust() {
    let home = Home::new();
    home.grant("main");
    fs::rename(home.path.join("linked/app"), home.path.join("linked/ppa")).unwrap();
    let project = project::find(&home.path.join("linked/ppa"), &home.path).unwrap().unwrap();
    let named = Named {
        files: [home.path.join("linked/ppa/helper"), home.path.join("linked/ca")].into(),
        ..home.named("linked")
    };
    assert_eq!(home.trust.verdict(&Review::read(&project, &named).unwrap()), Verdict::Untrusted);
}

#[test]
fn a_forged_worktree_inherits_no_trust() {
    let home = Home::new();
    home.grant("main");
    // A checkout that names the repository, which knows another one by that name.
    fs::rename(home.path.join("linked"), home.path.join("forged")).unwrap();
    assert_eq!(home.verdict("forged"), Verdict::Untrusted);
    assert!(!home.trust.is_known(&home.project("forged")));
    // Git itself would repair that in the repository.
    let git = home.path.join("forged/.git");
    home.write("main/.git/worktrees/w/gitdir", &format!("{}\n", git.display()));
    assert_eq!(home.verdict("forged"), Verdict::Trusted);
}

#[test]
fn files_that_cannot_be_read_in_full_cannot_be_trusted() {
    let home = Home::new();
    std::os::unix::fs::symlink("helper", home.path.join("main/app/link")).unwrap();
    assert!(home.refused("main/app/link").contains("is a link, which is never followed: `link`"));
    std::os::unix::fs::symlink("app", home.path.join("main/way")).unwrap();
    assert!(home.refused("main/way/helper").contains("is a link"));
    std::os::unix::fs::symlink("/dev/zero", home.path.join("main/zero")).unwrap();
    assert!(home.refused("main/zero").contains("is a link, which is never followed: `../zero`"));
    nix::unistd::mkfifo(&home.path.join("main/fifo"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    assert!(home.refused("main/fifo").contains("is not a regular file"));
    home.write("main/large", &"x".repeat((1 << 20) + 1));
    assert!(home.refused("main/large").contains("is larger than 1024 KiB"));
    let files = (0..65).map(|number| PathBuf::from(format!("/{number}"))).collect();
    let many = Review::read(&home.project("main"), &Named { files, ..Named::default() });
    assert!(many.unwrap_err().to_string().contains("names too many files"));
}

#[test]
fn a_digest_is_valid_until_a_file_changes() {
    let home = Home::new();
    let review = home.review("main");
    let trusted_digest = review.trusted_digest;
    assert_eq!(trusted_digest.files.len(), 2);
    assert!(trusted_digest.check().is_ok());
    assert!(home.trust.holds(&trusted_digest).unwrap_err().to_string().contains("it is no longer trusted"));
    home.grant("main");
    assert!(home.trust.holds(&trusted_digest).is_ok());
    home.write("main/app/.ccrun.toml", "");
    assert!(home.trust.holds(&trusted_digest).unwrap_err().to_string().contains("a trusted file has changed"));
    assert!(trusted_digest.check().is_ok(), "repeated reads give the same result");
    home.write("main/app/.ccrun.toml", &review.project.document.text);
    assert!(home.trust.holds(&trusted_digest).is_ok());
    home.write("main/app/helper", "one\n");
    assert!(home.trust.holds(&trusted_digest).is_err());
    assert!(home.trust.holds(&TrustedDigest::default()).is_ok(), "no project file is involved");
    assert!(trusted_digest.check().unwrap_err().to_string().contains("main/app/helper"));
    fs::remove_file(home.path.join("main/app/helper")).unwrap();
    assert!(trusted_digest.check().is_err());
}

#[test]
fn files_that_may_run_are_part_of_the_trust() {
    let home = Home::new();
    let reached = [home.path.join("main/app/tools/x")];
    home.write("main/app/tools/x", "one");
    let review = |reached: &[PathBuf]| {
        let named = Named { reached: reached.iter().cloned().collect(), ..home.named("main") };
        Review::read(&home.project("main"), &named).unwrap()
    };
    home.grant("main");
    assert!(matches!(home.trust.verdict(&review(&reached)), Verdict::Changed { .. }), "the file was not in use then");
    home.trust.grant(&review(&reached), Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(home.trust.verdict(&review(&reached)), Verdict::Trusted);
    assert_eq!(home.trust.verdict(&review(&[])), Verdict::Trusted, "another profile uses fewer files");
    let before = review(&reached);
    home.write("main/app/tools/x", "two");
    assert!(matches!(home.trust.verdict(&review(&reached)), Verdict::Changed { .. }));
    assert_ne!(review(&reached).hash(), before.hash());
    assert!(before.trusted_digest.check().is_err());
}

#[test]
fn executable_files_below_a_named_directory_are_part_of_the_trust() {
    let home = Home::new();
    let named = Named {
        directories: [(home.path.join("main/app/tools"), ["cd tools".to_owned()].into())].into(),
        ..home.named("main")
    };
    let review = || Review::read(&home.project("main"), &named).unwrap();
    let executable = |path: &str, content: &str| {
        home.write(path, content);
        fs::set_permissions(home.path.join(path), fs::Permissions::from_mode(0o755)).unwrap();
    };
    executable("main/app/tools/x", "one");
    home.write("main/app/tools/text", "one");
    let before = review();
    assert!(before.reached.keys().eq(["tools/x"]));
    assert_eq!(before.unfollowed, [("cd tools".to_owned(), "tools".to_owned())].into());
    home.trust.grant(&before, Timestamp::UNIX_EPOCH).unwrap();
    assert_eq!(home.trust.verdict(&review()), Verdict::Trusted);
    assert!(home.trust.holds(&before.trusted_digest).is_ok());
    executable("main/app/tools/y", "");
    assert!(matches!(home.trust.verdict(&review()), Verdict::Changed { .. }));
    assert!(home.trust.holds(&before.trusted_digest).unwrap_err().to_string().contains("tools/y"));
    fs::remove_file(home.path.join("main/app/tools/y")).unwrap();
    executable("main/app/tools/x", "two");
    assert!(matches!(home.trust.verdict(&review()), Verdict::Changed { .. }));
}

#[test]
fn records_are_private_and_a_broken_one_grants_no_trust() {
    let home = Home::new();
    home.grant("main");
    let record = home.trust.record(&home.project("main").path);
    assert_eq!(record.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    assert_eq!(home.trust.directory.metadata().unwrap().permissions().mode() & 0o777, 0o700);
    fs::write(&record, "{").unwrap();
    assert_eq!(home.verdict("main"), Verdict::Untrusted);
}

#[test]
fn paths_are_relative_to_the_projects_directory() {
    let from = |path| relative(Path::new(path), Path::new("/a/b/c"));
    assert_eq!(from("/a/b/c/d/e"), "d/e");
    assert_eq!(from("/a/b/x"), "../x");
    assert_eq!(from("/x/y"), "../../../x/y");
}
