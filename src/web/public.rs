//! What clients are served with: the chat socket by upgrade, everything else by the application. Over whatever stream
//! their bytes come, so that the whole of it also runs where the network is simulated.

use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::error::DispatchError;
use actix_http::h1::Codec;
use actix_http::{HttpService, Request};
use actix_service::{Service as _, ServiceFactory, ServiceFactoryExt as _, apply_fn_factory, fn_service, map_config};
use actix_web::dev::AppConfig;
use actix_web::{App, web};
use bobchat_actors::{Core, Worker};
use tokio::net::TcpStream;

use super::rest::{self, Edge, GuestLimit};
use super::tls::{Certificates, Handshakes, TlsMetrics, TlsStream};
use super::ws::socket::Socket;
use super::ws::strangers::Strangers;
use super::ws::upgrade::Upgrade;
use super::{assets, docs};
use crate::auth;
use crate::config::{Config, Limits, Network, Origin};
use crate::telemetry::metrics::HttpMetrics;

/// How long a request's head may take to arrive (a slow loris holds a socket no longer).
const REQUEST_HEAD_DEADLINE: Duration = Duration::from_secs(5);

/// How long a connection without requests is kept.
const KEEP_ALIVE: Duration = Duration::from_secs(30);

/// What a node serves to clients; a copy goes to each of its threads.
#[derive(Clone)]
pub struct Public {
    core: Arc<Core>,
    auth: Arc<auth::Service>,
    metrics: HttpMetrics,
    strangers: Strangers,
    guests: Arc<GuestLimit>,
    origins: Vec<Origin>,
    proxies: Vec<Network>,
}

impl Public {
    /// What a node serves under this configuration.
    #[must_use]
    pub fn new(config: &Config, core: Arc<Core>, auth: Arc<auth::Service>, metrics: HttpMetrics) -> Self {
        Self {
            core,
            auth,
            metrics,
            strangers: Strangers::new(config.limits.connections_per_address_before_auth),
            guests: Arc::new(GuestLimit::new(&config.limits)),
            origins: config.server.allowed_origins.clone(),
            proxies: config.server.trusted_proxies.clone(),
        }
    }

    /// Has other limits by address hold, on all threads.
    pub fn set_limits(&self, limits: &Limits) {
        self.strangers.set_max(limits.connections_per_address_before_auth);
        self.guests.set(limits);
    }

    /// Starts the part of this thread: what it makes serves one connection after the other, each a stream and the
    /// address of whoever is at its other end.
    pub fn service<S: Socket>(
        &self,
    ) -> impl ServiceFactory<(S, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
    + use<S> {
        self.service_of(Worker::start(self.core.clone()))
    }

    /// The same over TLS: what it makes shakes hands over each stream first.
    pub fn service_over_tls(
        &self,
        certificates: Certificates,
        metrics: TlsMetrics,
    ) -> impl ServiceFactory<
        (TcpStream, Option<SocketAddr>),
        Config = (),
        Response = (),
        Error = DispatchError,
        InitError = (),
    > + use<> {
        let worker = Worker::start(self.core.clone());
        let handshakes = Handshakes {
            certificates,
            strangers: self.strangers.clone(),
            trusted_proxies: self.proxies.clone().into(),
            turns: worker.strangers.clone(),
            metrics,
        };
        let shake = move |(socket, peer): (TcpStream, Option<SocketAddr>)| {
            let handshakes = handshakes.clone();
            async move { handshakes.shake(socket, peer).await.map(|stream| (stream, peer)).map_err(DispatchError::Io) }
        };
        fn_service(shake).and_then(self.service_of::<TlsStream>(worker))
    }

    fn service_of<S: Socket>(
        &self,
        worker: Rc<Worker>,
    ) -> impl ServiceFactory<(S, Option<SocketAddr>), Config = (), Response = (), Error = DispatchError, InitError = ()>
    + use<S> {
        let turns = worker.strangers.clone();
        let upgrade = Upgrade {
            worker: worker.clone(),
            allowed_origins: self.origins.clone().into(),
            trusted_proxies: self.proxies.clone().into(),
            strangers: self.strangers.clone(),
        };
        let edge = Edge {
            worker,
            auth: self.auth.clone(),
            guests: self.guests.clone(),
            trusted_proxies: self.proxies.clone().into(),
            metrics: self.metrics.clone(),
        };
        let app = App::new()
            .configure(rest::configure(Rc::new(edge)))
            .configure(docs::configure)
            .default_service(web::to(assets::serve));
        let http = HttpService::build()
            .client_request_timeout(REQUEST_HEAD_DEADLINE)
            .keep_alive(KEEP_ALIVE)
            .upgrade(fn_service(move |(request, framed): (Request, Framed<S, Codec>)| {
                let upgrade = upgrade.clone();
                async move {
                    upgrade.serve(request, framed).await;
                    Ok::<_, actix_http::Error>(())
                }
            }))
            .h1(map_config(app, |_| AppConfig::default()));
        // Sessions go on by themselves: what is left here is handshakes and REST, which must not hold up deliveries.
        apply_fn_factory(http, move |connection, http| {
            let (turns, served) = (turns.clone(), http.call(connection));
            async move { turns.pace(served).await }
        })
    }
}
