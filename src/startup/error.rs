use std::net::SocketAddr;

use bobchat_actors::ports::Unavailable;

use crate::adapters::cassandra;
use crate::adapters::embedded::OpenError;
use crate::adapters::redis::CheckError;
use crate::auth::KeyFault;
use crate::web::tls::IdentityFault;

/// Why a node could not start: one line for the operator each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store was opened and does not answer.
    #[error("could not prepare the node")]
    Unavailable(#[from] Unavailable),
    /// The keys of external issuers cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Keys(Vec<KeyFault>),
    /// The certificate cannot be shown to clients.
    #[error(transparent)]
    Identity(#[from] IdentityFault),
    /// The welcome room could not be made.
    #[error("could not prepare the welcome room: {0}")]
    Welcome(String),
    /// The secret for the operator's commands could not be written.
    #[error("could not write admin.token to the data folder")]
    Secret(std::io::Error),
    /// Redis is not there, or may not be used.
    #[error(transparent)]
    Redis(#[from] CheckError),
    /// Cassandra is not there, or its keyspace cannot be used.
    #[error(transparent)]
    Cassandra(#[from] cassandra::OpenError),
    /// What was brought back would be overtaken by what Redis has, or a node runs.
    #[error(
        "Redis is not empty: what it holds came after the snapshots, or a node runs and has just written there. Stop all \
         nodes, empty Redis, and do it again"
    )]
    NotEmpty,
    /// The snapshots were not imported.
    #[error("keyspace {keyspace} has no rooms: import the snapshots first")]
    NothingRestored {
        /// The keyspace.
        keyspace: String,
    },
    /// The system gave no random number to tell this node from the others.
    #[error("could not make a number for the node")]
    Number(getrandom::Error),
    /// The threads could not be started.
    #[error("could not start the server")]
    Serve(std::io::Error),
    /// An address could not be taken.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}
