//! The opening handshake (RFC 6455 section 4), checked: a server that answers with a wrong accept value
//! or another subprotocol is refused.

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use bytes::BytesMut;
use sha1::{Digest as _, Sha1};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

use super::connect::{Way, connect};
use super::stream::Stream;
use super::trust::Trust;

/// Appended to the key before hashing (RFC 6455 section 1.3).
const GUID: &str = "258EAFA5-E914-47DA-95CA-C5AB0DC85B11";

/// An answer longer than this is not one to a handshake.
const ANSWER_BYTES_MAX: usize = 16 * 1024;

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// Where the server listens, as `host:port`.
    pub authority: String,
    /// The path of the WebSocket.
    pub path: String,
    /// The one subprotocol that is offered.
    pub subprotocol: Option<&'static str>,
    /// Whom to trust over TLS; in the clear without.
    pub trust: Option<Trust>,
}

/// The server answered with another status than the one of an upgrade.
#[derive(Debug, thiserror::Error)]
#[error("the server refused the WebSocket: {line}")]
pub(crate) struct Refused {
    status: u16,
    line: String,
}

impl Refused {
    /// Whether the server asks to come back later: too many (429), or not ready (503).
    pub(crate) const fn is_temporary(&self) -> bool {
        matches!(self.status, 429 | 503)
    }

    /// Whether the server lets nobody in who asks like that (403).
    pub(crate) const fn is_forbidden(&self) -> bool {
        self.status == 403
    }
}

/// Opens a WebSocket. Also gives the bytes that followed the answer: the first frames may be among them.
///
/// # Errors
/// When the server is not there, refuses, or answers against the rules.
pub async fn open(request: &Request, way: Way) -> anyhow::Result<(Stream, BytesMut)> {
    let authority = &request.authority;
    let stream = connect(authority, way).await?;
    let mut stream = match &request.trust {
        None => Stream::Plain(stream),
        Some(trust) => Stream::secure(stream, authority, trust).await?,
    };
    let key = random_key()?;
    stream.write_all(request_text(request, &key).as_bytes()).await?;
    let mut answer = BytesMut::with_capacity(1024);
    let head_length = loop {
        if let Some(end) = find(&answer, b"\r\n\r\n") {
            break end + 4;
        }
        ensure!(answer.len() < ANSWER_BYTES_MAX, "{authority} answered the handshake with more than 16 KiB");
        let read = stream.read_buf(&mut answer).await?;
        ensure!(read > 0, "{authority} closed the connection during the handshake");
    };
    let head = answer.split_to(head_length);
    let head = std::str::from_utf8(&head).context("the handshake's answer is not text")?;
    check_answer(head, &key, request.subprotocol)?;
    Ok((stream, answer))
}

fn random_key() -> anyhow::Result<String> {
    let mut nonce = [0; 16];
    getrandom::fill(&mut nonce).map_err(|error| anyhow::anyhow!("no random bytes: {error}"))?;
    Ok(STANDARD.encode(nonce))
}

fn request_text(request: &Request, key: &str) -> String {
    let Request { authority, path, subprotocol, .. } = request;
    let subprotocol = subprotocol.map_or(String::new(), |name| format!("Sec-WebSocket-Protocol: {name}\r\n"));
    format!(
        "GET {path} HTTP/1.1\r\nHost: {authority}\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: {key}\r\n{subprotocol}\r\n"
    )
}

/// The value that proves that the other side speaks WebSocket.
fn accept_value(key: &str) -> String {
    STANDARD.encode(Sha1::new().chain_update(key).chain_update(GUID).finalize())
}

fn check_answer(head: &str, key: &str, subprotocol: Option<&str>) -> anyhow::Result<()> {
    let mut lines = head.split("\r\n");
    let status = lines.next().unwrap_or_default();
    if !status.starts_with("HTTP/1.1 101") {
        let code = status.split(' ').nth(1).and_then(|code| code.parse().ok()).unwrap_or_default();
        return Err(Refused { status: code, line: status.to_owned() }.into());
    }
    let header = |name: &str| {
        let mut fields = head.split("\r\n").skip(1).filter_map(|line| line.split_once(':'));
        fields.find(|(field, _)| field.eq_ignore_ascii_case(name)).map(|(_, value)| value.trim())
    };
    let names = |name: &str, wanted: &str| {
        header(name).is_some_and(|value| value.split(',').any(|one| one.trim().eq_ignore_ascii_case(wanted)))
    };
    ensure!(names("upgrade", "websocket") && names("connection", "upgrade"), "the server upgrades to something else");
    ensure!(header("sec-websocket-accept") == Some(accept_value(key).as_str()), "the accept value is wrong");
    // None was offered; frames of one could not be read.
    ensure!(header("sec-websocket-extensions").is_none(), "the server chose an extension that was not offered");
    let chosen = header("sec-websocket-protocol");
    ensure!(chosen == subprotocol, "the server chose the subprotocol {chosen:?} where {subprotocol:?} was offered");
    Ok(())
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of RFC 6455 section 1.3.
    const KEY: &str = "dGhlIHNhbXBsZSBub25jZQ==";

    #[test]
    fn the_accept_value_is_the_one_of_the_standard() {
        assert_eq!(accept_value(KEY), "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=");
    }

    #[test]
    fn an_answer_is_refused_unless_status_accept_and_subprotocol_fit() {
        let accept = accept_value(KEY);
        let answer = |status: &str, accept: &str, protocol: &str| {
            let head = format!(
                "HTTP/1.1 {status}\r\nupgrade: WebSocket\r\nConnection: keep-alive, Upgrade\r\n\
                 sec-websocket-accept: {accept}\r\nSec-WebSocket-Protocol: {protocol}\r\n\r\n"
            );
            check_answer(&head, KEY, Some("bobchat.v1.json"))
        };
        assert!(answer("101 Switching Protocols", &accept, "bobchat.v1.json").is_ok());
        assert!(answer("403 Forbidden", &accept, "bobchat.v1.json").is_err());
        assert!(answer("101 Switching Protocols", "bm8=", "bobchat.v1.json").is_err());
        assert!(answer("101 Switching Protocols", &accept, "bobchat.v1.proto").is_err());
        let compressed = "bobchat.v1.json\r\nSec-WebSocket-Extensions: permessage-deflate";
        assert!(answer("101 Switching Protocols", &accept, compressed).is_err());
        let elsewhere = format!("HTTP/1.1 101 Ok\r\nSec-WebSocket-Accept: {accept}\r\n\r\n");
        assert!(check_answer(&elsewhere, KEY, None).is_err(), "no upgrade to WebSocket");
    }
}
