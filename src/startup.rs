//! Starts a node: the only place where adapters meet ports.
//!
//! In this order: the addresses are taken (`listen`), the operator's listener serves (`operators`), the stores are
//! opened (`open` and `stores`, with `options` from the configuration), what has to be there is made (`prepare`), and
//! the public listener serves. Before it does, what operators changed while nodes ran is read and holds (`effects`).
//! A node of a cluster waits for its services for as long as it takes (`waiting`, with
//! the pauses of `backoff`).

mod backoff;
mod effects;
mod error;
mod listen;
mod open;
mod operators;
pub(crate) mod options;
mod prepare;
mod stores;
mod waiting;

use std::net::SocketAddr;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_rt::task::JoinHandle;
use actix_server::{Server, ServerHandle};
use bobchat_actors::metrics::Metrics;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::Clock as _;
use bobchat_actors::{Core, CorePorts};
use prometheus_client::registry::Registry;

use crate::adapters::cassandra::CassandraStore;
use crate::adapters::clock::SystemClock;
use crate::adapters::embedded::{self, BackupError};
use crate::adapters::redis;
use crate::auth;
use crate::config::{Cluster, Config, Layers};
use crate::operator::Operator;
use crate::settings::{Heeding, SettingsMetrics};
use crate::telemetry::Controls;
use crate::telemetry::metrics::HttpMetrics;
use crate::web::public::Public;
use crate::web::tls::{Certificates, TlsMetrics, Watch};
pub use error::StartError;
use listen::Place;
use open::Opened;
use operators::Operators;
pub(crate) use stores::NO_BACKUP;
use stores::Shared;
use waiting::Waiting;

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
    operators: Operators,
    shared: Option<Shared>,
    server: ServerHandle,
    /// What looks after the certificate, where there is one.
    watch: Option<JoinHandle<()>>,
    drain_timeout: Duration,
}

impl Node {
    /// Starts a node: opens its store, listens, and makes the welcome room where there is none. `telemetry` is what
    /// settings change of logs and traces. Has to run inside an actix system; the returned server has to be polled
    /// there until it ends.
    ///
    /// # Errors
    /// See [`StartError`]: nothing runs then.
    pub async fn start(layers: Layers, telemetry: Controls) -> Result<(Self, Server), StartError> {
        let public = listen::reserve(layers.own().server.listen)?;
        let operators = Operators::start(layers.own().server.admin_listen)?;
        // On the heap: it is large, and whoever starts a node would carry it about.
        match Box::pin(Self::open(layers, telemetry, public, &operators)).await {
            Ok(Running { address, core, auth, shared, server, watch, drain_timeout }) => {
                operators.readiness.open();
                let (handle, admin_address) = (server.handle(), operators.address);
                let watch = watch.map(|watch| actix_rt::spawn(watch.run()));
                let node = Self {
                    address,
                    admin_address,
                    core,
                    auth,
                    operators,
                    shared,
                    server: handle,
                    watch,
                    drain_timeout,
                };
                Ok((node, server))
            }
            Err(error) => {
                operators.stop(false).await;
                Err(error)
            }
        }
    }

    async fn open(
        layers: Layers,
        telemetry: Controls,
        public: Place,
        operators: &Operators,
    ) -> Result<Running, StartError> {
        let mut registry = Registry::default();
        let layers = Arc::new(layers);
        let config = layers.own();
        let (tls, watch) = match config.server.tls.clone() {
            None => (None, None),
            Some(files) => {
                let metrics = TlsMetrics::register(&mut registry);
                let (certificates, watch) = Certificates::load(files, metrics.clone())?;
                (Some((certificates, metrics)), Some(watch))
            }
        };
        let waiting = match config.cluster {
            Some(_) => Waiting::Patient(&operators.readiness),
            None => Waiting::Not,
        };
        let opened = Box::pin(Opened::open(config, &mut registry, waiting)).await?;
        let operator = opened.operator(&layers, options::address(config, public.address));
        let Opened { stores, clock, ids, auth } = opened;
        let shared = stores.shared.clone();
        let ports = CorePorts {
            log: stores.log,
            history: stores.history,
            directory: stores.directory,
            authenticator: auth.clone(),
            backplane: stores.backplane,
            clock,
            ids,
            nodes: match (&shared, &config.cluster) {
                (Some(shared), Some(cluster)) => shared.port(options::node_address(cluster, public.address)),
                _ => NodePort::alone(env!("CARGO_PKG_VERSION"), public.address),
            },
        };
        let core = Core::new(ports, options::core(&config.limits), Metrics::register(&mut registry));
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
        if let Some(shared) = &shared {
            shared.start(&core);
        }
        let metrics = HttpMetrics::register(&mut registry);
        let (serving, address) = (Public::new(config, core.clone(), auth.clone(), metrics), public.address);
        let effects = effects::effects(core.clone(), auth.clone(), serving.clone(), telemetry);
        let settings = SettingsMetrics::register(&mut registry);
        let settings = Heeding::new(operator.settings.clone(), core.clone(), effects, settings);
        operators.administer(&config.store.data, registry, operator, core.clone(), settings.clone())?;
        Box::pin(prepare::prepare(&core, &auth, waiting)).await?;
        Box::pin(prepare::heed(&settings, waiting)).await?;
        let server = listen::serve_public(public.listen()?, config, serving, tls).map_err(StartError::Serve)?;
        Ok(Running { address, core, auth, shared, server, watch, drain_timeout: config.server.drain_timeout })
    }

    /// Stops in good order: is no longer ready, takes no new connection, tells clients to come back, waits
    /// for them to leave, and in a cluster until what it answered for is archived, then ends the threads. Returns how
    /// many connections were cut off.
    pub async fn stop(&self) -> usize {
        self.operators.readiness.close();
        if let Some(watch) = &self.watch {
            watch.abort();
        }
        self.server.pause().await;
        let begin = Instant::now();
        let left = self.core.drain(self.drain_timeout).await;
        if let Some(shared) = &self.shared {
            shared.drain(self.drain_timeout.saturating_sub(begin.elapsed())).await;
        }
        self.server.stop(true).await;
        self.operators.stop(true).await;
        left
    }
}

/// A node whose public listener serves.
struct Running {
    address: SocketAddr,
    core: Arc<Core>,
    auth: Arc<auth::Service>,
    shared: Option<Shared>,
    server: Server,
    watch: Option<Watch>,
    drain_timeout: Duration,
}

/// Opens the stores for an operator's command where no server uses the data folder: of a node that is alone the one in
/// that folder, of a node of a cluster those that all nodes share.
///
/// # Errors
/// See [`StartError`]; while a server runs, [`embedded::OpenError::InUse`].
pub async fn open_for_operator(layers: &Layers) -> Result<Operator, StartError> {
    let config = layers.own();
    let opened = Box::pin(Opened::open(config, &mut Registry::default(), Waiting::Not)).await?;
    // No node took what is changed so.
    Ok(opened.operator(&Arc::new(layers.clone()), "the command line".to_owned()))
}

/// Puts a copy in place as the store of a data folder that has none; returns how long it is.
///
/// # Errors
/// [`BackupError`]; the folder is left as it was.
pub fn restore(config: &Config, copy: &Path) -> Result<u64, BackupError> {
    let now = SystemClock.now_micros();
    embedded::restore(copy, &config.store.data, now).map(|report| report.bytes)
}

/// Makes a cluster's keyspace good that was brought back from snapshots: gives every room a new epoch; returns how many
/// there are.
///
/// # Errors
/// [`StartError::NotEmpty`] while Redis holds what came after the snapshots; [`StartError::NothingRestored`]; else as when
/// a node starts. Nothing is half done that doing it again would not do.
pub async fn restore_cluster(config: &Cluster) -> Result<u64, StartError> {
    let facts = redis::inspect(&options::redis(config, &config.deployment, 0)).await?;
    if facts.owner != redis::Owner::Nobody {
        return Err(StartError::NotEmpty);
    }
    let store = CassandraStore::open(&options::cassandra(config), Arc::new(SystemClock)).await?;
    match store.raise_all_epochs(SystemClock.now_micros()).await? {
        0 => Err(StartError::NothingRestored { keyspace: config.cassandra.keyspace.as_str().to_owned() }),
        rooms => Ok(rooms),
    }
}
