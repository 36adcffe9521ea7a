//! A client's WebSocket, over the simulated network.

use std::time::Duration;

use anyhow::{Context as _, bail};
use bobchat_proto::codec::{Format, decode_server_frame, encode_client_frame};
use bobchat_proto::wire::{ClientFrame, ServerFrame};
use bytes::BytesMut;
use futures_util::{SinkExt as _, StreamExt as _};
use tokio_tungstenite::tungstenite::Message;
use tokio_tungstenite::tungstenite::client::IntoClientRequest as _;
use tokio_tungstenite::tungstenite::http::HeaderValue;
use tokio_tungstenite::tungstenite::http::header::SEC_WEBSOCKET_PROTOCOL;
use tokio_tungstenite::{WebSocketStream, client_async};
use turmoil::net::TcpStream;

use crate::node;

/// How long a handshake may take.
const PATIENCE: Duration = Duration::from_secs(1);

/// One connection.
pub struct Connection(WebSocketStream<TcpStream>);

impl Connection {
    /// Connects to a node.
    ///
    /// # Errors
    /// It is not there, or refuses.
    pub async fn open(number: usize) -> anyhow::Result<Self> {
        tokio::time::timeout(PATIENCE, Self::connect(number)).await.context("nobody answers")?
    }

    async fn connect(number: usize) -> anyhow::Result<Self> {
        let stream = TcpStream::connect((node::name(number), node::PORT)).await?;
        let mut request = "ws://simulated/api/v1/ws".into_client_request()?;
        let format = HeaderValue::from_static(Format::Protobuf.subprotocol());
        request.headers_mut().insert(SEC_WEBSOCKET_PROTOCOL, format);
        let (socket, _) = client_async(request, stream).await?;
        Ok(Self(socket))
    }

    /// Sends a frame.
    ///
    /// # Errors
    /// The connection is over.
    pub async fn send(&mut self, frame: &ClientFrame) -> anyhow::Result<()> {
        let mut bytes = BytesMut::new();
        encode_client_frame(frame, Format::Protobuf, &mut bytes);
        Ok(self.0.send(Message::Binary(bytes.freeze())).await?)
    }

    /// The next frame. Cancel safe.
    ///
    /// # Errors
    /// The connection is over, or the frame is none.
    pub async fn hear(&mut self) -> anyhow::Result<ServerFrame> {
        loop {
            match self.0.next().await.context("the connection ended")?? {
                Message::Binary(bytes) => return Ok(decode_server_frame(&bytes, Format::Protobuf)?),
                Message::Close(frame) => bail!("closed: {frame:?}"),
                // Pings are answered below this.
                _ => {}
            }
        }
    }
}
