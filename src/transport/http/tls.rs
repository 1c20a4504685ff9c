//! TLS: whom we trust and who we are.

use std::fmt::Display;
use std::io;
use std::net::IpAddr;
use std::sync::{Arc, OnceLock};

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, aws_lc_rs};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{CertificateError, ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme};

use super::failure::HttpFailure;
use crate::config::{ClientCert, Tls, Verify};
use crate::protocol::error::Failure;

/// Whoever decides whether a server's certificate will do.
type Verifier = Arc<dyn ServerCertVerifier>;

/// Reads the certificates that the settings name. Heavy (tens of certificate files), so it is done for the first https
/// connection of a client and not before.
pub(in crate::transport) fn client_config(settings: &Tls) -> Result<Arc<ClientConfig>, HttpFailure> {
    let provider = Arc::new(aws_lc_rs::default_provider());
    let verifier: Verifier = match &settings.verify {
        Verify::Yes => authorities(system_authorities()?, &provider)?,
        Verify::Bundle(path) => Arc::new(Lenient { accepted: bundle(path, &provider)?, provider: provider.clone() }),
        Verify::No => Arc::new(Lenient { accepted: Accepted::Any, provider: provider.clone() }),
    };
    let builder = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable("TLS"))?
        .dangerous()
        .with_custom_certificate_verifier(verifier);
    let config = match &settings.client_cert {
        None => builder.with_no_client_auth(),
        Some(cert) => {
            let (chain, key) = identity(cert)?;
            builder.with_client_auth_cert(chain, key).map_err(unusable(&cert.cert))?
        }
    };
    Ok(Arc::new(config))
}

fn unusable<E: Display>(what: &str) -> impl Fn(E) -> HttpFailure + use<'_, E> {
    move |error| HttpFailure::new(Failure::Tls, format!("{what}: {error}"))
}

/// What was wrong with a handshake, in a sentence that says what to do where the library's own does not.
pub(in crate::transport) fn explained(error: &io::Error) -> String {
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>());
    match cause {
        Some(rustls::Error::InvalidCertificate(CertificateError::NotValidForNameContext { expected, presented }))
            if presented.is_empty() =>
        {
            let expected = expected.to_str();
            format!(
                "the certificate has no subjectAltName, and a common name alone is not looked at: make one with \
                 subjectAltName={}:{expected}",
                if expected.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" }
            )
        }
        Some(rustls::Error::InvalidCertificate(CertificateError::Other(other))) => {
            format!("the certificate cannot be used: {other}")
        }
        _ => error.to_string(),
    }
}

/// The system's certificate authorities, read once per process.
///
/// Two threads may both read them; that is cheaper than a lock that a fork could leave held.
fn system_authorities() -> Result<Arc<RootCertStore>, HttpFailure> {
    static AUTHORITIES: OnceLock<Arc<RootCertStore>> = OnceLock::new();
    if let Some(known) = AUTHORITIES.get() {
        return Ok(known.clone());
    }
    let found = rustls_native_certs::load_native_certs();
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(found.certs);
    if store.is_empty() {
        let reasons: Vec<_> = found.errors.iter().map(ToString::to_string).collect();
        let reasons = if reasons.is_empty() { String::new() } else { format!(" ({})", reasons.join("; ")) };
        return Err(HttpFailure::new(
            Failure::Tls,
            format!(
                "this system has no certificate authorities{reasons}: install them (the package is often called \
                 ca-certificates), or name a bundle with verify=, AWS_CA_BUNDLE or SSL_CERT_FILE"
            ),
        ));
    }
    let store = Arc::new(store);
    Ok(AUTHORITIES.get_or_init(|| store).clone())
}

fn authorities(store: Arc<RootCertStore>, provider: &Arc<CryptoProvider>) -> Result<Verifier, HttpFailure> {
    let verifier = WebPkiServerVerifier::builder_with_provider(store, provider.clone()).build();
    Ok(verifier.map_err(unusable("certificate authorities"))?)
}

fn bundle(path: &str, provider: &Arc<CryptoProvider>) -> Result<Accepted, HttpFailure> {
    let certificates = certificates(path)?;
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(certificates.iter().cloned());
    Ok(Accepted::Bundle { authorities: authorities(Arc::new(store), provider)?, certificates })
}

fn certificates(path: &str) -> Result<Vec<CertificateDer<'static>>, HttpFailure> {
    let found = CertificateDer::pem_file_iter(path).map_err(unusable(path))?;
    let found = found.collect::<Result<Vec<_>, _>>().map_err(unusable(path))?;
    if found.is_empty() {
        return Err(HttpFailure::new(Failure::Tls, format!("{path}: no certificate found")));
    }
    Ok(found)
}

fn identity(cert: &ClientCert) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), HttpFailure> {
    let path = cert.key.as_deref().unwrap_or(&cert.cert);
    let key = PrivateKeyDer::from_pem_file(path).map_err(unusable(path))?;
    Ok((certificates(&cert.cert)?, key))
}

/// A verifier that decides by itself which certificates will do. Their keys must be the ones that sign the handshake, whichever
/// they are.
#[derive(Debug)]
struct Lenient {
    accepted: Accepted,
    provider: Arc<CryptoProvider>,
}

/// Which certificates a [`Lenient`] verifier takes.
#[derive(Debug)]
enum Accepted {
    /// `verify=False`: any.
    Any,
    /// A bundle's authorities', and its very certificates: OpenSSL takes a self-signed server certificate that stands in the
    /// bundle, although it is often marked as an authority's, which webpki never takes for a server's.
    Bundle { authorities: Verifier, certificates: Vec<CertificateDer<'static>> },
}

impl ServerCertVerifier for Lenient {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let Accepted::Bundle { authorities, certificates } = &self.accepted else {
            return Ok(ServerCertVerified::assertion());
        };
        let verified = authorities.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        // webpki looks at the dates first, so that an expired certificate does not get here.
        let in_doubt = matches!(
            verified,
            Err(rustls::Error::InvalidCertificate(CertificateError::UnknownIssuer | CertificateError::Other(_)))
        );
        if in_doubt && certificates.iter().any(|known| known == end_entity) {
            rustls::client::verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
            return Ok(ServerCertVerified::assertion());
        }
        verified
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls12_signature(message, cert, dss, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        rustls::crypto::verify_tls13_signature(message, cert, dss, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
