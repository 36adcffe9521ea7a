//! Looking at a Redis without changing it, for the operator.

use redis::{AsyncConnectionConfig, IntoConnectionInfo as _};

use super::check::{CheckError, field, read_deployment};
use super::connection::{Connection, Servers, no_answer_within, tcp_settings};
use super::{RedisOptions, cluster, tls};

/// All slots of a cluster; each key lives in one of them.
pub const SLOTS: u32 = 16_384;

/// A Redis as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RedisFacts {
    /// Its primaries; of one server that one.
    pub servers: Vec<ServerFacts>,
    /// Whose data it holds.
    pub owner: Owner,
    /// The slots of a cluster that are served; `None` for one server.
    pub slots_served: Option<u32>,
}

/// Whose data a Redis holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// Nobody's yet.
    Nobody,
    /// This deployment's.
    Deployment(String),
    /// It cannot be read now.
    Unknown,
}

/// One of its servers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerFacts {
    /// The port that it listens at.
    pub port: String,
    /// Its version, such as `7.0.15`.
    pub version: String,
    /// Whether it takes writes.
    pub is_primary: bool,
    /// Whether it is a node of a cluster.
    pub in_cluster: bool,
    /// What it does when its memory is full.
    pub policy: String,
    /// How much memory it may use, in bytes; 0: no limit.
    pub memory_max: u64,
    /// Whether it writes what it holds to disk as it goes.
    pub appends_to_file: bool,
}

/// Looks at the Redis that `options` name.
///
/// # Errors
/// [`CheckError::Unreachable`].
pub async fn inspect(options: &RedisOptions) -> Result<RedisFacts, CheckError> {
    let patience = options.timeout.saturating_mul(5);
    let looked = tokio::time::timeout(patience, look(options)).await;
    looked.map_err(|_| CheckError::unreachable(no_answer_within(patience)))?
}

async fn look(options: &RedisOptions) -> Result<RedisFacts, CheckError> {
    let mut connection = connect(options).await?;
    let mut servers = Vec::new();
    for info in connection.info("everything").await? {
        servers.push(ServerFacts::read(&info));
    }
    let slots_served = slots_served(&mut connection).await?;
    // While slots are missing, or of one node of a cluster, it may be nobody's to say.
    let is_whole = slots_served.map_or(servers.iter().all(|server| !server.in_cluster), |slots| slots == SLOTS);
    let owner = match is_whole {
        true => read_deployment(&mut connection).await?.map_or(Owner::Nobody, Owner::Deployment),
        false => Owner::Unknown,
    };
    Ok(RedisFacts { servers, owner, slots_served })
}

async fn connect(options: &RedisOptions) -> Result<Connection, CheckError> {
    match &options.servers {
        Servers::One(url) => {
            let info = url.as_str().into_connection_info()?.set_tcp_settings(tcp_settings(options.timeout));
            let config = AsyncConnectionConfig::new().set_connection_timeout(Some(options.timeout));
            let client = tls::client(info, options)?;
            Ok(Connection::One(client.get_multiplexed_async_connection_with_config(&config).await?))
        }
        Servers::Cluster(urls) => {
            let client = cluster::client(urls, options)?;
            Ok(Connection::Cluster(client.get_async_connection().await?))
        }
    }
}

async fn slots_served(connection: &mut Connection) -> Result<Option<u32>, CheckError> {
    let Connection::Cluster(connection) = connection else { return Ok(None) };
    let mut command = redis::cmd("CLUSTER");
    command.arg("INFO");
    let answers = cluster::ask_all(connection, command).await?;
    // They may not agree; who knows of the most that are missing is closest to it.
    let served = answers.iter().map(|info| field(info, "cluster_slots_ok").and_then(|slots| slots.parse().ok()));
    Ok(Some(served.map(|served| served.unwrap_or(0)).min().unwrap_or(0)))
}

impl ServerFacts {
    fn read(info: &str) -> Self {
        let text = |name: &str| field(info, name).unwrap_or("unknown").to_owned();
        Self {
            port: text("tcp_port"),
            version: text("redis_version"),
            is_primary: text("role") == "master",
            in_cluster: text("cluster_enabled") == "1",
            policy: text("maxmemory_policy"),
            memory_max: text("maxmemory").parse().unwrap_or(0),
            appends_to_file: text("aof_enabled") == "1",
        }
    }
}
