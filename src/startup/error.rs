use std::net::SocketAddr;

use bobchat_actors::ports::Unavailable;

use crate::adapters::embedded::OpenError;
use crate::auth::KeyFault;

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
    /// The welcome room could not be made.
    #[error("could not prepare the welcome room: {0}")]
    Welcome(String),
    /// The secret for the operator's commands could not be written.
    #[error("could not write admin.token to the data folder")]
    Secret(std::io::Error),
    /// The configuration asks for a node of a cluster.
    #[error("this version cannot be a node of a cluster yet: leave redis and cassandra out of the configuration")]
    Cluster,
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
