use std::process::Command;

use super::*;

#[test]
fn a_branch_is_read_from_a_checkout_and_from_a_worktree() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().join("repository");
    std::fs::create_dir_all(root.join(".git/worktrees/w")).unwrap();
    std::fs::create_dir_all(root.join("a/b")).unwrap();
    std::fs::write(root.join(".git/HEAD"), "ref: refs/heads/feature/x\n").unwrap();
    assert_eq!(checkout(&root.join("a/b")), Checkout { root: root.clone(), branch: Some("feature/x".into()) });

    let linked = directory.path().join("linked");
    std::fs::create_dir(&linked).unwrap();
    std::fs::write(root.join(".git/worktrees/w/HEAD"), "ref: refs/heads/w\n").unwrap();
    std::fs::write(linked.join(".git"), "gitdir: ../repository/.git/worktrees/w\n").unwrap();
    assert_eq!(checkout(&linked).branch.as_deref(), Some("w"));
}

#[test]
fn a_link_to_a_device_is_not_read() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".git")).unwrap();
    std::os::unix::fs::symlink("/dev/zero", directory.path().join(".git/HEAD")).unwrap();
    assert_eq!(checkout(directory.path()).branch, None);
}

/// A repository `main` with a linked worktree `linked`, as git creates them.
fn linked(directory: &Path) -> (PathBuf, PathBuf) {
    let (main, linked) = (directory.join("main"), directory.join("linked"));
    let administration = main.join(".git/worktrees/w");
    std::fs::create_dir_all(&administration).unwrap();
    std::fs::create_dir(&linked).unwrap();
    std::fs::write(linked.join(".git"), format!("gitdir: {}\n", administration.display())).unwrap();
    std::fs::write(administration.join("gitdir"), format!("{}\n", linked.join(".git").display())).unwrap();
    std::fs::write(administration.join("commondir"), "../..\n").unwrap();
    (main, linked)
}

fn canonical() -> (tempfile::TempDir, PathBuf) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().canonicalize().unwrap();
    (directory, path)
}

#[test]
fn checkouts_of_one_repository_know_each_other() {
    let (_keep, directory) = canonical();
    let (main, linked) = linked(&directory);
    assert_eq!((repository_name(&main).as_deref(), repository_name(&linked).as_deref()), (Some("main"), Some("main")));
    assert_eq!(repository_name(&directory), None);
    assert_eq!(relatives(&main), std::slice::from_ref(&linked));
    assert_eq!(relatives(&linked), std::slice::from_ref(&main));
    assert_eq!(relatives(&directory), [] as [PathBuf; 0]);

    // As git 2.48 writes them if asked to.
    std::fs::write(linked.join(".git"), "gitdir: ../main/.git/worktrees/w\n").unwrap();
    std::fs::write(main.join(".git/worktrees/w/gitdir"), "../../../../linked/.git\n").unwrap();
    assert_eq!(relatives(&linked), [main]);
}

#[test]
fn a_forged_checkout_is_not_part_of_the_repository() {
    let (_keep, directory) = canonical();
    let (main, linked) = linked(&directory);
    let forged = directory.join("forged");
    std::fs::create_dir(&forged).unwrap();

    // It names a worktree's place in the repository, which belongs to another checkout.
    std::fs::copy(linked.join(".git"), forged.join(".git")).unwrap();
    assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

    // It contains a place of its own that claims to belong to the repository.
    let own = forged.join("own");
    std::fs::create_dir(&own).unwrap();
    std::fs::write(forged.join(".git"), "gitdir: own\n").unwrap();
    std::fs::write(own.join("gitdir"), "../.git\n").unwrap();
    std::fs::write(own.join("commondir"), main.join(".git").to_str().unwrap()).unwrap();
    assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

    // It claims to be a repository that has the other's worktrees, by name and by a link.
    std::fs::remove_file(forged.join(".git")).unwrap();
    std::fs::create_dir_all(forged.join(".git/worktrees/w")).unwrap();
    let pointer = std::fs::read(main.join(".git/worktrees/w/gitdir")).unwrap();
    std::fs::write(forged.join(".git/worktrees/w/gitdir"), pointer).unwrap();
    assert_eq!(relatives(&forged), [] as [PathBuf; 0]);
    std::fs::remove_dir_all(forged.join(".git/worktrees")).unwrap();
    std::os::unix::fs::symlink(main.join(".git/worktrees"), forged.join(".git/worktrees")).unwrap();
    assert_eq!(relatives(&forged), [] as [PathBuf; 0]);
    std::fs::remove_dir_all(forged.join(".git")).unwrap();
    std::os::unix::fs::symlink(main.join(".git"), forged.join(".git")).unwrap();
    assert_eq!(relatives(&forged), [] as [PathBuf; 0]);

    // The real ones still know only each other.
    assert_eq!(relatives(&main), [linked]);
}

/// The real git, which must not read its user's own configuration.
fn command(directory: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new("git");
    command.args(["-c", "user.name=n", "-c", "user.email=e", "-c", "protocol.file.allow=always"]).args(arguments);
    command.current_dir(directory).env_clear().env("PATH", std::env::var_os("PATH").unwrap()).env("HOME", directory);
    command.env("GIT_CONFIG_NOSYSTEM", "1").env("GIT_EDITOR", "true");
    command
}

fn git(directory: &Path, arguments: &[&str]) {
    let output = command(directory, arguments).output().unwrap();
    assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A repository at that place, with one commit on `main`.
fn repository(directory: &Path, name: &str) -> PathBuf {
    let root = directory.join(name);
    std::fs::create_dir_all(&root).unwrap();
    git(&root, &["init", "-q", "-b", "main"]);
    git(&root, &["commit", "-q", "--allow-empty", "-m", "one"]);
    root
}

fn seen(directory: &Path) -> (Option<String>, Option<String>) {
    let checkout = checkout(directory);
    (repository_name(&checkout.root), checkout.branch)
}

fn expect(directory: &Path, name: &str, branch: Option<&str>) {
    assert_eq!(seen(directory), (Some(name.to_owned()), branch.map(str::to_owned)), "{}", directory.display());
}

#[test]
fn every_kind_of_worktree_has_the_repositorys_name_and_its_own_branch() {
    let (_keep, directory) = canonical();
    let shop = repository(&directory, "shop");
    git(&shop, &["worktree", "add", "-q", "-b", "feature/x", "../beside"]);
    git(&shop, &["worktree", "add", "-q", "-b", "inner", "below/inner"]);
    expect(&shop, "shop", Some("main"));
    expect(&directory.join("beside"), "shop", Some("feature/x"));
    expect(&shop.join("below/inner"), "shop", Some("inner"));

    // A bare clone in a hidden directory, with worktrees beside it.
    std::fs::create_dir(directory.join("hidden")).unwrap();
    git(&directory, &["clone", "-q", "--bare", "shop", "hidden/.bare"]);
    std::fs::write(directory.join("hidden/.git"), "gitdir: ./.bare\n").unwrap();
    git(&directory.join("hidden"), &["worktree", "add", "-q", "tree", "main"]);
    expect(&directory.join("hidden/tree"), "hidden", Some("main"));
    expect(&directory.join("hidden"), "hidden", Some("main"));

    // A bare clone with the name of the repository.
    git(&directory, &["clone", "-q", "--bare", "shop", "widget.git"]);
    git(&directory.join("widget.git"), &["worktree", "add", "-q", "-b", "w", "../elsewhere"]);
    expect(&directory.join("elsewhere"), "widget", Some("w"));

    // A git directory separate from its files.
    git(&directory, &["init", "-q", "-b", "main", "--separate-git-dir", "store", "apart"]);
    expect(&directory.join("apart"), "apart", Some("main"));
}

#[test]
fn submodules_are_separate_repositories() {
    let (_keep, directory) = canonical();
    let (part, whole) = (repository(&directory, "part"), repository(&directory, "whole"));
    git(&whole, &["submodule", "--quiet", "add", part.to_str().unwrap(), "libs/part"]);
    let inside = whole.join("libs/part");
    expect(&inside, "part", Some("main"));
    git(&inside, &["worktree", "add", "-q", "-b", "aside", "../../../aside"]);
    expect(&directory.join("aside"), "part", Some("aside"));
}

#[test]
fn a_detached_head_has_no_branch() {
    let (_keep, directory) = canonical();
    let root = repository(&directory, "shop");
    let commit = |text: &str| {
        std::fs::write(root.join("file"), text).unwrap();
        git(&root, &["add", "file"]);
        git(&root, &["commit", "-q", "-m", text]);
    };
    git(&root, &["checkout", "-q", "-b", "topic"]);
    commit("a");
    git(&root, &["checkout", "-q", "main"]);
    commit("b");
    git(&root, &["checkout", "-q", "topic"]);
    expect(&root, "shop", Some("topic"));
    git(&root, &["checkout", "-q", "--detach"]);
    expect(&root, "shop", None);
    git(&root, &["checkout", "-q", "topic"]);
    // It stops at a conflict.
    let output = command(&root, &["rebase", "-q", "main"]).output().unwrap();
    assert!(root.join(".git/rebase-merge").exists(), "{}", String::from_utf8_lossy(&output.stderr));
    expect(&root, "shop", None);
    git(&root, &["rebase", "--abort"]);
    expect(&root, "shop", Some("topic"));
    // Nothing is committed yet.
    git(&directory, &["init", "-q", "-b", "first", "new"]);
    expect(&directory.join("new"), "new", Some("first"));
}

#[test]
fn the_environment_can_set_the_git_directory() {
    let (_keep, directory) = canonical();
    repository(&directory, "shop");
    git(&directory.join("shop"), &["checkout", "-q", "-b", "dotted"]);
    let by = |git: Option<&str>, files: Option<&str>| checkout_by(&directory, git.map(Path::new), files.map(Path::new));
    assert_eq!(by(Some("shop/.git"), None), Checkout { root: directory.clone(), branch: Some("dotted".to_owned()) });
    let root = directory.join("shop");
    assert_eq!(by(Some("shop/.git"), Some("shop")), Checkout { root, branch: Some("dotted".to_owned()) });
    assert_eq!(by(None, Some("shop")), checkout(&directory));
}

#[test]
fn branches_in_tables_are_read() {
    let directory = tempfile::tempdir().unwrap();
    let git = directory.path().join(".git");
    std::fs::create_dir_all(git.join("reftable")).unwrap();
    std::fs::write(git.join("HEAD"), "ref: refs/heads/.invalid\n").unwrap();
    assert_eq!(checkout(directory.path()).branch, None, "the stub is not a branch");
    let table = |name: &str, references: &[(&str, Option<&str>)]| {
        std::fs::write(git.join("reftable").join(name), reftable::tests::table(references)).unwrap();
    };
    table("1.ref", &[("HEAD", Some("refs/heads/old")), ("refs/heads/old", None)]);
    table("2.ref", &[("HEAD", Some("refs/heads/feature/x"))]);
    table("3.ref", &[("refs/heads/old", None)]);
    std::fs::write(git.join("reftable/tables.list"), "1.ref\n2.ref\n3.ref\n").unwrap();
    assert_eq!(checkout(directory.path()).branch.as_deref(), Some("feature/x"));
    // A detached head.
    table("4.ref", &[("HEAD", None)]);
    std::fs::write(git.join("reftable/tables.list"), "1.ref\n2.ref\n3.ref\n4.ref\n").unwrap();
    assert_eq!(checkout(directory.path()).branch, None);
}

#[test]
fn a_head_that_is_a_link_names_its_branch() {
    let directory = tempfile::tempdir().unwrap();
    std::fs::create_dir(directory.path().join(".git")).unwrap();
    std::os::unix::fs::symlink("refs/heads/main", directory.path().join(".git/HEAD")).unwrap();
    assert_eq!(checkout(directory.path()).branch.as_deref(), Some("main"));
}
