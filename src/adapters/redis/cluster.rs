use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use redis::cluster::{ClusterClient, ClusterClientBuilder};
use redis::cluster_async::ClusterConnection;
use redis::cluster_routing::{MultipleNodeRoutingInfo, RoutingInfo};
use redis::{Cmd, RedisResult, Value};
use tokio::time::Instant;

use super::check::{CheckError, check};
use super::connection::{Connection, no_answer_within, tcp_settings};
use super::error::CallError;
use super::metrics::RedisMetrics;
use super::{RedisOptions, tls};

/// Between two attempts of a command that was sent to the wrong node: the map of slots is being read anew.
const PAUSE: Duration = Duration::from_millis(50);

/// Refusals that go away by asking again: the slot is elsewhere now, or has no primary for a moment.
const PASSING: [&str; 5] = ["MOVED", "TRYAGAIN", "CLUSTERDOWN", "MASTERDOWN", "READONLY"];

/// A cluster: a connection to each of its primaries.
///
/// The library's own retries are off, for it repeats after a broken connection as well, and what was sent on that
/// may have been done. What the server refused is repeated here. A connection that was made anew needs no check of
/// its own: each script compares the replication id of the server that runs it, and the one that would make it ours,
/// `fence`, compares the deployment (log protocol, rules 18 and 30).
pub(super) struct Cluster {
    client: ClusterClient,
    current: Arc<Mutex<Current>>,
    deployment: String,
    metrics: RedisMetrics,
}

/// The connections that are used now.
///
/// While the library reads the map of slots anew it passes nothing on, and it may wait for ever: seen where a primary
/// is killed under load, for all slots. So connections that answer nothing at all are made anew.
struct Current {
    connection: ClusterConnection,
    /// Counts connections: what is said about earlier ones is past.
    number: u64,
    /// When they last answered.
    heard_at: Instant,
    /// Whether others are being made.
    replacing: bool,
}

impl Cluster {
    pub(super) async fn connect(urls: &[String], options: &RedisOptions) -> Result<Self, CheckError> {
        let RedisOptions { deployment, timeout, metrics, .. } = options.clone();
        let client = client(urls, options)?;
        let connected = async {
            let connection = client.get_async_connection().await.map_err(CheckError::unreachable)?;
            check(&Connection::Cluster(connection.clone()), &deployment).await?;
            metrics.connections.inc();
            Ok::<_, CheckError>(connection)
        };
        let connected = tokio::time::timeout(timeout.saturating_mul(5), connected).await;
        let connection = connected.map_err(|_| CheckError::unreachable(no_answer_within(timeout)))??;
        let current = Current { connection, number: 0, heard_at: Instant::now(), replacing: false };
        Ok(Self { client, current: Arc::new(Mutex::new(current)), deployment, metrics })
    }

    pub(super) async fn call(&self, command: &Cmd, timeout: Duration) -> Result<Value, CallError> {
        let started = Instant::now();
        let until = started + timeout;
        loop {
            let (mut connection, number) = self.current();
            let answer = tokio::time::timeout_at(until, connection.query(command)).await;
            let error = match answer {
                Ok(answer) => {
                    self.heard(number);
                    match answer {
                        Ok(value) => return Ok(value),
                        Err(error) => CallError::from(error),
                    }
                }
                Err(_) => {
                    self.heard_nothing(number, started, timeout);
                    return Err(no_answer_within(timeout));
                }
            };
            let passes = matches!(error, CallError::NotSent(_)) || PASSING.iter().any(|code| error.is_code(code));
            if !passes || Instant::now() + PAUSE >= until {
                return Err(error);
            }
            self.metrics.retries.inc();
            tokio::time::sleep(PAUSE).await;
        }
    }

    fn current(&self) -> (Connection, u64) {
        let current = lock(&self.current);
        (Connection::Cluster(current.connection.clone()), current.number)
    }

    fn heard(&self, number: u64) {
        let mut current = lock(&self.current);
        if current.number == number {
            current.heard_at = Instant::now();
        }
    }

    /// A call had no answer. If no other had one meanwhile either, the connections are made anew.
    fn heard_nothing(&self, number: u64, since: Instant, timeout: Duration) {
        {
            let mut current = lock(&self.current);
            if current.number != number || current.heard_at > since || current.replacing {
                return;
            }
            current.replacing = true;
        }
        tracing::warn!("the connections to the redis cluster have answered nothing and are made anew");
        tokio::spawn(replace(self.client.clone(), self.current.clone(), self.metrics.clone(), timeout));
    }

    pub(super) fn deployment(&self) -> &str {
        &self.deployment
    }

    pub(super) fn connection(&self) -> Connection {
        self.current().0
    }
}

/// Makes connections anew; tries once. What was under way on the ones before has no answer.
async fn replace(client: ClusterClient, current: Arc<Mutex<Current>>, metrics: RedisMetrics, timeout: Duration) {
    let made = tokio::time::timeout(timeout, client.get_async_connection()).await;
    let mut current = lock(&current);
    current.replacing = false;
    match made {
        Ok(Ok(connection)) => {
            metrics.connections.inc();
            current.connection = connection;
            current.number = current.number.saturating_add(1);
            current.heard_at = Instant::now();
        }
        Ok(Err(error)) => tracing::warn!(error = %error, "could not connect to the redis cluster"),
        Err(_) => tracing::warn!("could not connect to the redis cluster: nothing came within {timeout:?}"),
    }
}

/// A thread that panicked under a lock left what it guards whole: every change is a few assignments.
fn lock(current: &Mutex<Current>) -> MutexGuard<'_, Current> {
    current.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A client of the cluster that these nodes belong to.
pub(super) fn client(urls: &[String], options: &RedisOptions) -> Result<ClusterClient, CheckError> {
    let builder = builder(urls, options)?
        .retries(0)
        .response_timeout(options.timeout.saturating_mul(5))
        .overall_response_timeout(None);
    builder.build().map_err(CheckError::unreachable)
}

/// What all clients of it have in common.
pub(super) fn builder(urls: &[String], options: &RedisOptions) -> Result<ClusterClientBuilder, CheckError> {
    let builder = ClusterClientBuilder::new(urls.to_vec())
        .connection_timeout(options.timeout)
        .tcp_settings(tcp_settings(options.timeout));
    Ok(match tls::certificates(options)? {
        Some(certificates) => builder.certs(certificates),
        None => builder,
    })
}

/// Asks all primaries; one text each, ordered by their addresses.
pub(super) async fn ask_all(connection: &mut ClusterConnection, command: Cmd) -> RedisResult<Vec<String>> {
    let routing = RoutingInfo::MultiNode((MultipleNodeRoutingInfo::AllMasters, None));
    let answer = connection.route_command(command, routing).await?.extract_error()?;
    let by_address: std::collections::BTreeMap<String, String> = redis::from_redis_value(answer)?;
    Ok(by_address.into_values().collect())
}
