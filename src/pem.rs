//! Certificates and private keys in PEM files, as an operator gives them.

mod expiry;

use std::io;
use std::path::{Path, PathBuf};

use rustls::InconsistentKeys;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::pem::{self, PemObject as _};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::sign::CertifiedKey;

use crate::config::TlsFiles;
pub(crate) use expiry::not_after;

/// More than any chain or key has: what is larger is some other file.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Why what a file should hold cannot be used.
#[derive(Debug, thiserror::Error)]
#[error("could not use {}: {cause}", file.display())]
pub struct PemFault {
    /// The file.
    pub file: PathBuf,
    /// What is wrong with it.
    pub cause: String,
}

/// The certificates of authorities in a file, of which there is one or more.
///
/// # Errors
/// [`PemFault`].
pub(crate) fn authorities(file: &Path) -> Result<Vec<CertificateDer<'static>>, PemFault> {
    read(file).and_then(|pem| chain(&pem)).map_err(|cause| PemFault { file: file.to_owned(), cause })
}

/// A chain and the key of its first certificate.
///
/// # Errors
/// [`PemFault`] of either file.
pub(crate) fn identity(files: &TlsFiles) -> Result<(Vec<CertificateDer<'static>>, PrivateKeyDer<'static>), PemFault> {
    let chain = authorities(&files.certificate)?;
    let of_key = |cause| PemFault { file: files.key.clone(), cause };
    let key = read(&files.key).and_then(|pem| key(&pem)).map_err(of_key)?;
    match CertifiedKey::from_der(chain.clone(), key.clone_key(), &default_provider()) {
        Ok(_) => Ok((chain, key)),
        Err(rustls::Error::InvalidCertificate(error)) => {
            Err(PemFault { file: files.certificate.clone(), cause: format!("a certificate cannot be used: {error:?}") })
        }
        Err(error) => Err(of_key(of_pair(&error))),
    }
}

/// Its bytes.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn read(file: &Path) -> Result<Vec<u8>, String> {
    let unreadable = |error: io::Error| format!("it cannot be read: {error}");
    if std::fs::metadata(file).map_err(unreadable)?.len() > FILE_BYTES_MAX {
        return Err("it has more than 1 MiB, as no certificate and no key has".to_owned());
    }
    std::fs::read(file).map_err(unreadable)
}

/// The certificates in a file's bytes, of which there is one or more.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn chain(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(pem).collect();
    match found {
        Ok(found) if found.is_empty() => Err("it holds no certificate in PEM".to_owned()),
        Ok(found) => Ok(found),
        Err(error) => Err(format!("it is no PEM file: {error}")),
    }
}

/// The first private key in a file's bytes.
///
/// # Errors
/// What is wrong with the file.
pub(crate) fn key(pem: &[u8]) -> Result<PrivateKeyDer<'static>, String> {
    PrivateKeyDer::from_pem_slice(pem).map_err(|error| match error {
        pem::Error::NoItemsFound => "it holds no private key in PEM without a password".to_owned(),
        error => format!("it is no PEM file: {error}"),
    })
}

/// What is wrong with a key, seen beside its certificate.
pub(crate) fn of_pair(error: &rustls::Error) -> String {
    match error {
        rustls::Error::InconsistentKeys(InconsistentKeys::KeyMismatch) => {
            "it is not the key of the certificate beside it".to_owned()
        }
        error => format!("it cannot be used: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_said_to_be_at_fault_and_why() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            file
        };
        let made = [(); 2].map(|()| rcgen::generate_simple_self_signed(["a".to_owned()]).unwrap());
        let certificate = write("good.crt", &made[0].cert.pem());
        let key = write("good.key", &made[0].signing_key.serialize_pem());
        let other = write("other.key", &made[1].signing_key.serialize_pem());
        let nothing = write("nothing.pem", "nothing\n");
        let large = write("large.pem", &"#".repeat(FILE_BYTES_MAX as usize + 1));
        let missing = folder.path().join("missing.pem");
        let said = |certificate: &Path, key: &Path| {
            let files = TlsFiles { certificate: certificate.to_owned(), key: key.to_owned() };
            identity(&files).map(|(chain, _)| chain.len()).map_err(|fault| fault.to_string())
        };
        assert_eq!(said(&certificate, &key), Ok(1));
        let expect = |certificate: &Path, key: &Path, file: &Path, cause: &str| {
            let fault = said(certificate, key).unwrap_err();
            assert!(fault.starts_with(&format!("could not use {}: {cause}", file.display())), "{fault}");
        };
        expect(&missing, &key, &missing, "it cannot be read");
        expect(&large, &key, &large, "it has more than 1 MiB");
        expect(&nothing, &key, &nothing, "it holds no certificate");
        expect(&certificate, &nothing, &nothing, "it holds no private key");
        expect(&certificate, &other, &other, "it is not the key of the certificate");
        assert!(authorities(&certificate).is_ok());
    }
}
