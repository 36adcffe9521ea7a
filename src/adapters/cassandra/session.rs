//! The connections to the cluster, and how they are asked.

use std::path::Path;
use std::sync::Arc;

use rustls::client::WantsClientCert;
use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{ClientConfig, ConfigBuilder, RootCertStore};
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression, PoolSize};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::{Consistency, SerialConsistency};

use super::error::OpenError;
use super::options::{CassandraOptions, Tls};
use crate::config::TlsFiles;

/// Connects to the cluster, outside of any keyspace.
///
/// Reads and writes are at LOCAL_QUORUM: of any two quorums of a datacenter at least one node is in both, so a
/// read sees every write that returned before. Compare-and-sets are settled by a quorum of the datacenter too
/// (LOCAL_SERIAL): all nodes of Bobchat that share rooms use the same datacenter.
pub(super) async fn connect(options: &CassandraOptions) -> Result<Session, OpenError> {
    let mut builder = SessionBuilder::new()
        .known_nodes(&options.nodes)
        .compression(Some(Compression::Lz4))
        .pool_size(PoolSize::PerHost(options.connections_per_node))
        .connection_timeout(options.connect_timeout)
        .keyspaces_to_fetch([options.keyspace.as_str()])
        // Nothing is asked by what was changed before all of it is done; `schema` refreshes once then.
        .refresh_metadata_on_auto_schema_agreement(false)
        .default_execution_profile_handle(profile(options))
        .tls_context(options.tls.as_ref().map(trust).transpose()?);
    if let Some(login) = &options.login {
        builder = builder.user(&login.user, login.password.reveal());
    }
    builder.build().await.map_err(|error| OpenError::connect(&options.nodes, &error))
}

fn profile(options: &CassandraOptions) -> ExecutionProfileHandle {
    let mut policy = DefaultPolicy::builder().token_aware(true);
    if let Some(datacenter) = &options.datacenter {
        policy = policy.prefer_datacenter(datacenter.clone());
    }
    let profile = ExecutionProfile::builder()
        .consistency(Consistency::LocalQuorum)
        .serial_consistency(Some(SerialConsistency::LocalSerial))
        .request_timeout(Some(options.request_timeout))
        .load_balancing_policy(policy.build());
    profile.build().into_handle_with_label("bobchat".to_owned())
}

/// Trusts the authorities of a file and nobody else, and says who this node is where it is known.
fn trust(tls: &Tls) -> Result<Arc<ClientConfig>, OpenError> {
    let unreadable = |cause: String| OpenError::Certificates { file: tls.authorities.clone(), cause };
    let certificates =
        CertificateDer::pem_file_iter(&tls.authorities).map_err(|error| unreadable(error.to_string()))?;
    let mut authorities = RootCertStore::empty();
    for certificate in certificates {
        let certificate = certificate.map_err(|error| unreadable(error.to_string()))?;
        authorities.add(certificate).map_err(|error| unreadable(error.to_string()))?;
    }
    if authorities.is_empty() {
        return Err(unreadable("there is none".to_owned()));
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(|error| unreadable(error.to_string()))?;
    let config = config.with_root_certificates(authorities);
    let config = match &tls.identity {
        None => config.with_no_client_auth(),
        Some(files) => identify(config, files)?,
    };
    Ok(Arc::new(config))
}

fn identify(config: ConfigBuilder<ClientConfig, WantsClientCert>, files: &TlsFiles) -> Result<ClientConfig, OpenError> {
    let unusable = |file: &Path, error: &dyn std::fmt::Display| OpenError::Certificates {
        file: file.to_owned(),
        cause: error.to_string(),
    };
    let chain = CertificateDer::pem_file_iter(&files.certificate).and_then(Iterator::collect);
    let chain: Vec<_> = chain.map_err(|error| unusable(&files.certificate, &error))?;
    let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|error| unusable(&files.key, &error))?;
    config.with_client_auth_cert(chain, key).map_err(|error| unusable(&files.certificate, &error))
}
