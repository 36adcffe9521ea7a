//! What can be broken.

use std::time::Duration;

use clap::ValueEnum;

use super::super::random::Random;

/// A kind of fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(in super::super) enum Fault {
    /// SIGKILL to a node in the middle of a burst; it is started again soon after.
    Kill,
    /// SIGSTOP to a node, and SIGCONT: in a cluster for longer than its leases last.
    Pause,
    /// SIGTERM to a node; it is started again when it has ended.
    Restart,
    /// All nodes are restarted, one after the other.
    Roll,
    /// The clock of a node is stepped forwards by an hour, and back. Needs libfaketime, so it has to be
    /// named.
    Clock,
    /// The disk of the node is full. Needs root.
    DiskFull,
    /// All clients lose their connections at once, again and again.
    Storm,
    /// SIGKILL to Redis; it comes back with its data.
    RedisKill,
    /// SIGKILL to Redis; it comes back empty.
    RedisLose,
    /// SIGSTOP to Redis, for longer than any request waits.
    RedisPause,
    /// FLUSHALL.
    RedisFlush,
    /// All keys of one room are deleted.
    RedisForgetRoom,
    /// The connections by which nodes hear each other are cut, again and again.
    RedisSubscribers,
    /// Redis has no memory left.
    RedisFull,
    /// SIGSTOP to Cassandra. Only to one that the run started.
    CassandraPause,
    /// SIGKILL to Cassandra; it is started again over its data. Only to one that the run started.
    CassandraKill,
    /// The network between a node and its clients: held in one direction or both, reset, or cut in mid-stream.
    NetClients,
    /// The same between a node and Redis.
    NetRedis,
    /// A node does not hear the others, which it does over connections of its own to Redis: they are held on the way
    /// back or both ways.
    NetNodes,
    /// The same as to Redis, between a node and Cassandra. Only to one that the run started.
    NetCassandra,
    /// All of the network is slow and uneven.
    NetSlow,
}

/// What a fault is done to: two at once are never done to the same.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in super::super) enum Target {
    Node(usize),
    Disk,
    Clients,
    Redis,
    Cassandra,
    Network,
}

impl Target {
    /// For people.
    pub(in super::super) fn told(self) -> String {
        match self {
            Self::Node(number) => format!("node {number}"),
            Self::Disk => "the disk".to_owned(),
            Self::Clients => "all clients".to_owned(),
            Self::Redis => "Redis".to_owned(),
            Self::Cassandra => "Cassandra".to_owned(),
            Self::Network => "the network".to_owned(),
        }
    }
}

/// How long a run is for which lengths are as they say; shorter runs have shorter faults.
const FULL_RUN: Duration = Duration::from_secs(300);

/// The least that a length is scaled down to.
const SCALE_MIN: f64 = 0.15;

/// How long Cassandra takes from when it is started until it serves; on a busy machine it is longer.
pub(super) const CASSANDRA_STARTS_FOR: Duration = Duration::from_secs(15);

/// A node's driver tries a Cassandra that took no connection again after so long at most, and no setting changes that.
const CASSANDRA_TRIED_EVERY: Duration = Duration::from_secs(10);

impl Fault {
    /// What a node that is alone can meet.
    pub(in super::super) const EMBEDDED: [Self; 8] = [
        Self::Kill,
        Self::Pause,
        Self::Restart,
        Self::DiskFull,
        Self::Storm,
        Self::Clock,
        Self::NetClients,
        Self::NetSlow,
    ];

    /// What a cluster can meet.
    pub(in super::super) const CLUSTER: [Self; 20] = [
        Self::Kill,
        Self::Pause,
        Self::Restart,
        Self::Roll,
        Self::Storm,
        Self::RedisKill,
        Self::RedisLose,
        Self::RedisPause,
        Self::RedisFlush,
        Self::RedisForgetRoom,
        Self::RedisSubscribers,
        Self::RedisFull,
        Self::CassandraPause,
        Self::CassandraKill,
        Self::Clock,
        Self::NetClients,
        Self::NetRedis,
        Self::NetNodes,
        Self::NetCassandra,
        Self::NetSlow,
    ];

    /// Its name, as the command line has it.
    #[must_use]
    pub(in super::super) fn name(self) -> String {
        self.to_possible_value().map_or_else(String::new, |value| value.get_name().to_owned())
    }

    /// Whether it ends the process of a node.
    pub(in super::super) const fn ends_a_process(self) -> bool {
        matches!(self, Self::Kill | Self::Restart | Self::Roll)
    }

    /// Whether it is done to Cassandra, which has to be the run's own for it.
    pub(in super::super) const fn is_of_cassandra(self) -> bool {
        matches!(self, Self::CassandraPause | Self::CassandraKill | Self::NetCassandra)
    }

    /// Whether it is done to the network.
    pub(in super::super) const fn is_of_network(self) -> bool {
        matches!(self, Self::NetClients | Self::NetRedis | Self::NetNodes | Self::NetCassandra | Self::NetSlow)
    }

    /// Whether it takes a second node to be noticed.
    pub(in super::super) const fn needs_others(self) -> bool {
        matches!(self, Self::NetNodes)
    }

    /// How long it may take after its end until those that it was done to notice.
    pub(in super::super) const fn noticed_within(self) -> Duration {
        match self {
            Self::CassandraKill | Self::NetCassandra => CASSANDRA_TRIED_EVERY,
            _ => Duration::ZERO,
        }
    }

    /// Whom it is done to.
    pub(in super::super) fn target(self, nodes: usize, random: &mut Random) -> Target {
        match self {
            Self::Kill | Self::Pause | Self::Restart | Self::Roll | Self::Clock => Target::Node(random.below(nodes)),
            Self::NetClients | Self::NetRedis | Self::NetNodes | Self::NetCassandra => {
                Target::Node(random.below(nodes))
            }
            Self::NetSlow => Target::Network,
            Self::DiskFull => Target::Disk,
            Self::Storm => Target::Clients,
            Self::CassandraPause | Self::CassandraKill => Target::Cassandra,
            _ => Target::Redis,
        }
    }

    /// How long it lasts in a run of this length.
    pub(in super::super) fn length(self, run: Duration, nodes: usize, random: &mut Random) -> Duration {
        let scale = (run.as_secs_f64() / FULL_RUN.as_secs_f64()).clamp(SCALE_MIN, 1.0);
        let scaled = |seconds: f64| Duration::from_secs_f64(seconds * scale);
        match self {
            Self::Kill | Self::RedisKill | Self::RedisLose => random.millis(50, 700),
            // Alone, a node that stands still has nobody who takes its place: it is about what waits.
            Self::Pause if nodes == 1 => random.millis(500, 3_000),
            Self::Pause => scaled(30.0),
            Self::Restart | Self::Roll | Self::RedisFlush | Self::RedisForgetRoom => Duration::ZERO,
            Self::DiskFull | Self::Storm | Self::RedisSubscribers => random.millis(1_500, 4_000),
            Self::RedisFull => scaled(15.0),
            Self::Clock => scaled(30.0),
            Self::RedisPause => scaled(35.0),
            Self::CassandraPause => scaled(60.0),
            Self::CassandraKill => scaled(25.0) + CASSANDRA_STARTS_FOR,
            Self::NetClients | Self::NetSlow => scaled(15.0),
            Self::NetRedis | Self::NetNodes => scaled(20.0),
            Self::NetCassandra => scaled(30.0),
        }
    }
}
