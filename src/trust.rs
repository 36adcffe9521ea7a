//! Whom this program trusts when it asks others over HTTPS: a collector of spans, a server that `bobchat demo` fills.

use std::path::Path;
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use ureq::tls::{Certificate, ClientCert, PrivateKey, RootCerts, TlsConfig};

use crate::config::TlsFiles;
use crate::pem::{self, PemFault};

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// A file does not hold what it should.
    #[error(transparent)]
    File(#[from] PemFault),
    /// The machine has no authorities.
    #[error("this machine trusts no authority: name a file with some")]
    Machine,
}

/// For connections that trust the authorities in a PEM file and nobody else; or, without a file, those that this machine
/// trusts. Who asks is told who this program is, where that is given.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn trusting(file: Option<&Path>, identity: Option<&TlsFiles>) -> Result<TlsConfig, TrustError> {
    let authorities = match file {
        Some(file) => pem::authorities(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if authorities.is_empty() {
        return Err(TrustError::Machine);
    }
    let builder = TlsConfig::builder()
        .root_certs(RootCerts::new_with_certs(&certificates(&authorities)))
        .client_cert(identity.map(client_certificate).transpose()?);
    Ok(builder.unversioned_rustls_crypto_provider(Arc::new(default_provider())).build())
}

/// The client reads the key by itself.
fn client_certificate(files: &TlsFiles) -> Result<ClientCert, PemFault> {
    let (chain, _) = pem::identity(files)?;
    let of_key = |cause: String| PemFault { file: files.key.clone(), cause };
    let key =
        PrivateKey::from_pem(&pem::read(&files.key).map_err(of_key)?).map_err(|error| of_key(error.to_string()))?;
    Ok(ClientCert::new_with_certs(&certificates(&chain), key))
}

fn certificates(ders: &[CertificateDer<'static>]) -> Vec<Certificate<'static>> {
    ders.iter().map(|der| Certificate::from_der(der).to_owned()).collect()
}

/// For connections that look at no certificate: to whom nothing is said that is anybody's secret.
pub(crate) fn trusting_everybody() -> TlsConfig {
    let builder = TlsConfig::builder().disable_verification(true);
    builder.unversioned_rustls_crypto_provider(Arc::new(default_provider())).build()
}
