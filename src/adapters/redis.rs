//! The live end of rooms' logs on Redis: one server, or a cluster of them.
//!
//! [`RedisLog`] stands behind the port [`LiveLog`](bobchat_actors::ports::LiveLog). Each step of the log protocol
//! is one Lua script (`scripts/*.lua`) and one round trip: Redis runs a script whole and alone, so a batch gets its
//! place in the room's order, is written, and is published at one moment.
//!
//! - The way in: `append` (a batch as arguments, the answer as outcomes) -> `script` (by its hash, loaded when the
//!   server has forgotten it) -> `connection` (a deadline on every call; what is known when it fails: `error`).
//! - Connections: `standalone` (one connection for all commands, made anew when it breaks, never used before
//!   `check` has compared whose server it is), `cluster`.
//! - `backplane`: what nodes tell each other about rooms. `nodes`: how they know of each other and ask one another.
//! - `tls`: whom connections trust. `inspect` looks at a Redis for the operator and changes nothing.
//! - `keys` says what a room is called there, `reply` reads answers.

mod append;
mod backoff;
mod backplane;
mod check;
mod cluster;
mod connection;
mod ears;
mod error;
mod frame;
mod inspect;
mod keys;
mod log;
mod metrics;
mod nodes;
mod reply;
mod script;
mod standalone;
mod tls;
mod trace;

use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use crate::config::TlsFiles;

pub use backplane::{BackplaneMetrics, RedisBackplane};
pub use check::{CheckError, check, is_new_enough};
use connection::Link;
pub use connection::{Connection, Servers};
pub use inspect::{Owner, RedisFacts, SLOTS, ServerFacts, inspect};
pub use metrics::RedisMetrics;
pub use nodes::{NodesMetrics, RedisNodes};
use script::Scripts;

/// What an operator sets about Redis. Not printable: addresses may hold a password.
#[derive(Clone)]
pub struct RedisOptions {
    /// Where it is.
    pub servers: Servers,
    /// A PEM file with the authorities that are trusted instead of the machine's, where connections are encrypted.
    pub certificates: Option<PathBuf>,
    /// This node's own certificate and key, for servers that ask for one.
    pub identity: Option<TlsFiles>,
    /// Names the deployment that the data belongs to: a Redis that holds another one's is not used.
    pub deployment: String,
    /// Names this node in what it publishes, so that it knows its own.
    pub node: u64,
    /// How long a command may take; what was sent and is not answered by then has an unknown outcome.
    pub timeout: Duration,
    /// Stored events that stay in Redis behind each room, so that nodes that are a little behind need not read
    /// them from the store.
    pub tail_events: u64,
    /// Where it is counted what becomes of calls.
    pub metrics: RedisMetrics,
}

impl RedisOptions {
    /// A command takes well below a millisecond; a fork to save may stop Redis for some hundred.
    pub const TIMEOUT: Duration = Duration::from_secs(2);
    /// About two batches of a busy room; 10 KB a room of common messages.
    pub const TAIL_EVENTS: u64 = 32;

    /// The defaults, for these servers.
    #[must_use]
    pub fn new(servers: Servers, deployment: impl Into<String>, node: u64) -> Self {
        let deployment = deployment.into();
        Self {
            servers,
            certificates: None,
            identity: None,
            deployment,
            node,
            timeout: Self::TIMEOUT,
            tail_events: Self::TAIL_EVENTS,
            metrics: RedisMetrics::default(),
        }
    }
}

/// Rooms' live logs on Redis.
///
/// What is acknowledged is in the memory of one Redis, and on its disk or its replicas as far as it is configured
/// to; the log protocol puts the log together again when that is lost (docs/operations.md).
pub struct RedisLog {
    link: Link,
    scripts: Scripts,
    node: u64,
    timeout: Duration,
    tail_events: u64,
    /// When a failed append was last told to the operator.
    noted: Mutex<Option<Instant>>,
}

impl RedisLog {
    /// Connects, and makes sure that this Redis may be used.
    ///
    /// # Errors
    /// [`CheckError`]: for [`CheckError::Unreachable`] wait and try again; the others need the operator.
    pub async fn connect(options: RedisOptions) -> Result<Arc<Self>, CheckError> {
        let link = Link::connect(&options).await?;
        let RedisOptions { node, timeout, tail_events, .. } = options;
        Ok(Arc::new(Self { link, scripts: Scripts::new(), node, timeout, tail_events, noted: Mutex::default() }))
    }
}
