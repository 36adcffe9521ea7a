use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::{epochs, scenario, stored};
use crate::ports::{EventStore, Head, StoredEvent};

/// Every case has rooms of its own, so that one store serves them all.
static NEXT_ROOM: AtomicU64 = AtomicU64::new(1);

/// Checks what [`EventStore`] promises: on two stores that share what they keep, as two nodes have them.
pub async fn event_store(nodes: [Arc<dyn EventStore>; 2]) {
    let nodes = Nodes(nodes);
    a_room_that_nothing_was_said_of_is_empty(&nodes).await;
    a_noted_head_never_goes_back(&nodes).await;
    epochs::cases(&nodes).await;
    stored::cases(&nodes).await;
}

/// Two nodes' ways to one store.
pub(super) struct Nodes([Arc<dyn EventStore>; 2]);

impl Nodes {
    /// The node that mostly writes.
    pub(super) fn here(&self) -> &dyn EventStore {
        &*self.0[0]
    }

    /// The other one, which mostly reads what was written.
    pub(super) fn there(&self) -> &dyn EventStore {
        &*self.0[1]
    }
}

pub(super) fn new_room() -> RoomId {
    scenario::room(NEXT_ROOM.fetch_add(1, Ordering::Relaxed))
}

pub(super) fn at(epoch: u64, seq: u64) -> Position {
    Position { epoch: Epoch(epoch), seq: Sequence(seq) }
}

/// An event of user 5 at a position. The identifier tells those of two epochs apart.
pub(super) fn event(room: RoomId, position: Position, key: Option<&str>, body: Body) -> StoredEvent {
    let Position { epoch, seq } = position;
    let ordinal = matches!(body, Body::Message(_)).then_some(seq.0);
    let event = wire::Event {
        room: room.get(),
        epoch: epoch.0,
        seq: seq.0,
        at: 1_000 + seq.0.cast_signed(),
        id: epoch.0 * 1_000_000 + seq.0,
        author: 5,
        ordinal,
        key: key.map(str::to_owned),
        body: Some(body),
        ..wire::Event::default()
    };
    StoredEvent { event, body_hash: u64::MAX - seq.0, renumbered: false }
}

pub(super) fn message(room: RoomId, position: Position, key: Option<&str>) -> StoredEvent {
    event(room, position, key, scenario::message(&format!("message {} of epoch {}", position.seq, position.epoch)))
}

async fn a_room_that_nothing_was_said_of_is_empty(nodes: &Nodes) {
    let (store, room) = (nodes.here(), new_room());
    for serial in [false, true] {
        assert_eq!(store.log_row(room, serial).await.expect("it is read"), None);
    }
    assert_eq!(store.stored(room, Sequence::ZERO, 10).await.expect("it is read"), []);
    assert_eq!(store.keys(room, 5, "k").await.expect("they are read"), []);
    assert_eq!(store.noted_head(room).await.expect("it is read"), None);
    store.store(room, Vec::new()).await.expect("nothing is stored");
    store.mark_renumbered(room, &[]).await.expect("nothing is marked");
    assert_eq!(store.stored(room, Sequence(1), usize::MAX).await.expect("it is read"), []);
}

async fn a_noted_head_never_goes_back(nodes: &Nodes) {
    let (room, other) = (new_room(), new_room());
    let head = |epoch, seq| Head {
        position: at(epoch, seq),
        at: 7 + seq.cast_signed(),
        ordinal: Ordinal(seq / 2),
        state_seq: Sequence(seq / 3),
    };
    let note = async |head| nodes.here().note_head(room, head).await.expect("it is noted");
    let noted = async || nodes.there().noted_head(room).await.expect("it is read");
    note(head(1, 40)).await;
    assert_eq!(noted().await, Some(head(1, 40)));
    note(head(1, 39)).await;
    assert_eq!(noted().await, Some(head(1, 40)), "an older seq");
    note(head(2, 11)).await;
    assert_eq!(noted().await, Some(head(2, 11)), "a newer epoch, though fewer events");
    note(head(1, 90)).await;
    assert_eq!(noted().await, Some(head(2, 11)), "a late archiver of the old epoch");
    assert_eq!(nodes.there().noted_head(other).await.expect("it is read"), None);
    // Storing says nothing about where what is stored ends.
    nodes.here().store(room, vec![message(room, at(2, 12), None)]).await.expect("it is stored");
    assert_eq!(noted().await, Some(head(2, 11)));
    nodes.here().store(other, vec![message(other, at(1, 1), None)]).await.expect("it is stored");
    assert_eq!(nodes.there().noted_head(other).await.expect("it is read"), None);
}
