//! Options of `ccrun trust` and `ccrun untrust`.

use std::path::PathBuf;

use clap::Args;

/// `ccrun trust`.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  ccrun trust               show what the project's file does, and ask
  ccrun trust --hash $SHA   trust exactly what was reviewed, in scripts and CI

If the file, or a file that it names, changes, it must be trusted again.")]
pub struct Trust {
    /// The project, or its file [default: the working directory]
    pub path: Option<PathBuf>,
    /// Trust it without asking
    #[arg(long, conflicts_with = "hash")]
    pub yes: bool,
    /// Trust it if its hash is this one
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
