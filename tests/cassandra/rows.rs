//! What the contract cannot see: what orders writes, what ends by itself, how large partitions get.

use bobchat_actors::ports::{EventStore, StoredEvent};
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use crate::support::{look, new_keyspace, open, options};

fn message(room: RoomId, epoch: u64, seq: u64, ordinal: u64) -> StoredEvent {
    let body = Some(Body::Message(wire::Message { text: "text".to_owned() }));
    let (room, ordinal, key) = (room.get(), Some(ordinal), Some(format!("key {seq}")));
    let event =
        wire::Event { room, epoch, seq, id: seq, author: 5, at: 9, ordinal, key, body, ..wire::Event::default() };
    StoredEvent { event, body_hash: 3, renumbered: false }
}

#[tokio::test]
async fn rows_are_ordered_by_position_and_keys_end_by_themselves() {
    let (keyspace, room) = (new_keyspace(), RoomId::new(7).unwrap());
    let store = open(&options(&keyspace)).await;
    store.store(room, vec![message(room, 3, 41, 20)]).await.unwrap();
    let session = look(&keyspace).await;
    let written = (3_i64 << 40) + 41;
    for query in [
        "SELECT WRITETIME(event) FROM events WHERE room = 7 AND bucket = 0",
        "SELECT WRITETIME(event) FROM messages WHERE room = 7 AND bucket = 0",
        "SELECT WRITETIME(body_hash) FROM keys WHERE room = 7 AND author = 5 AND key = 'key 41'",
    ] {
        let rows = session.query_unpaged(query, ()).await.unwrap().into_rows_result().unwrap();
        assert_eq!(rows.single_row::<(i64,)>().unwrap(), (written,), "{query}");
    }
    let query = "SELECT TTL(body_hash) FROM keys WHERE room = 7 AND author = 5 AND key = 'key 41'";
    let rows = session.query_unpaged(query, ()).await.unwrap().into_rows_result().unwrap();
    let (left,) = rows.single_row::<(i32,)>().unwrap();
    assert!((86_000..=86_400).contains(&left), "{left} s");
}

#[tokio::test]
async fn partitions_are_bounded() {
    let (keyspace, room) = (new_keyspace(), RoomId::new(7).unwrap());
    let store = open(&options(&keyspace)).await;
    // Every second event is a message.
    let event = |seq: u64| {
        let mut stored = message(room, 1, seq, seq / 2);
        stored.event.key = None;
        if seq % 2 == 1 {
            stored.event.ordinal = None;
            stored.event.body = Some(Body::Settings(wire::SettingsChanged::default()));
        }
        stored
    };
    for first in (1..=25_000).step_by(2_500) {
        store.store(room, (first..first + 2_500).map(event).collect()).await.unwrap();
    }
    let session = look(&keyspace).await;
    let counts = async |table: &str, buckets: std::ops::RangeInclusive<i64>| {
        let mut counts = Vec::new();
        for bucket in buckets {
            let query = format!("SELECT COUNT(*) FROM {table} WHERE room = 7 AND bucket = {bucket}");
            let rows = session.query_unpaged(query, ()).await.unwrap().into_rows_result().unwrap();
            counts.push(rows.single_row::<(i64,)>().unwrap().0);
        }
        counts
    };
    assert_eq!(counts("events", 0..=5).await, [4_999, 5_000, 5_000, 5_000, 5_000, 1]);
    assert_eq!(counts("messages", 0..=2).await, [9_999, 2_501, 0]);
    assert_eq!(store.stored(room, Sequence(1), usize::MAX).await.unwrap().len(), 25_000);
}
