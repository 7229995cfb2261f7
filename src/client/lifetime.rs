//! From when until when a server's certificate is good, as its verifier says if asked about other times: nothing else
//! here reads certificates.

use std::sync::{Arc, Mutex, PoisonError};

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{CertificateError, DigitallySignedStruct, Error, SignatureScheme};

/// A time at which no certificate of today is good any more: RFC 5280's last, the end of the year 9999, in Unix seconds.
const NEVER_GOOD: u64 = 253_402_300_799;

/// When the certificate is good that a server has shown, as soon as there is one. Cloned, it is the same.
#[derive(Clone, Debug, Default)]
pub struct Lifetime(Arc<Mutex<Option<Good>>>);

/// A time in which a certificate is good, in Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Good {
    /// Its first second.
    pub since: u64,
    /// Its last.
    pub until: u64,
}

impl Lifetime {
    /// That of the certificate that was accepted last, if the verifier told.
    pub fn get(&self) -> Option<Good> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Lets another decide, and notes when what that accepts is good.
#[derive(Debug)]
pub(super) struct Noting {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) lifetime: Lifetime,
}

impl ServerCertVerifier for Noting {
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
            let good = Good { since: not_before.as_secs(), until: not_after.as_secs() };
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
