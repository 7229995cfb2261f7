//! The validity period of a server's certificate. It is determined by asking the verifier about other times, because
//! nothing else here reads certificates.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// A time at which every current certificate has expired: RFC 5280's last, the end of the year 9999, in Unix seconds.
const NEVER_GOOD: u64 = 253_402_300_799;

/// The validity period of the server's certificate, once it is known. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct CertificateLifetime(Arc<Mutex<Option<ValidityPeriod>>>);

/// A validity period, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ValidityPeriod {
    /// The first second.
    pub since: u64,
    /// The last second.
    pub until: u64,
}

impl CertificateLifetime {
    /// The period of the last accepted certificate, if the verifier reported it.
    pub fn get(&self) -> Option<ValidityPeriod> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Delegates to another verifier, and records the validity period of accepted certificates.
#[derive(Debug)]
pub(super) struct RecordingVerifier {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) lifetime: CertificateLifetime,
}

impl ServerCertVerifier for RecordingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let at = |now| self.verifier.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        let verified = at(now)?;
        let fault = |second| match at(UnixTime::since_unix_epoch(std::time::Duration::from_secs(second))) {
            Err(Error::InvalidCertificate(fault)) => Some(fault),
            _ => None,
        };
        if let (
            Some(CertificateError::NotValidYetContext { not_before, .. }),
            Some(CertificateError::ExpiredContext { not_after, .. }),
        ) = (fault(0), fault(NEVER_GOOD))
        {
            let good = ValidityPeriod { since: not_before.as_secs(), until: not_after.as_secs() };
            *self.lifetime.0.lock().unwrap_or_else(PoisonError::into_inner) = Some(good);
        }
        Ok(verified)
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls12_signature(message, certificate, signed)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.verifier.verify_tls13_signature(message, certificate, signed)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.verifier.supported_verify_schemes()
    }
}
