//! Two people and a room.

use serde_json::json;

use crate::client::Client;
use crate::server::TestServer;

#[tokio::test]
async fn two_people_chat_and_see_the_same_order() {
    let server = TestServer::with(&[("LIMITS__SENDS_BURST", "1000")]);
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let mut asked = Vec::new();
    for number in 0..50 {
        let request = json!({"room": room, "key": format!("a{number}"), "text": format!("ada {number}")});
        asked.push(ada.ask("message_send", request).await);
        bob.ask("message_send", json!({"room": room, "key": format!("b{number}"), "text": format!("bob {number}")}))
            .await;
    }
    let mut acks = Vec::new();
    for id in asked {
        acks.push(ada.answer(id).await["ok"]["message_send"].clone());
    }
    let mut seen = [Vec::new(), Vec::new()];
    for (client, seen) in [&mut ada, &mut bob].into_iter().zip(&mut seen) {
        while seen.len() < 100 {
            let event = client.event().await;
            if event["message"].is_object() {
                seen.push(event);
            }
        }
    }
    assert_eq!(seen[0], seen[1], "both saw the same events in the same order");
    let seqs: Vec<u64> = seen[0].iter().map(|event| event["seq"].as_u64().unwrap()).collect();
    assert!(seqs.windows(2).all(|pair| pair[1] == pair[0] + 1), "dense: {seqs:?}");
    assert!(seen[0].windows(2).all(|pair| pair[0]["at"].as_str() < pair[1]["at"].as_str()), "time rises");
    for ack in acks {
        let event = seen[0].iter().find(|event| event["id"] == ack["id"]).unwrap();
        assert_eq!(
            (&event["seq"], &event["ordinal"], &event["at"]),
            (&ack["position"]["seq"], &ack["ordinal"], &ack["at"])
        );
    }
    let from_ada = seen[0].iter().filter(|event| event["author"] == ada.user.as_str());
    let keys: Vec<&str> = from_ada.map(|event| event["key"].as_str().unwrap()).collect();
    let expected: Vec<String> = (0..50).map(|number| format!("a{number}")).collect();
    assert_eq!(keys, expected, "a sender's messages stay in their order");
}

#[tokio::test]
async fn a_retried_send_adds_one_message_also_after_a_restart() {
    let server = TestServer::start();
    let grant = server.guest("Ada").await;
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let room = ada.make_room("tea").await;
    let send = json!({"room": room, "key": "once", "text": "hello"});
    let first = ada.ok("message_send", send.clone()).await;
    assert_eq!(ada.ok("message_send", send.clone()).await, first);
    let conflict = ada.error("message_send", json!({"room": room, "key": "once", "text": "other"})).await;
    assert_eq!((&conflict["code"], &conflict["field"]), (&json!("idempotency_conflict"), &json!("key")));
    let mut elsewhere = Client::signed_in(server.somewhere(), &grant.access_token).await;
    assert_eq!(elsewhere.ok("message_send", send.clone()).await, first);
    let server = server.restart();
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    assert_eq!(ada.ok("message_send", send).await, first);
    let page = ada.ok("message_history", json!({"room": room})).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn a_repeated_room_create_makes_one_room() {
    let server = TestServer::start();
    let grant = server.guest("Ada").await;
    let mut ada = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let mut elsewhere = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let create = json!({"name": "tea", "key": "k"});
    let (first, second) =
        tokio::join!(ada.ok("room_create", create.clone()), elsewhere.ok("room_create", create.clone()));
    assert_eq!(first["room"]["id"], second["room"]["id"], "at once");
    assert_eq!(ada.ok("room_create", create).await["room"]["id"], first["room"]["id"], "and later");
    let conflict = elsewhere.error("room_create", json!({"name": "coffee", "key": "k"})).await;
    assert_eq!(conflict["code"], "idempotency_conflict");
}

#[tokio::test]
async fn a_repeat_of_the_room_that_reached_the_limit_is_that_room() {
    let server = TestServer::with(&[("LIMITS__ROOMS_PER_USER", "1")]);
    let mut ada = server.person("Ada").await;
    let create = json!({"name": "tea", "key": "k"});
    let first = ada.ok("room_create", create.clone()).await;
    assert_eq!(ada.ok("room_create", create).await["room"]["id"], first["room"]["id"]);
    assert_eq!(ada.error("room_create", json!({"name": "coffee", "key": "l"})).await["code"], "room_limit");
    assert_eq!(ada.error("room_join", json!({"room": "1"})).await["code"], "room_limit");
}

/// Log protocol, rule 28.
#[tokio::test]
async fn who_leaves_gets_the_event_that_says_so_and_nothing_after_it() {
    let server = TestServer::start();
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    ada.say(&room, "before").await;
    bob.ok("room_leave", json!({"room": room})).await;
    ada.say(&room, "after").await;
    assert_eq!(bob.event().await["message"]["text"], "before");
    assert_eq!(bob.event().await["left"]["user"], bob.user.as_str());
    bob.hears_no_event().await;
    let page = bob.ok("message_history", json!({"room": room})).await;
    let texts: Vec<&str> =
        page["messages"].as_array().unwrap().iter().map(|event| event["message"]["text"].as_str().unwrap()).collect();
    assert_eq!(texts, ["before"], "what was seen stays visible, what came later does not");
    let refused = bob.error("message_send", json!({"room": room, "key": "x", "text": "still here?"})).await;
    assert_eq!(refused["code"], "not_a_member");
}

/// Log protocol, rule 28.
#[tokio::test]
async fn who_joins_a_room_that_hides_its_past_sees_only_what_follows() {
    let server = TestServer::start();
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let made = ada.ok("room_create", json!({"name": "secret past", "key": "k", "history": "from_join"})).await;
    let room = made["room"]["id"].as_str().unwrap().to_owned();
    ada.say(&room, "before").await;
    bob.join(&room).await;
    ada.say(&room, "after").await;
    let page = bob.ok("message_history", json!({"room": room})).await;
    assert_eq!(page["messages"].as_array().unwrap().len(), 1);
    assert_eq!(page["messages"][0]["message"]["text"], "after");
    assert_eq!(page["has_more_before"], false);
    let events = bob.ok("room_events", json!({"room": room, "after": 0})).await;
    assert_eq!(events["events"][0]["joined"]["user"], bob.user.as_str(), "begins with the joining");
    bob.ok("subscribe", json!({"room": room, "cursor": {"epoch": 0, "seq": 0}})).await;
    assert_eq!(bob.event().await["joined"]["user"], bob.user.as_str(), "the stream too");
}

#[tokio::test]
async fn people_see_who_is_here_and_who_types() {
    let server = TestServer::start();
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let mut signals = Vec::new();
    while signals.is_empty() {
        let heard = ada.hear().await;
        signals.extend(heard.get("presence").cloned());
    }
    assert_eq!(signals[0], json!({"room": room, "user": bob.user, "online": true}));
    let here = ada.ok("room_presence", json!({"room": room})).await;
    assert_eq!((here["count"].as_u64(), here["users"].as_array().unwrap().len()), (Some(2), 2));
    bob.ok("typing", json!({"room": room})).await;
    assert_eq!(ada.hear().await["typing"], json!({"room": room, "user": bob.user}));
    drop(bob);
    assert_eq!(ada.hear().await["presence"]["online"], false);
}

#[tokio::test]
async fn other_devices_of_a_user_hear_of_new_rooms() {
    let server = TestServer::start();
    let grant = server.guest("Ada").await;
    let mut desk = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let mut phone = Client::signed_in(server.somewhere(), &grant.access_token).await;
    let room = desk.make_room("tea").await;
    let heard = phone.hear().await;
    assert_eq!((&heard["membership"]["member"], &heard["membership"]["room"]["id"]), (&json!(true), &json!(room)));
    desk.ok("room_leave", json!({"room": room})).await;
    assert_eq!(phone.hear().await["membership"]["member"], false);
}

/// Text is the client's to show safely: what the server keeps and gives out is what was written.
#[tokio::test]
async fn texts_that_deceive_are_kept_as_they_were_written_and_deceive_no_log_or_frame() {
    let server = TestServer::busy();
    let (mut ada, mut bob) = (server.person("Ada").await, server.person("Bob").await);
    let room = ada.make_room("tea").await;
    bob.join(&room).await;
    bob.subscribe(&room).await;
    let texts = [
        "<script>alert(1)</script><svg/onload=alert(1)>".to_owned(),
        "[link](javascript:alert(1)) data:text/html,x".to_owned(),
        "\u{202e}txt.exe\u{202c} \u{2066}isolated\u{2069}".to_owned(),
        "zero\u{200b}width\u{feff} tag\u{e0041}\u{e007f} joined \u{1f468}\u{200d}\u{1f469}\u{200d}\u{1f467}".to_owned(),
        format!("Z{}", "\u{301}\u{316}".repeat(2_000)),
        "no character: \u{fffe}\u{ffff} and \u{10ffff}".to_owned(),
        "a\u{0}b\r\n{\"level\":\"ERROR\"}\u{1b}[31m\u{7f}\u{85}\u{2028}".to_owned(),
        "e\u{301} is not \u{e9}".to_owned(),
    ];
    for text in &texts {
        ada.say(&room, text).await;
    }
    let mut heard = Vec::new();
    while heard.len() < texts.len() {
        if let Some(text) = bob.event().await["message"]["text"].as_str() {
            heard.push(text.to_owned());
        }
    }
    assert_eq!(heard, texts);
    let page = bob.ok("message_history", json!({"room": room})).await;
    let read: Vec<_> = page["messages"].as_array().unwrap().iter().map(|event| &event["message"]["text"]).collect();
    assert_eq!(read, texts.iter().map(|text| json!(text)).collect::<Vec<_>>().iter().collect::<Vec<_>>());
}
