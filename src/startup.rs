//! Starts a node: the only place where adapters meet ports.

mod listen;

use std::net::SocketAddr;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_server::{Server, ServerHandle};
use bobchat_actors::bucket::Rate;
use bobchat_actors::ids::IdGenerator;
use bobchat_actors::metrics::Metrics;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::{Alone, Clock, Unavailable};
use bobchat_actors::{Core, CoreOptions, CorePorts, Worker, operations};
use prometheus_client::registry::Registry;

use crate::adapters::clock::SystemClock;
use crate::adapters::embedded::{self, BackupError, EmbeddedOptions, EmbeddedStore, OpenError};
use crate::auth::{self, ExternalIssuers, KeyFault};
use crate::config::{Config, Limits};
use crate::operator::{Backup, Operator};
use crate::telemetry;
use crate::telemetry::metrics::HttpMetrics;
use crate::web::admin::{self, Admin, Readiness};
use listen::Public;

/// How often the age of the signing key is looked at.
const KEYS_LOOKED_AT_EVERY: Duration = Duration::from_secs(60 * 60);

/// The exit code of a process whose hub died (EX_SOFTWARE of sysexits.h).
const EXIT_HUB_DIED: i32 = 70;

/// Users of other sites who may wait to be welcomed.
const NEWCOMERS_MAX: usize = 1024;

/// Why a node could not start: one line for the operator each.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The store could not be opened.
    #[error(transparent)]
    Store(#[from] OpenError),
    /// The store was opened and does not answer.
    #[error("could not prepare the node")]
    Unavailable(#[from] Unavailable),
    /// The keys of external issuers cannot be used.
    #[error("{}", .0.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))]
    Keys(Vec<KeyFault>),
    /// The welcome room could not be made.
    #[error("could not prepare the welcome room: {0}")]
    Welcome(String),
    /// The secret for the operator's commands could not be written.
    #[error("could not write admin.token to the data folder")]
    Secret(std::io::Error),
    /// The threads could not be started.
    #[error("could not start the server")]
    Serve(std::io::Error),
    /// An address could not be taken.
    #[error("could not listen on {address}")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: std::io::Error,
    },
}

/// A node that runs. Its threads end with [`Node::stop`].
pub struct Node {
    /// The public address.
    pub address: SocketAddr,
    /// The operator's address.
    pub admin_address: SocketAddr,
    /// What all threads share.
    pub core: Arc<Core>,
    /// Signing in.
    pub auth: Arc<auth::Service>,
    readiness: Arc<Readiness>,
    servers: [ServerHandle; 2],
    drain_timeout: Duration,
}

impl Node {
    /// Starts a node: opens its store, listens, and makes the welcome room where there is none. Has to run
    /// inside an actix system; the returned server has to be polled there until it ends.
    ///
    /// # Errors
    /// See [`StartError`]: nothing runs then.
    pub async fn start(config: Config) -> Result<(Self, Server), StartError> {
        let mut registry = telemetry::metrics::registry();
        let Opened { store, clock, ids, auth } = Opened::open(&config, &mut registry).await?;
        let (public, address) = listen::bind(config.server.listen)?;
        let (private, admin_address) = listen::bind(config.server.admin_listen)?;
        let ports = CorePorts {
            log: store.clone(),
            history: store.clone(),
            directory: store.clone(),
            credentials: store.clone(),
            authenticator: auth.clone(),
            backplane: Arc::new(Alone),
            clock,
            ids,
            nodes: NodePort::alone(env!("CARGO_PKG_VERSION"), address),
        };
        let core = Core::new(ports, core_options(&config.limits), Metrics::register(&mut registry));
        // The core owns the authenticator: a strong reference back would keep both for ever.
        let closing = Arc::downgrade(&core);
        auth.on_sign_out(move |who| {
            let core = closing.upgrade();
            Box::pin(async move {
                if let Some(core) = core {
                    core.sign_out(who).await;
                }
            })
        });
        let metrics = HttpMetrics::register(&mut registry);
        let readiness = Arc::new(Readiness::default());
        let admin = Admin {
            registry: Arc::new(registry),
            readiness: readiness.clone(),
            operator: Operator { auth: auth.clone(), backup: backup_of(&store) },
            secret: admin::create_secret(&config.store.data).map_err(StartError::Secret)?,
        };
        prepare(&core, &auth).await?;
        let serving = Public { core: core.clone(), auth: auth.clone(), metrics };
        let server = listen::serve_public(public, &config, serving).map_err(StartError::Serve)?;
        let operators = listen::serve_admin(private, admin).map_err(StartError::Serve)?;
        let servers = [server.handle(), operators.handle()];
        actix_rt::spawn(operators);
        readiness.open();
        let drain_timeout = config.server.drain_timeout;
        Ok((Self { address, admin_address, core, auth, readiness, servers, drain_timeout }, server))
    }

    /// Stops in good order: is no longer ready, takes no new connection, tells clients to come back, waits
    /// for them to leave, then ends the threads. Returns how many connections were cut off.
    pub async fn stop(&self) -> usize {
        let [public, operators] = &self.servers;
        self.readiness.close();
        public.pause().await;
        let left = self.core.drain(self.drain_timeout).await;
        public.stop(true).await;
        operators.stop(true).await;
        left
    }
}

/// Makes what has to be there before the first client: the welcome room; and starts what goes on for ever.
async fn prepare(core: &Arc<Core>, auth: &Arc<auth::Service>) -> Result<(), StartError> {
    core.join_nodes().await?;
    let worker = Worker::start(core.clone());
    operations::prepare_welcome(&worker).await.map_err(|error| StartError::Welcome(error.message))?;
    welcome_newcomers(worker, auth);
    let (tended, auth) = (core.clone(), auth.clone());
    actix_rt::spawn(async move { tended.tend().await });
    let among_nodes = core.clone();
    actix_rt::spawn(async move { among_nodes.tend_nodes().await });
    let catching_up = core.clone();
    actix_rt::spawn(async move { catching_up.catch_up().await });
    let watched = core.clone();
    actix_rt::spawn(async move {
        watched.hub_died().await;
        tracing::error!("a worker thread's hub has died: the process ends, so that its clients come back elsewhere");
        std::process::exit(EXIT_HUB_DIED);
    });
    actix_rt::spawn(async move {
        loop {
            tokio::time::sleep(KEYS_LOOKED_AT_EVERY).await;
            if let Err(error) = auth.rotate_keys().await {
                tracing::warn!(error = %error, "could not look at the signing keys, trying again later");
            }
        }
    });
    Ok(())
}

/// Lets users of other sites land in the welcome room when they first come, as guests do. Who comes while
/// too many wait can join the room by themselves.
fn welcome_newcomers(worker: Rc<Worker>, auth: &auth::Service) {
    let (sender, mut newcomers) = tokio::sync::mpsc::channel(NEWCOMERS_MAX);
    auth.on_first_sight(move |user| {
        let _ = sender.try_send(user);
    });
    actix_rt::spawn(async move {
        while let Some(user) = newcomers.recv().await {
            if let Err(error) = operations::welcome(&worker, user).await {
                tracing::warn!(user.id = user.get(), error = error.message, "could not welcome a user");
            }
        }
    });
}

/// A node's store and what is made of it without a runtime of threads.
struct Opened {
    store: Arc<EmbeddedStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<IdGenerator>,
    auth: Arc<auth::Service>,
}

impl Opened {
    async fn open(config: &Config, registry: &mut Registry) -> Result<Self, StartError> {
        // Before the store: a mistake in a file of keys shall not touch the data.
        let external = ExternalIssuers::load(&config.auth.external).map_err(StartError::Keys)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let store = EmbeddedStore::open(&config.store.data, embedded_options(config), clock.clone(), registry)?;
        let ids = Arc::new(IdGenerator::open(clock.clone(), &*store).await?);
        let numbers = ids.clone();
        let parts = auth::Parts {
            credentials: store.clone(),
            directory: store.clone(),
            clock: clock.clone(),
            identifiers: Arc::new(move || numbers.next()),
        };
        let auth = Arc::new(auth::Service::open(config.auth.clone(), external, parts).await?);
        Ok(Self { store, clock, ids, auth })
    }
}

/// Opens the store of a data folder that no server uses, for an operator's command.
///
/// # Errors
/// See [`StartError`]; while a server runs, [`OpenError::InUse`].
pub async fn open_for_operator(config: &Config) -> Result<Operator, StartError> {
    let opened = Opened::open(config, &mut Registry::default()).await?;
    Ok(Operator { auth: opened.auth, backup: backup_of(&opened.store) })
}

fn backup_of(store: &Arc<EmbeddedStore>) -> Backup {
    let store = store.clone();
    Arc::new(move |path| store.backup(path).map(|report| report.bytes).map_err(|error| error.to_string()))
}

fn embedded_options(config: &Config) -> EmbeddedOptions {
    EmbeddedOptions {
        cache_bytes: usize::try_from(config.store.cache_bytes).unwrap_or(usize::MAX),
        reserve_bytes: config.store.reserve_bytes,
        ..EmbeddedOptions::default()
    }
}

fn core_options(limits: &Limits) -> CoreOptions {
    let rate = |per_second: u64, burst: u64| Rate { per_second: per_second as f32, burst: burst as f32 };
    let size = |bytes: u64| usize::try_from(bytes).unwrap_or(usize::MAX);
    let bytes = limits.frame_bytes_per_second;
    CoreOptions {
        send_rate: rate(limits.sends_per_second, limits.sends_burst),
        frame_rate: rate(limits.frames_per_second, limits.frames_burst),
        // Two seconds' worth at once, so that a page full of drafts is no flood.
        frame_byte_rate: rate(bytes, bytes.saturating_mul(2)),
        connections_per_user: size(limits.connections_per_user),
        rooms_per_user: limits.rooms_per_user,
        requests_in_flight: u16::try_from(limits.requests_in_flight).unwrap_or(u16::MAX),
        outbound_bytes_max: size(limits.outbound_bytes_max),
        outbound_bytes_total_max: size(limits.outbound_bytes_total_max),
        room_idle: limits.room_idle,
    }
}

/// Puts a copy in place as the store of a data folder that has none; returns how long it is.
///
/// # Errors
/// [`BackupError`]; the folder is left as it was.
pub fn restore(config: &Config, copy: &Path) -> Result<u64, BackupError> {
    let now = SystemClock.now_micros();
    embedded::restore(copy, &config.store.data, now).map(|report| report.bytes)
}
