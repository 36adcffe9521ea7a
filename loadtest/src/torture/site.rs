//! Servers as their operator runs them: processes at fixed places, that can be killed, paused and started again.
//!
//! - [`mod@node`]: a Bobchat. [`redis`]: a Redis. [`disk`]: a small disk.
//!   [`clock`]: a clock that can be stepped. [`links`]: what stands between a node and whom it talks to.

pub(super) mod clock;
pub(super) mod disk;
pub(super) mod links;
pub(super) mod node;
pub(super) mod redis;

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::Context as _;

use super::network::Network;
use crate::cassandra::{Cassandra, Manner};
use clock::Clock;
use disk::SmallDisk;
use links::{Links, Services};
use node::Node;
use redis::RedisServer;

/// The disk that can be filled: what a node without messages needs, and as much again.
const DISK_BYTES: u64 = 128 * 1024 * 1024;

/// What a message takes there, at most: in the journal, in the store's file, and twice while that is written anew.
const DISK_BYTES_PER_MESSAGE: u64 = 3 * 1024;

/// What a run wants of its servers.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// Names the choices of the network.
    pub(super) seed: u64,
    pub(super) bobchat: PathBuf,
    pub(super) folder: PathBuf,
    pub(super) plant: Option<String>,
    /// The data of the node is on a disk that can be filled, which takes about so many messages.
    pub(super) small_disk: Option<u64>,
    /// The clocks of nodes can be stepped.
    pub(super) own_clocks: bool,
    /// None: one node with its own store.
    pub(super) cluster: Option<WantedCluster>,
}

/// What a run wants of a cluster.
#[derive(Debug, Clone)]
pub(super) struct WantedCluster {
    pub(super) nodes: usize,
    pub(super) redis: PathBuf,
    /// `host:port` of one that runs; none: one is started.
    pub(super) cassandra: Option<String>,
    /// Whether the Cassandra that is started will be killed and started again.
    pub(super) kills_cassandra: bool,
    /// `log` or `history`.
    pub(super) ack: String,
}

/// All servers of a run. Dropping it ends them, the nodes first.
pub(super) struct Site {
    pub(super) nodes: Vec<Node>,
    /// The links of each of them.
    pub(super) links: Vec<Links>,
    pub(super) redis: Option<RedisServer>,
    pub(super) cassandra: Option<Cassandra>,
    pub(super) disk: Option<SmallDisk>,
    /// Carries for the links; kept for as long as they are.
    _network: Network,
}

impl Site {
    /// Starts all of them. The nodes are ready.
    ///
    /// # Errors
    /// When one does not start, or is not what was asked for.
    pub(super) fn start(wanted: &Wanted) -> anyhow::Result<Self> {
        let network = Network::start(wanted.seed)?;
        let mut site = match &wanted.cluster {
            None => Self::alone(wanted, network)?,
            Some(cluster) => Self::cluster(wanted, cluster, network)?,
        };
        for node in &mut site.nodes {
            node.wait_until_ready()?;
            node.must_have_planted(wanted.plant.as_deref())?;
        }
        Ok(site)
    }

    fn alone(wanted: &Wanted, mut network: Network) -> anyhow::Result<Self> {
        let data = wanted.folder.join("data");
        let bytes = wanted.small_disk.map(|messages| DISK_BYTES + messages.saturating_mul(DISK_BYTES_PER_MESSAGE));
        let disk = bytes.map(|bytes| SmallDisk::mount(&data, bytes)).transpose()?;
        // Fullness is met by the reserve, as an operator's would be.
        let settings = vec![("STORE__RESERVE_BYTES".to_owned(), "1MiB".to_owned())];
        let node = node(wanted, 0, settings)?;
        let links = vec![Links::make(&mut network, node.address, Services::default())?];
        Ok(Self { nodes: vec![node], links, redis: None, cassandra: None, disk, _network: network })
    }

    fn cluster(wanted: &Wanted, cluster: &WantedCluster, mut network: Network) -> anyhow::Result<Self> {
        let redis = RedisServer::start(&cluster.redis, &wanted.folder.join("redis"))?;
        let manner = if cluster.kills_cassandra { Manner::Killable } else { Manner::Quick };
        let start = || Cassandra::start(&wanted.folder.join("cassandra"), manner);
        let cassandra = if cluster.cassandra.is_none() { Some(start()?) } else { None };
        let foreign = cluster.cassandra.clone().unwrap_or_default();
        // What an earlier run left at an address that was given must not be met.
        let keyspace = format!("torture_{}_{}", std::process::id(), crate::time::wall_micros() / 1_000_000);
        let common = [
            ("CASSANDRA__KEYSPACE", keyspace),
            ("CASSANDRA__REPLICATION", "1".to_owned()),
            ("LIMITS__ROOM_IDLE", "500ms".to_owned()),
            ("CLUSTER__ACK", cluster.ack.clone()),
        ];
        let (mut nodes, mut links) = (Vec::new(), Vec::new());
        for number in 0..cluster.nodes {
            let services = Services::make(&mut network, redis.address(), cassandra.as_ref().map(Cassandra::address))?;
            let own = [
                ("CLUSTER__NODE", format!("node-{number}")),
                ("REDIS__URL", services.redis_url()),
                ("CASSANDRA__NODES", services.cassandra_address().unwrap_or_else(|| foreign.clone())),
            ];
            let settings = common.iter().chain(&own).map(|(key, value)| ((*key).to_owned(), value.clone()));
            let mut node = node(wanted, number, settings.collect())?;
            if wanted.plant.is_some() {
                // A bug is there from the first moment: of nodes that make the welcome room together one may not start.
                node.wait_until_ready()?;
            }
            links.push(Links::make(&mut network, node.address, services)?);
            nodes.push(node);
        }
        Ok(Self { nodes, links, redis: Some(redis), cassandra, disk: None, _network: network })
    }

    /// Where clients find the nodes.
    pub(super) fn addresses(&self) -> Vec<SocketAddr> {
        self.links.iter().map(|links| links.clients.address()).collect()
    }

    /// One of the nodes.
    ///
    /// # Errors
    /// When there are not so many.
    pub(super) fn node(&mut self, number: usize) -> anyhow::Result<&mut Node> {
        self.nodes.get_mut(number).with_context(|| format!("there is no node {number}"))
    }

    /// The Redis of a cluster.
    ///
    /// # Errors
    /// When the run has none.
    pub(super) fn redis(&mut self) -> anyhow::Result<&mut RedisServer> {
        self.redis.as_mut().context("this run has no Redis")
    }

    /// The Cassandra of a cluster.
    ///
    /// # Errors
    /// When the run has none of its own.
    pub(super) fn cassandra(&mut self) -> anyhow::Result<&mut Cassandra> {
        self.cassandra.as_mut().context("this run has no Cassandra of its own")
    }
}

fn node(wanted: &Wanted, number: usize, settings: Vec<(String, String)>) -> anyhow::Result<Node> {
    let data = wanted.folder.join("data").join(format!("node-{number}"));
    let log = wanted.folder.join(format!("node-{number}.log"));
    std::fs::create_dir_all(&data).with_context(|| format!("could not make {}", data.display()))?;
    let clock = || Clock::make(&wanted.folder.join(format!("node-{number}.clock")));
    let clock = wanted.own_clocks.then(clock).transpose()?;
    Node::spawn(number, &absolute(&wanted.bobchat)?, data, log, settings, wanted.plant.clone(), clock)
}

fn absolute(program: &Path) -> anyhow::Result<PathBuf> {
    program.canonicalize().with_context(|| format!("there is no {}; build it: cargo build", program.display()))
}
