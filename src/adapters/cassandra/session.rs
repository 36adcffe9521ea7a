//! The connections to the cluster, and how they are asked.

use std::sync::Arc;

use rustls::{ClientConfig, RootCertStore};
use scylla::client::execution_profile::{ExecutionProfile, ExecutionProfileHandle};
use scylla::client::session::Session;
use scylla::client::session_builder::SessionBuilder;
use scylla::client::{Compression, PoolSize};
use scylla::policies::load_balancing::DefaultPolicy;
use scylla::statement::{Consistency, SerialConsistency};

use super::error::OpenError;
use super::options::{CassandraOptions, Tls};
use crate::pem::{self, PemFault};

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
fn trust(tls: &Tls) -> Result<Arc<ClientConfig>, PemFault> {
    let unusable = |error: rustls::Error| PemFault { file: tls.authorities.clone(), cause: error.to_string() };
    let mut authorities = RootCertStore::empty();
    for certificate in pem::authorities(&tls.authorities)? {
        authorities.add(certificate).map_err(unusable)?;
    }
    let provider = Arc::new(rustls::crypto::aws_lc_rs::default_provider());
    let config = ClientConfig::builder_with_provider(provider).with_safe_default_protocol_versions();
    let config = config.map_err(unusable)?.with_root_certificates(authorities);
    let Some(files) = &tls.identity else { return Ok(Arc::new(config.with_no_client_auth())) };
    let (chain, key) = pem::identity(files)?;
    let of_key = |error: rustls::Error| PemFault { file: files.key.clone(), cause: pem::of_pair(&error) };
    Ok(Arc::new(config.with_client_auth_cert(chain, key).map_err(of_key)?))
}
