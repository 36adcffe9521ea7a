//! Whom a connection to Redis trusts, and who it says that it is.

use std::path::Path;

use redis::{Client, ClientTlsConfig, ConnectionInfo, TlsCertificates};

use super::RedisOptions;
use super::check::CheckError;
use crate::config::TlsFiles;
use crate::pem::{self, PemFault};

/// Whom to trust instead of those that the machine trusts, and who this node is to servers that ask; none where the
/// machine's are trusted and nobody asks.
///
/// # Errors
/// [`CheckError::Certificates`].
pub(super) fn certificates(options: &RedisOptions) -> Result<Option<TlsCertificates>, CheckError> {
    let root_cert = options.certificates.as_deref().map(authorities).transpose()?;
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

fn identity(files: &TlsFiles) -> Result<ClientTlsConfig, PemFault> {
    pem::identity(files)?;
    Ok(ClientTlsConfig { client_cert: bytes(&files.certificate)?, client_key: bytes(&files.key)? })
}

fn authorities(file: &Path) -> Result<Vec<u8>, PemFault> {
    pem::authorities(file)?;
    bytes(file)
}

/// The client reads PEM by itself, and says less of what it cannot use.
fn bytes(file: &Path) -> Result<Vec<u8>, PemFault> {
    pem::read(file).map_err(|cause| PemFault { file: file.to_owned(), cause })
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
                Err(CheckError::Certificates(fault)) => fault.file == file,
                _ => false,
            };
            assert!(unusable(&RedisOptions { certificates: Some(file.clone()), ..options() }), "{}", file.display());
            let identity = TlsFiles { certificate: certificate.clone(), key: file.clone() };
            assert!(unusable(&RedisOptions { identity: Some(identity), ..options() }), "{}", file.display());
        }
        assert!(certificates(&options()).unwrap().is_none(), "the machine's are trusted");
    }
}
