use std::fs;
use std::os::unix::fs::symlink;

use super::*;

fn words(script: &str) -> [String; 3] {
    ["sh", "-c", script].map(str::to_owned)
}

fn sh(script: &str, timeout: Duration) -> Result<String, String> {
    let variables = [("PATH", "/usr/bin:.:/bin"), ("OTEL_X", "1"), ("CCRUN_X", "1"), ("MINE", "2"), ("KEY", "3")];
    let variables = variables.map(|(name, value)| (name.to_owned(), value.to_owned())).into();
    let withheld = ["KEY".to_owned()].into();
    let context = FetchContext { withheld: Some(&withheld), ..FetchContext::new(Path::new("/"), &variables) };
    run(&words(script), context, timeout)
}

#[test]
fn the_output_is_the_value() {
    let minute = Duration::from_mins(1);
    let script = "echo $PATH $OTEL_X $CCRUN_X $MINE $KEY; pwd; cat";
    assert_eq!(sh(script, minute).unwrap(), "/usr/bin:/bin 2\n/");
    assert_eq!(sh("echo no >&2; exit 3", minute).unwrap_err(), "ended with exit status: 3: no");
    assert_eq!(
        sh("printf '\\033[31mred' >&2; false", minute).unwrap_err(),
        "ended with exit status: 1: \\u{1b}[31mred"
    );
    let long = sh("head -c 60000 /dev/zero | tr '\\0' x >&2; false", minute).unwrap_err();
    assert!(long.chars().count() < 250 && long.ends_with('…'), "{long}");
    assert!(sh("head -c 70000 /dev/zero", minute).unwrap_err().contains("printed more than"));
    assert!(sh("printf '\\377'", minute).unwrap_err().contains("invalid UTF-8"));
    let context = FetchContext::new(Path::new("/"), &BTreeMap::new()).home.to_owned();
    let missing = run(&["/no/such/program".to_owned()], FetchContext::new(&context, &BTreeMap::new()), minute);
    assert!(missing.unwrap_err().starts_with("cannot be run: "));
}

#[test]
fn arguments_are_not_interpreted_by_a_shell() {
    let variables = BTreeMap::new();
    let argv = ["echo", "$HOME", "`id`", "; exit 3"].map(str::to_owned);
    let context = FetchContext::new(Path::new("/"), &variables);
    assert_eq!(run(&argv, context, Duration::from_mins(1)).unwrap(), "$HOME `id` ; exit 3");
}

#[test]
fn no_directory_of_the_project_is_on_the_path() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path().canonicalize().unwrap();
    let (project, other) = (root.join("project"), root.join("project-tools"));
    fs::create_dir_all(project.join("bin")).unwrap();
    fs::create_dir_all(&other).unwrap();
    symlink(project.join("bin"), root.join("link")).unwrap();
    let path =
        |entries: &[&Path]| entries.iter().map(|entry| entry.display().to_string()).collect::<Vec<_>>().join(":");
    let missing = project.join("missing");
    let all = [Path::new("/bin"), &project, &project.join("bin"), &missing, &root.join("link"), &other];
    let variables = [("PATH".to_owned(), path(&all))].into();
    let context = FetchContext { project: Some(&project), ..FetchContext::new(&root, &variables) };
    assert_eq!(environment(context)["PATH"], path(&[Path::new("/bin"), &other]));

    let variables = [("PATH".to_owned(), path(&[&project]))].into();
    let context = FetchContext { variables: &variables, ..context };
    assert!(!environment(context).contains_key("PATH"));
}

#[test]
fn a_slow_helper_is_killed_with_its_children() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!("sh -c 'echo $$ > {}; exec sleep 600' & wait", file.display());
    assert_eq!(sh(&script, Duration::from_secs(1)).unwrap_err(), "took longer than 1 s");
    let pid: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    let child = crate::system::process::Process { pid, started: None };
    child.watch().wait();
    assert!(!child.lives());
}

#[cfg(target_os = "linux")]
#[test]
fn a_background_process_of_a_helper_causes_no_delay() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("pid");
    let script = format!(
        "setsid sh -c 'echo $$ > {0}; exec sleep 600' & while ! [ -s {0} ]; do :; done; echo token",
        file.display()
    );
    assert_eq!(sh(&script, Duration::from_mins(1)).unwrap(), "token");
    let pid: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
    nix::sys::signal::kill(Pid::from_raw(pid), Signal::SIGKILL).unwrap();
}

#[test]
fn debug_output_shows_no_variables() {
    let variables = [("KEY".to_owned(), "sk-1".to_owned())].into();
    assert!(!format!("{:?}", FetchContext::new(Path::new("/"), &variables)).contains("sk-1"));
}
