//! A connection of one client: frames of the protocol over a WebSocket.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::codec::{self, Format};
use bobchat_proto::wire::{ClientFrame, ServerFrame};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::ws::{self, Incoming, Masker, Opcode};

/// A node that does not take a connection or a frame for this long is as good as gone.
const STALL_MAX: Duration = Duration::from_secs(3);

/// A connection.
pub(super) struct Socket {
    stream: ws::Stream,
    format: Format,
    inbox: BytesMut,
    masker: Masker,
    reader: ws::Reader,
}

/// What came.
pub(super) enum Heard {
    Frame(ServerFrame),
    /// To be answered by [`Socket::pong`].
    Ping(BytesMut),
    /// The server closed.
    Closed(u16),
}

impl Socket {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the node does not take it, which a node that is down does not.
    pub(super) async fn open(node: SocketAddr, format: Format, seed: u64) -> anyhow::Result<Self> {
        let request = ws::Request {
            authority: node.to_string(),
            path: "/api/v1/ws".to_owned(),
            subprotocol: Some(format.subprotocol()),
            trust: None,
        };
        let (stream, inbox) = timeout(STALL_MAX, ws::open(&request, ws::Way::default()))
            .await
            .context("the node takes no connection")??;
        Ok(Self { stream, format, inbox, masker: Masker::new(seed), reader: ws::Reader::default() })
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// When the connection broke; whether the frame arrived is not known.
    pub(super) async fn send(&mut self, frame: &ClientFrame) -> anyhow::Result<()> {
        let mut payload = BytesMut::new();
        codec::encode_client_frame(frame, self.format, &mut payload);
        let opcode = if self.format == Format::Json { Opcode::Text } else { Opcode::Binary };
        self.write(opcode, &payload).await
    }

    /// Answers a ping. Not done by [`Self::hear`], which may be dropped in the middle.
    ///
    /// # Errors
    /// When the connection broke.
    pub(super) async fn pong(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        self.write(Opcode::Pong, payload).await
    }

    async fn write(&mut self, opcode: Opcode, payload: &[u8]) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        ws::write_masked(&mut out, opcode, self.masker.next(), payload);
        timeout(STALL_MAX, self.stream.write_all(&out)).await.context("the node reads nothing")??;
        Ok(())
    }

    /// The next frame. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// When the connection broke, or the server broke the protocol: [`is_broken_protocol`] tells.
    pub(super) async fn hear(&mut self) -> anyhow::Result<Heard> {
        loop {
            match self.reader.next(&self.inbox) {
                Ok(None) => {}
                Ok(Some((incoming, length))) => {
                    let heard = self.take(incoming)?;
                    self.inbox.advance(length);
                    match heard {
                        Some(heard) => return Ok(heard),
                        None => continue,
                    }
                }
                Err(violation) => {
                    // The other end may be gone already.
                    let _ = self.write(Opcode::Close, &violation.code.to_be_bytes()).await;
                    return Err(broken(violation.into()));
                }
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                bail!("the connection ended");
            }
        }
    }

    fn take(&self, incoming: Incoming<'_>) -> anyhow::Result<Option<Heard>> {
        Ok(match incoming {
            Incoming::Text(payload) | Incoming::Binary(payload) => {
                let frame = codec::decode_server_frame(&payload, self.format);
                Some(Heard::Frame(frame.map_err(|error| broken(error.into()))?))
            }
            Incoming::Ping(payload) => Some(Heard::Ping(BytesMut::from(payload))),
            Incoming::Nothing => None,
            Incoming::Close(reason) => Some(Heard::Closed(reason.map_or(ws::NO_CODE, |(code, _)| code))),
        })
    }

    /// Closes as a client does that says good-bye.
    pub(super) async fn close(mut self) {
        // The other end may be gone already.
        let _ = self.write(Opcode::Close, &1000_u16.to_be_bytes()).await;
    }
}

/// Marks an error as one that no lost connection explains.
#[derive(Debug)]
struct BrokenProtocol(anyhow::Error);

impl std::fmt::Display for BrokenProtocol {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the server broke the protocol: {:#}", self.0)
    }
}

impl std::error::Error for BrokenProtocol {}

/// An error that is the server's fault.
pub(super) fn broken(error: anyhow::Error) -> anyhow::Error {
    anyhow::Error::new(BrokenProtocol(error))
}

/// Whether the server said what it must not, rather than nothing.
pub(super) fn is_broken_protocol(error: &anyhow::Error) -> bool {
    error.is::<BrokenProtocol>()
}
