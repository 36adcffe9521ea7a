//! As much of HTTP/1.1 as a client over REST needs: one request after the other on one connection.
//!
//! By hand, so that a client can lose a connection at any moment of a request: a library would ask again by itself.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, bail, ensure};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::time::timeout;

use super::socket::broken;

/// A node that does not take a connection or a request for this long is as good as gone.
const STALL_MAX: Duration = Duration::from_secs(3);

/// A head longer than this is not one of these servers.
const HEAD_BYTES_MAX: usize = 16 * 1024;

/// A body longer than this is not one either: a page ends at 128 KiB.
const BODY_BYTES_MAX: usize = 2 * 1024 * 1024;

/// What is asked.
#[derive(Debug, Clone)]
pub(super) struct Question<'a> {
    pub(super) method: &'static str,
    /// Below `/api/v1`, with its query.
    pub(super) path: String,
    pub(super) token: &'a str,
    /// The key under which it is done once, however often it is asked.
    pub(super) key: Option<&'a str>,
    /// In JSON.
    pub(super) body: Option<String>,
}

/// What was answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) body: Vec<u8>,
    /// Whether the server ends the connection with it.
    pub(super) is_last: bool,
}

/// A connection.
#[derive(Debug)]
pub(super) struct Connection {
    stream: TcpStream,
    node: SocketAddr,
    inbox: BytesMut,
}

impl Connection {
    /// Opens a connection.
    ///
    /// # Errors
    /// When the node does not take it, which a node that is down does not.
    pub(super) async fn open(node: SocketAddr) -> anyhow::Result<Self> {
        let connecting = timeout(STALL_MAX, TcpStream::connect(node)).await;
        let stream = connecting.context("the node takes no connection")??;
        stream.set_nodelay(true)?;
        Ok(Self { stream, node, inbox: BytesMut::new() })
    }

    /// Asks; [`Self::answer`] hears what comes of it.
    ///
    /// # Errors
    /// When the connection broke; whether the question arrived is not known.
    pub(super) async fn ask(&mut self, question: &Question<'_>) -> anyhow::Result<()> {
        let text = text(self.node, question);
        timeout(STALL_MAX, self.stream.write_all(text.as_bytes())).await.context("the node reads nothing")??;
        Ok(())
    }

    /// The answer to what was asked.
    ///
    /// # Errors
    /// When the connection ends before it, or the server broke the protocol: [`super::socket::is_broken_protocol`] tells.
    pub(super) async fn answer(&mut self) -> anyhow::Result<Answer> {
        loop {
            if let Some((answer, length)) = parse(&self.inbox).map_err(broken)? {
                // What follows an answer to the only question is nothing that was asked for.
                if self.inbox.len() > length {
                    return Err(broken(anyhow::anyhow!("more was answered than asked")));
                }
                self.inbox.clear();
                return Ok(answer);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                bail!("the connection ended");
            }
        }
    }
}

fn text(node: SocketAddr, question: &Question<'_>) -> String {
    let Question { method, path, token, key, body } = question;
    let mut text = format!("{method} /api/v1{path} HTTP/1.1\r\nHost: {node}\r\nAuthorization: Bearer {token}\r\n");
    if let Some(key) = key {
        text.push_str(&format!("Idempotency-Key: {key}\r\n"));
    }
    if let Some(body) = body {
        text.push_str(&format!("Content-Type: application/json\r\nContent-Length: {}\r\n", body.len()));
    }
    text.push_str("\r\n");
    text.push_str(body.as_deref().unwrap_or_default());
    text
}

/// The answer at the beginning of what came, and how long it is; none while it has not come whole.
fn parse(came: &[u8]) -> anyhow::Result<Option<(Answer, usize)>> {
    let Some(end) = came.windows(4).position(|window| window == b"\r\n\r\n") else {
        ensure!(came.len() < HEAD_BYTES_MAX, "an answer begins with more than 16 KiB of head");
        return Ok(None);
    };
    let (head, rest) = came.split_at(end + 4);
    let mut lines = std::str::from_utf8(head).context("an answer's head is not text")?.split("\r\n");
    let status = lines.next().and_then(|line| line.strip_prefix("HTTP/1.1 ")?.get(..3)?.parse().ok());
    let status = status.context("an answer without a status")?;
    let (mut length, mut is_last) = (None, false);
    for (name, value) in lines.filter_map(|line| line.split_once(':')) {
        let value = value.trim();
        if name.eq_ignore_ascii_case("content-length") {
            length = Some(value.parse::<usize>().context("a length that is no number")?);
        }
        is_last |= name.eq_ignore_ascii_case("connection") && value.eq_ignore_ascii_case("close");
    }
    let length = length.context("an answer that does not say how long it is")?;
    ensure!(length <= BODY_BYTES_MAX, "an answer of {length} bytes");
    let body = rest.get(..length).map(<[u8]>::to_vec);
    Ok(body.map(|body| (Answer { status, body, is_last }, end + 4 + length)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_question_has_its_key_and_the_length_of_its_body() {
        let node = SocketAddr::from(([127, 0, 0, 1], 80));
        let body = Some("{\"text\":\"ä\"}".to_owned());
        let question =
            Question { method: "POST", path: "/rooms/7/messages".to_owned(), token: "t", key: Some("k"), body };
        let expected = "POST /api/v1/rooms/7/messages HTTP/1.1\r\nHost: 127.0.0.1:80\r\nAuthorization: Bearer t\r\n\
                        Idempotency-Key: k\r\nContent-Type: application/json\r\nContent-Length: 13\r\n\r\n{\"text\":\"ä\"}";
        assert_eq!(text(node, &question), expected);
    }

    #[test]
    fn an_answer_is_there_when_all_of_it_has_come() {
        let whole = b"HTTP/1.1 201 Created\r\ncontent-length: 2\r\nConnection: close\r\n\r\n{}";
        for length in 0..whole.len() {
            assert_eq!(parse(&whole[..length]).unwrap(), None);
        }
        let answer = Answer { status: 201, body: b"{}".to_vec(), is_last: true };
        assert_eq!(parse(whole).unwrap(), Some((answer, whole.len())));
    }

    #[test]
    fn what_is_no_answer_is_refused() {
        for wrong in ["HTTP/1.1 200 OK\r\n\r\n", "SSH-2.0\r\n\r\n", "HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n"] {
            assert!(parse(wrong.as_bytes()).is_err(), "{wrong}");
        }
        assert!(parse(&[b'a'; HEAD_BYTES_MAX]).is_err());
    }
}
