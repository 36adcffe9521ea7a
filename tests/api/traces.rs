//! Traces: a message is followed from its frame or request to the commit and the fan-out.

use std::io::{Read as _, Write as _};
use std::net::TcpListener;
use std::sync::mpsc::{Receiver, channel};
use std::time::{Duration, Instant};

use prost::Message;
use serde_json::json;

use crate::client::{Client, PATIENCE};
use crate::process::Process;
use crate::rest::Http;

/// What an OTLP exporter sends, as far as the test looks at it
/// (opentelemetry-proto, `collector/trace/v1/trace_service.proto`).
#[derive(Message)]
struct Export {
    #[prost(message, repeated, tag = "1")]
    resources: Vec<ResourceSpans>,
}

#[derive(Message)]
struct ResourceSpans {
    #[prost(message, repeated, tag = "2")]
    scopes: Vec<ScopeSpans>,
}

#[derive(Message)]
struct ScopeSpans {
    #[prost(message, repeated, tag = "2")]
    spans: Vec<Span>,
}

#[derive(Clone, Message)]
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

/// Takes what an exporter sends, on a free port. Ends with the test.
fn collector() -> (String, Receiver<Vec<Span>>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let endpoint = format!("http://{}", listener.local_addr().unwrap());
    let (spans, received) = channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = stream.unwrap();
            let mut bytes = Vec::new();
            let mut chunk = [0; 64 * 1024];
            while let Ok(read @ 1..) = stream.read(&mut chunk) {
                bytes.extend_from_slice(&chunk[..read]);
                while let Some((body, rest)) = take_request(&bytes) {
                    let export = Export::decode(&body[..]).unwrap();
                    let scopes = export.resources.into_iter().flat_map(|resource| resource.scopes);
                    let _ = spans.send(scopes.flat_map(|scope| scope.spans).collect());
                    stream.write_all(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n").unwrap();
                    bytes = rest;
                }
            }
        }
    });
    (endpoint, received)
}

/// The body of the first whole request in `bytes`, and what follows it.
fn take_request(bytes: &[u8]) -> Option<(Vec<u8>, Vec<u8>)> {
    let head_end = bytes.windows(4).position(|window| window == b"\r\n\r\n")? + 4;
    let head = String::from_utf8_lossy(&bytes[..head_end]).to_lowercase();
    assert!(head.starts_with("post /v1/traces "), "{head}");
    let length: usize = head.split("content-length: ").nth(1)?.lines().next()?.trim().parse().ok()?;
    let body = bytes.get(head_end..head_end + length)?;
    Some((body.to_vec(), bytes[head_end + length..].to_vec()))
}

#[tokio::test]
async fn a_message_is_followed_to_the_commit_and_the_fan_out() {
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, received) = collector();
    let settings = [("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("TELEMETRY__TRACE_SAMPLE_RATIO", "1")];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let grant = server.guest("Ada");
    let mut ada = Client::signed_in(server.address, &grant.access_token).await;
    let room = ada.make_room("traced").await;
    ada.say(&room, "by frame").await;
    let url = format!("http://{}/api/v1/rooms/{room}/messages", server.address);
    let bearer = format!("Bearer {}", grant.access_token);
    ureq::post(&url).header("authorization", bearer).send_json(json!({"text": "by request"})).unwrap();
    let mut spans: Vec<Span> = Vec::new();
    let deadline = Instant::now() + Duration::from_secs(30);
    let chains = [
        vec!["session.frame", "room.append", "store.commit"],
        vec!["session.frame", "room.append", "room.fan_out"],
        vec!["POST /api/v1/rooms/{room}/messages", "room.append", "store.commit"],
        vec!["POST /api/v1/rooms/{room}/messages", "room.append", "room.fan_out"],
    ];
    while !chains.iter().all(|chain| has_chain(&spans, chain)) {
        assert!(
            Instant::now() < deadline,
            "missing among {:?}",
            spans.iter().map(|span| &span.name).collect::<Vec<_>>()
        );
        if let Ok(more) = received.recv_timeout(Duration::from_millis(500)) {
            spans.extend(more);
        }
    }
}

#[test]
fn the_trace_that_a_client_began_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, received) = collector();
    // Whoever brings a trace has decided that it is kept.
    let settings = [("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("TELEMETRY__TRACE_SAMPLE_RATIO", "0")];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let ada = Http::stranger(server.address).signed_up("Ada");
    let room = ada.make_room("traced");
    let begun = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01");
    ada.send("POST", &format!("/api/v1/rooms/{room}/messages"), &[begun], &json!({"text": "traced"})).ok(201);
    let spans = received.recv_timeout(PATIENCE).unwrap();
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let request = spans.iter().find(|span| span.name.ends_with("/messages")).unwrap();
    assert_eq!(hex(&request.parent), "b7ad6b7169203331");
    assert!(spans.iter().all(|span| hex(&span.trace) == "0af7651916cd43dd8448eb211c80319c"), "and no other is kept");
    assert!(has_chain(&spans, &["/messages", "room.append"]));
}

#[test]
fn a_collector_that_is_away_holds_nobody_up() {
    let folder = tempfile::tempdir().unwrap();
    let nobody = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let endpoint = format!("http://{nobody}");
    let settings = [("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str())];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let ada = Http::stranger(server.address).signed_up("Ada");
    let room = ada.make_room("tea");
    ada.say(&room, "hello");
    assert_eq!(ada.get("/api/v1/me").ok(200), ada.user);
}

/// Whether spans of these names follow one another as children, in one trace.
fn has_chain(spans: &[Span], names: &[&str]) -> bool {
    let mut here: Vec<&Span> = spans.iter().filter(|span| span.name.ends_with(names[0])).collect();
    for name in &names[1..] {
        let is_next =
            |span: &&Span| span.name == *name && here.iter().any(|up| up.id == span.parent && up.trace == span.trace);
        here = spans.iter().filter(is_next).collect();
    }
    !here.is_empty()
}
