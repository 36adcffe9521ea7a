//! What stands between a node and everybody that it talks to.
//!
//! Nodes have no connections to one another: what they say to each other goes through Redis.

use std::net::SocketAddr;

use anyhow::Context as _;

use super::super::network::Network;
use super::super::network::link::Link;

/// The links of one node.
#[derive(Debug)]
pub(in super::super) struct Links {
    /// From its clients.
    pub(in super::super) clients: Link,
    services: Services,
}

/// Those that it needs before it runs; a node that is alone has none.
#[derive(Debug, Default)]
pub(super) struct Services {
    redis: Option<Link>,
    /// None too in front of a Cassandra that is not the run's own: its nodes are asked where they say that they are.
    cassandra: Option<Link>,
}

impl Services {
    /// Puts a proxy in front of each that there is. A driver of Cassandra goes to the address that a node says it has, at
    /// the port that it was told: that of the proxy, for the run's own says that it is at 127.0.0.1.
    pub(super) fn make(
        network: &mut Network,
        redis: SocketAddr,
        cassandra: Option<SocketAddr>,
    ) -> anyhow::Result<Self> {
        let redis = Some(network.link(redis)?);
        let cassandra = cassandra.map(|address| network.link(address)).transpose()?;
        Ok(Self { redis, cassandra })
    }

    /// Where the node finds its Redis.
    pub(super) fn redis_url(&self) -> String {
        self.redis.as_ref().map_or_else(String::new, |link| format!("redis://{}", link.address()))
    }

    /// Where it finds a Cassandra of the run's own.
    pub(super) fn cassandra_address(&self) -> Option<String> {
        self.cassandra.as_ref().map(|link| link.address().to_string())
    }
}

impl Links {
    pub(super) fn make(network: &mut Network, node: SocketAddr, services: Services) -> anyhow::Result<Self> {
        Ok(Self { clients: network.link(node)?, services })
    }

    /// To Redis.
    ///
    /// # Errors
    /// When the run has none.
    pub(in super::super) fn redis(&self) -> anyhow::Result<&Link> {
        self.services.redis.as_ref().context("this run has no Redis")
    }

    /// To Cassandra.
    ///
    /// # Errors
    /// When the run has none of its own.
    pub(in super::super) fn cassandra(&self) -> anyhow::Result<&Link> {
        self.services.cassandra.as_ref().context("this run has no Cassandra of its own")
    }

    /// All that there are.
    pub(in super::super) fn all(&self) -> impl Iterator<Item = &Link> {
        [Some(&self.clients), self.services.redis.as_ref(), self.services.cassandra.as_ref()].into_iter().flatten()
    }
}
