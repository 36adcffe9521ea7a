use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ports::{Credentials, EventStore, FamilyUpdate, Head, Raised, Raiser, Span, StoredEvent};
use bobchat_proto::ids::{DeviceId, Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::record::RefreshFamily;
use bobchat_proto::wire::{self, event::Body};
use futures_util::future::join_all;

use crate::server::{Server, ring};
use crate::support::{new_keyspace, open, options_of, persist};

fn message(room: RoomId, epoch: u64, seq: u64) -> StoredEvent {
    let body = Some(Body::Message(wire::Message { text: format!("message {seq}") }));
    let key = Some(format!("key {seq}"));
    let (room, ordinal) = (room.get(), Some(seq));
    let event =
        wire::Event { room, epoch, seq, id: seq, author: 5, at: 9, ordinal, key, body, ..wire::Event::default() };
    StoredEvent { event, body_hash: seq, renumbered: false }
}

#[tokio::test]
async fn two_of_three_nodes_go_on_and_nothing_is_lost() {
    let mut nodes = tokio::task::spawn_blocking(ring).await.unwrap();
    let addresses = nodes.iter().map(|node| node.address().to_owned()).collect();
    let options = options_of(addresses, &new_keyspace(), 3);
    // Three that start at once, as three nodes of Bobchat do.
    let stores = join_all((0..3).map(|_| open(&options))).await;
    let status = CassandraStore::show_schema(&options).await.unwrap();
    assert_eq!(status.replication, Some(3));

    let room = RoomId::new(7).unwrap();
    assert_eq!(persist(|| stores[0].raise(room, None, Raiser(1))).await, Raised::Won);
    assert!(persist(|| stores[0].begin(room, Span::FIRST, Raiser(1))).await);
    write_while_one_dies(&stores[0], room, &mut nodes[2]).await;

    let store = &stores[1];
    let read = persist(|| store.stored(room, Sequence(1), usize::MAX)).await;
    assert!(read.iter().map(|stored| stored.event.seq).eq(1..=1_000), "{} events", read.len());
    assert_eq!(persist(|| store.keys(room, 5, "key 999")).await.len(), 1);
    decide_once(store, &stores[2], room).await;
}

/// Writes a thousand events, and kills a node in the middle of them.
async fn write_while_one_dies(store: &CassandraStore, room: RoomId, victim: &mut Server) {
    for first in (1..=1_000).step_by(10) {
        if first == 501 {
            victim.kill();
        }
        let events: Vec<_> = (first..first + 10).map(|seq| message(room, 1, seq)).collect();
        persist(|| store.store(room, events.clone())).await;
    }
    let position = Position { epoch: Epoch(1), seq: Sequence(1_000) };
    let head = Head { position, at: 9, ordinal: Ordinal(1_000), state_seq: Sequence(1) };
    persist(|| store.note_head(room, head)).await;
    assert_eq!(persist(|| store.noted_head(room)).await, Some(head));
}

/// What goes by compare and set goes on as well.
async fn decide_once(store: &CassandraStore, other: &CassandraStore, room: RoomId) {
    let raised = persist(|| store.raise(room, Some(Epoch(1)), Raiser(2))).await;
    assert_eq!(raised, Raised::Won);
    assert!(matches!(persist(|| other.raise(room, Some(Epoch(1)), Raiser(3))).await, Raised::Lost(_)));
    let span = Span { epoch: Epoch(2), base: Sequence(1_001) };
    assert!(persist(|| store.begin(room, span, Raiser(2))).await);
    let row = persist(|| other.log_row(room, false)).await.unwrap();
    assert_eq!(row.spans, [Span::FIRST, span]);

    let device = DeviceId::new(3).unwrap();
    let family = |generation| RefreshFamily { user: 1, generation, expires_at: i64::MAX, ..RefreshFamily::default() };
    let first = family(1);
    persist(|| store.create_family(device, family(1))).await;
    assert_eq!(persist(|| other.update_family(device, &first, family(2))).await, FamilyUpdate::Done);
    assert_eq!(persist(|| store.family(device)).await, Some(family(2)));
}
