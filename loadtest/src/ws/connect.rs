//! Connecting, from where and with what buffer the run wants.

use std::net::{IpAddr, SocketAddr};

use anyhow::Context as _;
use tokio::net::{TcpSocket, TcpStream, lookup_host};

/// How a connection is made.
#[derive(Debug, Clone, Copy, Default)]
pub struct Way {
    /// The address to come from; the system chooses without.
    pub source: Option<IpAddr>,
    /// The kernel's buffer for what was not read yet; the system's choice without.
    pub receive_buffer_bytes: Option<u32>,
}

/// Connects to `authority`, which is `host:port`.
///
/// # Errors
/// When nobody listens there, or the source is none of this machine's addresses.
pub(crate) async fn connect(authority: &str, way: Way) -> anyhow::Result<TcpStream> {
    let context = || format!("could not connect to {authority}");
    let mut outcome = Err(anyhow::anyhow!("{authority} has no address that fits the source"));
    // A name may have several, and not all of them a server.
    for address in lookup_host(authority).await.with_context(context)?.filter(|address| fits(*address, way.source)) {
        outcome = connect_to(address, way).await.with_context(context);
        if outcome.is_ok() {
            break;
        }
    }
    outcome
}

async fn connect_to(address: SocketAddr, way: Way) -> anyhow::Result<TcpStream> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
    if let Some(bytes) = way.receive_buffer_bytes {
        // Before connecting: the window that is offered depends on it.
        socket.set_recv_buffer_size(bytes)?;
    }
    if let Some(source) = way.source {
        socket.bind(SocketAddr::new(source, 0)).with_context(|| format!("could not connect from {source}"))?;
    }
    let stream = socket.connect(address).await?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

fn fits(address: SocketAddr, source: Option<IpAddr>) -> bool {
    source.is_none_or(|source| source.is_ipv4() == address.is_ipv4())
}
