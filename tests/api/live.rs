//! Each limit that can change while the server runs is seen to act.

use std::collections::BTreeSet;

use bobchat::config::LIVE_KEYS;
use serde_json::{Value, json};

use crate::client::Client;
use crate::rest::Http;
use crate::server::TestServer;
use crate::settings::operator;

/// So fast that a bucket is full again at the next look.
const FAST: &str = "1000000000";

/// A key, what it is set to, and whether [`is_refused`] something before. Most begin with little and are given more: a
/// bucket that is full does not refuse what it still holds.
const SEEN: [(&str, &str, bool); 13] = [
    ("limits.sends_burst", "1000", true),
    ("limits.sends_per_second", FAST, true),
    ("limits.frames_burst", "1000", true),
    ("limits.frames_per_second", FAST, true),
    ("limits.frame_bytes_per_second", "1GiB", true),
    ("limits.pages_burst", "1000", true),
    ("limits.pages_per_second", FAST, true),
    ("limits.connections_per_user", "5", true),
    ("limits.rooms_per_user", "100", true),
    ("limits.requests_in_flight", "1", false),
    // Counted by address, so by all of this test: the second begins with the bucket that the first has emptied.
    ("limits.guests_burst", "1", false),
    ("limits.guests_per_minute", FAST, true),
    // Strangers that left are counted for a moment, so nobody comes behind these.
    ("limits.connections_per_address_before_auth", "100", true),
];

/// What is seen to act elsewhere: guests and the log in cli.rs, the share of traces beside its sampler, the others by the
/// core's own tests (actors/tests/rooms/live.rs), whose clients can stop reading and whose time can be made to pass.
const SEEN_ELSEWHERE: [&str; 6] = [
    "auth.guests",
    "limits.outbound_bytes_max",
    "limits.outbound_bytes_total_max",
    "limits.room_idle",
    "telemetry.log_filter",
    "telemetry.trace_sample_ratio",
];

#[tokio::test]
async fn each_limit_that_is_set_acts_at_once() {
    let all: BTreeSet<&str> = SEEN.iter().map(|(key, ..)| *key).chain(SEEN_ELSEWHERE).collect();
    assert_eq!(all, BTreeSet::from(LIVE_KEYS), "a key that nobody sees act");
    let server = TestServer::with(&[
        ("LIMITS__SENDS_BURST", "2"),
        ("LIMITS__SENDS_PER_SECOND", "1"),
        ("LIMITS__FRAMES_BURST", "40"),
        ("LIMITS__FRAMES_PER_SECOND", "1"),
        ("LIMITS__FRAME_BYTES_PER_SECOND", "64KiB"),
        ("LIMITS__PAGES_BURST", "2"),
        ("LIMITS__PAGES_PER_SECOND", "1"),
        ("LIMITS__CONNECTIONS_PER_USER", "1"),
        ("LIMITS__CONNECTIONS_PER_ADDRESS_BEFORE_AUTH", "3"),
        ("LIMITS__ROOMS_PER_USER", "2"),
    ]);
    let operator = operator(&server);
    for (key, value, before) in SEEN {
        assert_eq!(is_refused(&server, key).await, before, "{key} by the configuration");
        operator.post("/admin/config", &json!({"set": {key: value}})).ok(200);
        assert_ne!(is_refused(&server, key).await, before, "{key} = {value}");
        operator.post("/admin/config", &json!({"unset": [key]})).ok(200);
    }
}

/// Whether somebody new who does what a key limits is refused some of it.
async fn is_refused(server: &TestServer, key: &str) -> bool {
    let grant = server.guest("Eve").await;
    let stranger = Http::stranger(server.address);
    let guest = || stranger.post("/api/v1/guests", &json!({"name": "Mallory"})).status;
    match key {
        "limits.guests_burst" | "limits.guests_per_minute" => (0..10).any(|_| guest() == 429),
        "limits.connections_per_address_before_auth" => {
            let mut strangers = Vec::new();
            for _ in 0..5 {
                strangers.push(Client::try_connect(server.address).await);
            }
            strangers.iter().any(Option::is_none)
        }
        "limits.connections_per_user" => {
            let _first = Client::signed_in(server.address, &grant.access_token).await;
            let mut second = Client::connect(server.address).await;
            let auth = json!({"token": grant.access_token, "cursors": []});
            refused(&mut second, "too_many_connections", vec![("auth", auth)]).await
        }
        _ => {
            let mut eve = Client::signed_in(server.address, &grant.access_token).await;
            let (code, asked) = asked(&mut eve, key).await;
            refused(&mut eve, code, asked).await
        }
    }
}

/// What somebody who is signed in asks for at once, more than the limit lets pass at first, and how it is refused.
async fn asked(eve: &mut Client, key: &str) -> (&'static str, Vec<(&'static str, Value)>) {
    let many = |count: usize, request: &'static str, body: &dyn Fn(usize) -> Value| {
        (0..count).map(|number| (request, body(number))).collect::<Vec<_>>()
    };
    let limited = "rate_limited";
    match key {
        "limits.sends_burst" | "limits.sends_per_second" | "limits.requests_in_flight" => {
            let code = if key == "limits.requests_in_flight" { "busy" } else { limited };
            let room = eve.make_room("tea").await;
            (code, many(20, "message_send", &|number| json!({"room": room, "key": format!("{number}"), "text": "hi"})))
        }
        "limits.frames_burst" | "limits.frames_per_second" => (limited, many(60, "ping", &|_| json!({}))),
        // Refused for another reason once they are read.
        "limits.frame_bytes_per_second" => {
            (limited, many(4, "room_create", &|_| json!({"name": "x".repeat(60_000), "key": "k"})))
        }
        "limits.pages_burst" | "limits.pages_per_second" => (limited, many(20, "room_list", &|_| json!({}))),
        "limits.rooms_per_user" => {
            let named = |number: usize| json!({"name": format!("room {number}"), "key": format!("{number}")});
            ("room_limit", many(3, "room_create", &named))
        }
        other => panic!("nothing is asked for {other}"),
    }
}

/// Whether one of these requests is answered with this error, or the connection is ended for them.
async fn refused(client: &mut Client, code: &str, asked: Vec<(&'static str, Value)>) -> bool {
    let (mut left, mut is_refused) = (asked.len(), false);
    for (request, body) in asked {
        let id = client.next_id();
        client.try_ask(id, request, body).await;
    }
    while left > 0 {
        let Some(frame) = client.try_read().await else { return true };
        left -= usize::from(frame["id"].is_u64());
        is_refused |= frame["error"]["code"] == code;
    }
    is_refused
}
