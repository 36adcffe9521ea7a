//! Looking at a cluster without changing it, for the operator.

use std::collections::BTreeMap;

use scylla::client::session::Session;
use scylla::statement::Consistency;
use scylla::statement::unprepared::Statement;

use super::deployment;
use super::error::{Failure, OpenError};
use super::options::CassandraOptions;
use super::schema::{Schema, SchemaStatus};
use super::session;

/// A Cassandra cluster as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CassandraFacts {
    /// The version of the node that answered, such as `5.0.6`.
    pub version: String,
    /// Its nodes.
    pub nodes: Vec<NodeFacts>,
    /// How the keyspace stands, or why that cannot be read: it takes a quorum.
    pub schema: Result<SchemaStatus, String>,
    /// Copies of each row of the keyspace, by datacenter.
    pub copies: BTreeMap<String, u32>,
    /// Whose keyspace it is.
    pub owner: Owner,
}

/// Whose keyspace it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's yet: the first node takes it, under an identity that nobody else has.
    Nobody,
    /// That of a deployment.
    Deployment {
        /// What operators call it.
        name: String,
        /// What nobody else is called.
        identity: String,
    },
    /// It cannot be read now.
    Unknown,
}

/// One of its nodes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeFacts {
    /// Where it is.
    pub address: String,
    /// The datacenter that it stands in.
    pub datacenter: String,
    /// Whether it can be reached from here.
    pub is_up: bool,
}

/// Looks at the cluster that `options` name.
pub(super) async fn inspect(options: &CassandraOptions) -> Result<CassandraFacts, OpenError> {
    // From anywhere: that the datacenter is not there shall be seen.
    let session = session::connect(&CassandraOptions { datacenter: None, ..options.clone() }).await?;
    let schema = Schema { session: &session, keyspace: &options.keyspace };
    let failed = |cause| OpenError::Schema { keyspace: options.keyspace.as_str().to_owned(), cause };
    let copies = schema.copies().await.map_err(failed)?.unwrap_or_default();
    let version = version(&session).await.map_err(failed)?;
    let owner = owner(&session, options).await.unwrap_or(Owner::Unknown);
    let schema = show(options).await.map_err(|error| error.to_string());
    Ok(CassandraFacts { version, nodes: nodes(&session), schema, copies, owner })
}

async fn show(options: &CassandraOptions) -> Result<SchemaStatus, OpenError> {
    let session = session::connect(options).await?;
    Schema { session: &session, keyspace: &options.keyspace }.show().await
}

async fn owner(session: &Session, options: &CassandraOptions) -> Result<Owner, Failure> {
    let schema = Schema { session, keyspace: &options.keyspace };
    if !schema.has_table("deployment").await? {
        return Ok(Owner::Nobody);
    }
    let deployment = deployment::look(session, &options.keyspace).await?;
    Ok(deployment.map_or(Owner::Nobody, |(name, identity)| Owner::Deployment { name, identity }))
}

async fn version(session: &Session) -> Result<String, Failure> {
    let mut statement = Statement::new("SELECT release_version FROM system.local");
    // It is about the server that answers.
    statement.set_consistency(Consistency::One);
    let rows = session.query_unpaged(statement, ()).await?.into_rows_result()?;
    Ok(rows.first_row::<(String,)>()?.0)
}

fn nodes(session: &Session) -> Vec<NodeFacts> {
    let state = session.get_cluster_state();
    let nodes = state.get_nodes_info().iter().map(|node| NodeFacts {
        address: node.address.to_string(),
        datacenter: node.datacenter.clone().unwrap_or_else(|| "unknown".to_owned()),
        is_up: node.is_connected(),
    });
    nodes.collect()
}
