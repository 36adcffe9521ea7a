//! TLS of a client: whom it trusts.

use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};

use anyhow::{Context as _, ensure};
use rustls::client::Resumption;
use rustls::crypto::aws_lc_rs::default_provider;
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;
use rustls::{ClientConfig, RootCertStore};

/// What is spoken inside.
const PROTOCOL: &[u8] = b"http/1.1";

/// Whom connections over TLS trust: the authorities in a file, or those of this machine.
#[derive(Debug, Clone, Default)]
pub struct Trust {
    file: Option<PathBuf>,
    /// Made when the first connection needs it: a target may be named before anybody is connected.
    ready: Arc<OnceLock<Ready>>,
}

#[derive(Debug)]
struct Ready {
    authorities: Vec<CertificateDer<'static>>,
    config: Arc<ClientConfig>,
}

impl PartialEq for Trust {
    fn eq(&self, other: &Self) -> bool {
        self.file == other.file
    }
}

impl Eq for Trust {}

impl Trust {
    /// Trusts the authorities in this PEM file, and no others.
    #[must_use]
    pub fn in_file(file: &Path) -> Self {
        Self { file: Some(file.to_owned()), ready: Arc::default() }
    }

    /// The file of the authorities, where there is one.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.file.as_deref()
    }

    /// For connections. Each shakes hands in full: what a first connection costs is what is measured.
    ///
    /// # Errors
    /// When there is no authority to trust.
    pub(super) fn config(&self) -> anyhow::Result<Arc<ClientConfig>> {
        Ok(self.ready()?.config.clone())
    }

    /// Who is trusted.
    ///
    /// # Errors
    /// When there is no authority to trust.
    pub(crate) fn authorities(&self) -> anyhow::Result<&[CertificateDer<'static>]> {
        Ok(&self.ready()?.authorities)
    }

    fn ready(&self) -> anyhow::Result<&Ready> {
        if let Some(ready) = self.ready.get() {
            return Ok(ready);
        }
        let authorities = match &self.file {
            Some(file) => read(file)?,
            None => machine()?,
        };
        let mut roots = RootCertStore::empty();
        let (added, _) = roots.add_parsable_certificates(authorities.iter().cloned());
        ensure!(added > 0, "{} holds no authority that can be used", self.name());
        let builder = ClientConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions()?;
        let mut config = builder.with_root_certificates(roots).with_no_client_auth();
        config.alpn_protocols = vec![PROTOCOL.to_vec()];
        config.resumption = Resumption::disabled();
        Ok(self.ready.get_or_init(|| Ready { authorities, config: Arc::new(config) }))
    }

    fn name(&self) -> String {
        self.file.as_ref().map_or("this machine".to_owned(), |file| file.display().to_string())
    }
}

fn read(file: &Path) -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let certificates = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    certificates.with_context(|| format!("could not read authorities from {}", file.display()))
}

fn machine() -> anyhow::Result<Vec<CertificateDer<'static>>> {
    let found = rustls_native_certs::load_native_certs();
    ensure!(!found.certs.is_empty(), "this machine trusts no authority: name one with --ca FILE");
    Ok(found.certs)
}

#[cfg(test)]
mod tests {
    use rustls::ServerConfig;
    use rustls::pki_types::PrivateKeyDer;
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
    use tokio::net::TcpListener;
    use tokio_rustls::TlsAcceptor;

    use super::super::{Request, Way, open};
    use super::*;

    /// A server over TLS that answers every request as no WebSocket does; and its certificate, as a file.
    async fn server(folder: &Path) -> (String, PathBuf) {
        let made = rcgen::generate_simple_self_signed(["127.0.0.1".to_owned()]).unwrap();
        let file = folder.join("ca.pem");
        std::fs::write(&file, made.cert.pem()).unwrap();
        let key = PrivateKeyDer::Pkcs8(made.signing_key.serialize_der().into());
        let builder = ServerConfig::builder_with_provider(Arc::new(default_provider()));
        let builder = builder.with_safe_default_protocol_versions().unwrap().with_no_client_auth();
        let acceptor =
            TlsAcceptor::from(Arc::new(builder.with_single_cert(vec![made.cert.der().clone()], key).unwrap()));
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let authority = listener.local_addr().unwrap().to_string();
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let Ok(mut stream) = acceptor.accept(stream).await else { continue };
                let _ = stream.read(&mut [0; 1024]).await;
                let _ = stream.write_all(b"HTTP/1.1 418 I'm a teapot\r\n\r\n").await;
                let _ = stream.shutdown().await;
            }
        });
        (authority, file)
    }

    #[tokio::test]
    async fn a_server_is_believed_by_the_authorities_in_the_file_alone() {
        let (folder, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (authority, file) = server(folder.path()).await;
        let (_, stranger) = server(other.path()).await;
        let asked = async |trust: Trust| {
            let request =
                Request { authority: authority.clone(), path: "/".to_owned(), subprotocol: None, trust: Some(trust) };
            format!("{:#}", open(&request, Way::default()).await.unwrap_err())
        };
        let said = asked(Trust::in_file(&file)).await;
        assert!(said.contains("418"), "it was asked: {said}");
        for trust in [Trust::in_file(&stranger), Trust::default()] {
            let said = asked(trust).await;
            assert!(said.contains("could not speak TLS with") || said.contains("trusts no authority"), "{said}");
        }
        let said = asked(Trust::in_file(&folder.path().join("missing.pem"))).await;
        assert!(said.contains("could not read authorities from"), "{said}");
    }
}
