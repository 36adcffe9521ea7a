//! Whom a connection to Redis trusts, and who it says that it is.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use super::RedisOptions;
use super::check::CheckError;
use crate::config::TlsFiles;

/// Whom to trust instead of those that the machine trusts, and who this node is to servers that ask; none where the
/// machine's are trusted and nobody asks.
///
/// # Errors
/// [`CheckError::Certificates`].
pub(super) fn certificates(options: &RedisOptions) -> Result<Option<TlsCertificates>, CheckError> {
    let root_cert = options.certificates.as_deref().map(read_certificates).transpose()?;
    let client_tls = options.identity.as_ref().map(identity).transpose()?;
    let is_usual = root_cert.is_none() && client_tls.is_none();
    Ok((!is_usual).then_some(TlsCertificates { client_tls, root_cert }))
}

/// A client of one server.
pub(super) fn client(server: ConnectionInfo, options: &RedisOptions) -> Result<Client, CheckError> {
    let client = match certificates(options)? {
        Some(certificates) => Client::build_with_tls(server, certificates),
        None => Client::open(server),
    };
    client.map_err(CheckError::unreachable)
}

fn identity(files: &TlsFiles) -> Result<ClientTlsConfig, CheckError> {
    let client_cert = read_certificates(&files.certificate)?;
    let client_key = read(&files.key)?;
    match PrivateKeyDer::from_pem_slice(&client_key) {
        Ok(_) => Ok(ClientTlsConfig { client_cert, client_key }),
        Err(error) => Err(unusable(&files.key, format!("it is no private key in PEM: {error}"))),
    }
}

fn read_certificates(file: &Path) -> Result<Vec<u8>, CheckError> {
    let pem = read(file)?;
    let certificates: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    match certificates {
        Ok(found) if found.is_empty() => Err(unusable(file, "there is none".to_owned())),
        Ok(_) => Ok(pem),
        Err(error) => Err(unusable(file, error.to_string())),
    }
}

fn read(file: &Path) -> Result<Vec<u8>, CheckError> {
    std::fs::read(file).map_err(|error| unusable(file, error.to_string()))
}

fn unusable(file: &Path, cause: String) -> CheckError {
    CheckError::Certificates { file: file.to_owned(), cause }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::adapters::redis::Servers;

    fn options() -> RedisOptions {
        RedisOptions::new(Servers::One("rediss://r".to_owned()), "d", 1)
    }

    #[test]
    fn a_file_without_a_certificate_or_a_key_is_said_to_be_none() {
        let folder = tempfile::tempdir().unwrap();
        let empty = folder.path().join("empty.pem");
        std::fs::write(&empty, "nothing\n").unwrap();
        let made = rcgen::generate_simple_self_signed(["r".to_owned()]).unwrap();
        let certificate = folder.path().join("good.crt");
        std::fs::write(&certificate, made.cert.pem()).unwrap();
        for file in [empty, folder.path().join("missing.pem")] {
            let unusable = |options: &RedisOptions| match certificates(options) {
                Err(CheckError::Certificates { file: found, .. }) => found == file,
                _ => false,
            };
            assert!(unusable(&RedisOptions { certificates: Some(file.clone()), ..options() }), "{}", file.display());
            let identity = TlsFiles { certificate: certificate.clone(), key: file.clone() };
            assert!(unusable(&RedisOptions { identity: Some(identity), ..options() }), "{}", file.display());
        }
        assert!(certificates(&options()).unwrap().is_none(), "the machine's are trusted");
    }
}
