//! What the configuration means to the core and to adapters.

use std::net::SocketAddr;

use bobchat_actors::CoreOptions;
use bobchat_actors::bucket::Rate;
use bobchat_actors::cluster::{Ack, ClusterOptions};
use bobchat_actors::ports::LiveBounds;

use crate::adapters::cassandra::{CassandraMetrics, CassandraOptions, Login, Tls};
use crate::adapters::embedded::EmbeddedOptions;
use crate::adapters::redis::{RedisOptions, Servers};
use crate::config::{self, Limits, RedisServers, Store};
use crate::secret::Secret;

/// The Redis of a cluster, for the node of this number. `deployment` is the identity that Cassandra keeps
/// ([`CassandraStore::deployment`](crate::adapters::cassandra::CassandraStore::deployment)).
pub(crate) fn redis(cluster: &config::Cluster, deployment: &str, node: u64) -> RedisOptions {
    let config::Redis { servers, login, certificates, identity, timeout, tail_events } = &cluster.redis;
    let servers = match servers {
        RedisServers::One(url) => Servers::One(url.with_login(login)),
        RedisServers::Cluster(urls) => Servers::Cluster(urls.iter().map(|url| url.with_login(login)).collect()),
    };
    let options = RedisOptions::new(servers, deployment, node);
    let (certificates, identity) = (certificates.clone(), identity.clone());
    RedisOptions { certificates, identity, timeout: *timeout, tail_events: *tail_events, ..options }
}

/// The Cassandra of a cluster.
pub(crate) fn cassandra(cluster: &config::Cluster) -> CassandraOptions {
    let cassandra = &cluster.cassandra;
    let config::Login { username, password } = &cassandra.login;
    let login = |password: &Secret| Login { user: username.clone().unwrap_or_default(), password: password.clone() };
    CassandraOptions {
        nodes: cassandra.nodes.iter().map(ToString::to_string).collect(),
        datacenter: cassandra.datacenter.clone(),
        login: password.as_ref().map(login),
        tls: cassandra
            .certificates
            .clone()
            .map(|authorities| Tls { authorities, identity: cassandra.identity.clone() }),
        keyspace: cassandra.keyspace.clone(),
        deployment: cluster.deployment.clone(),
        replication: cassandra.replication.clone(),
        connections_per_node: cassandra.connections_per_node,
        request_timeout: cassandra.request_timeout,
        connect_timeout: cassandra.connect_timeout,
        metrics: CassandraMetrics::default(),
    }
}

/// How a node of a cluster keeps its logs.
pub(super) fn cluster(config: &config::Cluster) -> ClusterOptions {
    ClusterOptions {
        ack: match config.ack {
            config::Ack::Log => Ack::Log,
            config::Ack::History => Ack::History,
        },
        bounds: LiveBounds { events: config.unarchived_events_per_room, bytes: config.unarchived_bytes_per_room },
        unarchived_bytes_max: usize::try_from(config.unarchived_bytes_total).unwrap_or(usize::MAX),
        archive_after: config.archive_after,
        ..ClusterOptions::default()
    }
}

/// What operators call a node: the name that they gave it, or that of its host.
pub(crate) fn node_name(config: &config::Cluster) -> Option<String> {
    let host = || std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    let host = host().map(|name| name.trim().to_owned()).filter(|name| !name.is_empty());
    config.node.clone().or(host)
}

/// Its name, and the port of its public listener.
pub(super) fn node_address(config: &config::Cluster, listens: SocketAddr) -> String {
    let name = node_name(config).unwrap_or_else(|| listens.ip().to_string());
    format!("{name}:{}", listens.port())
}

/// What operators call any node, also one that is alone.
pub(super) fn address(config: &config::Config, listens: SocketAddr) -> String {
    config.cluster.as_ref().map_or_else(|| listens.to_string(), |cluster| node_address(cluster, listens))
}

pub(super) fn embedded(store: &Store) -> EmbeddedOptions {
    EmbeddedOptions {
        cache_bytes: usize::try_from(store.cache_bytes).unwrap_or(usize::MAX),
        reserve_bytes: store.reserve_bytes,
        ..EmbeddedOptions::default()
    }
}

pub(super) fn core(limits: &Limits) -> CoreOptions {
    let rate = |per_second: u64, burst: u64| Rate { per_second: per_second as f32, burst: burst as f32 };
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bytes = limits.frame_bytes_per_second;
    CoreOptions {
        send_rate: rate(limits.sends_per_second, limits.sends_burst),
        frame_rate: rate(limits.frames_per_second, limits.frames_burst),
        // Two seconds' worth at once, so that a page full of drafts is no flood.
        frame_byte_rate: rate(bytes, bytes.saturating_mul(2)),
        page_rate: rate(limits.pages_per_second, limits.pages_burst),
        connections_per_user: size(limits.connections_per_user),
        rooms_per_user: limits.rooms_per_user,
        requests_in_flight: u16::try_from(limits.requests_in_flight).unwrap_or(u16::MAX),
        outbound_bytes_max: size(limits.outbound_bytes_max),
        outbound_bytes_total_max: size(limits.outbound_bytes_total_max),
        room_idle: limits.room_idle,
    }
}
