use std::sync::{PoisonError, RwLock};
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _, Value};

use super::check::{CheckError, check};
use super::connection::{Connection, no_answer_within, tcp_settings};
use super::error::{CallError, is_broken};
use super::metrics::RedisMetrics;
use super::{RedisOptions, tls};

/// Between two attempts to connect: a command that comes in between fails at once instead of queueing up.
const PAUSE: Duration = Duration::from_millis(200);

/// Commands that may wait to be written: a burst of all rooms of a node.
const PIPELINE: usize = 1024;

/// One server, and the one connection that all commands share.
///
/// A connection that broke is replaced by the next command, after a short pause; a new one is checked before
/// anything is sent on it: it may lead to another server now (log protocol, rules 18 and 30).
pub(super) struct Standalone {
    client: Client,
    deployment: String,
    timeout: Duration,
    metrics: RedisMetrics,
    live: RwLock<Live>,
    /// Held while connecting: one attempt at a time.
    failed: tokio::sync::Mutex<Option<(Instant, String)>>,
}

#[derive(Default)]
struct Live {
    connection: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure does not end the one after.
    number: u64,
}

impl Standalone {
    pub(super) async fn connect(url: &str, options: &RedisOptions) -> Result<Self, CheckError> {
        let RedisOptions { deployment, timeout, metrics, .. } = options.clone();
        let info = url.into_connection_info().map_err(CheckError::unreachable)?;
        let client = tls::client(info.set_tcp_settings(tcp_settings(timeout)), options.certificates.as_deref())?;
        let (live, failed) = (RwLock::default(), tokio::sync::Mutex::default());
        let standalone = Self { client, deployment, timeout, metrics, live, failed };
        standalone.replace().await?;
        Ok(standalone)
    }

    pub(super) async fn call(&self, command: &Cmd, timeout: Duration) -> Result<Value, CallError> {
        let until = tokio::time::Instant::now() + timeout;
        let (mut connection, number) = self.usable(timeout).await?;
        match tokio::time::timeout_at(until, connection.query(command)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if is_broken(&error) {
                    self.drop_connection(number);
                }
                Err(error.into())
            }
            // The connection stays: a server that was only busy answers on it later, and whoever asked is gone.
            Err(_) => Err(no_answer_within(timeout)),
        }
    }

    pub(super) async fn connection(&self, timeout: Duration) -> Result<Connection, CallError> {
        Ok(self.usable(timeout).await?.0)
    }

    async fn usable(&self, timeout: Duration) -> Result<(Connection, u64), CallError> {
        if let Some(live) = self.live() {
            return Ok(live);
        }
        let connected = tokio::time::timeout(timeout, self.reconnect()).await;
        connected.unwrap_or_else(|_| Err(CallError::NotSent(format!("no connection within {timeout:?}"))))
    }

    async fn reconnect(&self) -> Result<(Connection, u64), CallError> {
        let mut failed = self.failed.lock().await;
        if let Some(live) = self.live() {
            return Ok(live);
        }
        if let Some((at, cause)) = failed.as_ref().filter(|(at, _)| at.elapsed() < PAUSE) {
            return Err(CallError::NotSent(format!("{cause} ({:?} ago)", at.elapsed())));
        }
        match self.replace().await {
            Ok(live) => {
                *failed = None;
                tracing::info!("connected to redis again");
                Ok(live)
            }
            Err(error) => {
                let cause = error.to_string();
                *failed = Some((Instant::now(), cause.clone()));
                Err(CallError::NotSent(cause))
            }
        }
    }

    async fn replace(&self) -> Result<(Connection, u64), CheckError> {
        let config = AsyncConnectionConfig::new()
            .set_connection_timeout(Some(self.timeout))
            .set_response_timeout(None)
            .set_pipeline_buffer_size(PIPELINE);
        let made = async {
            let connecting = self.client.get_multiplexed_async_connection_with_config(&config).await;
            let connection = connecting.map_err(CheckError::unreachable)?;
            check(&Connection::One(connection.clone()), &self.deployment).await?;
            Ok::<_, CheckError>(connection)
        };
        let made = tokio::time::timeout(self.timeout, made).await;
        let connection = made.map_err(|_| CheckError::unreachable(no_answer_within(self.timeout)))??;
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        live.number += 1;
        self.metrics.connections.inc();
        live.connection = Some(connection.clone());
        Ok((Connection::One(connection), live.number))
    }

    fn live(&self) -> Option<(Connection, u64)> {
        let live = self.live.read().unwrap_or_else(PoisonError::into_inner);
        let connection = live.connection.clone()?;
        Some((Connection::One(connection), live.number))
    }

    fn drop_connection(&self, number: u64) {
        let mut live = self.live.write().unwrap_or_else(PoisonError::into_inner);
        if live.number == number && live.connection.take().is_some() {
            tracing::warn!("the connection to redis is lost");
        }
    }
}
