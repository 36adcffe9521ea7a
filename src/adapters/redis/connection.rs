use std::borrow::Cow;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::cluster_async::ClusterConnection;
use redis::io::tcp::TcpSettings;
use redis::{Cmd, RedisResult, Value};

use super::RedisOptions;
use super::check::CheckError;
use super::cluster::Cluster;
use super::error::CallError;
use super::metrics::{RedisMetrics, name_of};
use super::standalone::Standalone;

/// Where Redis is.
#[derive(Clone)]
pub enum Servers {
    /// One server: `redis://[user:password@]host:port[/db]`, or `rediss://` for TLS.
    One(String),
    /// A cluster: some of its nodes, in the same form without `/db`; the others are found through them.
    Cluster(Vec<String>),
}

/// A connection that is open now; a clone is another handle of it.
#[derive(Clone)]
pub enum Connection {
    /// To one server.
    One(MultiplexedConnection),
    /// To a cluster.
    Cluster(ClusterConnection),
}

impl Connection {
    /// Sends a command to where its keys live.
    pub(super) async fn query(&mut self, command: &Cmd) -> RedisResult<Value> {
        match self {
            Self::One(connection) => command.query_async(connection).await,
            Self::Cluster(connection) => command.query_async(connection).await,
        }
    }

    /// Asks every primary for a section of `INFO`; one text each, in a stable order.
    pub(super) async fn info(&mut self, section: &str) -> RedisResult<Vec<String>> {
        let mut command = redis::cmd("INFO");
        command.arg(section);
        match self {
            Self::One(connection) => Ok(vec![command.query_async(connection).await?]),
            Self::Cluster(connection) => super::cluster::ask_all(connection, command).await,
        }
    }
}

/// The way to Redis, which outlives connections. All calls of a node go through it, and are counted here.
pub(super) struct Link {
    way: Way,
    metrics: RedisMetrics,
}

enum Way {
    One(Box<Standalone>),
    Cluster(Box<Cluster>),
}

impl Link {
    pub(super) async fn connect(options: &RedisOptions) -> Result<Self, CheckError> {
        let way = match &options.servers {
            Servers::One(url) => Way::One(Box::new(Standalone::connect(url, options).await?)),
            Servers::Cluster(urls) => Way::Cluster(Box::new(Cluster::connect(urls, options).await?)),
        };
        Ok(Self { way, metrics: options.metrics.clone() })
    }

    /// Sends a command and waits for the answer, no longer than `timeout` in all.
    pub(super) async fn call(&self, command: &Cmd, timeout: Duration) -> Result<Value, CallError> {
        self.call_as(name_of(command), command, timeout).await
    }

    /// Sends a command that is counted under this name.
    pub(super) async fn call_as(
        &self,
        name: Cow<'static, str>,
        command: &Cmd,
        timeout: Duration,
    ) -> Result<Value, CallError> {
        let started = Instant::now();
        let answer = match &self.way {
            Way::One(standalone) => standalone.call(command, timeout).await,
            Way::Cluster(cluster) => cluster.call(command, timeout).await,
        };
        self.metrics.observe(name, started.elapsed(), answer.as_ref().err());
        answer
    }

    /// Asks every primary for a section of `INFO`.
    pub(super) async fn info(&self, section: &str, timeout: Duration) -> Result<Vec<String>, CallError> {
        let started = Instant::now();
        let answer = self.try_info(section, timeout).await;
        self.metrics.observe("info".into(), started.elapsed(), answer.as_ref().err());
        answer
    }

    async fn try_info(&self, section: &str, timeout: Duration) -> Result<Vec<String>, CallError> {
        let mut connection = match &self.way {
            Way::One(standalone) => standalone.connection(timeout).await?,
            Way::Cluster(cluster) => cluster.connection(),
        };
        let asked = tokio::time::timeout(timeout, connection.info(section)).await;
        Ok(asked.map_err(|_| no_answer_within(timeout))??)
    }

    /// The deployment that scripts have to compare: on a cluster, where new connections are not checked.
    pub(super) fn deployment_to_compare(&self) -> Option<&str> {
        match &self.way {
            Way::One(_) => None,
            Way::Cluster(cluster) => Some(cluster.deployment()),
        }
    }

    /// How many shards one script may use: on a cluster they live in different slots.
    pub(super) fn shards_of_a_script(&self) -> usize {
        match &self.way {
            Way::One(_) => usize::MAX,
            Way::Cluster(_) => 1,
        }
    }

    /// The command that publishes, and whose channels live in the shard of their name (log protocol, rule 30).
    pub(super) fn publish_command(&self) -> &'static str {
        match &self.way {
            Way::One(_) => "PUBLISH",
            Way::Cluster(_) => "SPUBLISH",
        }
    }

    /// What is counted of Redis.
    pub(super) fn metrics(&self) -> &RedisMetrics {
        &self.metrics
    }
}

pub(super) fn no_answer_within(timeout: Duration) -> CallError {
    CallError::NoAnswer(format!("nothing came within {timeout:?}"))
}

/// Small commands are not held back, and a server that is gone without a word is found out.
pub(super) fn tcp_settings(timeout: Duration) -> TcpSettings {
    TcpSettings::default().set_nodelay(true).set_user_timeout(timeout.saturating_mul(5))
}
