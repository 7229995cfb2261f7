//! Opens a file in the program that the desktop has for it.

use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use super::process_environment::ProcessEnvironment;
use super::wsl::is_wsl;

/// How long an opener may take to fail. Some of them last as long as the program that they start.
const LIMIT: Duration = Duration::from_secs(3);

const BETWEEN_LOOKS: Duration = Duration::from_millis(10);

/// Opens a file, given by its absolute path. Returns false if no opener is there, or the first one says that it failed.
pub fn open(file: &Path, process: &ProcessEnvironment) -> bool {
    let search = process.variable("PATH");
    let find = |name: &&str| which::which_in(name, search, &process.directory).ok();
    openers(process).iter().find_map(find).is_some_and(|opener| starts(&opener, file))
}

/// The platform's openers, the better one first.
fn openers(process: &ProcessEnvironment) -> &'static [&'static str] {
    match () {
        () if cfg!(target_os = "macos") => &["/usr/bin/open", "open"],
        () if is_wsl(process) => &["wslview", "xdg-open"],
        () => &["xdg-open"],
    }
}

/// Starts an opener, apart from the terminal: Ctrl-C ends neither it nor the browser. Returns false if it fails at once.
fn starts(opener: &PathBuf, file: &Path) -> bool {
    let mut command = Command::new(opener);
    command.arg(file).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).process_group(0);
    let Ok(mut child) = command.spawn() else { return false };
    let end = Instant::now() + LIMIT;
    loop {
        match child.try_wait() {
            Ok(Some(status)) => return status.success(),
            Ok(None) if Instant::now() < end => std::thread::sleep(BETWEEN_LOOKS),
            _ => return true,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[cfg(target_os = "linux")]
    #[test]
    fn linux_on_windows_has_an_opener_of_its_own() {
        let plain = ProcessEnvironment::nowhere([]);
        let wsl = ProcessEnvironment::nowhere([("WSL_DISTRO_NAME", "Debian")]);
        assert_eq!(openers(&wsl), ["wslview", "xdg-open"]);
        if !is_wsl(&plain) {
            assert_eq!(openers(&plain), ["xdg-open"]);
        }
    }
}
