//! TLS to a server: which authorities to trust, and which client certificate to present.

use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{Resumption, VerifierBuilderError, WebPkiServerVerifier};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, InconsistentKeys, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::lifetime::{CertificateLifetime, RecordingVerifier};
use crate::system::bounded;

/// `[destination.NAME.tls]`. All files are PEM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Certificate authorities to trust instead of the system's.
    pub ca: Option<PathBuf>,
    /// Our client certificate, with any intermediate certificates.
    pub cert: Option<PathBuf>,
    /// The key of the client certificate.
    pub key: Option<PathBuf>,
    /// The name that the destination's certificate must match. By default it is the endpoint's host.
    pub server_name: Option<String>,
}

/// How many sessions a client remembers to resume. The default of 256 is meant for browsers.
const RESUMABLE_SESSIONS: usize = 4;

/// The maximum size of a file, in bytes. All authorities of a system take a quarter of a megabyte.
const MAXIMUM_FILE: u64 = 4 << 20;

/// Why TLS is unavailable.
#[derive(Debug, Error)]
pub(super) enum TlsError {
    #[error("cannot read the {what} in `{}`: {error}", path.display())]
    Unreadable { what: &'static str, path: PathBuf, error: io::Error },
    #[error("`{}` is not a valid PEM file: {fault}", path.display())]
    NotPem { path: PathBuf, fault: &'static str },
    #[error("there is no {what} in `{}`: {instead}", path.display())]
    Missing { what: &'static str, path: PathBuf, instead: &'static str },
    #[error("no certificate authority in `{}` can be used", path.display())]
    NoAuthority { path: PathBuf },
    #[error(
        "the private key in `{path}` is encrypted, and there is no way to ask for its passphrase: `openssl pkey -in \
         {path} -out NEW-FILE` decrypts it",
        path = path.display()
    )]
    Encrypted { path: PathBuf },
    #[error("the private key in `{}` does not belong to the certificate in `{}`", key.display(), cert.display())]
    Mismatch { cert: PathBuf, key: PathBuf },
    #[error(
        "the certificate in `{}` or its private key in `{}` cannot be used: {error}; keys may be RSA of 2048 bits or \
         more, ECDSA with P-256 or P-384, or Ed25519",
        cert.display(), key.display()
    )]
    Identity { cert: PathBuf, key: PathBuf, error: rustls::Error },
    #[error("cannot set up tls: {0}")]
    Setup(#[from] rustls::Error),
    #[error("cannot set up tls: {0}")]
    Verifier(#[from] VerifierBuilderError),
    #[error("cannot set up tls: {0}")]
    Interrupted(#[from] tokio::task::JoinError),
}

/// The configuration for `https`: the trusted authorities (those in `ca`, or the system's, which include a company's),
/// and the client certificate, if there is one.
///
/// Reads files, including some hundred authorities of the system. This takes milliseconds and about a megabyte, so it
/// happens only when a connection is first needed, and not on the runtime's thread. `lifetime` records the validity
/// period of accepted certificates.
pub(super) fn client_config(tls: &Tls, lifetime: Option<&CertificateLifetime>) -> Result<ClientConfig, TlsError> {
    let verifier = verifier(tls)?;
    let verifier = match lifetime {
        Some(lifetime) => Arc::new(RecordingVerifier { verifier, lifetime: lifetime.clone() }),
        None => verifier,
    };
    let trusting = builder()?.dangerous().with_custom_certificate_verifier(verifier);
    let mut config = if let (Some(cert), Some(key)) = (&tls.cert, &tls.key) {
        let (chain, private) = (certificates(cert, "certificate")?, private_key(key)?);
        trusting.with_client_auth_cert(chain, private).map_err(|error| identity_error(cert, key, error))?
    } else {
        trusting.with_no_client_auth()
    };
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(config)
}

/// Verifies a server's certificate.
fn verifier(tls: &Tls) -> Result<Arc<dyn ServerCertVerifier>, TlsError> {
    let provider = Arc::new(default_provider());
    Ok(match &tls.ca {
        Some(path) => WebPkiServerVerifier::builder_with_provider(Arc::new(authorities(path)?), provider).build()?,
        None => Arc::new(Verifier::new(provider)?),
    })
}

/// A configuration for `http`. The connector requires one but never uses it. It trusts no authority.
pub(super) fn unused_config() -> Result<ClientConfig, TlsError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

/// The state of a destination's files. It reveals that a file was replaced without reading it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Stamp([Option<FileStamp>; 3]);

/// Device and inode, length in bytes, and modification time in seconds and nanoseconds.
type FileStamp = (u64, u64, u64, i64, i64);

impl Stamp {
    /// Reads the state of each file from the system.
    pub(super) fn of(tls: &Tls) -> Self {
        let stamp = |path: &Option<PathBuf>| {
            let file = path.as_ref()?.metadata().ok()?;
            Some((file.dev(), file.ino(), file.len(), file.mtime(), file.mtime_nsec()))
        };
        Self([&tls.ca, &tls.cert, &tls.key].map(stamp))
    }
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    // The provider is explicit, because a process-wide default is a global that any code could have set before.
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?)
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let mut authorities = RootCertStore::empty();
    // A bundle may contain certificates that this TLS library rejects. The others are still valid.
    let (usable, _) = authorities.add_parsable_certificates(certificates(path, "certificate authority")?);
    if usable == 0 { Err(TlsError::NoAuthority { path: path.to_owned() }) } else { Ok(authorities) }
}

/// The certificates in a file, at least one.
fn certificates(path: &Path, what: &'static str) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    let text = read(path, what)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    match certificates {
        Ok(none) if none.is_empty() => Err(missing(path, what, &text)),
        Ok(certificates) => Ok(certificates),
        Err(error) => Err(not_pem(path, &error)),
    }
}

/// The private key in a file, in any of the three forms that tools write: PKCS#8, PKCS#1 and SEC1.
fn private_key(path: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    let what = "private key";
    let text = read(path, what)?;
    if holds(&text, "-----BEGIN ENCRYPTED PRIVATE KEY-----") || holds(&text, "Proc-Type: 4,ENCRYPTED") {
        return Err(TlsError::Encrypted { path: path.to_owned() });
    }
    PrivateKeyDer::from_pem_slice(&text).map_err(|error| match error {
        pem::Error::NoItemsFound => missing(path, what, &text),
        error => not_pem(path, &error),
    })
}

fn read(path: &Path, what: &'static str) -> Result<Vec<u8>, TlsError> {
    bounded::read(path, MAXIMUM_FILE).map_err(|error| TlsError::Unreadable { what, path: path.to_owned(), error })
}

/// The error for a file without the expected item. It says what the file contains instead.
fn missing(path: &Path, what: &'static str, text: &[u8]) -> TlsError {
    let instead = if text.trim_ascii().is_empty() {
        "it is empty"
    } else if holds(text, "-----BEGIN CERTIFICATE-----") {
        "it holds a certificate"
    } else if holds(text, "PRIVATE KEY-----") {
        "it holds a private key"
    } else if holds(text, "-----BEGIN ") {
        "it holds something else"
    } else {
        "it is not a PEM file: those have a line that begins with `-----BEGIN`"
    };
    TlsError::Missing { what, path: path.to_owned(), instead }
}

/// The error for an invalid PEM file. The original error shows lines of it, which may be part of a key.
fn not_pem(path: &Path, error: &pem::Error) -> TlsError {
    let fault = match error {
        pem::Error::MissingSectionEnd { .. } => "a section has no end; are line breaks missing?",
        pem::Error::IllegalSectionStart { .. } => "a section's first line is not as it should be",
        pem::Error::Base64Decode(_) => "its base64 is broken",
        _ => "it cannot be read as one",
    };
    TlsError::NotPem { path: path.to_owned(), fault }
}

fn holds(text: &[u8], words: &str) -> bool {
    text.windows(words.len()).any(|window| window == words.as_bytes())
}

fn identity_error(cert: &Path, key: &Path, error: rustls::Error) -> TlsError {
    let (cert, key) = (cert.to_owned(), key.to_owned());
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => TlsError::Mismatch { cert, key },
        error => TlsError::Identity { cert, key, error },
    }
}
