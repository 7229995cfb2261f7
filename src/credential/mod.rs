//! A destination's headers: built from their sources, and kept fresh while a session runs.
//!
//! A launch only checks what is `known_missing` and runs `interactive` commands. Everything else is left to the
//! collector: its [`Vault`] holds the [`Credentials`] of each destination, which fetch what is `wanted` when `upkeep`
//! says so, according to an `acceptance` that all sessions of the user share through a file.

mod acceptance;
mod acceptance_file;
mod credentials;
mod error;
mod headers;
mod identity;
mod interactive;
mod known_missing;
mod upkeep;
mod vault;
mod wanted;

pub use acceptance_file::prune;
pub use credentials::{Credentials, Headers, Unavailable};
pub use error::{HeadersError, ValueError};
pub use headers::FetchedHeaders;
pub use identity::{keyed, sources};
pub use interactive::{Answers, Put, interactive_commands};
pub use known_missing::missing;
pub use upkeep::Occasion;
pub use vault::Vault;
