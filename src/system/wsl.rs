//! Linux on Windows (WSL), where Windows programs and drives are visible, too.

use std::path::Path;

use super::bounded;
use super::process_environment::ProcessEnvironment;

/// Whether this is Linux on Windows.
pub fn is_wsl(process: &ProcessEnvironment) -> bool {
    if !cfg!(target_os = "linux") {
        return false;
    }
    let version = || bounded::read(Path::new("/proc/version"), 4096).unwrap_or_default();
    process.variable("WSL_DISTRO_NAME").is_some() || is_wsl_kernel(&String::from_utf8_lossy(&version()))
}

fn is_wsl_kernel(version: &str) -> bool {
    version.to_ascii_lowercase().contains("microsoft")
}

/// Whether this is WSL and the file is on a Windows drive.
pub fn is_on_windows(path: &Path, process: &ProcessEnvironment) -> bool {
    is_on_a_drive(path) && is_wsl(process)
}

/// Whether a file is on a Windows drive, which WSL mounts as `/mnt/LETTER`.
fn is_on_a_drive(path: &Path) -> bool {
    let mut parts = path.strip_prefix("/mnt").into_iter().flat_map(Path::components);
    let drive = parts.next().map(|part| part.as_os_str().as_encoded_bytes().to_vec());
    drive.is_some_and(|drive| drive.len() == 1 && drive[0].is_ascii_alphabetic()) && parts.next().is_some()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn wsl_is_recognised_by_its_kernel() {
        assert!(is_wsl_kernel("Linux version 5.15.153.1-microsoft-standard-WSL2 (root@941d701f84f1)"));
        assert!(is_wsl_kernel("Linux version 4.4.0-19041-Microsoft (Microsoft@Microsoft.com)"));
        assert!(!is_wsl_kernel("Linux version 6.8.0-31-generic (buildd@lcy02-amd64-080)"));
    }

    #[test]
    fn windows_drives_are_distinguished_from_other_mounts() {
        for path in ["/mnt/c/Users/x/AppData/Roaming/npm/claude", "/mnt/D/claude"] {
            assert!(is_on_a_drive(Path::new(path)), "{path}");
        }
        for path in ["/mnt/c", "/mnt/data/bin/claude", "/mnt", "/home/c/claude", "/usr/bin/claude"] {
            assert!(!is_on_a_drive(Path::new(path)), "{path}");
        }
    }
}
