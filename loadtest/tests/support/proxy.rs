//! A proxy that breaks one promise in every so many messages that it carries.

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bobchat_proto::codec::{self, Format};
use bobchat_proto::wire::{event, server_frame::Body};
use bytes::BytesMut;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpListener, TcpStream};

/// What the proxy does to a message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    None,
    Drop,
    Double,
    /// Lets the message that follows go first.
    Swap,
}

/// Starts a proxy before `server` on a thread of its own; one message in `every` suffers, of those in protobuf.
pub(crate) fn start(server: SocketAddr, fault: Fault, every: u64) -> SocketAddr {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let address = listener.local_addr().unwrap();
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async move {
            let carried = Arc::new(AtomicU64::new(0));
            let listener = TcpListener::from_std(listener).unwrap();
            while let Ok((client, _)) = listener.accept().await {
                let upstream = TcpStream::connect(server).await.unwrap();
                client.set_nodelay(true).unwrap();
                upstream.set_nodelay(true).unwrap();
                let (client_read, client_write) = client.into_split();
                let (server_read, server_write) = upstream.into_split();
                tokio::spawn(copy(client_read, server_write));
                let carried = Arc::clone(&carried);
                tokio::spawn(carry(server_read, client_write, fault, every, carried));
            }
        });
    });
    address
}

async fn copy(mut from: OwnedReadHalf, mut to: OwnedWriteHalf) {
    let _ = tokio::io::copy(&mut from, &mut to).await;
}

/// Carries what the server says; messages one by one.
async fn carry(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, fault: Fault, every: u64, carried: Arc<AtomicU64>) {
    let mut buffer = BytesMut::with_capacity(64 * 1024);
    // Unknown until the head of the answer has come whole.
    let mut is_websocket = None;
    let mut held: Option<BytesMut> = None;
    while from.read_buf(&mut buffer).await.unwrap_or(0) > 0 {
        let mut out = BytesMut::new();
        if is_websocket.is_none() {
            let Some(head) = buffer.windows(4).position(|window| window == b"\r\n\r\n") else { continue };
            is_websocket = Some(buffer.starts_with(b"HTTP/1.1 101"));
            out.extend(buffer.split_to(head + 4));
        }
        if is_websocket == Some(false) {
            out.extend(buffer.split());
        }
        while is_websocket == Some(true)
            && let Some((frame, is_message)) = server_frame(&mut buffer)
        {
            if !is_message {
                out.extend(frame);
                continue;
            }
            let suffers = carried.fetch_add(1, Ordering::Relaxed) % every == every / 2;
            match (suffers, fault) {
                (true, Fault::Drop) => {}
                (true, Fault::Double) => {
                    out.extend_from_slice(&frame);
                    out.extend(frame);
                }
                (true, Fault::Swap) => held = Some(frame),
                _ => {
                    out.extend(frame);
                    out.extend(held.take().unwrap_or_default());
                }
            }
        }
        buffer.reserve(64 * 1024);
        if to.write_all(&out).await.is_err() {
            return;
        }
    }
}

/// Takes one frame of the server out of `buffer`, and says whether it carries a message.
fn server_frame(buffer: &mut BytesMut) -> Option<(BytesMut, bool)> {
    let (length, at) = match *buffer.get(1)? {
        126 => (usize::from(u16::from_be_bytes([*buffer.get(2)?, *buffer.get(3)?])), 4),
        127 => panic!("no frame of these tests is that long"),
        short => (usize::from(short), 2),
    };
    if buffer.len() < at + length {
        return None;
    }
    let frame = buffer.split_to(at + length);
    let decoded = codec::decode_server_frame(&frame[at..], Format::Protobuf);
    let is_message = decoded.is_ok_and(
        |frame| matches!(frame.body, Some(Body::Event(event)) if matches!(event.body, Some(event::Body::Message(_)))),
    );
    Some((frame, is_message))
}
