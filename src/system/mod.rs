//! Small interfaces to the operating system: processes, signals, bounded reads, random bytes, digests, openers.

pub mod bounded;
pub mod digest;
pub mod file_identity;
pub mod hex;
pub mod hidden;
pub mod inheritance;
pub mod opener;
pub mod process;
pub mod process_environment;
pub mod random;
pub mod signals;
pub mod wsl;
