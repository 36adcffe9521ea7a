use bobchat_proto::ids::{Position, RoomId, Sequence};
use bobchat_proto::limits::MESSAGE_BYTES_MAX;

use super::event_store::{Nodes, at, event, message, new_room};
use super::scenario::{self, created, joined, left, renamed};
use crate::ports::{StoredEvent, StoredKey};

pub(super) async fn cases(nodes: &Nodes) {
    what_is_stored_is_read_as_it_was(nodes).await;
    events_come_by_seq_and_epoch_with_orphans(nodes).await;
    storing_twice_is_storing_once(nodes).await;
    an_older_epoch_replaces_nothing(nodes).await;
    a_hole_does_not_hide_what_is_beyond(nodes).await;
    a_mark_stays(nodes).await;
    a_key_is_found_in_every_epoch(nodes).await;
    a_key_belongs_to_its_room_and_author(nodes).await;
    large_events_are_stored_whole(nodes).await;
    a_long_room_is_read_in_pages(nodes).await;
}

async fn store(nodes: &Nodes, room: RoomId, events: Vec<StoredEvent>) {
    nodes.here().store(room, events).await.expect("they are stored");
}

async fn stored(nodes: &Nodes, room: RoomId, from: u64, limit: usize) -> Vec<StoredEvent> {
    nodes.there().stored(room, Sequence(from), limit).await.expect("they are read")
}

async fn positions(nodes: &Nodes, room: RoomId, from: u64, limit: usize) -> Vec<(u64, u64)> {
    stored(nodes, room, from, limit).await.iter().map(|stored| (stored.event.seq, stored.event.epoch)).collect()
}

fn messages(room: RoomId, epoch: u64, seqs: impl IntoIterator<Item = u64>) -> Vec<StoredEvent> {
    seqs.into_iter().map(|seq| message(room, at(epoch, seq), None)).collect()
}

async fn what_is_stored_is_read_as_it_was(nodes: &Nodes) {
    let room = new_room();
    let bodies = [
        created("a room", 1.try_into().expect("a kind")),
        joined(6),
        scenario::message("héllo 🇫🇮"),
        renamed("x"),
        left(6),
    ];
    let mut events: Vec<_> =
        (1..).zip(bodies).map(|(seq, body)| event(room, at(1, seq), (seq % 2 == 0).then_some("k"), body)).collect();
    events[2].event.first = Some(at(1, 3).into());
    events[4].renumbered = true;
    store(nodes, room, events.clone()).await;
    assert_eq!(stored(nodes, room, 0, 100).await, events);
}

async fn events_come_by_seq_and_epoch_with_orphans(nodes: &Nodes) {
    let room = new_room();
    store(nodes, room, messages(room, 1, [1, 2, 3, 4, 5])).await;
    store(nodes, room, messages(room, 3, [4, 5, 6])).await;
    store(nodes, room, messages(room, 2, [5])).await;
    let all = [(1, 1), (2, 1), (3, 1), (4, 1), (4, 3), (5, 1), (5, 2), (5, 3), (6, 3)];
    assert_eq!(positions(nodes, room, 0, 100).await, all);
    for (from, limit) in [(1, 3), (4, 1), (4, 3), (5, 100), (6, 1), (7, 10), (1, 0)] {
        let expected: Vec<_> = all.into_iter().filter(|(seq, _)| *seq >= from).take(limit).collect();
        assert_eq!(positions(nodes, room, from, limit).await, expected, "from {from}, at most {limit}");
    }
}

async fn storing_twice_is_storing_once(nodes: &Nodes) {
    let room = new_room();
    let events: Vec<_> = (1..=9).map(|seq| message(room, at(1, seq), Some(&format!("k{seq}")))).collect();
    store(nodes, room, events[..6].to_vec()).await;
    store(nodes, room, events[3..].to_vec()).await;
    nodes.there().store(room, events.clone()).await.expect("they are stored");
    assert_eq!(stored(nodes, room, 1, 100).await, events);
    assert_eq!(nodes.here().keys(room, 5, "k5").await.expect("they are read").len(), 1);
}

async fn an_older_epoch_replaces_nothing(nodes: &Nodes) {
    let room = new_room();
    let newer = message(room, at(2, 4), Some("newer"));
    let older = message(room, at(1, 4), Some("older"));
    store(nodes, room, vec![newer.clone()]).await;
    store(nodes, room, vec![older.clone()]).await;
    assert_eq!(stored(nodes, room, 1, 10).await, [older, newer], "both are there, each under its own epoch");
}

/// An event that waited until it was stored may stand far beyond one that was lost before: it has to be found, or it
/// could not be renumbered.
async fn a_hole_does_not_hide_what_is_beyond(nodes: &Nodes) {
    let room = new_room();
    store(nodes, room, messages(room, 1, [1, 2])).await;
    store(nodes, room, messages(room, 1, [64_000])).await;
    store(nodes, room, messages(room, 1, [3])).await;
    assert_eq!(positions(nodes, room, 2, 10).await, [(2, 1), (3, 1), (64_000, 1)]);
    assert_eq!(positions(nodes, room, 4, 1).await, [(64_000, 1)]);
    assert_eq!(positions(nodes, room, 64_001, 1).await, []);
}

async fn a_mark_stays(nodes: &Nodes) {
    let room = new_room();
    let events = [messages(room, 1, 1..=4), messages(room, 2, [3])].concat();
    store(nodes, room, events.clone()).await;
    nodes.here().mark_renumbered(room, &[at(1, 3), at(1, 4)]).await.expect("they are marked");
    let marked = async || -> Vec<Position> {
        let marked = stored(nodes, room, 1, 100).await.into_iter().filter(|stored| stored.renumbered);
        marked.map(|stored| stored.event.position()).collect()
    };
    assert_eq!(marked().await, [at(1, 3), at(1, 4)]);
    store(nodes, room, events).await;
    nodes.there().mark_renumbered(room, &[at(1, 4)]).await.expect("it is marked again");
    assert_eq!(marked().await, [at(1, 3), at(1, 4)], "storing the event again does not take it back");
}

async fn a_key_is_found_in_every_epoch(nodes: &Nodes) {
    let room = new_room();
    let used = |event: &StoredEvent| StoredKey { position: event.event.position(), body_hash: event.body_hash };
    let events = [at(1, 7), at(2, 5), at(2, 9)].map(|position| message(room, position, Some("again")));
    store(nodes, room, vec![events[0].clone(), message(room, at(1, 8), None)]).await;
    store(nodes, room, events[1..].to_vec()).await;
    let mut found = nodes.there().keys(room, 5, "again").await.expect("they are read");
    found.sort_by_key(|key| key.position);
    assert_eq!(found, [used(&events[0]), used(&events[1]), used(&events[2])]);
}

async fn a_key_belongs_to_its_room_and_author(nodes: &Nodes) {
    let (room, other) = (new_room(), new_room());
    store(nodes, room, vec![message(room, at(1, 1), Some("key"))]).await;
    for (room, author, key) in [(other, 5, "key"), (room, 6, "key"), (room, 5, "Key"), (room, 5, "")] {
        assert_eq!(nodes.there().keys(room, author, key).await.expect("they are read"), [], "{room} {author} {key:?}");
    }
    assert_eq!(nodes.there().keys(room, 5, "key").await.expect("they are read").len(), 1);
}

async fn large_events_are_stored_whole(nodes: &Nodes) {
    let room = new_room();
    let text =
        |seq: u64| char::from(b'a' + u8::try_from(seq % 26).expect("a letter")).to_string().repeat(MESSAGE_BYTES_MAX);
    let events: Vec<_> = (1..=100).map(|seq| event(room, at(1, seq), None, scenario::message(&text(seq)))).collect();
    store(nodes, room, events.clone()).await;
    assert!(stored(nodes, room, 1, usize::MAX).await == events, "1.6 MB come back as they were");
}

async fn a_long_room_is_read_in_pages(nodes: &Nodes) {
    const EVENTS: u64 = 25_000;
    let room = new_room();
    for first in (1..=EVENTS).step_by(1_000) {
        store(nodes, room, messages(room, 1, first..first + 1_000)).await;
    }
    let mut next = 1;
    while next <= EVENTS {
        let page = positions(nodes, room, next, 3_000).await;
        assert_eq!(page.len(), usize::try_from(3_000.min(EVENTS + 1 - next)).expect("it fits"));
        assert!(page.iter().copied().eq((next..).map(|seq| (seq, 1)).take(page.len())), "from {next}");
        next += page.len() as u64;
    }
    assert_eq!(positions(nodes, room, next, 1).await, []);
    assert_eq!(positions(nodes, room, 4_999, 4).await, [4_999, 5_000, 5_001, 5_002].map(|seq| (seq, 1)));
    assert_eq!(stored(nodes, room, 1, usize::MAX).await.len(), 25_000);
}
