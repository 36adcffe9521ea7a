//! Those who mean harm, between the others: what they do ends with their connection, and nobody else notices.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Context as _;
use bobchat_proto::codec::{Format, encode_client_frame};
use bobchat_proto::limits::PAGE_ITEMS_MAX;
use bobchat_proto::wire::{Auth, ClientFrame, MessageHistory, client_frame::Request};
use bytes::{Buf as _, BytesMut};
use serde::{Deserialize, Serialize};
use tokio::io::{AsyncRead, AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::history::fact::Fact;
use super::random::Random;
use super::rest::Account;
use super::shared::{Shared, Wish};
use crate::ws::{self, Incoming, Masker, Opcode, Way};

/// How long a node may bear what it has to end. The slowest is a handshake, for which it waits about 5 s.
const BORNE_MAX: Duration = Duration::from_secs(20);

/// Between two pieces of what is sent again and again: who does nothing but attack measures the machine.
const PAUSE: Duration = Duration::from_millis(50);

/// Pages that are asked for at a time by who reads none.
const PAGES: u64 = 4;

/// What the kernel keeps for who reads nothing: little, so that the rest waits in the node.
const UNREAD_BYTES: u32 = 4096;

/// Frames that no client may send: reserved bits, an opcode that there is not, no mask, a ping in two pieces, text that
/// is none, the end of what never began.
const BROKEN: [&[u8]; 6] = [
    &[0xf1, 0x80, 0, 0, 0, 0],
    &[0x83, 0x80, 0, 0, 0, 0],
    &[0x81, 0x02, b'{', b'}'],
    &[0x09, 0x80, 0, 0, 0, 0],
    &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28],
    &[0x80, 0x80, 0, 0, 0, 0],
];

/// The head of a binary frame that says that 1 TiB follows.
const HUGE: [u8; 14] = [0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4];

/// A way to mean harm.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(super) enum Abuse {
    /// A frame that breaks RFC 6455.
    BrokenFrame,
    /// A handshake that stops in the middle.
    HalfHandshake,
    /// A frame that is larger than any may be.
    HugeFrame,
    /// Asks for page after page, and reads none.
    ReadsNothing,
}

impl Abuse {
    const ALL: [Self; 4] = [Self::BrokenFrame, Self::HugeFrame, Self::ReadsNothing, Self::HalfHandshake];

    /// For people.
    pub(super) const fn told(self) -> &'static str {
        match self {
            Self::BrokenFrame => "broken frames",
            Self::HalfHandshake => "half a handshake",
            Self::HugeFrame => "oversized frames",
            Self::ReadsNothing => "never reading",
        }
    }

    /// Whether a node has to end it within [`BORNE_MAX`]. Who reads nothing is borne until enough waits for them.
    const fn ends_in_time(self) -> bool {
        !matches!(self, Self::ReadsNothing)
    }
}

/// How the node ended a connection when it said nothing that can be read.
pub(super) const CUT: &str = "cut";

/// One who means harm.
pub(super) struct Abuser {
    /// Its file in the history: after those of the clients.
    pub(super) number: usize,
    pub(super) account: Account,
    pub(super) nodes: Vec<SocketAddr>,
    /// A room that it is in.
    pub(super) room: u64,
    pub(super) random: Random,
    pub(super) shared: Shared,
    pub(super) wish: watch::Receiver<Wish>,
}

impl Abuser {
    /// Does harm while the clients talk, each kind in turn. After that nodes are restarted, which ends connections too.
    pub(super) async fn live(mut self) {
        let mut end = self.wish.clone();
        tokio::select! {
            () = self.rage() => {}
            // Whoever drives the run tells all before it goes.
            _ = end.wait_for(|wish| !matches!(wish, Wish::Talk { .. })) => {}
        }
    }

    async fn rage(&mut self) {
        let first = self.random.below(Abuse::ALL.len());
        for abuse in Abuse::ALL.into_iter().cycle().skip(first) {
            let from_ns = self.shared.lock().now_ns();
            match timeout(BORNE_MAX, self.attempt(abuse)).await {
                Ok(Ok(closed)) => self.tell(Fact::Abused { abuse, from_ns, closed: Some(closed) }),
                // The node is not there: nothing was tried.
                Ok(Err(_)) => {}
                Err(_) if abuse.ends_in_time() => self.tell(Fact::Abused { abuse, from_ns, closed: None }),
                Err(_) => {}
            }
            sleep(self.random.millis(100, 400)).await;
        }
    }

    fn tell(&self, fact: Fact) {
        self.shared.tell(self.number, fact);
    }

    /// One connection; says how the node ended it.
    async fn attempt(&mut self, abuse: Abuse) -> anyhow::Result<String> {
        let node = *self.nodes.get(self.random.below(self.nodes.len())).context("no nodes")?;
        if abuse == Abuse::HalfHandshake {
            let mut stream = TcpStream::connect(node).await?;
            stream.write_all(b"GET /api/v1/ws HTTP/1.1\r\nHost: x\r\nUpgrade: webs").await?;
            return Ok(hear_the_end(&mut stream, BytesMut::new()).await);
        }
        let receive_buffer_bytes = (abuse == Abuse::ReadsNothing).then_some(UNREAD_BYTES);
        let request = ws::Request {
            authority: node.to_string(),
            path: "/api/v1/ws".to_owned(),
            subprotocol: Some(Format::Json.subprotocol()),
            trust: None,
        };
        let (mut stream, inbox) = ws::open(&request, Way { receive_buffer_bytes, source: None }).await?;
        match abuse {
            Abuse::BrokenFrame => {
                let frame = BROKEN.get(self.random.below(BROKEN.len())).copied().unwrap_or_default();
                stream.write_all(frame).await?;
            }
            Abuse::HugeFrame => stream.write_all(&HUGE).await?,
            Abuse::ReadsNothing => {
                self.ask_without_end(&mut stream).await;
                return Ok(CUT.to_owned());
            }
            Abuse::HalfHandshake => {}
        }
        Ok(hear_the_end(&mut stream, inbox).await)
    }

    /// Signs in and asks for pages until the node takes no more.
    async fn ask_without_end(&self, stream: &mut ws::Stream) {
        let auth = Request::Auth(Auth { token: self.account.token.clone(), cursors: Vec::new() });
        let (mut masker, mut frame) = (Masker::new(self.number as u64), BytesMut::new());
        write(&mut frame, &mut masker, 1, auth);
        let mut id = 1;
        while stream.write_all(&frame).await.is_ok() {
            frame.clear();
            for _ in 0..PAGES {
                id += 1;
                let page = MessageHistory { room: self.room, limit: Some(PAGE_ITEMS_MAX), ..MessageHistory::default() };
                write(&mut frame, &mut masker, id, Request::MessageHistory(page));
            }
            sleep(PAUSE).await;
        }
    }
}

fn write(out: &mut BytesMut, masker: &mut Masker, id: u64, request: Request) {
    let mut payload = BytesMut::new();
    encode_client_frame(&ClientFrame { id, request: Some(request) }, Format::Json, &mut payload);
    ws::write_masked(out, Opcode::Text, masker.next(), &payload);
}

/// Reads until the node ends the connection: the code of its close or its HTTP status, or that it said nothing.
async fn hear_the_end(stream: &mut (impl AsyncRead + Unpin), mut inbox: BytesMut) -> String {
    let mut reader = ws::Reader::default();
    loop {
        if let Some(status) = inbox.strip_prefix(b"HTTP/1.1 ").and_then(|rest| rest.get(..3)) {
            return String::from_utf8_lossy(status).into_owned();
        }
        while let Ok(Some((incoming, length))) = reader.next(&inbox) {
            if let Incoming::Close(reason) = incoming {
                return reason.map_or(ws::NO_CODE, |(code, _)| code).to_string();
            }
            inbox.advance(length);
        }
        if !stream.read_buf(&mut inbox).await.is_ok_and(|read| read > 0) {
            return CUT.to_owned();
        }
    }
}

#[cfg(test)]
mod tests {
    use tokio::net::TcpListener;

    use super::*;

    async fn heard(said: &'static [u8]) -> String {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let server = tokio::spawn(async move { listener.accept().await.unwrap().0.write_all(said).await });
        let mut stream = TcpStream::connect(address).await.unwrap();
        server.await.unwrap().unwrap();
        hear_the_end(&mut stream, BytesMut::new()).await
    }

    #[tokio::test]
    async fn the_end_of_a_connection_is_told_by_its_code_or_status() {
        assert_eq!(heard(&[0x88, 0x02, 0x03, 0xea]).await, "1002");
        assert_eq!(heard(&[0x89, 0x00, 0x88, 0x02, 0x03, 0xf1]).await, "1009");
        assert_eq!(heard(b"HTTP/1.1 408 Request Timeout\r\n\r\n").await, "408");
        assert_eq!(heard(b"").await, CUT);
    }
}
