use std::time::Duration;

use config::Value;

use super::cassandra::Cassandra;
use super::read::{Reader, Section, Setting, Size};
use super::redis::Redis;

const MIB: u64 = 1 << 20;
const GIB: u64 = 1 << 30;

/// What makes this server one of several identical nodes.
#[derive(Debug, Clone, PartialEq)]
pub struct Cluster {
    /// Names the deployment in Redis and Cassandra: another one's are not used.
    pub deployment: String,
    /// What operators call this node; its host's name when none is given.
    pub node: Option<String>,
    /// When a send is acknowledged.
    pub ack: Ack,
    /// How long events may gather before they are archived together.
    pub archive_after: Duration,
    /// Events of one room that may wait to be archived.
    pub unarchived_events_per_room: u64,
    /// Bytes of one room that may wait to be archived.
    pub unarchived_bytes_per_room: u64,
    /// Bytes that this node holds until they are archived.
    pub unarchived_bytes_total: u64,
    /// What orders events and carries them between nodes.
    pub redis: Redis,
    /// What keeps them.
    pub cassandra: Cassandra,
}

/// When a send is acknowledged.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ack {
    /// When it is in the live log and this node holds it.
    Log,
    /// When it is in the history.
    History,
}

/// The section `[cluster]` itself, which holds also for a node that is alone.
struct Own {
    deployment: String,
    node: Option<String>,
    ack: Ack,
    archive_after: Duration,
    unarchived_events_per_room: u64,
    unarchived_bytes_per_room: u64,
    unarchived_bytes_total: u64,
}

impl Cluster {
    /// Reads `[redis]`, `[cassandra]` and `[cluster]`; `None` for a node that is alone.
    pub(super) fn read(reader: &mut Reader) -> Option<Self> {
        let (redis, cassandra) = (Redis::read(reader), Cassandra::read(reader));
        let own = reader.section("cluster", Own::read);
        own.check(reader);
        match (redis, cassandra) {
            (Some(redis), Some(cassandra)) => Some(own.with(redis, cassandra)),
            (None, None) => None,
            (redis, _) => {
                let given = if redis.is_some() { "redis" } else { "cassandra" };
                reader.contradiction(
                    "redis.url, redis.cluster, cassandra.nodes",
                    format!(
                        "only {given} is given: Redis orders what is said and carries it between nodes, Cassandra \
                         keeps it, and one alone would lose what the other promises; give both, or none for a \
                         node that is alone"
                    ),
                );
                None
            }
        }
    }
}

impl Own {
    fn read(section: &mut Section<'_>) -> Self {
        Self {
            deployment: section.get_if("deployment", "bobchat".to_owned(), |name| is_name(name)),
            node: section.get_if("node", None, |name: &Option<String>| name.as_deref().map_or(Ok(()), is_name)),
            ack: section.get("ack", Ack::Log),
            archive_after: section.within(
                "archive_after",
                Duration::from_millis(250),
                Duration::from_millis(10)..=Duration::from_secs(60),
            ),
            unarchived_events_per_room: section.within("unarchived_events_per_room", 20_000, 1_000..=10_000_000),
            unarchived_bytes_per_room: section
                .within("unarchived_bytes_per_room", Size(16 * MIB), Size(MIB)..=Size(16 * GIB))
                .0,
            unarchived_bytes_total: section
                .within("unarchived_bytes_total", Size(256 * MIB), Size(16 * MIB)..=Size(1024 * GIB))
                .0,
        }
    }

    fn check(&self, reader: &mut Reader) {
        if self.unarchived_bytes_total < self.unarchived_bytes_per_room {
            reader.contradiction(
                "cluster.unarchived_bytes_total, cluster.unarchived_bytes_per_room",
                "the limit for all rooms together is below that of one",
            );
        }
    }

    fn with(self, redis: Redis, cassandra: Cassandra) -> Cluster {
        let Self { deployment, node, ack, archive_after, .. } = self;
        Cluster {
            deployment,
            node,
            ack,
            archive_after,
            unarchived_events_per_room: self.unarchived_events_per_room,
            unarchived_bytes_per_room: self.unarchived_bytes_per_room,
            unarchived_bytes_total: self.unarchived_bytes_total,
            redis,
            cassandra,
        }
    }
}

/// It stands in keys, rows and logs as it is.
fn is_name(name: &str) -> Result<(), String> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "-_.".contains(letter);
    let fits = (1..=64).contains(&name.len()) && name.chars().all(plain);
    if fits { Ok(()) } else { Err("expected 1 to 64 letters, digits, -, _ and .".to_owned()) }
}

impl Setting for Ack {
    fn parse(value: &Value) -> Result<Self, String> {
        match String::parse(value)?.as_str() {
            "log" => Ok(Self::Log),
            "history" => Ok(Self::History),
            _ => Err("expected \"log\" or \"history\"".to_owned()),
        }
    }

    fn show(&self) -> String {
        let name = match self {
            Self::Log => "log",
            Self::History => "history",
        };
        format!("\"{name}\"")
    }
}
