use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use super::metrics::CassandraMetrics;
use crate::config::TlsFiles;
use crate::secret::Secret;

/// What an operator sets about the Cassandra cluster.
#[derive(Debug, Clone)]
pub struct CassandraOptions {
    /// `host:port` of some nodes: those that are asked first. The others are learnt from them.
    pub nodes: Vec<String>,
    /// The datacenter whose nodes are asked, and whose quorum decides. Needed where there are several.
    pub datacenter: Option<String>,
    /// Who signs in.
    pub login: Option<Login>,
    /// How connections are encrypted; `None`: not at all.
    pub tls: Option<Tls>,
    /// Where the tables are.
    pub keyspace: Keyspace,
    /// What operators call the deployment that the keyspace belongs to, or from now on shall belong to.
    pub deployment: String,
    /// How many nodes keep each row, when the keyspace has to be made.
    pub replication: Replication,
    /// Connections to each node. One carries thousands of requests at once; a second one keeps large answers
    /// from holding up small ones.
    pub connections_per_node: NonZeroUsize,
    /// How long a request may take, tries at other nodes included. Above the servers' own limits (2 s for a
    /// write, 5 s for a read), so that it is mostly they who say what became of it.
    pub request_timeout: Duration,
    /// How long a connection may take to come up.
    pub connect_timeout: Duration,
    /// Where it is counted what becomes of requests.
    pub metrics: CassandraMetrics,
}

impl CassandraOptions {
    /// What is usual, for a cluster that these nodes belong to.
    #[must_use]
    pub fn new(nodes: Vec<String>, keyspace: Keyspace, replication: Replication) -> Self {
        Self {
            nodes,
            datacenter: None,
            login: None,
            tls: None,
            keyspace,
            deployment: "bobchat".to_owned(),
            replication,
            connections_per_node: NonZeroUsize::MIN.saturating_add(1),
            request_timeout: Duration::from_secs(6),
            connect_timeout: Duration::from_secs(3),
            metrics: CassandraMetrics::default(),
        }
    }
}

/// A name and a password.
#[derive(Debug, Clone)]
pub struct Login {
    /// The role.
    pub user: String,
    /// Its password.
    pub password: Secret,
}

/// How connections to Cassandra are encrypted, and who it is believed to be.
#[derive(Debug, Clone)]
pub struct Tls {
    /// A PEM file with the authorities that sign the nodes' certificates; no others are trusted. A node's
    /// certificate has to name its IP address, since that is how nodes find each other.
    pub authorities: PathBuf,
    /// This node's own certificate and key, for nodes that ask for one.
    pub identity: Option<TlsFiles>,
}

/// The name of a keyspace: lower-case letters, digits and underscores, a letter first, at most 48 of them. So
/// it can stand in CQL as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Keyspace(String);

/// Why a text does not name a keyspace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("expected 1 to 48 lower-case letters, digits and underscores, with a letter first")]
pub struct InvalidKeyspace;

impl Keyspace {
    /// The name.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Default for Keyspace {
    fn default() -> Self {
        Self("bobchat".to_owned())
    }
}

impl FromStr for Keyspace {
    type Err = InvalidKeyspace;

    fn from_str(text: &str) -> Result<Self, InvalidKeyspace> {
        let plain = |letter: u8| letter.is_ascii_lowercase() || letter.is_ascii_digit() || letter == b'_';
        let begins = text.starts_with(|first: char| first.is_ascii_lowercase());
        let fits = begins && text.len() <= 48 && text.bytes().all(plain);
        if fits { Ok(Self(text.to_owned())) } else { Err(InvalidKeyspace) }
    }
}

/// How many nodes keep each row of a keyspace that has to be made. One that exists stays as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Replication {
    /// As many in every datacenter.
    Everywhere(u8),
    /// As many in these datacenters, and none elsewhere.
    Datacenters(BTreeMap<String, u8>),
}

impl Replication {
    /// The map that CQL takes.
    pub(super) fn cql(&self) -> String {
        let factors = match self {
            Self::Everywhere(factor) => format!("'replication_factor': {factor}"),
            Self::Datacenters(factors) => {
                let each = factors.iter().map(|(name, factor)| format!("'{}': {factor}", name.replace('\'', "''")));
                each.collect::<Vec<_>>().join(", ")
            }
        };
        format!("{{'class': 'NetworkTopologyStrategy', {factors}}}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_keyspace_is_a_plain_name() {
        assert_eq!("bobchat_2".parse::<Keyspace>().map(|name| name.as_str().to_owned()), Ok("bobchat_2".to_owned()));
        for bad in ["", "_a", "2a", "Bobchat", "a-b", "a b", "a;b", "é", &"a".repeat(49)] {
            assert_eq!(bad.parse::<Keyspace>(), Err(InvalidKeyspace), "{bad:?}");
        }
    }

    #[test]
    fn replication_is_quoted() {
        let everywhere = Replication::Everywhere(3).cql();
        assert_eq!(everywhere, "{'class': 'NetworkTopologyStrategy', 'replication_factor': 3}");
        let named = Replication::Datacenters(BTreeMap::from([("a'b".to_owned(), 3), ("c".to_owned(), 2)])).cql();
        assert_eq!(named, "{'class': 'NetworkTopologyStrategy', 'a''b': 3, 'c': 2}");
    }
}
