//! What follows from stored events, however they come to be stored.

use std::collections::BTreeMap;
use std::sync::Arc;

use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence, UserId};
use bobchat_proto::record::Membership;
use bobchat_proto::wire::{RoomKind, event::Body};
use futures_util::future::{join, join_all};

use super::event_store::{at, event, message, new_room};
use super::scenario::{self, created, joined, left, renamed, user};
use super::{people, stranded};
use crate::ports::projection::{Derived, advance, empty_head};
use crate::ports::{Directory, EventStore, Head, Raised, Raiser, RoomRow, Span, StoredEvent};

/// A node's way to a store, and to the directory over it.
pub struct DerivingNode {
    /// Takes events.
    pub store: Arc<dyn EventStore>,
    /// Knows what follows from them.
    pub directory: Arc<dyn Directory>,
}

/// Checks what a [`Directory`] over an [`EventStore`] promises: on two nodes that share what they keep.
pub async fn derived(nodes: [DerivingNode; 2]) {
    let [here, there] = &nodes;
    events_may_come_twice_and_in_any_order(here, there).await;
    nodes_may_note_heads_at_once(here, there).await;
    a_snapshot_ends_at_its_head(here, there).await;
    stranded::cases(here, there).await;
    a_large_room_is_read_in_pages(here, there).await;
    people::cases(here, there).await;
}

/// A room, and the log that is stored of it.
pub(super) struct Story {
    pub(super) room: RoomId,
    pub(super) events: Vec<StoredEvent>,
}

impl Story {
    /// Opens a room's log; nothing is stored of it.
    pub(super) async fn open(node: &DerivingNode) -> Self {
        let room = new_room();
        assert_eq!(node.store.raise(room, None, Raiser(1)).await.expect("it is raised"), Raised::Won);
        assert!(node.store.begin(room, Span::FIRST, Raiser(1)).await.expect("it begins"));
        Self { room, events: Vec::new() }
    }

    /// Adds the next event of the log, by user 5.
    pub(super) fn add(&mut self, epoch: u64, body: Body) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(event(self.room, at(epoch, seq), None, body));
    }

    pub(super) fn say(&mut self) {
        let seq = self.events.len() as u64 + 1;
        self.events.push(message(self.room, at(1, seq), None));
    }

    pub(super) async fn store(&self, node: &DerivingNode, seqs: impl IntoIterator<Item = u64>) {
        let index = |seq: u64| usize::try_from(seq - 1).expect("a small number");
        let events = seqs.into_iter().map(|seq| self.events[index(seq)].clone()).collect();
        node.store.store(self.room, events).await.expect("they are stored");
    }

    /// The head of the log up to a seq.
    pub(super) fn head(&self, seq: u64) -> Head {
        let events = self.events.iter().filter(|stored| stored.event.seq <= seq);
        events.fold(empty_head(), |head, stored| advance(head, &stored.event))
    }

    pub(super) async fn note(&self, node: &DerivingNode, seq: u64) {
        node.store.note_head(self.room, self.head(seq)).await.expect("it is noted");
    }

    /// The fold of the log up to a seq.
    pub(super) fn derived(&self, seq: u64) -> Derived {
        let mut derived = Derived::default();
        let events = self.events.iter().filter(|stored| stored.event.seq <= seq);
        events.for_each(|stored| derived.apply(&stored.event));
        derived
    }

    fn row(&self, seq: u64) -> RoomRow {
        RoomRow { id: self.room, room: self.derived(seq).room, head: self.head(seq) }
    }

    /// Everything that a node says of the room follows from the whole log; its head may be late.
    pub(super) async fn check(&self, node: &DerivingNode, what: &str) {
        let expected = self.derived(u64::MAX);
        let row = node.directory.room(self.room).await.expect("it is read").expect("it is there");
        assert_eq!(row.room, expected.room, "{what}");
        let present: Vec<_> =
            expected.memberships.keys().filter_map(|user| Some((*user, expected.member(*user)?.clone()))).collect();
        assert_eq!(members(node, self.room, 3).await, present, "{what}");
        for user in expected.memberships.keys() {
            self.check_lists_of(node, &row, *user, expected.member(*user), what).await;
        }
    }

    async fn check_lists_of(
        &self,
        node: &DerivingNode,
        row: &RoomRow,
        user: UserId,
        member: Option<&Membership>,
        what: &str,
    ) {
        let listed = node.directory.rooms_of(user, before(self.room), 1).await.expect("they are read");
        let listed: Vec<_> = listed.into_iter().filter(|(row, _)| row.id == self.room).collect();
        let expected: Vec<_> = member.map(|membership| (row.clone(), membership.clone())).into_iter().collect();
        assert_eq!(listed, expected, "{what}: {user}");
    }
}

fn before(room: RoomId) -> Option<RoomId> {
    RoomId::new(room.get() - 1).ok()
}

/// All members, read in pages.
async fn members(node: &DerivingNode, room: RoomId, limit: usize) -> Vec<(UserId, Membership)> {
    let mut all: Vec<(UserId, Membership)> = Vec::new();
    loop {
        let after = all.last().map(|(user, _)| *user);
        let page = node.directory.members(room, after, limit).await.expect("they are read");
        assert!(page.len() <= limit);
        let is_last = page.len() < limit;
        all.extend(page);
        if is_last {
            return all;
        }
    }
}

/// A room with all kinds of changes, some of which change nothing.
async fn eventful(node: &DerivingNode) -> Story {
    let mut story = Story::open(node).await;
    story.add(1, created("first name", RoomKind::Public));
    for round in 0..6_u64 {
        story.add(1, joined(20 + round));
        story.say();
        story.add(1, left(20 + round / 2));
        story.add(1, joined(20 + round / 2));
        story.add(1, renamed(&format!("name number{round}")));
        story.add(1, left(90));
        story.say();
        story.add(1, left(25 - round));
        story.add(1, joined(20));
    }
    story
}

/// Rule 21.
async fn events_may_come_twice_and_in_any_order(here: &DerivingNode, there: &DerivingNode) {
    for stride in [1, 3, 17, 54] {
        let story = eventful(here).await;
        let count = story.events.len() as u64;
        assert_eq!(count, 55, "no stride has a divisor with it, so each visits all");
        let order: Vec<u64> = (0..count).map(|index| index * stride % count + 1).collect();
        let back: Vec<u64> = order.iter().rev().copied().collect();
        let forward = async {
            for seqs in order.chunks(4) {
                story.store(here, seqs.iter().copied()).await;
            }
        };
        let backward = async {
            for seqs in back.chunks(3) {
                story.store(there, seqs.iter().copied()).await;
            }
        };
        join(forward, backward).await;
        story.check(there, &format!("stride {stride}, before the head is noted")).await;
        story.note(here, count).await;
        story.check(there, &format!("stride {stride}")).await;
        assert_eq!(there.directory.room(story.room).await.expect("it is read"), Some(story.row(count)));
        story.store(there, back).await;
        story.note(there, 7).await;
        story.check(here, &format!("stride {stride}, after a late repeat")).await;
    }
}

async fn nodes_may_note_heads_at_once(here: &DerivingNode, there: &DerivingNode) {
    let story = eventful(here).await;
    let count = story.events.len() as u64;
    for begin in (1..=count).step_by(11) {
        let end = begin + 10;
        story.store(here, begin..=end).await;
        let notes = (begin..=end).map(|seq| story.note(if seq % 2 == 0 { here } else { there }, seq));
        join_all(notes).await;
        let row = there.directory.room(story.room).await.expect("it is read");
        assert_eq!(row, Some(story.row(end)), "noted up to {end}");
    }
    story.check(here, "noted by two at once").await;
}

async fn a_snapshot_ends_at_its_head(here: &DerivingNode, there: &DerivingNode) {
    let story = eventful(here).await;
    assert_eq!(there.directory.snapshot(story.room).await.expect("it is read"), None);
    let count = story.events.len() as u64;
    // What is stored ahead of others, as a history ack has it, is above the head.
    story.store(here, [1, 2, 3, 6, 9, 20]).await;
    for noted in [None, Some(3), Some(31), Some(count)] {
        if let Some(noted) = noted {
            story.store(there, 1..=noted).await;
            story.note(there, noted).await;
        }
        let snapshot = here.directory.snapshot(story.room).await.expect("it is read").expect("it is there");
        let head = snapshot.row.head;
        assert!(head.position.seq.0 >= noted.unwrap_or(2) && head == story.head(head.position.seq.0), "{head:?}");
        assert_eq!(snapshot.spans, [Span::FIRST]);
        let mut derived = Derived { room: snapshot.row.room, memberships: BTreeMap::from_iter(snapshot.memberships) };
        assert_eq!(derived, story.derived(head.position.seq.0), "noted {noted:?}");
        let above = story.events.iter().filter(|stored| stored.event.seq > head.position.seq.0);
        above.for_each(|stored| derived.apply(&stored.event));
        assert_eq!(derived, story.derived(u64::MAX), "what is above is folded on top");
    }
}

/// More than one partition may take, of whom some have left.
async fn a_large_room_is_read_in_pages(here: &DerivingNode, there: &DerivingNode) {
    const PEOPLE: u64 = 10_500;
    let mut story = Story::open(here).await;
    story.add(1, created("large", RoomKind::Private));
    // Identifiers do not come in the order in which people join.
    (0..PEOPLE).for_each(|number| story.add(1, joined(1_000 + number * 7_919 % PEOPLE)));
    (0..PEOPLE).step_by(50).for_each(|number| story.add(1, left(1_000 + number)));
    (0..PEOPLE).step_by(100).for_each(|number| story.add(1, joined(1_000 + number)));
    let count = story.events.len() as u64;
    for first in (1..=count).step_by(1_000) {
        let last = count.min(first + 999);
        story.store(here, first..=last).await;
        story.note(if first % 3 == 0 { here } else { there }, last).await;
    }
    let expected = story.derived(count);
    let row = there.directory.room(story.room).await.expect("it is read").expect("it is there");
    assert_eq!((row.room.member_count, &row), (1 + PEOPLE - PEOPLE / 50 + PEOPLE / 100, &story.row(count)));
    let present = members(there, story.room, 700).await;
    let members = expected.memberships.keys().filter_map(|user| Some((*user, expected.member(*user)?.clone())));
    assert!(present.into_iter().eq(members), "every member once, in order");
    let snapshot = there.directory.snapshot(story.room).await.expect("it is read").expect("it is there");
    assert_eq!(snapshot.row, row);
    assert!(snapshot.memberships.into_iter().eq(expected.memberships), "everybody who ever was one");
    story.store(here, [count]).await;
    assert_eq!(here.directory.room_count_of(user(1_000)).await.expect("they are counted"), 1);
}

/// An event at any position.
pub(super) fn placed(room: RoomId, epoch: u64, seq: u64, body: Body) -> StoredEvent {
    event(room, Position { epoch: Epoch(epoch), seq: Sequence(seq) }, None, body)
}

/// The beginning of a room: its owner is user 5, and user 6 joins.
pub(super) async fn begun(node: &DerivingNode, name: &str) -> Story {
    let mut story = Story::open(node).await;
    story.add(1, created(name, RoomKind::Public));
    story.add(1, joined(6));
    story.add(1, scenario::message("hello"));
    story.store(node, 1..=3).await;
    story
}

pub(super) async fn found(node: &DerivingNode, query: &str) -> Vec<RoomId> {
    let found = node.directory.search(query, None, 100).await.expect("it is searched");
    found.into_iter().map(|row| row.id).collect()
}
