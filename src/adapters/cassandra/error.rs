use scylla::errors::{
    ExecutionError, IntoRowsResultError, MetadataError, NewSessionError, PrepareError, UseKeyspaceError,
};

use crate::pem::PemFault;

/// Why the store could not be opened: one line for the operator each.
#[derive(Debug, thiserror::Error)]
pub enum OpenError {
    /// No node answered, or none let the server in. Worth trying again.
    #[error("could not connect to Cassandra at {}: {cause}", .nodes.join(", "))]
    Connect {
        /// The nodes that were asked.
        nodes: Vec<String>,
        /// What the driver said.
        cause: String,
    },
    /// The authorities that are to be trusted, or who this node is, cannot be had.
    #[error(transparent)]
    Certificates(#[from] PemFault),
    /// A newer version has changed tables that this one uses.
    #[error(
        "keyspace {keyspace} has schema {found}, which takes a bobchat that knows schema {oldest}; this version knows up \
         to {known}: use a newer bobchat"
    )]
    NewerSchema {
        /// The keyspace.
        keyspace: String,
        /// The schema that it has.
        found: u32,
        /// The oldest schema that a program must know to work with it.
        oldest: u32,
        /// The newest schema that this version knows.
        known: u32,
    },
    /// Another node was changing the schema, and still did after a while. Worth trying again.
    #[error("another node has been changing the schema of keyspace {keyspace} for too long")]
    SchemaBusy {
        /// The keyspace.
        keyspace: String,
    },
    /// It holds the data of another deployment.
    #[error(
        "keyspace {keyspace} belongs to deployment \"{found}\", this is \"{expected}\": name another keyspace, or that \
         deployment"
    )]
    OtherDeployment {
        /// The keyspace.
        keyspace: String,
        /// Whose it is.
        found: String,
        /// Who asked.
        expected: String,
    },
    /// Whose the keyspace is could not be read or written. Worth trying again.
    #[error("could not learn which deployment keyspace {keyspace} belongs to: {cause}")]
    Deployment {
        /// The keyspace.
        keyspace: String,
        /// What was said.
        cause: Failure,
    },
    /// The schema could not be read or changed. Worth trying again.
    #[error("could not bring keyspace {keyspace} up to date: {cause}")]
    Schema {
        /// The keyspace.
        keyspace: String,
        /// What was said.
        cause: Failure,
    },
}

impl OpenError {
    /// Whether the same attempt may succeed later; else only the operator can help.
    #[must_use]
    pub fn may_pass(&self) -> bool {
        match self {
            Self::Connect { .. } | Self::SchemaBusy { .. } | Self::Schema { .. } | Self::Deployment { .. } => true,
            Self::Certificates(_) | Self::NewerSchema { .. } | Self::OtherDeployment { .. } => false,
        }
    }

    /// No session: of the driver's causes, each of which repeats all below it, the one at the bottom says it.
    pub(super) fn connect(nodes: &[String], error: &NewSessionError) -> Self {
        let mut root: &dyn std::error::Error = error;
        while let Some(source) = root.source() {
            root = source;
        }
        Self::Connect { nodes: nodes.to_vec(), cause: root.to_string() }
    }
}

/// What the driver said about one request. Its text is for the operator's log.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Failure(pub(super) String);

/// Each is a failure of one request, and nobody decides by its kind.
macro_rules! failures {
    ($($kind:ty),*) => {
        $(impl From<$kind> for Failure {
            fn from(error: $kind) -> Self {
                Self(error.to_string())
            }
        })*
    };
}

failures!(
    ExecutionError,
    IntoRowsResultError,
    MetadataError,
    PrepareError,
    UseKeyspaceError,
    scylla::errors::FirstRowError,
    scylla::errors::MaybeFirstRowError,
    scylla::errors::NextRowError,
    scylla::errors::PagerExecutionError,
    scylla::errors::RowsError,
    scylla::errors::SchemaAgreementError,
    scylla::deserialize::DeserializationError,
    scylla::deserialize::TypeCheckError,
    prost::DecodeError
);

impl From<Failure> for bobchat_actors::ports::Unavailable {
    fn from(failure: Failure) -> Self {
        Self { cause: failure.0 }
    }
}
