//! Hostile sockets: what they cost is bounded, and they are told why they end.

use std::net::SocketAddr;
use std::time::Duration;

use serde_json::json;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::Message;

use crate::client::{Client, PATIENCE};
use crate::server::TestServer;

/// A connection whose handshake is done, spoken to in bytes.
pub(crate) async fn raw(address: SocketAddr) -> TcpStream {
    raw_at(address, "/api/v1/ws").await
}

/// The same at another target.
pub(crate) async fn raw_at(address: SocketAddr, target: &str) -> TcpStream {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET {target} HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"HTTP/1.1 101"), "{}", String::from_utf8_lossy(&head));
    stream
}

/// Reads up to the close frame and returns its code.
pub(crate) async fn close_code(stream: &mut TcpStream) -> Option<u16> {
    let mut bytes = Vec::new();
    let read = tokio::time::timeout(PATIENCE, stream.read_to_end(&mut bytes)).await.expect("the connection stays open");
    let _ = read;
    let mut rest = &bytes[..];
    while rest.len() >= 2 {
        let (opcode, length) = (rest[0] & 0x0f, rest[1]);
        let (head, length) = match length {
            126 => (4, u16::from_be_bytes([rest[2], rest[3]]) as usize),
            length => (2, length as usize),
        };
        if opcode == 8 {
            return Some(u16::from_be_bytes([rest[head], rest[head + 1]]));
        }
        rest = &rest[head + length..];
    }
    None
}

/// What is wrong with a frame, the frame, and the code that the connection ends with.
pub(crate) const BROKEN_FRAMES: [(&str, &[u8], u16); 7] = [
    ("a frame that declares 1 TiB", &[0x82, 0xff, 0, 0, 1, 0, 0, 0, 0, 0, 1, 2, 3, 4], 1009),
    ("more than strangers may send", &[0x81, 0xfe, 0x10, 0x01, 1, 2, 3, 4], 1009),
    ("an unmasked frame", &[0x81, 0x02, b'{', b'}'], 1002),
    ("a reserved bit", &[0xc1, 0x80, 0, 0, 0, 0], 1002),
    ("bad UTF-8", &[0x81, 0x82, 0, 0, 0, 0, 0xc3, 0x28], 1007),
    ("a ping of 126 bytes", &[0x89, 0xfe, 0, 126, 0, 0, 0, 0], 1002),
    ("binary where JSON was agreed on", &[0x82, 0x80, 0, 0, 0, 0], 1003),
];

#[tokio::test]
async fn broken_frames_end_the_connection_with_the_right_code() {
    let server = TestServer::start();
    for (name, bytes, code) in BROKEN_FRAMES {
        let mut stream = raw(server.somewhere()).await;
        stream.write_all(bytes).await.unwrap();
        assert_eq!(close_code(&mut stream).await, Some(code), "{name}");
    }
}

#[tokio::test]
async fn an_endless_chain_of_fragments_is_cut() {
    let server = TestServer::start();
    let mut stream = raw(server.somewhere()).await;
    stream.write_all(&[0x01, 0x80, 0, 0, 0, 0]).await.unwrap();
    let chain = [0x00, 0x80, 0, 0, 0, 0].repeat(10_000);
    let (code, _) = tokio::join!(async { stream.write_all(&chain).await }, std::future::ready(()));
    let _ = code;
    assert_eq!(close_code(&mut stream).await, Some(1009));
}

#[tokio::test]
async fn ten_thousand_pings_end_the_connection() {
    let server = TestServer::start();
    let mut stream = raw(server.somewhere()).await;
    let pings = [0x89, 0x80, 0, 0, 0, 0].repeat(10_000);
    let _ = stream.write_all(&pings).await;
    assert_eq!(close_code(&mut stream).await, Some(4129));
}

#[tokio::test]
async fn who_never_signs_in_is_closed() {
    let server = TestServer::start();
    let mut stream = raw(server.somewhere()).await;
    let started = std::time::Instant::now();
    assert_eq!(close_code(&mut stream).await, Some(4401));
    let waited = started.elapsed();
    assert!(waited > Duration::from_secs(3) && waited < Duration::from_secs(20), "{waited:?}");
}

#[tokio::test]
async fn one_byte_at_a_time_is_a_frame_in_the_end() {
    let server = TestServer::start();
    let mut stream = raw(server.somewhere()).await;
    for byte in [0x88, 0x82, 0, 0, 0, 0, 0x03, 0xe8] {
        stream.write_all(&[byte]).await.unwrap();
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    assert_eq!(close_code(&mut stream).await, Some(1000));
}

#[tokio::test]
async fn a_client_that_never_reads_is_closed_as_a_slow_consumer_and_can_resume() {
    let server = TestServer::busy();
    let mut ada = server.person("Ada").await;
    let grant = server.guest("Bob").await;
    let room = ada.make_room("tea").await;
    let mut bob = Client::signed_in(server.somewhere(), &grant.access_token).await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let text = "x".repeat(7_900);
    // More than the sockets' buffers and the 1 MiB that may wait.
    let count = 1_500;
    ada.say_many(&room, 0, count, |_| text.clone()).await;
    // What Bob is to get may still be on its way to his node.
    tokio::time::timeout(PATIENCE, async {
        while server.count(|metrics| metrics.slow_consumers.get()) == 0 {
            ada.ok("ping", json!({})).await;
        }
    })
    .await
    .unwrap();
    assert_eq!(server.count(|metrics| metrics.slow_consumers.get()), 1);
    let _ = bob.closed().await;
    let cursors = json!([{"room": room, "epoch": 1, "seq": 2}]);
    let (mut bob, _) = Client::resumed(server.somewhere(), &grant.access_token, cursors).await;
    assert_eq!(bob.seqs(count).await, (3..3 + count as u64).collect::<Vec<_>>());
}

#[tokio::test]
async fn pages_are_made_no_faster_than_their_client_takes_them() {
    let server = TestServer::busy();
    let mut ada = server.person("Ada").await;
    let room = ada.make_room("tea").await;
    let text = "x".repeat(1_900);
    ada.say_many(&room, 0, 200, |_| text.clone()).await;
    // 128 KiB each: all of them together are far more than the sockets' buffers and the 1 MiB that may wait.
    let mut asked = Vec::new();
    for _ in 0..95 {
        asked.push(ada.ask("message_history", json!({"room": room, "limit": 200})).await);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    for id in asked {
        let page = ada.answer(id).await;
        let page = &page["ok"]["message_history"];
        assert!(page["messages"].as_array().is_some_and(|messages| messages.len() > 60), "{page}");
        assert_eq!(page["has_more_before"], true, "as long as a page may be: {page}");
    }
    assert_eq!(server.count(|metrics| metrics.slow_consumers.get()), 0);
}

#[tokio::test]
async fn a_heartbeat_is_answered_with_the_same_payload() {
    let server = TestServer::start();
    let mut ada = server.person("Ada").await;
    ada.send_message(Message::Ping(b"beat".to_vec().into())).await;
    ada.ok("ping", json!({})).await;
}
