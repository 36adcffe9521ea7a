//! What comes again after a loss is for those who were there when it was said: live, resumed and read, at each node.

use std::time::Duration;

use bobchat::adapters::redis::{RedisLog, RedisOptions, Servers};
use bobchat_actors::ports::{Append, LiveAppend, LiveBounds, LiveLog as _, NewEvent, Outcome};
use bobchat_actors::room::body_hash;
use bobchat_proto::ids::{Epoch, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};
use serde_json::{Value, json};

use crate::client::Client;
use crate::pool;
use crate::redis::RedisServer;
use crate::set::sign_up;

/// A node of none of the processes.
const OTHER_NODE: u64 = 999;

/// Puts something back that Ada had said at the position of `first`, as a node does that was away for long.
async fn put_back(redis: &RedisServer, room: &str, ada: &str, first: &Value) {
    let deployment = redis.cli(&["GET", "bob:deployment"]).trim().to_owned();
    let log = RedisLog::connect(RedisOptions::new(Servers::One(redis.url()), deployment, OTHER_NODE)).await.unwrap();
    let room: RoomId = room.parse().unwrap();
    let head = log.head(room).await.unwrap().unwrap().head;
    let first = wire::Position { epoch: first["epoch"].as_u64().unwrap(), seq: first["seq"].as_u64().unwrap() };
    let body = Body::Message(wire::Message { text: "late".to_owned() });
    let new = NewEvent {
        body_hash: body_hash(&body),
        made_at: None,
        event: wire::Event {
            room: room.get(),
            id: 50,
            author: ada.parse().unwrap(),
            key: Some("put-back".to_owned()),
            first: Some(first),
            body: Some(body),
            ..wire::Event::default()
        },
    };
    let (known_seq, state_seq) = (Sequence::ZERO, Sequence::ZERO);
    let append = Append { room, epoch: Epoch(head.position.epoch.0), known_seq, state_seq, events: vec![new] };
    let bounds = LiveBounds { events: 1_000_000, bytes: 1 << 40 };
    let appended = log.append(LiveAppend { append, deadline: i64::MAX, bounds, salvage: true }).await.unwrap();
    assert!(matches!(appended.outcomes[..], [Outcome::Appended(_)]));
}

/// The messages that somebody gets, up to "after".
async fn heard(client: &mut Client) -> Vec<String> {
    let mut texts = Vec::new();
    while texts.last().is_none_or(|last| last != "after") {
        texts.extend(client.event().await["message"]["text"].as_str().map(str::to_owned));
    }
    texts
}

/// Log protocol, rule 16.
#[tokio::test]
async fn what_comes_again_is_for_those_who_were_there_when_it_was_said() {
    let standing = tokio::task::spawn_blocking(pool::take).await.unwrap();
    let set = &standing.set;
    let [for_ada, for_bob] = ["Ada", "Bob"].map(|name| sign_up(&set.nodes[0], name));
    let [at_0, at_1, at_2] = [0, 1, 2].map(|node| set.nodes[node].address);
    let (mut ada, mut bob) = (Client::signed_in(at_0, &for_ada).await, Client::signed_in(at_1, &for_bob).await);
    let create = json!({ "name": "late", "key": "late", "kind": "public", "history": "from_join" });
    let room = ada.ok("room_create", create).await["room"]["id"].as_str().unwrap().to_owned();
    ada.subscribe(&room).await;
    let before = ada.say(&room, "before").await["position"].clone();
    bob.join(&room).await;
    let joined = bob.subscribe(&room).await["head"].clone();
    put_back(&standing.redis, &room, &ada.user, &before).await;
    ada.say(&room, "after").await;

    assert_eq!(heard(&mut ada).await, ["before", "late", "after"], "live");
    assert_eq!(heard(&mut bob).await, ["after"], "live");
    let resume = async |token: &str, position: &Value| {
        let mut client = Client::signed_in(at_2, token).await;
        client.ok("subscribe", json!({ "room": room, "cursor": position })).await;
        heard(&mut client).await
    };
    assert_eq!(resume(&for_ada, &before).await, ["late", "after"], "resumed");
    assert_eq!(resume(&for_bob, &joined).await, ["after"], "resumed");
    // First of what Redis holds, then of what is stored.
    for _ in 0..2 {
        for (client, expected) in [(&mut ada, &["before", "late", "after"][..]), (&mut bob, &["after"])] {
            let page = client.ok("message_history", json!({ "room": room })).await;
            let texts = page["messages"].as_array().unwrap().iter().map(|message| message["message"]["text"].clone());
            assert_eq!(texts.collect::<Vec<_>>(), expected, "read");
        }
        let begin = std::time::Instant::now();
        while set.nodes.iter().any(|node| node.metric("bobchat_unarchived_rooms") > 0) {
            assert!(begin.elapsed() < crate::run::PATIENCE, "it is not stored");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}
