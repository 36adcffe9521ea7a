//! Traces: a message is followed from its frame or request to the commit and the fan-out.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use serde_json::json;

use crate::certificates::Authority;
use crate::client::{Client, PATIENCE};
use crate::collector::{Span, collector, collector_of, has_chain};
use crate::process::Process;
use crate::rest::Http;

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
    let deadline = Instant::now() + PATIENCE;
    let chains = [
        vec!["session.frame", "room.append", "store.commit"],
        vec!["session.frame", "room.append", "room.fan_out", "hub.write"],
        vec!["POST /api/v1/rooms/{room}/messages", "room.append", "store.commit"],
        vec!["POST /api/v1/rooms/{room}/messages", "room.append", "room.fan_out", "hub.write"],
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
    // Spans come as they end, in any number of parcels.
    let mut spans = Vec::new();
    while !has_chain(&spans, &["/messages", "room.append"]) {
        spans.extend(received.recv_timeout(PATIENCE).expect("the chain comes"));
    }
    let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
    let request = spans.iter().find(|span| span.name.ends_with("/messages")).unwrap();
    assert_eq!(hex(&request.parent), "b7ad6b7169203331");
    assert!(spans.iter().all(|span| hex(&span.trace) == "0af7651916cd43dd8448eb211c80319c"), "and no other is kept");
}

/// Frames whose traces are counted; an exporter holds 2048 spans at most, and each makes some six.
const FRAMES: usize = 200;

#[tokio::test]
async fn as_many_frames_are_traced_as_are_to_be_whatever_is_logged() {
    // Seven standard deviations to either side of the half: never by chance.
    for (ratio, filter, frames) in [("0", "trace", 0..=0), ("1", "error", FRAMES..=FRAMES), ("0.5", "info", 50..=150)] {
        let folder = tempfile::tempdir().unwrap();
        let (endpoint, received) = collector();
        let settings = [
            ("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()),
            ("TELEMETRY__TRACE_SAMPLE_RATIO", ratio),
            ("TELEMETRY__LOG_FILTER", filter),
        ];
        let server = Process::under(&[], &folder.path().join("data"), &settings);
        let by_request = Http::stranger(server.address).signed_up("Ada");
        let room = by_request.make_room("traced");
        let mut ada = Client::signed_in(server.address, by_request.token()).await;
        ada.subscribe(&room).await;
        for number in 0..FRAMES {
            ada.say(&room, &number.to_string()).await;
        }
        tokio::task::spawn_blocking(|| server.stop()).await.unwrap();
        let spans: Vec<Span> = received.try_iter().flatten().collect();
        let is_root = |span: &&Span| span.parent.is_empty();
        let sent: Vec<&Span> = spans.iter().filter(is_root).filter(|span| span.name == "session.frame").collect();
        assert!(frames.contains(&sent.len()), "{} of ratio {ratio}", sent.len());
        // What belongs to a trace that is not kept begins none of its own, and what is kept is kept whole.
        let begins = |span: &&Span| span.name == "session.frame" || is_request(span);
        assert_eq!(spans.iter().filter(is_root).filter(|span| !begins(span)).count(), 0);
        for root in sent {
            let whole: Vec<Span> = spans.iter().filter(|span| span.trace == root.trace).cloned().collect();
            for chain in [["room.append", "store.commit"], ["room.append", "room.fan_out"]] {
                assert!(has_chain(&whole, &["session.frame", chain[0], chain[1]]), "{chain:?} of ratio {ratio}");
            }
        }
    }
}

/// Those of requests have a method and a route.
fn is_request(span: &Span) -> bool {
    span.name.contains(' ')
}

#[test]
fn a_trace_that_its_client_does_not_keep_is_not_kept_here() {
    let folder = tempfile::tempdir().unwrap();
    let (endpoint, received) = collector();
    let settings = [("TELEMETRY__OTLP_ENDPOINT", endpoint.as_str()), ("TELEMETRY__TRACE_SAMPLE_RATIO", "1")];
    let server = Process::under(&[], &folder.path().join("data"), &settings);
    let ada = Http::stranger(server.address).signed_up("Ada");
    let room = ada.make_room("traced");
    let begun = ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00");
    ada.send("POST", &format!("/api/v1/rooms/{room}/messages"), &[begun], &json!({"text": "not traced"})).ok(201);
    server.stop();
    let spans: Vec<Span> = received.try_iter().flatten().collect();
    assert!(has_chain(&spans, &["POST /api/v1/rooms"]), "others are kept");
    assert_eq!(spans.iter().filter(|span| span.name.ends_with("/messages")).count(), 0);
    let orphans: Vec<&Span> = spans.iter().filter(|span| span.parent.is_empty() && !is_request(span)).collect();
    assert!(orphans.is_empty(), "nothing begins a trace within it: {orphans:?}");
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

#[tokio::test]
async fn spans_go_over_tls_to_a_collector_that_is_trusted_and_asks_for_a_secret_and_a_certificate() {
    let (folder, authority) = (tempfile::tempdir().unwrap(), Authority::new());
    let (ca, secret) = (folder.path().join("ca.pem"), folder.path().join("secret"));
    std::fs::write(&ca, authority.pem()).unwrap();
    std::fs::write(&secret, "Basic canary\n").unwrap();
    let node = authority.write(folder.path(), "node", &["node"]);
    let (endpoint, received) = collector_of(Some(authority.server(&["127.0.0.1"])), "authorization: basic canary\r\n");
    let (stranger, unheard) = collector_of(Some(Authority::new().server(&["127.0.0.1"])), "");
    let spans_of = |endpoint: &str, data: &str| {
        let settings = [
            ("TELEMETRY__OTLP_ENDPOINT", endpoint),
            ("TELEMETRY__OTLP_CERTIFICATES", ca.to_str().unwrap()),
            ("TELEMETRY__OTLP_CLIENT_CERTIFICATE", node.certificate.to_str().unwrap()),
            ("TELEMETRY__OTLP_CLIENT_KEY", node.key.to_str().unwrap()),
            ("TELEMETRY__OTLP_AUTHORIZATION_FILE", secret.to_str().unwrap()),
        ];
        let server = Process::under(&[], &folder.path().join(data), &settings);
        server.guest("Ada");
        server
    };
    let (_trusted, _distrusted) = (spans_of(&endpoint, "trusted"), spans_of(&stranger, "distrusted"));
    let spans = received.recv_timeout(PATIENCE).expect("spans come");
    assert!(!spans.is_empty());
    // Both began at the same time and export every five seconds.
    assert!(unheard.recv_timeout(Duration::from_secs(6)).is_err(), "nothing for who is not trusted");
}
