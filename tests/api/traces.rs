//! Where a collector is configured, a sent message can be followed down to the disk and out to the others.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Instant;

use prost::Message;
use serde_json::json;

use crate::client::{Client, PATIENCE};
use crate::process::Process;
use crate::rest::Http;

/// As much of OTLP's `trace.proto` as is looked at.
#[derive(Clone, PartialEq, Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<Resource>,
}

#[derive(Clone, PartialEq, Message)]
struct Resource {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<Scope>,
}

#[derive(Clone, PartialEq, Message)]
struct Scope {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, PartialEq, Message)]
struct Span {
    #[prost(bytes = "vec", tag = "1")]
    trace: Vec<u8>,
    #[prost(bytes = "vec", tag = "2")]
    id: Vec<u8>,
    #[prost(bytes = "vec", tag = "4")]
    parent: Vec<u8>,
    #[prost(string, tag = "5")]
    name: String,
}

/// A collector that takes everything, and what it was sent.
struct Collector {
    address: String,
    spans: Receiver<Span>,
    seen: Vec<Span>,
}

impl Collector {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = format!("http://{}", listener.local_addr().unwrap());
        let (sender, spans) = channel();
        std::thread::spawn(move || {
            for socket in listener.incoming() {
                let sender = sender.clone();
                std::thread::spawn(move || take(socket.unwrap(), &sender));
            }
        });
        Self { address, spans, seen: Vec::new() }
    }

    /// Waits for a span, and gives it.
    fn wait_for(&mut self, is_it: impl Fn(&Span) -> bool) -> Span {
        self.wait_among(|span, _| is_it(span))
    }

    /// Waits for a span that is told by it and all others.
    fn wait_among(&mut self, is_it: impl Fn(&Span, &[Span]) -> bool) -> Span {
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(found) = self.seen.iter().find(|span| is_it(span, &self.seen)) {
                return found.clone();
            }
            let left = deadline.saturating_duration_since(Instant::now());
            let span = self.spans.recv_timeout(left).unwrap_or_else(|_| panic!("not among {:#?}", self.seen));
            self.seen.push(span);
        }
    }

    /// The spans on a message's way below `root`: its commit and its fan-out.
    fn assert_path_below(&mut self, root: &Span) {
        for name in ["room.append", "room.fan_out"] {
            let below = self.wait_for(|span| span.name == name && span.trace == root.trace);
            assert!(!below.parent.is_empty(), "{below:?} hangs on nothing");
        }
    }
}

/// Reads requests of one connection; each is answered with an empty success.
fn take(socket: TcpStream, spans: &Sender<Span>) {
    let mut reader = BufReader::new(socket.try_clone().unwrap());
    let mut writer = socket;
    loop {
        let (mut head, mut length) = (String::new(), 0);
        while !head.ends_with("\r\n\r\n") {
            if reader.read_line(&mut head).unwrap_or(0) == 0 {
                return;
            }
        }
        for line in head.lines() {
            if let Some(value) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = value.trim().parse().unwrap();
            }
        }
        assert!(head.starts_with("POST /v1/traces "), "{head}");
        assert!(head.contains(": Basic c2VjcmV0\r\n"), "{head}");
        let mut body = vec![0; length];
        reader.read_exact(&mut body).unwrap();
        let export = Export::decode(body.as_slice()).unwrap();
        for span in export.resources.into_iter().flat_map(|each| each.scopes).flat_map(|each| each.spans) {
            let _ = spans.send(span);
        }
        writer.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
    }
}

#[tokio::test]
async fn a_sent_message_is_traced_down_to_the_commit_and_the_fan_out() {
    let folder = tempfile::tempdir().unwrap();
    let mut collector = Collector::start();
    let settings =
        [("TELEMETRY__OTLP_ENDPOINT", collector.address.as_str()), ("TELEMETRY__OTLP_AUTHORIZATION", "Basic c2VjcmV0")];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let ada = Http::guest_at(&format!("http://{}", server.address), "Ada");
    let room = ada.make_room("tea");
    // Fan-out is to somebody.
    let mut socket = Client::signed_in(server.address, ada.token()).await;
    socket.subscribe(&room).await;

    let parent = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ada.send("POST", &format!("/api/v1/rooms/{room}/messages"), &[parent], &json!({"text": "over REST"})).ok(201);
    let route = "POST /api/v1/rooms/{room}/messages";
    let request = collector.wait_for(|span| span.name == route);
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    assert_eq!(hex(&request.trace), "0af7651916cd43dd8448eb211c80319c", "the client's own trace goes on");
    assert_eq!(hex(&request.parent), "b7ad6b7169203331");
    collector.assert_path_below(&request);

    socket.say(&room, "over the socket").await;
    // Subscribing was a frame too, but appended nothing.
    let appends =
        |frame: &Span, all: &[Span]| all.iter().any(|span| span.name == "room.append" && span.trace == frame.trace);
    let frame = collector.wait_among(|span, all| span.name == "session.frame" && appends(span, all));
    collector.assert_path_below(&frame);
}

#[tokio::test]
async fn a_collector_that_is_away_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let settings = [("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let ada = Http::guest_at(&format!("http://{}", server.address), "Ada");
    let room = ada.make_room("tea");
    ada.say(&room, "hello");
    assert_eq!(ada.get("/api/v1/me").ok(200), ada.user);
}
