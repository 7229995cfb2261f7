//! The certificate of a backend with TLS, and certificate authorities.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, SystemTime};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use rcgen::{
    BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, date_time_ymd,
};
use rustls::crypto::ring::default_provider;
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig, SupportedProtocolVersion};
use tokio_rustls::TlsAcceptor;

/// The number of authorities that this process has made.
static AUTHORITIES: AtomicUsize = AtomicUsize::new(0);

/// An RSA key for tests, because `ring` cannot generate one.
const RSA: &str = include_str!("rsa.pem");

/// A certificate, the authority that signed it, and the TLS configuration of a server that uses it.
#[derive(Clone)]
pub struct Identity {
    authority: String,
    config: Arc<ServerConfig>,
}

impl Identity {
    /// A valid certificate for `name`. Clients accept it if `name` is `localhost`.
    pub fn of(name: &str) -> Self {
        Self::with(name, rustls::ALL_VERSIONS, None, |_| ())
    }

    /// A certificate that expired years ago.
    pub fn expired(name: &str) -> Self {
        Self::with(name, rustls::ALL_VERSIONS, None, expire)
    }

    /// A certificate with a lifetime of 90 days that expires after `left`.
    pub fn ending(name: &str, left: Duration) -> Self {
        Self::with(name, rustls::ALL_VERSIONS, None, |params| {
            params.not_after = (SystemTime::now() + left).into();
            params.not_before = params.not_after - Duration::from_hours(90 * 24);
        })
    }

    /// A valid certificate for a server that requires client certificates from an authority, with these versions of
    /// TLS.
    pub fn demanding(name: &str, clients: &Authority, versions: &[&'static SupportedProtocolVersion]) -> Self {
        Self::with(name, versions, Some(clients), |_| ())
    }

    /// Offers only HTTP/1.1.
    pub fn without_http2(mut self) -> Self {
        Arc::make_mut(&mut self.config).alpn_protocols = vec![b"http/1.1".to_vec()];
        self
    }

    /// The authority's certificate in PEM, for a destination's `ca`.
    pub fn authority(&self) -> &str {
        &self.authority
    }

    fn with(
        name: &str,
        versions: &[&'static SupportedProtocolVersion],
        clients: Option<&Authority>,
        change: impl FnOnce(&mut CertificateParams),
    ) -> Self {
        let authority = Authority::new();
        let key = KeyPair::generate().unwrap();
        let mut params = CertificateParams::new([name.to_owned()]).unwrap();
        change(&mut params);
        let certificate = params.signed_by(&key, &authority.0).unwrap();
        let provider = Arc::new(default_provider());
        let config =
            ServerConfig::builder_with_provider(Arc::clone(&provider)).with_protocol_versions(versions).unwrap();
        let config = match clients {
            None => config.with_no_client_auth(),
            Some(clients) => {
                let mut roots = RootCertStore::empty();
                roots.add(clients.0.der().clone()).unwrap();
                let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider).build().unwrap();
                config.with_client_cert_verifier(verifier)
            }
        };
        let key = PrivateKeyDer::Pkcs8(key.serialize_der().into());
        let mut config = config.with_single_cert(vec![certificate.der().clone()], key).unwrap();
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Self { authority: authority.0.pem(), config: Arc::new(config) }
    }

    pub(in super::super) fn acceptor(&self) -> TlsAcceptor {
        TlsAcceptor::from(Arc::clone(&self.config))
    }
}

/// An authority that signs certificates.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut authority = CertificateParams::new([]).unwrap();
        authority.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        // With equal names, a client would take both for one authority and report a bad signature.
        let number = AUTHORITIES.fetch_add(1, Ordering::Relaxed);
        authority.distinguished_name.push(DnType::CommonName, format!("authority {number} for tests"));
        Self(CertifiedIssuer::self_signed(authority, KeyPair::generate().unwrap()).unwrap())
    }

    /// Signs a client certificate.
    pub fn client(&self) -> ClientIdentity {
        self.sign(KeyPair::generate().unwrap(), |_| ())
    }

    /// Signs a client certificate with an RSA key.
    pub fn rsa_client(&self) -> ClientIdentity {
        self.sign(KeyPair::from_pem(RSA).unwrap(), |_| ())
    }

    /// Signs a client certificate that expired years ago.
    pub fn expired_client(&self) -> ClientIdentity {
        self.sign(KeyPair::generate().unwrap(), expire)
    }

    fn sign(&self, key: KeyPair, change: impl FnOnce(&mut CertificateParams)) -> ClientIdentity {
        let mut params = CertificateParams::new(["client".to_owned()]).unwrap();
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ClientAuth];
        change(&mut params);
        let certificate = params.signed_by(&key, &self.0).unwrap();
        ClientIdentity { certificate: certificate.pem(), key }
    }
}

/// A client certificate and its key.
pub struct ClientIdentity {
    /// In PEM.
    pub certificate: String,
    key: KeyPair,
}

impl ClientIdentity {
    /// The key as PKCS#8, in PEM.
    pub fn pkcs8(&self) -> String {
        self.key.serialize_pem()
    }

    /// The key as PKCS#1 (RSA) or SEC1 (EC), in PEM. Both are the inner part of PKCS#8, after the algorithm identifier.
    /// An EC key is preceded by its parameters, as `openssl ecparam -genkey` writes them.
    pub fn traditional(&self) -> String {
        let der = self.key.serialize_der();
        if der.len() > 1000 {
            assert_eq!(der[22..24], [4, 0x82]);
            return pem("RSA PRIVATE KEY", &der[26..]);
        }
        assert_eq!(der[27..29], [4, 0x6d]);
        let parameters = [6, 8, 0x2a, 0x86, 0x48, 0xce, 0x3d, 3, 1, 7];
        pem("EC PARAMETERS", &parameters) + &pem("EC PRIVATE KEY", &der[29..])
    }
}

fn expire(params: &mut CertificateParams) {
    params.not_before = date_time_ymd(2020, 1, 1);
    params.not_after = date_time_ymd(2021, 1, 1);
}

fn pem(kind: &str, der: &[u8]) -> String {
    format!("-----BEGIN {kind}-----\n{}\n-----END {kind}-----\n", STANDARD.encode(der))
}
