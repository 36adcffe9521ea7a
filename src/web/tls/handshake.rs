//! Letting clients in.

use std::future::poll_fn;
use std::io;
use std::net::SocketAddr;
use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::Turns;
use rustls::{ServerConfig, ServerConnection};
use tokio::io::AsyncWriteExt as _;
use tokio::net::TcpStream;

use super::metrics::{Outcome, TlsMetrics};
use super::stream::TlsStream;
use super::watch::Certificates;
use super::wire::TlsWire;
use crate::config::Network;
use crate::web::ws::strangers::{Crowded, Place, Strangers};

/// How long a handshake may take, as long as the head of a request: two round trips, over the slowest of networks.
const HANDSHAKE_DEADLINE: Duration = Duration::from_secs(5);

/// The kind of record that a handshake begins with (RFC 8446, section 5.1).
const HANDSHAKE_RECORD: u8 = 22;

/// Said to whoever speaks HTTP where TLS is spoken, so that they know what to mend.
const PLAIN_ANSWER: &[u8] = b"HTTP/1.1 400 Bad Request\r\nContent-Type: text/plain\r\nContent-Length: 52\r\n\
    Connection: close\r\n\r\nthis port speaks TLS: write https:// for it, or wss\n";

/// The handshakes of one thread. Whoever has not finished theirs is a stranger, and is counted as one.
#[derive(Clone)]
pub struct Handshakes {
    /// What is shown to clients.
    pub certificates: Certificates,
    /// Connections that are not signed in.
    pub strangers: Strangers,
    /// Behind whom many clients have one address.
    pub trusted_proxies: Rc<[Network]>,
    /// The thread's turns: signing with a key takes up to a millisecond, which deliveries must not wait for.
    pub turns: Turns,
    /// What is counted.
    pub metrics: TlsMetrics,
}

/// Why a client did not come in.
#[derive(Debug, thiserror::Error)]
enum Refusal {
    #[error("it was not done in time")]
    Late,
    #[error(transparent)]
    Crowded(#[from] Crowded),
    #[error("the client spoke HTTP without TLS")]
    Plain,
    #[error(transparent)]
    Failed(#[from] io::Error),
}

impl Handshakes {
    /// Shakes hands over a connection that was just accepted.
    ///
    /// # Errors
    /// The client is not in; it was told where there is somebody to tell.
    pub async fn shake(self, socket: TcpStream, peer: Option<SocketAddr>) -> io::Result<TlsStream> {
        let shaken = match self.place(peer) {
            Ok(_place) => {
                let shaking = self.turns.pace(shake(socket, self.certificates.current()));
                tokio::time::timeout(HANDSHAKE_DEADLINE, shaking).await.unwrap_or(Err(Refusal::Late))
            }
            Err(crowded) => Err(crowded.into()),
        };
        self.metrics.count(match &shaken {
            Ok(_) => Outcome::Done,
            Err(Refusal::Late) => Outcome::Late,
            Err(Refusal::Crowded(_)) => Outcome::Crowded,
            Err(Refusal::Plain) => Outcome::Plain,
            Err(Refusal::Failed(_)) => Outcome::Failed,
        });
        shaken.map_err(|refusal| {
            tracing::debug!(error = %refusal, "a TLS handshake failed");
            io::Error::other(refusal)
        })
    }

    /// A proxy brings many clients, and says only behind the handshake who they are.
    fn place(&self, peer: Option<SocketAddr>) -> Result<Place, Crowded> {
        let is_proxy =
            |peer: &SocketAddr| self.trusted_proxies.iter().any(|proxy| proxy.contains(peer.ip().to_canonical()));
        match peer.filter(|peer| !is_proxy(peer)) {
            Some(peer) => self.strangers.admit(peer.ip()),
            None => self.strangers.admit_unknown(),
        }
    }
}

async fn shake(mut socket: TcpStream, config: Arc<ServerConfig>) -> Result<TlsStream, Refusal> {
    let mut first = [0];
    if socket.peek(&mut first).await? == 1 && first != [HANDSHAKE_RECORD] {
        return Err(answer_plainly(&mut socket).await);
    }
    let wire = TlsWire::new(socket, ServerConnection::new(config).map_err(io::Error::other)?);
    poll_fn(|context| wire.poll_handshake(context)).await?;
    Ok(TlsStream::new(wire))
}

/// What was sent is read first: closing a socket with unread bytes resets it, and takes the answer along.
async fn answer_plainly(socket: &mut TcpStream) -> Refusal {
    let mut unread = [0; 4096];
    let _ = socket.try_read(&mut unread);
    match socket.write_all(PLAIN_ANSWER).await {
        Ok(()) => Refusal::Plain,
        Err(error) => error.into(),
    }
}
