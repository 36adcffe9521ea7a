//! Runs every case of an Autobahn server against the load harness' own WebSocket client (`scripts/autobahn`): it
//! echoes what it is sent, and closes as the standard says. The server's HOST:PORT is its first argument.

use anyhow::{Context as _, Result, bail};
use bobchat_loadtest::ws::{self, Incoming, Masker, Opcode, Reader};
use bytes::{Buf as _, BytesMut};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

/// As which client the results are kept.
const AGENT: &str = "bobchat-loadtest";

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let authority = std::env::args().nth(1).context("usage: websocket_echo_client HOST:PORT")?;
    let count = Connection::open(&authority, "/getCaseCount").await?.first_text().await?;
    let count: u32 = count.trim().parse().context("the server does not say how many cases it has")?;
    for case in 1..=count {
        let connection = Connection::open(&authority, &format!("/runCase?case={case}&agent={AGENT}")).await?;
        // The server judges; a connection that it broke on purpose is not an error here.
        connection.echo().await.ok();
    }
    // The server ends with it, often before it has answered; the script looks for the reports.
    let end = format!("/updateReports?agent={AGENT}&shutdownOnComplete=true");
    Connection::open(&authority, &end).await.ok();
    Ok(())
}

struct Connection {
    stream: ws::Stream,
    inbox: BytesMut,
    reader: Reader,
    masker: Masker,
}

impl Connection {
    async fn open(authority: &str, path: &str) -> Result<Self> {
        let request =
            ws::Request { authority: authority.to_owned(), path: path.to_owned(), subprotocol: None, trust: None };
        let (stream, inbox) = ws::open(&request, ws::Way::default()).await?;
        Ok(Self { stream, inbox, reader: Reader::default(), masker: Masker::new(1) })
    }

    async fn first_text(mut self) -> Result<String> {
        loop {
            if let Some((Incoming::Text(text), _)) = self.reader.next(&self.inbox)? {
                return Ok(String::from_utf8(text.into_owned())?);
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                bail!("the server said nothing");
            }
        }
    }

    /// Sends back every message until the server closes or breaks the rules.
    async fn echo(mut self) -> Result<()> {
        let mut out = BytesMut::new();
        loop {
            let open = self.answer(&mut out);
            self.stream.write_all(&out).await?;
            out.clear();
            if !open {
                break;
            }
            if self.stream.read_buf(&mut self.inbox).await? == 0 {
                return Ok(());
            }
        }
        // Section 7.1.1: the server is the one to close the TCP connection.
        while self.stream.read_buf(&mut self.inbox).await? > 0 {
            self.inbox.clear();
        }
        Ok(())
    }

    /// Answers what has come whole. Returns whether the connection goes on.
    fn answer(&mut self, out: &mut BytesMut) -> bool {
        loop {
            let mask = self.masker.next();
            match self.reader.next(&self.inbox) {
                Ok(None) => return true,
                Ok(Some((incoming, length))) => {
                    match incoming {
                        Incoming::Text(payload) => ws::write_masked(out, Opcode::Text, mask, &payload),
                        Incoming::Binary(payload) => ws::write_masked(out, Opcode::Binary, mask, &payload),
                        Incoming::Ping(payload) => ws::write_masked(out, Opcode::Pong, mask, payload),
                        Incoming::Nothing => {}
                        Incoming::Close(reason) => {
                            let code = reason.map(|(code, _)| code.to_be_bytes());
                            let payload = code.as_ref().map_or(&[][..], |code| &code[..]);
                            ws::write_masked(out, Opcode::Close, mask, payload);
                            return false;
                        }
                    }
                    self.inbox.advance(length);
                }
                Err(violation) => {
                    ws::write_masked(out, Opcode::Close, mask, &violation.code.to_be_bytes());
                    return false;
                }
            }
        }
    }
}
