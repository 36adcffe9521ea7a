use serde_json::{Value, json};

use super::Http;
use crate::server::TestServer;

fn seqs(page: &Value, items: &str) -> Vec<u64> {
    page[items].as_array().unwrap().iter().map(|event| event["seq"].as_u64().unwrap()).collect()
}

#[test]
fn a_retry_with_the_same_key_adds_one_message() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let room = ada.make_room("tea");
    let path = format!("/api/v1/rooms/{room}/messages");
    let send = |key: &str, text: &str| ada.send("POST", &path, &[("idempotency-key", key)], &json!({"text": text}));
    let first = send("one", "hello").ok(201);
    assert_eq!(send("one", "hello").ok(201), first);
    send("one", "good bye").error(409, "idempotency_conflict");
    assert_ne!(send("two", "hello").ok(201), first);
    ada.say(&room, "no key");
    ada.say(&room, "no key");
    let page = ada.get(&path).ok(200);
    assert_eq!(page["messages"].as_array().unwrap().len(), 4);
    for bad in ["", "with space", &"k".repeat(65)] {
        assert_eq!(send(bad, "x").error(400, "invalid_request")["field"], "Idempotency-Key", "{bad:?}");
    }
}

#[test]
fn a_room_is_made_once_for_one_key() {
    let server = TestServer::start();
    let ada = Http::guest(&server, "Ada");
    let make = |name: &str| ada.send("POST", "/api/v1/rooms", &[("idempotency-key", "k")], &json!({"name": name}));
    let first = make("tea").ok(201);
    assert_eq!(make("tea").ok(201)["room"]["id"], first["room"]["id"]);
    make("coffee").error(409, "idempotency_conflict");
}

#[test]
fn history_is_read_from_any_place_in_both_directions() {
    let server = TestServer::with(&[("LIMITS__SENDS_BURST", "1000"), ("LIMITS__SENDS_PER_SECOND", "1000")]);
    let ada = Http::guest(&server, "Ada");
    let room = ada.make_room("tea");
    let sent: Vec<u64> = (0..30).map(|number| ada.say(&room, &format!("message {number}"))).collect();
    assert_eq!(sent, (2..=31).collect::<Vec<_>>(), "seq 1 made the room");
    let page = |query: &str| ada.get(&format!("/api/v1/rooms/{room}/messages?{query}")).ok(200);
    let newest = page("limit=10");
    assert_eq!(seqs(&newest, "messages"), (22..=31).collect::<Vec<_>>());
    assert_eq!((&newest["has_more_before"], &newest["has_more_after"]), (&json!(true), &json!(false)));
    assert_eq!(newest["users"], json!([ada.user]));
    let older = page("limit=10&before=22");
    assert_eq!(seqs(&older, "messages"), (12..=21).collect::<Vec<_>>());
    let first = page("limit=50&before=12");
    assert_eq!(seqs(&first, "messages"), (2..=11).collect::<Vec<_>>());
    assert_eq!(first["has_more_before"], json!(false));
    assert_eq!(seqs(&page("limit=5&after=11"), "messages"), [12, 13, 14, 15, 16]);
    assert_eq!(seqs(&page("limit=4&around=20"), "messages").len(), 4);
    let events = ada.get(&format!("/api/v1/rooms/{room}/events?limit=3")).ok(200);
    assert_eq!((seqs(&events, "events"), &events["has_more"]), (vec![1, 2, 3], &json!(true)));
    assert!(events["events"][0]["created"].is_object());
    let events = ada.get(&format!("/api/v1/rooms/{room}/events?after=30")).ok(200);
    assert_eq!((seqs(&events, "events"), &events["has_more"]), (vec![31], &json!(false)));
}

#[tokio::test]
async fn what_is_sent_over_rest_arrives_over_the_socket() {
    let server = TestServer::start();
    let mut bea = server.person("Bea").await;
    let room = bea.make_room("tea").await;
    let ada = Http::guest(&server, "Ada");
    ada.post(&format!("/api/v1/rooms/{room}/join"), &json!({})).ok(200);
    assert!(bea.event().await["joined"].is_object());
    ada.say(&room, "from afar");
    assert_eq!(bea.event().await["message"]["text"], "from afar");
    ada.post(&format!("/api/v1/rooms/{room}/typing"), &json!({})).ok(200);
    assert_eq!(bea.hear().await["typing"]["user"], ada.user["id"]);
    let here = ada.get(&format!("/api/v1/rooms/{room}/presence")).ok(200);
    assert_eq!((&here["count"], &here["users"][0]["id"]), (&json!(1), &json!(bea.user)));
}

#[test]
fn too_many_messages_are_told_how_long_to_wait() {
    let server = TestServer::with(&[("LIMITS__SENDS_BURST", "2"), ("LIMITS__SENDS_PER_SECOND", "1")]);
    // Each node counts what it takes.
    let ada = Http::stranger(server.address).signed_up("Ada");
    let room = ada.make_room("tea");
    let path = format!("/api/v1/rooms/{room}/messages");
    let replies: Vec<_> = (0..3).map(|_| ada.post(&path, &json!({"text": "quick"}))).collect();
    let limited = replies.iter().find(|reply| reply.status != 201).expect("one over the limit");
    assert!(limited.error(429, "rate_limited")["retry_after_ms"].as_u64().unwrap() <= 1_000);
    assert_eq!(limited.header("retry-after"), "1");
}
