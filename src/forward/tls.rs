//! TLS towards a destination: whom to trust.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fs, io};

use rustls::client::Resumption;
use rustls::crypto::ring::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::{self, PemObject};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore, WantsVerifier};
use rustls_platform_verifier::Verifier;
use thiserror::Error;

/// How many sessions a destination's connections remember for resuming; the default of 256 is for browsers.
const RESUMABLE_SESSIONS: usize = 4;

/// Why nobody can be trusted.
#[derive(Debug, Error)]
pub(super) enum TlsError {
    #[error("cannot read the certificate authorities in `{}`: {error}", path.display())]
    Unreadable { path: PathBuf, error: io::Error },
    #[error("`{}` is no PEM file: {error}", path.display())]
    NotPem { path: PathBuf, error: pem::Error },
    #[error("no certificate authority in `{}` can be used", path.display())]
    NoAuthority { path: PathBuf },
    #[error("cannot set up tls: {0}")]
    Setup(#[from] rustls::Error),
}

/// What to trust for `https`: the authorities in `ca`, or the system's, a company's among them.
///
/// Reads files, the system's some hundred authorities among them: milliseconds of work and about a megabyte, so it is
/// done when a connection is first needed, and not on the runtime's thread.
pub(super) fn client_config(ca: Option<&Path>) -> Result<ClientConfig, TlsError> {
    let mut config = if let Some(path) = ca {
        builder()?.with_root_certificates(authorities(path)?).with_no_client_auth()
    } else {
        let verifier = Arc::new(Verifier::new(Arc::new(default_provider()))?);
        builder()?.dangerous().with_custom_certificate_verifier(verifier).with_no_client_auth()
    };
    config.resumption = Resumption::in_memory_sessions(RESUMABLE_SESSIONS);
    Ok(config)
}

/// For `http`, where the connector wants a configuration and never uses it: trusts nobody.
pub(super) fn unused_config() -> Result<ClientConfig, TlsError> {
    Ok(builder()?.with_root_certificates(RootCertStore::empty()).with_no_client_auth())
}

fn builder() -> Result<ConfigBuilder<ClientConfig, WantsVerifier>, TlsError> {
    // The provider is named, because a default for the process would be a global that anything could have set before.
    Ok(ClientConfig::builder_with_provider(Arc::new(default_provider())).with_safe_default_protocol_versions()?)
}

fn authorities(path: &Path) -> Result<RootCertStore, TlsError> {
    let text = fs::read(path).map_err(|error| TlsError::Unreadable { path: path.to_owned(), error })?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let certificates = certificates.map_err(|error| TlsError::NotPem { path: path.to_owned(), error })?;
    let mut authorities = RootCertStore::empty();
    // A bundle may hold something that this TLS does not take; the rest of it is good all the same.
    let (usable, _) = authorities.add_parsable_certificates(certificates);
    if usable == 0 { Err(TlsError::NoAuthority { path: path.to_owned() }) } else { Ok(authorities) }
}
