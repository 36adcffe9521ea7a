//! Turns a request into a session: the service behind actix-http's `.upgrade()`.

use std::net::IpAddr;
use std::rc::Rc;
use std::time::Duration;

use actix_codec::Framed;
use actix_http::body::BodySize;
use actix_http::h1::{Codec, Message};
use actix_http::header::{self, HeaderValue};
use actix_http::ws::handshake_response;
use actix_http::{Request, Response, StatusCode};
use bobchat_actors::Worker;
use bobchat_actors::ports::Identity;
use bobchat_actors::session::Session;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::wire;
use bytes::Bytes;
use futures_util::SinkExt as _;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::time::Instant;

use super::handshake::{self, Accepted};
use super::socket::{Socket, SocketInlet};
use super::strangers::{Place, Strangers};
use crate::config::{Network, Origin};
use crate::web::address::client_address;
use crate::web::error::status;

/// How long a client may take to read the answer to its handshake.
const ANSWER_DEADLINE: Duration = Duration::from_secs(5);

/// What an upgrade needs to know.
#[derive(Clone)]
pub struct Upgrade {
    /// The thread's part of the node.
    pub worker: Rc<Worker>,
    /// Whose pages may connect.
    pub allowed_origins: Rc<[Origin]>,
    /// Whose `X-Forwarded-For` is believed.
    pub trusted_proxies: Rc<[Network]>,
    /// Connections that are not signed in.
    pub strangers: Strangers,
}

impl Upgrade {
    /// Answers a request, and makes a session of its socket when it may become one.
    pub async fn serve<S: Socket>(self, request: Request, mut framed: Framed<S, Codec>) {
        let begun_at = Instant::now();
        let admitted = self.admit(&request).await;
        let answered = match &admitted {
            Ok((accepted, ..)) => tokio::time::timeout(ANSWER_DEADLINE, switch(&request, accepted, &mut framed)).await,
            Err(error) => tokio::time::timeout(ANSWER_DEADLINE, refuse(error, &mut framed)).await,
        };
        let (Ok((accepted, identity, place)), Ok(Ok(()))) = (admitted, answered) else { return };
        let parts = framed.into_parts();
        match parts.io.into_wire() {
            Ok(wire) => {
                self.worker.core.metrics.stages.accept.observe(begun_at.elapsed().as_secs_f64());
                let inlet = SocketInlet::new(parts.read_buf, place);
                Session::start(self.worker, accepted.format, wire, inlet, identity);
            }
            Err(error) => tracing::debug!(error = %error, "a connection broke off behind its handshake"),
        }
    }

    async fn admit(&self, request: &Request) -> Result<(Accepted, Option<Identity>, Place), wire::Error> {
        let accepted = handshake::judge(request.head(), &self.allowed_origins)?;
        let place = self.place(request)?;
        let identity = match &accepted.token {
            Some(token) => Some(self.worker.core.authenticator.authenticate(token).await?),
            None => None,
        };
        Ok((accepted, identity, place))
    }

    fn place(&self, request: &Request) -> Result<Place, wire::Error> {
        let peer = request.head().peer_addr.map_or(IpAddr::from([0, 0, 0, 0]), |peer| peer.ip());
        let address = client_address(peer, request.head().headers(), &self.trusted_proxies);
        self.strangers.admit(address).map_err(|crowded| {
            self.worker.core.metrics.connections_refused.inc();
            let error = ErrorCode::TooManyConnections.error(crowded.to_string());
            error.with_retry_after(Duration::from_secs(5))
        })
    }
}

async fn switch<S: AsyncRead + AsyncWrite + Unpin>(
    request: &Request,
    accepted: &Accepted,
    framed: &mut Framed<S, Codec>,
) -> Result<(), std::io::Error> {
    let mut response = handshake_response(request.head());
    if accepted.asked {
        response.insert_header((header::SEC_WEBSOCKET_PROTOCOL, handshake::subprotocol(accepted.format)));
    }
    let response = response.finish().drop_body();
    framed.send(Message::Item((response, BodySize::None))).await
}

async fn refuse<S: AsyncRead + AsyncWrite + Unpin>(
    error: &wire::Error,
    framed: &mut Framed<S, Codec>,
) -> Result<(), std::io::Error> {
    let code = ErrorCode::parse(&error.code).unwrap_or(ErrorCode::Internal);
    let status = StatusCode::from_u16(status(code).as_u16()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let body = Bytes::from(serde_json::to_vec(error).unwrap_or_default());
    let mut response = Response::new(status).drop_body();
    response.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    response.headers_mut().insert(header::CONNECTION, HeaderValue::from_static("close"));
    framed.send(Message::Item((response, BodySize::Sized(body.len() as u64)))).await?;
    framed.send(Message::Chunk(Some(body))).await?;
    framed.send(Message::Chunk(None)).await
}
