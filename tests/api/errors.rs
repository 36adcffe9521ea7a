//! Bad input gets a clear error, and the connection stays usable.

use serde_json::{Value, json};

use crate::client::Client;
use crate::server::TestServer;

#[tokio::test]
async fn each_mistake_is_named_and_the_connection_goes_on() {
    let server = TestServer::start();
    let mut ada = server.person("Ada").await;
    let room = ada.make_room("tea").await;
    let long = "x".repeat(16 * 1024 + 1);
    let cases = [
        ("message_send", json!({"room": room, "key": "k"}), "invalid_request", "text"),
        ("message_send", json!({"room": room, "key": "k", "text": " \n"}), "invalid_request", "text"),
        ("message_send", json!({"room": room, "key": "k", "text": long}), "message_too_large", "text"),
        ("message_send", json!({"room": room, "key": "", "text": "hi"}), "invalid_request", "key"),
        ("message_send", json!({"room": room, "key": "with space", "text": "hi"}), "invalid_request", "key"),
        ("message_send", json!({"room": room, "key": "~own", "text": "hi"}), "invalid_request", "key"),
        ("message_send", json!({"key": "k", "text": "hi"}), "invalid_request", "room"),
        ("message_send", json!({"room": 7, "key": "k", "text": "hi"}), "invalid_request", "room"),
        ("message_send", json!({"room": "0", "key": "k", "text": "hi"}), "invalid_request", "room"),
        ("message_send", json!({"room": room, "key": "k", "txet": "hi"}), "invalid_request", "txet"),
        ("message_send", json!({"room": "99", "key": "k", "text": "hi"}), "not_found", "room"),
        ("message_history", json!({"room": room, "before": 1, "after": 2}), "invalid_request", "before"),
        ("message_history", json!({"room": room, "limit": 0}), "invalid_request", "limit"),
        ("message_history", json!({"room": room, "limit": 201}), "invalid_request", "limit"),
        ("room_create", json!({"name": "", "key": "k"}), "invalid_request", "name"),
        ("room_create", json!({"name": "a\u{202e}b", "key": "k"}), "invalid_request", "name"),
        ("room_create", json!({"name": "a", "key": "k", "kind": "secret"}), "invalid_request", "kind"),
        ("room_invite", json!({"room": room, "user": "99"}), "not_found", "user"),
        ("subscribe", json!({"room": "99"}), "not_found", "room"),
        ("dance", json!({}), "invalid_request", "dance"),
        ("auth", json!({"token": "again"}), "invalid_request", "auth"),
    ];
    for (request, body, code, field) in cases {
        let error = ada.error(request, body.clone()).await;
        assert_eq!((&error["code"], &error["field"]), (&json!(code), &json!(field)), "{request} {body}: {error}");
    }
    ada.send_raw("{").await;
    assert_eq!(ada.hear_error().await["code"], "invalid_request");
    ada.send_raw(r#"{"ping":{}}"#).await;
    assert_eq!(ada.hear_error().await["field"], "id");
    ada.say(&room, "still here").await;
}

#[tokio::test]
async fn what_one_may_not_see_answers_as_what_does_not_exist() {
    let server = TestServer::start();
    let (mut ada, mut eve) = (server.person("Ada").await, server.person("Eve").await);
    let made = ada.ok("room_create", json!({"name": "back room", "key": "k", "kind": "private"})).await;
    let private = made["room"]["id"].as_str().unwrap().to_owned();
    let with_room = |room: &str| -> Vec<(&str, Value)> {
        vec![
            ("message_send", json!({"room": room, "key": "k", "text": "hi"})),
            ("message_history", json!({"room": room})),
            ("room_events", json!({"room": room, "after": 0})),
            ("room_get", json!({"room": room})),
            ("room_join", json!({"room": room})),
            ("room_leave", json!({"room": room})),
            ("room_invite", json!({"room": room, "user": "1"})),
            ("room_update", json!({"room": room, "name": "mine"})),
            ("room_members", json!({"room": room})),
            ("room_presence", json!({"room": room})),
            ("subscribe", json!({"room": room})),
            ("typing", json!({"room": room})),
        ]
    };
    for ((request, hidden), (_, missing)) in with_room(&private).into_iter().zip(with_room("987654321")) {
        assert_eq!(eve.error(request, hidden).await, eve.error(request, missing).await, "{request}");
    }
    let found = eve.ok("room_search", json!({"query": "back"})).await;
    assert_eq!(found["rooms"], json!([]));
}

#[tokio::test]
async fn the_first_frame_signs_in_or_the_connection_ends() {
    let server = TestServer::start();
    for (first, code) in [
        (json!({"id": 1, "ping": {}}), 4406),
        (json!({"id": 1, "auth": {"token": "forged"}}), 4401),
        (json!({"id": 1, "auth": {"token": "eyJhbGciOiJub25lIn0.eyJzdWIiOiIxIn0."}}), 4401),
    ] {
        let mut stranger = Client::connect(server.somewhere()).await;
        stranger.send_raw(&first.to_string()).await;
        assert_eq!(stranger.closed().await, Some(code), "{first}");
        let error = stranger.hear().await;
        assert_eq!((&error["id"], &error["error"]["code"]), (&json!(1), &json!("unauthenticated")), "{first}");
    }
}

#[tokio::test]
async fn rates_are_told_with_the_wait_and_floods_end_the_connection() {
    let server = TestServer::with(&[("LIMITS__FRAMES_BURST", "40"), ("LIMITS__FRAMES_PER_SECOND", "1")]);
    let mut ada = server.person("Ada").await;
    let room = ada.make_room("tea").await;
    // At once: on a slow machine the allowance would grow again between two answers.
    let mut asked = Vec::new();
    for number in 0..20 {
        asked.push(ada.ask("message_send", json!({"room": room, "key": format!("k{number}"), "text": "hi"})).await);
    }
    let mut limited = None;
    for id in asked {
        let answer = ada.answer(id).await;
        limited = limited.or_else(|| answer["error"].is_object().then(|| answer["error"].clone()));
    }
    let limited = limited.expect("a burst of 10 is allowed, 20 are not");
    assert_eq!(limited["code"], "rate_limited");
    assert_eq!(limited["temporary"], true);
    assert!(limited["retry_after_ms"].as_u64().unwrap() > 0);
    for _ in 0..100 {
        ada.send_raw(r#"{"id":1,"ping":{}}"#).await;
    }
    assert_eq!(ada.closed().await, Some(4129));
}

/// Over however many connections: else one user with many of them reads the store for everybody else.
#[tokio::test]
async fn pages_are_counted_by_user_and_other_users_are_not_held_up() {
    let server = TestServer::with(&[("LIMITS__PAGES_BURST", "4"), ("LIMITS__PAGES_PER_SECOND", "1")]);
    let grant = server.guest("Ada").await;
    let mut first = Client::signed_in(server.address, &grant.access_token).await;
    let mut second = Client::signed_in(server.address, &grant.access_token).await;
    let room = first.make_room("tea").await;
    let mut refused = Vec::new();
    for client in [&mut first, &mut second] {
        // At once, as above. Each node counts for itself: of so many one of them has too many.
        let mut asked = Vec::new();
        for _ in 0..20 {
            asked.push(client.ask("message_history", json!({"room": room})).await);
        }
        for id in asked {
            let answer = client.answer(id).await;
            refused.extend(answer["error"].is_object().then(|| answer["error"].clone()));
        }
    }
    assert!(refused.len() > 20, "4 at once for both together: {}", refused.len());
    for error in &refused {
        assert_eq!((&error["code"], &error["temporary"]), (&json!("rate_limited"), &json!(true)), "{error}");
        assert!(error["retry_after_ms"].as_u64().unwrap() > 0, "{error}");
    }
    let mut bob = server.person("Bob").await;
    let id = bob.ask("room_list", json!({})).await;
    assert!(bob.answer(id).await["ok"].is_object(), "somebody else has pages of their own");
}

#[tokio::test]
async fn a_user_has_a_bounded_number_of_connections() {
    let server = TestServer::with(&[("LIMITS__CONNECTIONS_PER_USER", "2")]);
    let grant = server.guest("Ada").await;
    // Each node counts those that it has.
    let _first = Client::signed_in(server.address, &grant.access_token).await;
    let second = Client::signed_in(server.address, &grant.access_token).await;
    let mut third = Client::connect(server.address).await;
    let auth = json!({"id": 1, "auth": {"token": grant.access_token}}).to_string();
    third.send_raw(&auth).await;
    assert_eq!(third.closed().await, Some(4130));
    drop(second);
    tokio::time::timeout(crate::client::PATIENCE, async {
        loop {
            let mut again = Client::connect(server.address).await;
            again.send_raw(&auth).await;
            if again.hear().await["ok"].is_object() {
                break;
            }
        }
    })
    .await
    .unwrap();
}
