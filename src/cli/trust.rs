//! `ccrun trust` and `ccrun untrust`: their options.

use std::path::PathBuf;

use clap::Args;

/// `ccrun trust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun trust              shows what the project's file does, and asks
  ccrun trust --hash $SHA  accepts exactly what was reviewed, in scripts and CI

A file that changes, or a file that it names, has to be trusted anew.")]
pub struct Trust {
    /// The project, or its file [default: the working directory]
    pub path: Option<PathBuf>,
    /// Accept it without being asked
    #[arg(long, conflicts_with = "hash")]
    pub yes: bool,
    /// Accept it if this is what it comes to
    #[arg(long, value_name = "SHA256", value_parser = sha256)]
    pub hash: Option<String>,
}

/// `ccrun untrust`.
#[derive(Debug, Args)]
pub struct Untrust {
    /// The project, or its file [default: the working directory]
    pub path: Option<PathBuf>,
}

/// A SHA-256 in hexadecimal digits.
fn sha256(text: &str) -> Result<String, String> {
    if text.len() == 64 && text.chars().all(|c| c.is_ascii_hexdigit()) {
        return Ok(text.to_ascii_lowercase());
    }
    Err("it has 64 hexadecimal digits; `ccrun trust` prints it".to_owned())
}
