//! What handlers take out of a request. Each extractor refuses what is wrong with the field that is.

use std::net::{IpAddr, Ipv4Addr};
use std::rc::Rc;
use std::str::FromStr;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::{AUTHORIZATION, CONTENT_ENCODING, CONTENT_LENGTH, CONTENT_TYPE, HeaderName};
use actix_web::{FromRequest, HttpMessage as _, HttpRequest};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::Authenticator as _;
use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::limits::FRAME_BYTES_MAX;
use bobchat_proto::wire;
use bytes::BytesMut;
use futures_util::StreamExt as _;
use futures_util::future::{LocalBoxFuture, Ready, ready};
use serde::de::DeserializeOwned;

use super::Edge;
use crate::web::address::client_address;
use crate::web::failure::Failure;

/// How long a body may take to arrive: who sends a byte a second holds a connection no longer.
const BODY_DEADLINE: Duration = Duration::from_secs(10);

/// The header of an idempotency key.
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");

impl FromRequest for Edge {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(edge(request).map(|edge| (*edge).clone()))
    }
}

fn edge(request: &HttpRequest) -> Result<Rc<Edge>, Failure> {
    let missing = || Failure::new(ErrorCode::Internal, "the server is not set up");
    request.app_data::<Rc<Edge>>().cloned().ok_or_else(missing)
}

/// Who asks, by the access token in the `Authorization` header.
pub(super) struct Caller {
    pub(super) edge: Rc<Edge>,
    pub(super) acting: Acting,
    pub(super) user: wire::User,
}

impl FromRequest for Caller {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let (edge, token) = (edge(request), bearer(request));
        Box::pin(async move {
            let edge = edge?;
            let identity = edge.auth.authenticate(&token?).await?;
            tracing::Span::current().record("user.id", identity.acting.user.get());
            Ok(Self { edge, acting: identity.acting, user: identity.user })
        })
    }
}

fn bearer(request: &HttpRequest) -> Result<String, Failure> {
    let header = request.headers().get(AUTHORIZATION).and_then(|value| value.to_str().ok());
    let (scheme, token) = header.and_then(|value| value.split_once(' ')).unwrap_or_default();
    if !scheme.eq_ignore_ascii_case("bearer") {
        let message = "sign in first: send `Authorization: Bearer` with an access token";
        return Err(Failure::new(ErrorCode::Unauthenticated, message));
    }
    Ok(token.trim().to_owned())
}

/// The address that limits count by.
pub(super) struct ClientAddress(pub(super) IpAddr);

impl FromRequest for ClientAddress {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
        ready(edge(request).map(|edge| Self(client_address(peer, request.headers(), &edge.trusted_proxies))))
    }
}

/// The room that the path names.
pub(super) struct InRoom(pub(super) RoomId);

impl FromRequest for InRoom {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(parse("room", request.match_info().query("room")).map(Self))
    }
}

/// Reads an identifier or a number that a path, a parameter or a body gives as text.
pub(super) fn parse<T: FromStr>(field: &str, text: &str) -> Result<T, Failure>
where
    T::Err: std::fmt::Display,
{
    text.parse().map_err(|error: T::Err| Failure::in_field(field, format!("{field}: {error}")))
}

/// Reads the identifier of a user.
pub(super) fn parse_user(field: &str, text: &str) -> Result<UserId, Failure> {
    parse(field, text)
}

/// No seq is higher: the integers of OpenAPI's `int64`, of Cassandra and of most clients have a sign.
const SEQ_MAX: u64 = i64::MAX.cast_unsigned();

/// The parameters behind the `?`. Each may stand there once; a handler names those that it knows.
pub(super) struct Parameters(Vec<(String, String)>);

impl FromRequest for Parameters {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let read = serde_urlencoded::from_str(request.query_string());
        ready(read.map(Self).map_err(|_| Failure::new(ErrorCode::InvalidRequest, "the query cannot be read")))
    }
}

impl Parameters {
    /// Refuses parameters that are not among `names`, and ones that stand there twice.
    pub(super) fn only(self, names: &[&str]) -> Result<Self, Failure> {
        for (index, (name, _)) in self.0.iter().enumerate() {
            if !names.contains(&name.as_str()) {
                let message = format!("there is no such parameter; there are: {}", names.join(", "));
                return Err(Failure::in_field(name.as_str(), message));
            }
            if self.0.iter().skip(index.saturating_add(1)).any(|(other, _)| other == name) {
                return Err(Failure::in_field(name.as_str(), "the parameter may be given once"));
            }
        }
        Ok(self)
    }

    /// The text of a parameter.
    pub(super) fn text(&self, name: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// A parameter that is a number.
    pub(super) fn number<T: FromStr>(&self, name: &str) -> Result<Option<T>, Failure>
    where
        T::Err: std::fmt::Display,
    {
        self.text(name).map(|text| parse(name, text)).transpose()
    }

    /// A parameter that is a seq.
    pub(super) fn seq(&self, name: &str) -> Result<Option<u64>, Failure> {
        match self.number(name)? {
            Some(seq) if seq > SEQ_MAX => Err(Failure::in_field(name, format!("{name}: no seq is above {SEQ_MAX}"))),
            seq => Ok(seq),
        }
    }

    /// A parameter that is an identifier, raw as frames have it.
    pub(super) fn id(&self, name: &str) -> Result<Option<u64>, Failure> {
        // All identifiers are written alike.
        Ok(self.text(name).map(|text| parse::<RoomId>(name, text)).transpose()?.map(RoomId::get))
    }
}

/// The idempotency key of a request; one of the server's when the client gave none, which then cannot be
/// repeated.
pub(super) struct IdempotencyKey(pub(super) String);

impl FromRequest for IdempotencyKey {
    type Error = Failure;
    type Future = Ready<Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(match request.headers().get(IDEMPOTENCY_KEY) {
            None => made_key().map(Self),
            Some(value) => match value.to_str() {
                Ok(key) if !key.is_empty() => Ok(Self(key.to_owned())),
                _ => Err(Failure::in_field("Idempotency-Key", "1 to 64 visible ASCII characters")),
            },
        })
    }
}

fn made_key() -> Result<String, Failure> {
    let mut bytes = [0_u8; 16];
    getrandom::fill(&mut bytes).map_err(|_| Failure::new(ErrorCode::Internal, "the system gives no randomness"))?;
    Ok(format!("rest-{}", URL_SAFE_NO_PAD.encode(bytes)))
}

/// A body in JSON, at most as long as a frame.
pub(super) struct Body<T>(pub(super) T);

impl<T: DeserializeOwned + 'static> FromRequest for Body<T> {
    type Error = Failure;
    type Future = LocalBoxFuture<'static, Result<Self, Failure>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let (request, payload) = (request.clone(), payload.take());
        Box::pin(async move {
            check_headers(&request)?;
            let body = tokio::time::timeout(BODY_DEADLINE, read(payload)).await;
            let late = |_| Failure::new(ErrorCode::InvalidRequest, "the body did not arrive in time");
            decode(&body.map_err(late)??).map(Self)
        })
    }
}

/// A page of another site can send a form or plain text without asking the browser, but not JSON: so only
/// what says that it is JSON is read. Compressed bodies are refused; they may be small and become huge.
fn check_headers(request: &HttpRequest) -> Result<(), Failure> {
    if !request.content_type().eq_ignore_ascii_case("application/json") {
        return Err(Failure::in_field(CONTENT_TYPE.as_str(), "the body has to be application/json"));
    }
    if request.headers().contains_key(CONTENT_ENCODING) {
        return Err(Failure::in_field(CONTENT_ENCODING.as_str(), "the body must not be encoded"));
    }
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse::<u64>().ok());
    if length.is_some_and(|length| length > FRAME_BYTES_MAX as u64) { Err(too_large()) } else { Ok(()) }
}

async fn read(mut payload: Payload) -> Result<BytesMut, Failure> {
    let mut body = BytesMut::new();
    while let Some(chunk) = payload.next().await {
        let chunk = chunk.map_err(|_| Failure::new(ErrorCode::InvalidRequest, "the body did not arrive whole"))?;
        if body.len().saturating_add(chunk.len()) > FRAME_BYTES_MAX {
            return Err(too_large());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body)
}

fn too_large() -> Failure {
    Failure::new(ErrorCode::TooLarge, format!("a body has at most {FRAME_BYTES_MAX} bytes"))
}

fn decode<T: DeserializeOwned>(body: &[u8]) -> Result<T, Failure> {
    // An array would be read as the fields in their order, which is nothing that anybody means to say.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Failure::new(ErrorCode::InvalidRequest, "the body has to be a JSON object"));
    }
    let mut json = serde_json::Deserializer::from_slice(body);
    let value = serde_path_to_error::deserialize(&mut json).map_err(|error| {
        let failure = ErrorCode::InvalidRequest.error(format!("the body is not as it should be: {}", error.inner()));
        match error.path().to_string() {
            // The whole body, or a place that was not reached.
            path if path == "." || path == "?" => failure,
            path => failure.with_field(path),
        }
    })?;
    json.end().map_err(|_| Failure::new(ErrorCode::InvalidRequest, "the body goes on after its end"))?;
    Ok(value)
}
