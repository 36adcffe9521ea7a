//! Starts a node: the only place where adapters meet ports.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::{Server, ServerHandle};
use actix_service::{fn_service, map_config};
use actix_web::App;
use actix_web::dev::AppConfig;
use bobchat_actors::bucket::Rate;
use bobchat_actors::ids::IdGenerator;
use bobchat_actors::metrics::Metrics;
use bobchat_actors::ports::{Clock, Unavailable};
use bobchat_actors::{Core, CoreOptions, CorePorts, Worker, operations};
use socket2::{Domain, Protocol, Socket, Type};

use crate::adapters::clock::SystemClock;
use crate::adapters::embedded::{EmbeddedOptions, EmbeddedStore, OpenError};
use crate::auth::{self, ExternalIssuers};
use crate::config::{Config, Limits};
use crate::telemetry;
use crate::web::ws::strangers::Strangers;
use crate::web::ws::upgrade::Upgrade;

/// Connections that may wait to be accepted: a storm of reconnects after a restart.
const BACKLOG: u32 = 4096;

/// How long a request's head may take to arrive (a slow loris holds a socket no longer).
const REQUEST_HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection without requests is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long threads may take to end once their connections have left.
const SHUTDOWN_SECONDS: u64 = 5;

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
    #[error("{0}")]
    Keys(String),
    /// The welcome room could not be made.
    #[error("could not prepare the welcome room: {0}")]
    Welcome(String),
    /// An address could not be taken.
    #[error("could not listen on {address}: {source}")]
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
    /// What all threads share.
    pub core: Arc<Core>,
    /// Signing in.
    pub auth: Arc<auth::Service>,
    server: ServerHandle,
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
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let options = embedded_options(&config);
        let store = EmbeddedStore::open(&config.store.data, options, clock.clone(), &mut registry)?;
        let ids = Arc::new(IdGenerator::open(clock.clone(), &*store).await?);
        let auth = open_auth(&config, &store, &clock, &ids).await?;
        let ports = CorePorts {
            log: store.clone(),
            history: store.clone(),
            directory: store.clone(),
            credentials: store,
            authenticator: auth.clone(),
            clock,
            ids,
        };
        let core = Core::new(ports, core_options(&config.limits), Metrics::register(&mut registry));
        let closing = core.clone();
        auth.on_sign_out(move |user, device| closing.sign_out(user, device));
        let (server, address) = listen(&config, &core)?;
        prepare(&core).await?;
        let handle = server.handle();
        let node = Self { address, core, auth, server: handle, drain_timeout: config.server.drain_timeout };
        Ok((node, server))
    }

    /// Stops in good order: takes no new connection, tells clients to come back, waits for them to leave,
    /// then ends the threads. Returns how many connections were cut off.
    pub async fn stop(&self) -> usize {
        self.server.pause().await;
        let left = self.core.drain(self.drain_timeout).await;
        self.server.stop(true).await;
        left
    }
}

/// Makes what has to be there before the first client: the welcome room; and starts what goes on for ever.
async fn prepare(core: &Arc<Core>) -> Result<(), StartError> {
    let worker = Worker::start(core.clone());
    operations::prepare_welcome(&worker).await.map_err(|error| StartError::Welcome(error.message))?;
    let tended = core.clone();
    actix_rt::spawn(async move { tended.tend().await });
    Ok(())
}

fn listen(config: &Config, core: &Arc<Core>) -> Result<(Server, SocketAddr), StartError> {
    let wanted = config.server.listen;
    let failed = |source| StartError::Listen { address: wanted, source };
    let listener = bind(wanted).map_err(failed)?;
    let address = listener.local_addr().map_err(failed)?;
    let strangers = Strangers::new(config.limits.connections_per_address_before_auth);
    let core = core.clone();
    let (origins, proxies) = (config.server.allowed_origins.clone(), config.server.trusted_proxies.clone());
    let server = Server::build()
        .workers(worker_count(config.server.workers))
        .backlog(BACKLOG)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen("public", listener, move || {
            let worker = Worker::start(core.clone());
            let upgrade = Upgrade {
                worker,
                allowed_origins: origins.clone().into(),
                trusted_proxies: proxies.clone().into(),
                strangers: strangers.clone(),
            };
            let app = App::new();
            HttpService::build()
                .client_request_timeout(REQUEST_HEAD_DEADLINE)
                .keep_alive(KEEP_ALIVE)
                .tcp_nodelay(true)
                .upgrade(fn_service(move |(request, framed)| {
                    let upgrade = upgrade.clone();
                    async move {
                        upgrade.serve(request, framed).await;
                        Ok::<_, actix_http::Error>(())
                    }
                }))
                .h1(map_config(app, |_| AppConfig::default()))
                .tcp()
        })
        .map_err(failed)?
        .run();
    Ok((server, address))
}

fn bind(address: SocketAddr) -> std::io::Result<std::net::TcpListener> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    // A restart must not wait for the connections of before to time out.
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    Ok(socket.into())
}

fn worker_count(configured: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if configured == 0 { cores } else { configured }
}

fn embedded_options(config: &Config) -> EmbeddedOptions {
    EmbeddedOptions {
        cache_bytes: usize::try_from(config.store.cache_bytes).unwrap_or(usize::MAX),
        reserve_bytes: config.store.reserve_bytes,
        ..EmbeddedOptions::default()
    }
}

async fn open_auth(
    config: &Config,
    store: &Arc<EmbeddedStore>,
    clock: &Arc<dyn Clock>,
    ids: &Arc<IdGenerator>,
) -> Result<Arc<auth::Service>, StartError> {
    let external = ExternalIssuers::load(&config.auth.external)
        .map_err(|faults| StartError::Keys(faults.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")))?;
    let ids = ids.clone();
    let parts = auth::Parts {
        credentials: store.clone(),
        directory: store.clone(),
        clock: clock.clone(),
        identifiers: Arc::new(move || ids.next()),
    };
    Ok(Arc::new(auth::Service::open(config.auth.clone(), external, parts).await?))
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
