//! An echo server around the frame guard, and nothing else: what the Autobahn test suite speaks to
//! (`scripts/autobahn`). Listens on 127.0.0.1 and the port given as its first argument.

use std::net::Ipv4Addr;

use anyhow::{Context as _, Result};
use bobchat::web::ws::guard::{Guard, Incoming, Limits};
use bobchat_actors::session::frame::{self, BINARY, TEXT, append_raw};
use bobchat_proto::error::CloseCode;
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

/// Roomier than Bobchat ever is: the suite sends messages of 16 MiB, and of 65 536 fragments.
const LIMITS: Limits = Limits { message_bytes_max: 16 << 20, fragments_max: 1 << 17 };

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<()> {
    let port = std::env::args().nth(1).context("usage: websocket_echo PORT")?.parse()?;
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    loop {
        let (socket, _) = listener.accept().await?;
        // A client that goes away in the middle is what the suite does on purpose.
        tokio::spawn(async move { serve(socket).await.ok() });
    }
}

async fn serve(mut socket: TcpStream) -> Result<()> {
    let mut input = BytesMut::new();
    shake_hands(&mut socket, &mut input).await?;
    let mut guard = Guard::new(LIMITS);
    let mut output = BytesMut::new();
    loop {
        let open = answer(&mut guard, &mut input, &mut output);
        socket.write_all(&output).await?;
        output.clear();
        if !open {
            return Ok(socket.shutdown().await?);
        }
        if socket.read_buf(&mut input).await? == 0 {
            return Ok(());
        }
    }
}

/// Answers everything that `input` holds. Returns whether the connection goes on.
fn answer(guard: &mut Guard, input: &mut BytesMut, output: &mut BytesMut) -> bool {
    loop {
        match guard.next(input) {
            Ok(None) => return true,
            Ok(Some(Incoming::Text(text))) => append_raw(TEXT, &text, output),
            Ok(Some(Incoming::Binary(bytes))) => append_raw(BINARY, &bytes, output),
            Ok(Some(Incoming::Ping(payload))) => output.extend_from_slice(&frame::pong(&payload)),
            Ok(Some(Incoming::Pong(_))) => {}
            Ok(Some(Incoming::Close(_))) => {
                output.extend_from_slice(&frame::close(CloseCode::Normal));
                return false;
            }
            Err(violation) => {
                output.extend_from_slice(&frame::close(violation.close_code()));
                return false;
            }
        }
    }
}

async fn shake_hands(socket: &mut TcpStream, input: &mut BytesMut) -> Result<()> {
    let end = loop {
        if let Some(end) = input.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            break end + 4;
        }
        anyhow::ensure!(socket.read_buf(input).await? > 0, "the client left before its request was complete");
    };
    let request = String::from_utf8(input.split_to(end).to_vec())?;
    let key = request
        .lines()
        .filter_map(|line| line.split_once(": "))
        .find(|(name, _)| name.eq_ignore_ascii_case("sec-websocket-key"))
        .context("no Sec-WebSocket-Key")?
        .1;
    let accept = actix_http::ws::hash_key(key.as_bytes());
    let accept = std::str::from_utf8(&accept)?;
    let answer = format!(
        "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: {accept}\r\n\r\n"
    );
    Ok(socket.write_all(answer.as_bytes()).await?)
}
