use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::error::CloseCode;
use bobchat_proto::wire::client_frame::Request;
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::time::timeout;

use crate::client::Target;
use crate::dialect::{Attempt, Dialect, Known, Unit};
use crate::ws::{self, Masker, Opcode, Stream};

/// A node that takes no connection or no frame for this long is as good as gone.
const STALL_MAX: Duration = Duration::from_secs(5);

/// The node closed a connection.
#[derive(Debug, thiserror::Error)]
#[error("the node closed with {code} {reason}")]
pub(super) struct Closed {
    code: u16,
    reason: String,
}

impl Closed {
    /// Whether everybody there was sent away.
    pub(super) fn is_draining(&self) -> bool {
        self.code == CloseCode::Draining.code()
    }
}

/// One connection of one of the canary's people.
pub(super) struct Connection {
    stream: Stream,
    dialect: Dialect,
    inbox: BytesMut,
    masker: Masker,
    reader: ws::Reader,
}

impl Connection {
    /// Opens a connection to a node.
    ///
    /// # Errors
    /// When the node does not take it.
    pub(super) async fn open(target: &Target, seed: u64) -> anyhow::Result<Self> {
        let request = target.request(0).context("a target without a WebSocket")?;
        let opening = timeout(STALL_MAX, ws::open(&request, ws::Way::default())).await;
        let (stream, inbox) = opening.context("the node takes no connection")??;
        Ok(Self { stream, dialect: target.dialect, inbox, masker: Masker::new(seed), reader: ws::Reader::default() })
    }

    /// Makes a request.
    ///
    /// # Errors
    /// When the connection broke.
    pub(super) async fn ask(&mut self, id: u64, request: Request) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        self.dialect.write_request(&mut out, self.masker.next(), id, request);
        self.write(&out).await
    }

    /// Posts a message.
    ///
    /// # Errors
    /// When the connection broke; the message may have come through.
    pub(super) async fn post(
        &mut self,
        room: u64,
        index: u64,
        attempt: Attempt,
        known: Known<'_>,
    ) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        self.dialect.write_send(&mut out, self.masker.next(), room, index, attempt, known);
        self.write(&out).await
    }

    /// Answers a ping.
    ///
    /// # Errors
    /// When the connection broke.
    pub(super) async fn pong(&mut self, payload: &[u8]) -> anyhow::Result<()> {
        let mut out = BytesMut::new();
        ws::write_masked(&mut out, Opcode::Pong, self.masker.next(), payload);
        self.write(&out).await
    }

    async fn write(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        timeout(STALL_MAX, self.stream.write_all(bytes)).await.context("the node reads nothing")??;
        Ok(())
    }

    /// The next thing that the node said. May be dropped and called again without losing anything.
    ///
    /// # Errors
    /// When the connection ended, [`Closed`] or without a word; a [`ws::Violation`] when the node broke the protocol of WebSockets.
    pub(super) async fn hear(&mut self) -> anyhow::Result<Heard> {
        loop {
            if let Some((unit, length)) = self.dialect.split(&mut self.reader, &self.inbox)? {
                let heard = match unit {
                    Unit::Payload(payload) => Some(Heard::Payload(payload.into_owned())),
                    Unit::Ping(payload) => Some(Heard::Ping(payload.to_vec())),
                    Unit::Close { code, reason } => bail!(Closed { code, reason }),
                    Unit::Nothing => None,
                };
                self.inbox.advance(length);
                match heard {
                    Some(heard) => return Ok(heard),
                    None => continue,
                }
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                bail!("the connection ended");
            }
        }
    }
}

/// What came.
pub(super) enum Heard {
    /// Something of the protocol.
    Payload(Vec<u8>),
    /// To be answered.
    Ping(Vec<u8>),
}
