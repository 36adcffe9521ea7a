use std::sync::Arc;
use std::time::{Duration, Instant};

use redis::aio::MultiplexedConnection;
use redis::{AsyncConnectionConfig, Client, Cmd, IntoConnectionInfo as _, Value};
use tokio::sync::watch;

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
/// A connection that broke is replaced when the next command comes, after a short pause; a new one is checked before
/// anything is sent on it: it may lead to another server now (log protocol, rules 18 and 30).
///
/// Connecting is a task of its own, and commands only wait for how it ends: whoever stops asking half way, as an actor
/// does that waits for something else, keeps nobody from the server.
pub(super) struct Standalone(Arc<Shared>);

struct Shared {
    client: Client,
    deployment: String,
    timeout: Duration,
    metrics: RedisMetrics,
    state: watch::Sender<State>,
}

#[derive(Default)]
struct State {
    live: Option<MultiplexedConnection>,
    /// Counts connections, so that a late failure does not end the one after.
    number: u64,
    /// Whether an attempt to connect is under way.
    connecting: bool,
    /// How the last attempt failed.
    failed: Option<(Instant, String)>,
}

impl State {
    fn connection(&self) -> Option<(Connection, u64)> {
        self.live.clone().map(|connection| (Connection::One(connection), self.number))
    }

    /// Whether there is nothing to wait for but an attempt that nobody has begun.
    fn wants_attempt(&self) -> bool {
        let paused = self.failed.as_ref().is_some_and(|(at, _)| at.elapsed() < PAUSE);
        self.live.is_none() && !self.connecting && !paused
    }

    /// What a command is told that found no connection.
    fn refusal(&self) -> CallError {
        CallError::NotSent(match &self.failed {
            Some((at, cause)) => format!("{cause} ({:?} ago)", at.elapsed()),
            None => "the connection broke again at once".to_owned(),
        })
    }
}

impl Standalone {
    pub(super) async fn connect(url: &str, options: &RedisOptions) -> Result<Self, CheckError> {
        let RedisOptions { deployment, timeout, metrics, .. } = options.clone();
        let info = url.into_connection_info().map_err(CheckError::unreachable)?;
        let client = tls::client(info.set_tcp_settings(tcp_settings(timeout)), options)?;
        let shared = Shared { client, deployment, timeout, metrics, state: watch::Sender::default() };
        shared.settle(Ok(shared.new_connection().await?));
        Ok(Self(Arc::new(shared)))
    }

    pub(super) async fn call(&self, command: &Cmd, timeout: Duration) -> Result<Value, CallError> {
        let until = tokio::time::Instant::now() + timeout;
        let (mut connection, number) = self.usable(timeout).await?;
        match tokio::time::timeout_at(until, connection.query(command)).await {
            Ok(Ok(value)) => Ok(value),
            Ok(Err(error)) => {
                if is_broken(&error) {
                    self.0.drop_connection(number);
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
        if let Some(live) = self.0.state.borrow().connection() {
            return Ok(live);
        }
        let mut state = self.0.state.subscribe();
        Shared::begin(&self.0);
        match tokio::time::timeout(timeout, state.wait_for(|state| !state.connecting)).await {
            Ok(Ok(state)) => state.connection().ok_or_else(|| state.refusal()),
            Ok(Err(_)) | Err(_) => Err(CallError::NotSent(format!("no connection within {timeout:?}"))),
        }
    }
}

impl Shared {
    /// Begins an attempt, if there is none and one is wanted.
    fn begin(shared: &Arc<Self>) {
        let begun = shared.state.send_if_modified(|state| {
            let wanted = state.wants_attempt();
            state.connecting |= wanted;
            wanted
        });
        if begun {
            let mut attempt = Attempt { shared: Arc::clone(shared), settled: false };
            tokio::spawn(async move {
                let made = attempt.shared.new_connection().await;
                if made.is_ok() {
                    tracing::info!("connected to redis again");
                }
                // Before the next one can begin, which is not this one's to end.
                attempt.settled = true;
                attempt.shared.settle(made);
            });
        }
    }

    async fn new_connection(&self) -> Result<MultiplexedConnection, CheckError> {
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
        made.map_err(|_| CheckError::unreachable(no_answer_within(self.timeout)))?
    }

    /// Notes how an attempt ended.
    fn settle(&self, made: Result<MultiplexedConnection, CheckError>) {
        self.state.send_modify(|state| match made {
            Ok(connection) => {
                self.metrics.connections.inc();
                let number = state.number + 1;
                *state = State { live: Some(connection), number, connecting: false, failed: None };
            }
            Err(error) => {
                state.connecting = false;
                state.failed = Some((Instant::now(), error.to_string()));
            }
        });
    }

    fn drop_connection(&self, number: u64) {
        self.state.send_if_modified(|state| {
            let is_this = state.number == number && state.live.take().is_some();
            if is_this {
                tracing::warn!("the connection to redis is lost");
            }
            is_this
        });
    }
}

/// An attempt to connect that is under way. One whose thread ends before it does makes room for another.
struct Attempt {
    shared: Arc<Shared>,
    settled: bool,
}

impl Drop for Attempt {
    fn drop(&mut self) {
        if !self.settled {
            self.shared.state.send_modify(|state| state.connecting = false);
        }
    }
}
