//! Away and back: exactly what was missed, or a reset.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

fn cursor(room: &str, seq: u64) -> Value {
    json!([{"room": room, "epoch": 1, "seq": seq}])
}

#[tokio::test]
async fn resume_gives_exactly_what_was_missed_then_goes_live() {
    let server = TestServer::busy();
    let mut ada = server.person("Ada").await;
    let grant = server.guest("Bob").await;
    let room = ada.make_room("tea").await;
    let mut bob = Client::signed_in(server.somewhere(), &grant.access_token).await;
    bob.join(&room).await;
    drop(bob);
    ada.say_many(&room, 0, 30, |number| number.to_string()).await;
    let (mut bob, answer) = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 2)).await;
    assert_eq!(answer["subscribed"][0]["head"]["seq"], 32);
    assert_eq!(bob.seqs(30).await, (3..=32).collect::<Vec<_>>());
    ada.say(&room, "live").await;
    assert_eq!(bob.event().await["message"]["text"], "live");
    bob.hears_no_event().await;
}

/// Log protocol, rule 27.
#[tokio::test]
async fn ten_thousand_events_behind_are_replayed_exactly_also_after_a_restart() {
    let server = TestServer::busy();
    let grant = server.guest("Ada").await;
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let made = ada.ok("room_create", json!({"name": "long", "key": "k"})).await;
    let room = made["room"]["id"].as_str().unwrap().to_owned();
    ada.say_many(&room, 0, 10_000, |number| number.to_string()).await;
    let (mut other, _) = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 1)).await;
    assert_eq!(other.seqs(10_000).await, (2..=10_001).collect::<Vec<_>>());
    let server = server.restart();
    let (mut ada, _) = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 1)).await;
    assert_eq!(ada.seqs(10_000).await, (2..=10_001).collect::<Vec<_>>());
    ada.say(&room, "one more").await;
    let (_, answer) = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 1)).await;
    assert_eq!(answer["subscribed"][0]["reset"], "too_far_behind", "10 001 events are not replayed");
}

/// What is read for somebody far behind is as much work as the pages that they ask for, and a client can begin again as
/// often as it may send frames.
#[tokio::test]
async fn who_resumes_far_behind_again_and_again_waits_as_for_pages() {
    /// More than a room keeps in memory: three pages.
    const MESSAGES: usize = 600;
    let server = TestServer::with(&[
        ("LIMITS__SENDS_BURST", "100000"),
        ("LIMITS__FRAMES_BURST", "100000"),
        ("LIMITS__REQUESTS_IN_FLIGHT", "1000"),
        ("LIMITS__PAGES_BURST", "3"),
        ("LIMITS__PAGES_PER_SECOND", "4"),
    ]);
    let mut ada = server.person("Ada").await;
    let room = ada.make_room("long").await;
    ada.say_many(&room, 0, MESSAGES, |number| number.to_string()).await;
    ada.seqs(MESSAGES).await;
    let begin = Instant::now();
    for _ in 0..3 {
        ada.ok("subscribe", json!({"room": room, "cursor": {"epoch": 1, "seq": 1}})).await;
        // What comes back by itself takes nothing from what they look at meanwhile.
        ada.ok("message_history", json!({"room": room})).await;
        assert_eq!(ada.seqs(MESSAGES).await, (2..=601).collect::<Vec<_>>());
    }
    assert!(begin.elapsed() >= Duration::from_secs(1), "six pages beyond the burst, four a second");
    assert!(server.count(|metrics| metrics.pages_delayed.get()) > 0);
}

#[tokio::test]
async fn a_message_in_each_of_many_rooms_is_read_sooner_than_as_many_pages() {
    let server = TestServer::with(&[("LIMITS__PAGES_BURST", "3"), ("LIMITS__PAGES_PER_SECOND", "1")]);
    let grant = server.guest("Ada").await;
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let mut cursors = Vec::new();
    for number in 0..12 {
        let room = ada.make_room(&number.to_string()).await;
        ada.say(&room, "missed").await;
        cursors.push(json!({"room": room, "epoch": 1, "seq": 1}));
    }
    drop(ada);
    let server = server.restart();
    let (mut ada, _) = Client::resumed(server.somewhere(), &grant.access_token, cursors.into()).await;
    assert_eq!(ada.seqs(12).await, [2; 12]);
    assert_eq!(server.count(|metrics| metrics.pages_delayed.get()), 0);
}

/// Log protocol, rule 27.
#[tokio::test]
async fn a_replay_while_others_talk_has_no_hole_and_no_double() {
    let server = TestServer::busy();
    let grant = server.guest("Ada").await;
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let made = ada.ok("room_create", json!({"name": "long", "key": "k"})).await;
    let room = made["room"]["id"].as_str().unwrap().to_owned();
    ada.say_many(&room, 0, 3_000, |number| number.to_string()).await;
    let connecting = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 1));
    let ((mut reader, _), ()) =
        tokio::join!(connecting, ada.say_many(&room, 3_000, 1_000, |number| number.to_string()));
    assert_eq!(reader.seqs(4_000).await, (2..=4_001).collect::<Vec<_>>());
}

#[tokio::test]
async fn cursors_that_cannot_be_are_refused_and_the_others_go_on() {
    let server = TestServer::start();
    let mut ada = server.person("Ada").await;
    let grant = server.guest("Bob").await;
    let room = ada.make_room("tea").await;
    let mut bob = Client::signed_in(server.somewhere(), &grant.access_token).await;
    bob.join(&room).await;
    let cursors = json!([
        {"room": room, "epoch": 1, "seq": 99},
        {"room": "123456789", "epoch": 1, "seq": 1},
        {"room": "1", "epoch": 7, "seq": 1},
    ]);
    let (_, answer) = Client::resumed(server.somewhere(), &grant.access_token, cursors).await;
    let codes: Vec<&str> =
        (0..3).map(|index| answer["subscribed"][index]["error"]["code"].as_str().unwrap_or("ok")).collect();
    assert_eq!(codes, ["invalid_cursor", "not_found", "not_a_member"]);
    let unknown_epoch = bob.error("subscribe", json!({"room": room, "cursor": {"epoch": 2, "seq": 1}})).await;
    assert_eq!(unknown_epoch["code"], "invalid_cursor");
}

#[tokio::test]
async fn who_was_removed_while_away_resumes_up_to_their_leaving() {
    let server = TestServer::start();
    let mut ada = server.person("Ada").await;
    let grant = server.guest("Bob").await;
    let room = ada.make_room("tea").await;
    let mut desk = Client::signed_in(server.somewhere(), &grant.access_token).await;
    desk.join(&room).await;
    ada.say(&room, "seen").await;
    desk.ok("room_leave", json!({"room": room})).await;
    ada.say(&room, "not seen").await;
    let (mut phone, _) = Client::resumed(server.somewhere(), &grant.access_token, cursor(&room, 2)).await;
    assert_eq!(phone.event().await["message"]["text"], "seen");
    assert_eq!(phone.event().await["left"]["user"], phone.user.as_str());
    phone.hears_no_event().await;
}

#[tokio::test]
async fn a_drain_tells_clients_to_come_back() {
    let server = TestServer::start();
    let mut ada = server.person("Ada").await;
    let (restarted, code) = tokio::join!(tokio::task::spawn_blocking(move || server.restart()), ada.closed());
    assert_eq!(code, Some(4000));
    drop(restarted.unwrap());
}

#[tokio::test]
async fn unsubscribing_stops_the_stream_and_subscribing_again_continues_it() {
    let server = TestServer::start();
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    ada.say(&room, "one").await;
    assert_eq!(bob.event().await["message"]["text"], "one");
    bob.ok("unsubscribe", json!({"room": room})).await;
    let two = ada.say(&room, "two").await;
    bob.hears_no_event().await;
    let seq = two["position"]["seq"].as_u64().unwrap();
    bob.ok("subscribe", json!({"room": room, "cursor": {"epoch": 1, "seq": seq - 1}})).await;
    assert_eq!(bob.event().await["message"]["text"], "two");
}
