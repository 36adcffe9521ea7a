//! Whom a connection to Redis trusts.

use std::path::Path;

use redis::{Client, ConnectionInfo, TlsCertificates};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::check::CheckError;

/// The authorities in a PEM file, which are trusted instead of the machine's.
///
/// # Errors
/// [`CheckError::Certificates`].
pub(super) fn trusted(file: Option<&Path>) -> Result<Option<TlsCertificates>, CheckError> {
    let Some(file) = file else { return Ok(None) };
    let unreadable = |cause: String| CheckError::Certificates { file: file.to_owned(), cause };
    let pem = std::fs::read(file).map_err(|error| unreadable(error.to_string()))?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(found) if found.is_empty() => Err(unreadable("there is none".to_owned())),
        Ok(_) => Ok(Some(TlsCertificates { client_tls: None, root_cert: Some(pem) })),
        Err(error) => Err(unreadable(error.to_string())),
    }
}

/// A client of one server.
pub(super) fn client(server: ConnectionInfo, certificates: Option<&Path>) -> Result<Client, CheckError> {
    let client = match trusted(certificates)? {
        Some(trusted) => Client::build_with_tls(server, trusted),
        None => Client::open(server),
    };
    client.map_err(CheckError::unreachable)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_without_a_certificate_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").unwrap();
        for file in [empty, folder.path().join("missing.pem")] {
            assert!(matches!(trusted(Some(&file)), Err(CheckError::Certificates { .. })), "{}", file.display());
        }
        assert!(trusted(None).unwrap().is_none(), "the machine's are trusted");
    }
}
