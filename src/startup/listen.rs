//! The two listeners of a node.

use std::net::{SocketAddr, TcpListener};
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_http::HttpService;
use actix_server::Server;
use actix_service::{fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, HttpServer, web};
use bobchat_actors::{Core, Worker};
use socket2::{Domain, Protocol, Socket, Type};

use super::error::StartError;
use crate::auth;
use crate::config::Config;
use crate::telemetry::metrics::HttpMetrics;
use crate::web::admin::{self, Admin};
use crate::web::rest::{self, Edge, GuestLimit};
use crate::web::ws::strangers::Strangers;
use crate::web::ws::upgrade::Upgrade;
use crate::web::{assets, docs};

/// Connections that may wait to be accepted: a storm of reconnects after a restart.
const BACKLOG: u32 = 4096;

/// How long a request's head may take to arrive (a slow loris holds a socket no longer).
const REQUEST_HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection without requests is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// How long threads may take to end once their connections have left.
const SHUTDOWN_SECONDS: u64 = 5;

/// What the public listener serves; a copy goes to each of its threads.
#[derive(Clone)]
pub(super) struct Public {
    pub(super) core: Arc<Core>,
    pub(super) auth: Arc<auth::Service>,
    pub(super) metrics: HttpMetrics,
}

/// An address that is ours already and where nobody listens yet: who connects is refused, and does not hang.
pub(super) struct Place {
    pub(super) address: SocketAddr,
    socket: Socket,
}

/// Takes an address; 0 as its port takes any. A restart must not wait for old connections to time out.
pub(super) fn reserve(wanted: SocketAddr) -> Result<Place, StartError> {
    let failed = |source| StartError::Listen { address: wanted, source };
    let socket = bind(wanted).map_err(failed)?;
    let address = socket.local_addr().map_err(failed)?.as_socket().unwrap_or(wanted);
    Ok(Place { address, socket })
}

impl Place {
    /// Listens there.
    pub(super) fn listen(self) -> Result<TcpListener, StartError> {
        let listening = self.socket.listen(i32::try_from(BACKLOG).unwrap_or(i32::MAX));
        listening.map_err(|source| StartError::Listen { address: self.address, source })?;
        Ok(self.socket.into())
    }
}

/// Serves clients: the chat socket by upgrade, everything else by the application.
pub(super) fn serve_public(listener: TcpListener, config: &Config, public: Public) -> std::io::Result<Server> {
    let strangers = Strangers::new(config.limits.connections_per_address_before_auth);
    let guests = Arc::new(GuestLimit::new(&config.limits));
    let (origins, proxies) = (config.server.allowed_origins.clone(), config.server.trusted_proxies.clone());
    let server = Server::build()
        .workers(worker_count(config.server.workers))
        .backlog(BACKLOG)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS)
        .listen("public", listener, move || {
            let worker = Worker::start(public.core.clone());
            let upgrade = Upgrade {
                worker: worker.clone(),
                allowed_origins: origins.clone().into(),
                trusted_proxies: proxies.clone().into(),
                strangers: strangers.clone(),
            };
            let edge = Edge {
                worker,
                auth: public.auth.clone(),
                guests: guests.clone(),
                trusted_proxies: proxies.clone().into(),
                metrics: public.metrics.clone(),
            };
            let app = App::new()
                .configure(rest::configure(Rc::new(edge)))
                .configure(docs::configure)
                .default_service(web::to(assets::serve));
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
        })?;
    Ok(server.run())
}

/// Serves the operator, on a thread of its own.
pub(super) fn serve_admin(listener: TcpListener, admin: Admin) -> std::io::Result<Server> {
    let app = move || App::new().configure(admin::configure(admin.clone()));
    let server = HttpServer::new(app).workers(1).disable_signals().shutdown_timeout(SHUTDOWN_SECONDS);
    Ok(server.listen(listener)?.run())
}

fn bind(address: SocketAddr) -> std::io::Result<Socket> {
    let socket = Socket::new(Domain::for_address(address), Type::STREAM, Some(Protocol::TCP))?;
    socket.set_reuse_address(true)?;
    socket.bind(&address.into())?;
    Ok(socket)
}

fn worker_count(configured: usize) -> usize {
    let cores = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    if configured == 0 { cores } else { configured }
}
