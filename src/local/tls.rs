//! TLS: the server's certificate and key, and the handshake of a connection.

use std::fmt;
use std::io;
use std::sync::{Arc, Mutex};

use rustls::crypto::aws_lc_rs::{self, Ticketer};
use rustls::pki_types::pem::{self, PemObject};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::sign::CertifiedKey;
use rustls::{AlertDescription, HandshakeKind, InconsistentKeys, ServerConfig};
use tokio_rustls::TlsAcceptor;
use tokio_rustls::server::TlsStream;

use super::held::Budget;
use super::limits::ServerLimits;
use super::log::Complaints;
use super::wire::{ServerSocket, ServerStream};

/// A file in PEM form, as it was read.
#[derive(Clone)]
pub struct PemFile {
    /// What errors call it.
    pub name: String,
    pub bytes: Vec<u8>,
}

impl fmt::Debug for PemFile {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PemFile").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Who the server is: its certificate, with those between it and its authority after it, and the key of it.
#[derive(Clone, Debug)]
pub struct ServerIdentity {
    pub certificate: PemFile,
    pub key: PemFile,
}

/// What a server needs that speaks TLS.
pub(super) struct TlsSide {
    acceptor: TlsAcceptor,
    /// Handshakes that are not over: the oldest has to go when they are too many.
    pub unfinished: Arc<Budget>,
    /// What goes wrong with clients that do not get as far as a request.
    pub complaints: Mutex<Complaints>,
}

impl fmt::Debug for TlsSide {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("TlsSide").finish_non_exhaustive()
    }
}

impl TlsSide {
    /// Otherwise what is wrong with the files.
    pub(super) fn new(identity: &ServerIdentity, limits: &ServerLimits) -> Result<TlsSide, String> {
        Ok(TlsSide {
            acceptor: TlsAcceptor::from(config(identity)?),
            unfinished: Budget::new(limits.handshakes),
            complaints: Mutex::default(),
        })
    }

    pub(super) async fn handshake(&self, socket: ServerSocket) -> io::Result<ServerStream> {
        Ok(ServerStream::Tls(Box::new(self.acceptor.accept(socket).await?)))
    }
}

/// Whether a handshake took up the session of an earlier one.
pub(super) fn is_resumed(stream: &TlsStream<ServerSocket>) -> bool {
    stream.get_ref().1.handshake_kind() == Some(HandshakeKind::Resumed)
}

/// The first byte of a connection on which TLS is spoken: that of a handshake's record.
pub(super) const HANDSHAKE: u8 = 22;

/// What to tell the server's user of a handshake that failed; `None` if the peer just went away.
pub(super) fn explained(error: &io::Error) -> Option<String> {
    use AlertDescription::{BadCertificate, CertificateExpired, CertificateUnknown, UnknownCA};
    let cause = error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>())?;
    Some(match cause {
        rustls::Error::AlertReceived(
            alert @ (UnknownCA | BadCertificate | CertificateUnknown | CertificateExpired),
        ) => {
            format!(
                "a client did not accept the server's certificate ({alert:?}): it has to trust the one who signed it \
                 (verify= or AWS_CA_BUNDLE), and the certificate has to be for the name in the client's URL"
            )
        }
        cause => format!("a TLS handshake failed: {cause}"),
    })
}

fn config(identity: &ServerIdentity) -> Result<Arc<ServerConfig>, String> {
    let ServerIdentity { certificate, key } = identity;
    let provider = Arc::new(aws_lc_rs::default_provider());
    let chain = certificates(certificate)?;
    let certified = CertifiedKey::from_der(chain, private_key(key)?, &provider).map_err(|error| match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => format!(
            "the key in {} is not that of the certificate in {}: of several certificates the server's own comes first",
            key.name, certificate.name
        ),
        rustls::Error::InvalidCertificate(error) => format!("the certificate in {}: {error}", certificate.name),
        error => format!("the key in {}: {error}", key.name),
    })?;
    let unusable = |error: rustls::Error| format!("TLS: {error}");
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_cert_resolver(Arc::new(rustls::sign::SingleCertAndKey::from(certified)));
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // Sessions are resumed by tickets, which are the clients' to keep.
    config.ticketer = Ticketer::new().map_err(unusable)?;
    config.session_storage = Arc::new(NoServerSessionStorage {});
    Ok(Arc::new(config))
}

fn certificates(file: &PemFile) -> Result<Vec<CertificateDer<'static>>, String> {
    let found = CertificateDer::pem_slice_iter(&file.bytes).collect::<Result<Vec<_>, _>>();
    let found = found.map_err(|error| format!("{} is no sound PEM file: {error}", file.name))?;
    if found.is_empty() {
        return Err(lacking(file, "certificate", "a private key", b"PRIVATE KEY-----", "openssl x509 -inform DER"));
    }
    Ok(found)
}

fn private_key(file: &PemFile) -> Result<PrivateKeyDer<'static>, String> {
    if holds(file, b"ENCRYPTED") {
        let name = &file.name;
        return Err(format!(
            "the key in {name} is encrypted, and nobody is asked for passphrases: openssl pkey -in {name} -out key.pem writes it without"
        ));
    }
    PrivateKeyDer::from_pem_slice(&file.bytes).map_err(|error| match error {
        pem::Error::NoItemsFound => {
            lacking(file, "private key", "a certificate", b"CERTIFICATE-----", "openssl pkey -inform DER")
        }
        error => format!("{} is no sound PEM file: {error}", file.name),
    })
}

fn holds(file: &PemFile, mark: &[u8]) -> bool {
    file.bytes.windows(mark.len()).any(|window| window == mark)
}

/// What to say of a file that has no `wanted`: whether it is the `other` file, which has this mark, or in DER form, which the
/// command reads.
fn lacking(file: &PemFile, wanted: &str, other: &str, mark: &[u8], command: &str) -> String {
    let name = &file.name;
    let why = if holds(file, mark) {
        format!("it holds {other}: are the two files the wrong way round?")
    } else if file.bytes.first() == Some(&0x30) {
        format!("it seems to be in DER form, and PEM is needed: {command} -in {name} -out new.pem")
    } else {
        format!("a file in PEM form has a line -----BEGIN {}-----", wanted.to_uppercase())
    };
    format!("no {wanted} found in {name}: {why}")
}

#[cfg(test)]
mod tests {
    use rcgen::{CertificateParams, KeyPair};

    use super::*;

    fn file(name: &str, text: impl Into<Vec<u8>>) -> PemFile {
        PemFile { name: name.to_owned(), bytes: text.into() }
    }

    fn refusal(certificate: impl Into<Vec<u8>>, key: impl Into<Vec<u8>>) -> String {
        config(&ServerIdentity { certificate: file("cert.pem", certificate), key: file("key.pem", key) }).unwrap_err()
    }

    #[test]
    fn what_is_wrong_with_the_files_is_said() {
        let key = KeyPair::generate().unwrap();
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).unwrap().self_signed(&key).unwrap();
        let (cert_pem, key_pem) = (certificate.pem(), key.serialize_pem());
        let other = KeyPair::generate().unwrap().serialize_pem();
        let both = ServerIdentity {
            certificate: file("both.pem", cert_pem.clone() + &key_pem),
            key: file("both.pem", cert_pem.clone() + &key_pem),
        };
        assert!(config(&both).is_ok());
        assert!(!format!("{both:?}").contains("PRIVATE"));

        let of_another = refusal(cert_pem.clone(), other);
        assert!(of_another.contains("the key in key.pem is not that of the certificate in cert.pem"), "{of_another}");
        for (certificate, key, said) in [
            (key_pem.clone(), key_pem.clone(), "no certificate found in cert.pem: it holds a private key: are the two"),
            (
                cert_pem.clone(),
                cert_pem.clone(),
                "no private key found in key.pem: it holds a certificate: are the two",
            ),
            ("hello".to_owned(), key_pem.clone(), "has a line -----BEGIN CERTIFICATE-----"),
            (String::new(), key_pem.clone(), "no certificate found in cert.pem"),
            (cert_pem.clone(), String::new(), "has a line -----BEGIN PRIVATE KEY-----"),
            (cert_pem.replace("END", "BEGIN"), key_pem.clone(), "cert.pem is no sound PEM file"),
            (cert_pem.clone(), key_pem.replace("PRIVATE", "ENCRYPTED PRIVATE"), "openssl pkey -in key.pem"),
            (
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n".to_owned(),
                key_pem.clone(),
                "the certificate in cert.pem: ",
            ),
            (
                cert_pem.clone(),
                "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n".to_owned(),
                "the key in key.pem: ",
            ),
        ] {
            let refusal = refusal(certificate, key);
            assert!(refusal.contains(said), "{refusal}");
        }
        let der = refusal(certificate.der().to_vec(), key_pem);
        assert!(der.contains("openssl x509 -inform DER -in cert.pem"), "{der}");
        let der = refusal(cert_pem, key.serialize_der());
        assert!(der.contains("openssl pkey -inform DER -in key.pem"), "{der}");
    }
}
