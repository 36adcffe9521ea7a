//! Who the server is: its certificate and key, as files.

use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use rustls::ServerConfig;
use rustls::crypto::aws_lc_rs::{Ticketer, default_provider};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::server::NoServerSessionStorage;
use sha2::{Digest as _, Sha256};

use crate::config::TlsFiles;
use crate::pem;

/// What is spoken inside: WebSockets do not run over HTTP/2 here.
const PROTOCOL: &[u8] = b"http/1.1";

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
        let chain = pem::chain(&pair.certificate).map_err(|cause| files.certificate_fault(cause))?;
        let not_after = chain.first().and_then(|first| pem::not_after(first));
        let not_after = not_after.ok_or_else(|| files.certificate_fault("its first certificate cannot be read"))?;
        let key = pem::key(&pair.key).map_err(|cause| files.key_fault(cause))?;
        let config = server_config(chain, key).map_err(|error| match error {
            rustls::Error::InvalidCertificate(_) => {
                files.certificate_fault(format!("a certificate cannot be used: {error}"))
            }
            error => files.key_fault(pem::of_pair(&error)),
        })?;
        Ok(Self { config: Arc::new(config), not_after })
    }
}

impl Pair {
    pub(super) fn read(files: &TlsFiles) -> Result<Self, IdentityFault> {
        let certificate = pem::read(&files.certificate).map_err(|cause| files.certificate_fault(cause))?;
        let key = pem::read(&files.key).map_err(|cause| files.key_fault(cause))?;
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
