//! Whom this program trusts when it asks others over HTTPS: a collector of spans, a server that `bobchat demo` fills.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use ureq::tls::{Certificate, RootCerts, TlsConfig};

/// Why nobody can be trusted.
#[derive(Debug, thiserror::Error)]
pub enum TrustError {
    /// The file holds no authorities.
    #[error("could not read authorities from {}: {cause}", file.display())]
    File {
        /// The file.
        file: PathBuf,
        /// What is wrong with it.
        cause: String,
    },
    /// The machine has none.
    #[error("this machine trusts no authority: name a file with some")]
    Machine,
}

/// For connections that trust the authorities in a PEM file and nobody else; or, without a file, those that this machine
/// trusts.
///
/// # Errors
/// [`TrustError`].
pub(crate) fn trusting(file: Option<&Path>) -> Result<TlsConfig, TrustError> {
    let authorities = match file {
        Some(file) => read(file)?,
        None => rustls_native_certs::load_native_certs().certs,
    };
    if authorities.is_empty() {
        return Err(TrustError::Machine);
    }
    let authorities: Vec<_> = authorities.iter().map(|der| Certificate::from_der(der).to_owned()).collect();
    let builder = TlsConfig::builder().root_certs(RootCerts::new_with_certs(&authorities));
    Ok(builder.unversioned_rustls_crypto_provider(Arc::new(default_provider())).build())
}

/// For connections that look at no certificate: to whom nothing is said that is anybody's secret.
pub(crate) fn trusting_everybody() -> TlsConfig {
    let builder = TlsConfig::builder().disable_verification(true);
    builder.unversioned_rustls_crypto_provider(Arc::new(default_provider())).build()
}

fn read(file: &Path) -> Result<Vec<CertificateDer<'static>>, TrustError> {
    let unusable = |cause: String| TrustError::File { file: file.to_owned(), cause };
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unusable("there is none".to_owned())),
        Ok(found) => Ok(found),
        Err(error) => Err(unusable(error.to_string())),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_authorities_is_said_to_hold_none() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("empty.pem");
        std::fs::write(&file, "nothing\n").unwrap();
        let said = trusting(Some(&file)).unwrap_err().to_string();
        assert!(said.ends_with("empty.pem: there is none"), "{said}");
        let said = trusting(Some(&folder.path().join("missing.pem"))).unwrap_err().to_string();
        assert!(said.contains("missing.pem"), "{said}");
        std::fs::write(&file, rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap().cert.pem()).unwrap();
        assert!(trusting(Some(&file)).is_ok());
    }
}
