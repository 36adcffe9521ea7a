//! The way in as an attacker tries it: the handshake, where tokens hide, and how long one may take.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use crate::client::{Client, PATIENCE};
use crate::rest::Http;
use crate::server::TestServer;
use crate::sockets::{BROKEN_FRAMES, close_code, raw, raw_at};

/// What a server answers to a handshake with further headers: its status, its head and what of the body is there.
async fn shake_hands(address: SocketAddr, headers: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).await.unwrap();
    let request = format!(
        "GET /api/v1/ws HTTP/1.1\r\nhost: {address}\r\nconnection: upgrade\r\nupgrade: websocket\r\n\
         sec-websocket-version: 13\r\nsec-websocket-key: dGhlIHNhbXBsZSBub25jZQ==\r\n{headers}\r\n"
    );
    stream.write_all(request.as_bytes()).await.unwrap();
    let mut answer = vec![0; 4096];
    let read = tokio::time::timeout(PATIENCE, stream.read(&mut answer)).await.unwrap().unwrap();
    let answer = String::from_utf8(answer[..read].to_vec()).unwrap();
    (answer.split(' ').nth(1).unwrap().parse().unwrap(), answer)
}

#[tokio::test]
async fn a_page_of_another_origin_is_refused_before_the_upgrade() {
    let server = TestServer::start();
    let own = server.address;
    for origin in ["https://evil.example", "null", &format!("http://{own}.evil.example"), &format!("ws://{own}")] {
        let (status, answer) = shake_hands(own, &format!("origin: {origin}\r\n")).await;
        assert_eq!(status, 403, "{origin}: {answer}");
    }
    assert_eq!(shake_hands(own, &format!("origin: http://{own}\r\n")).await.0, 101);
    assert_eq!(shake_hands(own, "").await.0, 101, "a program");
}

#[tokio::test]
async fn the_answer_to_a_handshake_repeats_no_token_and_agrees_on_no_extension() {
    let server = TestServer::start();
    let hidden = "eyJhbGciOiJFZERTQSJ9.canary";
    let asked = format!(
        "sec-websocket-protocol: bobchat.v1.json, {hidden}\r\n\
         sec-websocket-extensions: permessage-deflate; client_max_window_bits, x-{hidden}\r\ncookie: token={hidden}\r\n"
    );
    let (status, answer) = shake_hands(server.address, &asked).await;
    assert_eq!(status, 101, "{answer}");
    let answer = answer.to_ascii_lowercase();
    assert!(!answer.contains("canary") && !answer.contains("sec-websocket-extensions"), "{answer}");
    assert!(answer.contains("sec-websocket-protocol: bobchat.v1.json\r\n"), "{answer}");
    // A compressed frame all the same.
    let mut stream = raw(server.address).await;
    stream.write_all(&[0xc1, 0x82, 0, 0, 0, 0, 0x03, 0x00]).await.unwrap();
    assert_eq!(close_code(&mut stream).await, Some(1002));
}

#[tokio::test]
async fn a_token_in_the_address_of_the_socket_signs_nobody_in() {
    let server = TestServer::start();
    let token = server.guest("Ada").await.access_token;
    let mut stream = raw_at(server.address, &format!("/api/v1/ws?access_token={token}")).await;
    let ping = [&[0x81, 0x94][..], &[0; 4], br#"{"id":1,"ping":{}}  "#].concat();
    stream.write_all(&ping).await.unwrap();
    assert_eq!(close_code(&mut stream).await, Some(4406), "nobody is signed in");
}

#[test]
fn no_cookie_is_ever_set_and_none_signs_in() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let cookie = format!("access_token={0}; token={0}; session={0}", ada.token());
    let stranger = Http::visitor(&server);
    stranger.call("GET", "/api/v1/me", &[("cookie", &cookie)], b"").error(401, "unauthenticated");
    for reply in [ada.get("/api/v1/me"), stranger.post("/api/v1/guests", &json!({"name": "Bea"})), stranger.get("/")] {
        assert_eq!(reply.header("set-cookie"), "", "{}", reply.text);
    }
}

#[tokio::test]
async fn a_head_that_comes_byte_by_byte_is_not_waited_for() {
    let server = TestServer::start();
    let mut slow = TcpStream::connect(server.address).await.unwrap();
    slow.write_all(b"GET /api/v1/ws HTTP/1.1\r\nhost: x\r\n").await.unwrap();
    let begin = Instant::now();
    let mut answer = Vec::new();
    loop {
        let _gone = slow.write_all(b"x").await;
        match tokio::time::timeout(Duration::from_millis(200), slow.read_buf(&mut answer)).await {
            Ok(Ok(0) | Err(_)) => break,
            Ok(Ok(_)) => {}
            Err(_) => assert!(begin.elapsed() < PATIENCE, "it is waited for"),
        }
    }
    let answer = String::from_utf8_lossy(&answer);
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 408"), "{answer}");
    assert!(begin.elapsed() > Duration::from_secs(2), "{:?}: an honest client may be slow", begin.elapsed());
}

/// How long the server may take to end a connection that broke the rules.
const ENDED_WITHIN: Duration = Duration::from_millis(100);

/// A machine that is busy with other things delays some ends, a server that waits for something all of them.
#[tokio::test]
async fn who_breaks_the_rules_is_gone_within_a_tenth_of_a_second() {
    let server = TestServer::start();
    let floods = [
        ("an endless chain of fragments", [[0x01, 0x80, 0, 0, 0, 0], [0x00, 0x80, 0, 0, 0, 0]].concat(), 1009),
        ("ten thousand pings", vec![0x89, 0x80, 0, 0, 0, 0], 4129),
    ];
    let floods = floods.map(|(name, frames, code)| (name, repeated(&frames), code));
    let frames = BROKEN_FRAMES.map(|(name, bytes, code)| (name, bytes.to_vec(), code));
    for (name, bytes, code) in frames.into_iter().chain(floods) {
        let mut taken = Vec::new();
        while taken.last().is_none_or(|taken| *taken > ENDED_WITHIN) {
            assert!(taken.len() < 20, "{name}: {taken:?}");
            let mut stream = raw(server.address).await;
            let begin = Instant::now();
            // The server may have closed before all of it is out.
            let _ = stream.write_all(&bytes).await;
            assert_eq!(close_code(&mut stream).await, Some(code), "{name}");
            taken.push(begin.elapsed());
        }
    }
}

/// The last frame ten thousand times, behind those before it.
fn repeated(frames: &[u8]) -> Vec<u8> {
    let (before, last) = frames.split_at(frames.len() - 6);
    [before, &last.repeat(10_000)].concat()
}

#[tokio::test]
async fn an_address_has_a_bounded_number_of_connections_that_are_not_signed_in() {
    let server = TestServer::with(&[("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "2")]);
    let token = server.guest("Ada").await.access_token;
    let (_first, second) = (raw(server.address).await, raw(server.address).await);
    for spoofed in ["", "x-forwarded-for: 192.0.2.7\r\n", "forwarded: for=192.0.2.7\r\n"] {
        let (status, answer) = shake_hands(server.address, spoofed).await;
        let body: Value = serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap_or_default();
        assert_eq!((status, body["temporary"] != false), (429, true), "{spoofed}: {answer}");
    }
    drop(second);
    let entered = tokio::time::timeout(PATIENCE, async {
        // The server hears that it left a moment later.
        loop {
            if let Some(client) = Client::try_connect(server.address).await {
                break client;
            }
        }
    });
    let mut third = entered.await.unwrap();
    third.ok("auth", json!({"token": token, "cursors": []})).await;
    // Who signs in leaves their place to the next.
    let mut kept = Vec::new();
    for _ in 0..3 {
        kept.push(Client::signed_in(server.address, &token).await);
    }
}
