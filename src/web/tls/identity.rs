//! Who the server is: its certificate and key, as files.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use rustls::{InconsistentKeys, ServerConfig};
use sha2::{Digest as _, Sha256};

use super::expiry;
use crate::config::TlsFiles;

/// What is spoken inside: WebSockets do not run over HTTP/2 here.
const PROTOCOL: &[u8] = b"http/1.1";

/// More than any chain or key has: what is larger is some other file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// What a client is shown and a connection is encrypted with.
pub struct Identity {
    /// For a new connection.
    pub config: Arc<ServerConfig>,
    /// Up to when the certificate is good.
    pub not_after: Timestamp,
}

/// Tells one pair from another, and says nothing of the key.
pub(super) type Digest = [u8; 32];

/// The bytes of both files.
pub(super) struct Pair {
    certificate: Vec<u8>,
    key: Vec<u8>,
}

/// Why a certificate and its key cannot be used: the key of the configuration, its file, and what is wrong with it.
#[derive(Debug, thiserror::Error)]
#[error("{key} = \"{}\": {cause}", file.display())]
pub struct IdentityFault {
    /// As in the configuration.
    pub key: &'static str,
    /// The file that it names.
    pub file: PathBuf,
    /// What is wrong, and what to do.
    pub cause: String,
}

impl Identity {
    /// Reads certificate and key.
    ///
    /// # Errors
    /// [`IdentityFault`]: the operator has to give other files.
    pub fn load(files: &TlsFiles) -> Result<Self, IdentityFault> {
        Self::new(files, &Pair::read(files)?)
    }

    /// Of what the files hold.
    pub(super) fn new(files: &TlsFiles, pair: &Pair) -> Result<Self, IdentityFault> {
        let chain: Vec<_> = CertificateDer::pem_slice_iter(&pair.certificate)
            .collect::<Result<_, _>>()
            .map_err(|error| files.certificate_fault(format!("is no PEM file: {error}")))?;
        let first = chain.first().ok_or_else(|| {
            files.certificate_fault("holds no certificate; give the chain in PEM, the server's own first")
        })?;
        let not_after = expiry::not_after(first)
            .ok_or_else(|| files.certificate_fault("holds a certificate that cannot be read"))?;
        let key = PrivateKeyDer::from_pem_slice(&pair.key).map_err(|error| match error {
            pem::Error::NoItemsFound => files.key_fault("holds no private key; give one in PEM, without a password"),
            error => files.key_fault(format!("is no PEM file: {error}")),
        })?;
        let config = server_config(chain, key).map_err(|error| match error {
            rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
                files.key_fault("is not the key of the certificate in server.tls_certificate")
            }
            rustls::Error::InvalidCertificate(_) => {
                files.certificate_fault(format!("holds a certificate that cannot be used: {error}"))
            }
            error => files.key_fault(format!("cannot be used: {error}")),
        })?;
        Ok(Self { config: Arc::new(config), not_after })
    }
}

impl Pair {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, IdentityFault> {
        let unreadable = |error: io::Error| format!("cannot be read: {error}");
        let certificate = read(&files.certificate).map_err(|error| files.certificate_fault(unreadable(error)))?;
        let key = read(&files.key).map_err(|error| files.key_fault(unreadable(error)))?;
        Ok(Self { certificate, key })
    }

    pub(super) fn digest(&self) -> Digest {
        let length = u64::try_from(self.certificate.len()).unwrap_or(u64::MAX).to_be_bytes();
        Sha256::new().chain_update(length).chain_update(&self.certificate).chain_update(&self.key).finalize().into()
    }
}

impl TlsFiles {
    fn certificate_fault(&self, cause: impl Into<String>) -> IdentityFault {
        IdentityFault { key: "server.tls_certificate", file: self.certificate.clone(), cause: cause.into() }
    }

    fn key_fault(&self, cause: impl Into<String>) -> IdentityFault {
        IdentityFault { key: "server.tls_key", file: self.key.clone(), cause: cause.into() }
    }
}

fn read(file: &PathBuf) -> io::Result<Vec<u8>> {
    if std::fs::metadata(file)?.len() > FILE_BYTES_MAX {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "it has more than 1 MiB"));
    }
    std::fs::read(file)
}

/// TLS 1.2 and 1.3 with rustls' own choice of ciphers. Tickets let clients that come back do without a new key
/// exchange; the server keeps nothing for them. Their key is this configuration's own, so nobody goes on with a
/// certificate that has been replaced.
fn server_config(
    chain: Vec<CertificateDer<'static>>,
    key: PrivateKeyDer<'static>,
) -> Result<ServerConfig, rustls::Error> {
    let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
    let mut config =
        builder.with_safe_default_protocol_versions()?.with_no_client_auth().with_single_cert(chain, key)?;
    config.alpn_protocols = vec![PROTOCOL.to_vec()];
    config.session_storage = Arc::new(NoServerSessionStorage {});
    config.ticketer = Ticketer::new()?;
    Ok(config)
}
