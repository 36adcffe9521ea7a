//! The two listeners of a node.

use std::net::{SocketAddr, TcpListener};

use actix_http::error::DispatchError;
use actix_server::Server;
use actix_service::{ServiceFactoryExt as _, fn_service};
use actix_web::{App, HttpServer};
use socket2::{Domain, Protocol, Socket, Type};
use tokio::net::TcpStream;

use super::error::StartError;
use crate::config::Config;
use crate::web::admin::{self, Admin};
use crate::web::public::Public;
use crate::web::tls::{Certificates, TlsMetrics};

/// Connections that may wait to be accepted: a storm of reconnects after a restart.
const BACKLOG: u32 = 4096;

/// How long threads may take to end once their connections have left.
const SHUTDOWN_SECONDS: u64 = 5;

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

/// Serves clients, on as many threads as are configured, over TLS where there are certificates.
pub(super) fn serve_public(
    listener: TcpListener,
    config: &Config,
    public: Public,
    tls: Option<(Certificates, TlsMetrics)>,
) -> std::io::Result<Server> {
    let builder = Server::build()
        .workers(worker_count(config.server.workers))
        .backlog(BACKLOG)
        .disable_signals()
        .shutdown_timeout(SHUTDOWN_SECONDS);
    let server = match tls {
        None => builder.listen("public", listener, move || fn_service(with_peer).and_then(public.service()))?,
        Some((certificates, metrics)) => builder.listen("public", listener, move || {
            fn_service(with_peer).and_then(public.service_over_tls(certificates.clone(), metrics.clone()))
        })?,
    };
    Ok(server.run())
}

async fn with_peer(stream: TcpStream) -> Result<(TcpStream, Option<SocketAddr>), DispatchError> {
    let peer = stream.peer_addr().ok();
    // Answers are written whole: nothing is gained by waiting for more. Without it all works, only later.
    let _ = stream.set_nodelay(true);
    Ok((stream, peer))
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
