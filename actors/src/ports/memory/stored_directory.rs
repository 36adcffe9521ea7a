//! The directory over what live logs let go of: what follows from the stored changes that their rooms' logs own.

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;
use bobchat_proto::wire::{self, event::Body};

use super::event_store::{MemoryEventStore, State, StoredRoom};
use super::lists;
use crate::ports::projection::{Derived, advance, empty_head};
use crate::ports::{Directory, Head, RoomRow, RoomSnapshot, Unavailable};

#[async_trait]
impl Directory for MemoryEventStore {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        Ok(self.reached()?.rooms.get(&room).and_then(|found| found.known(room)).map(|(row, _)| row))
    }

    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        Ok(self.reached()?.rooms.get(&room).and_then(|found| found.snapshot(room)))
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        Ok(self.reached()?.people.claim_room(owner, key, proposed))
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        Ok(lists::rooms_of(self.reached()?.rooms_after(after), user).take(limit).collect())
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        Ok(lists::rooms_of(self.reached()?.rooms_after(None), user).count() as u64)
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        let state = self.reached()?;
        let rows = state.rooms_after(after).map(|(row, _)| row);
        Ok(lists::found(rows, query).take(limit).collect())
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        let state = self.reached()?;
        let known = state.rooms.get(&room).and_then(|found| found.known(room));
        Ok(known.map(|(_, derived)| lists::members(&derived, after, limit)).unwrap_or_default())
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        Ok(self.reached()?.people.users(users))
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.reached()?.people.by_handle(handle))
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.reached()?.people.by_subject(issuer, subject))
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        Ok(self.reached()?.people.create(id, user, subject))
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        Ok(self.reached()?.people.update(id, user))
    }
}

impl State {
    fn rooms_after(&self, after: Option<RoomId>) -> impl Iterator<Item = (RoomRow, Derived)> {
        let rooms = self.rooms.iter().filter(move |(id, _)| lists::is_after(**id, after));
        rooms.filter_map(|(id, room)| room.known(*id))
    }
}

impl StoredRoom {
    /// The room as it stands in lists: all that is known of it, though its head may be behind.
    fn known(&self, id: RoomId) -> Option<(RoomRow, Derived)> {
        let derived = self.derive(self.owned_changes())?;
        Some((RoomRow { id, room: derived.room.clone(), head: self.known_head() }, derived))
    }

    /// The fold of the log up to a head. What was stored ahead of others is above it, and left to the reader.
    fn snapshot(&self, id: RoomId) -> Option<RoomSnapshot> {
        let head = self.known_head();
        let derived = self.derive(self.owned_changes().filter(|change| change.seq <= head.position.seq.0))?;
        let row = RoomRow { id, room: derived.room, head };
        Some(RoomSnapshot {
            row,
            spans: self.row.as_ref()?.spans.clone(),
            memberships: derived.memberships.into_iter().collect(),
        })
    }

    fn owned_changes(&self) -> impl Iterator<Item = &wire::Event> {
        let owns = |event: &wire::Event| self.row.as_ref().is_some_and(|row| row.owns(event.position()));
        self.changes.values().filter(move |event| owns(event))
    }

    /// `None` before the event that begins a room.
    fn derive<'a>(&self, changes: impl Iterator<Item = &'a wire::Event>) -> Option<Derived> {
        let (mut derived, mut is_created) = (Derived::default(), false);
        for change in changes {
            derived.apply(change);
            is_created |= matches!(change.body, Some(Body::Created(_)));
        }
        is_created.then_some(derived)
    }

    /// What was noted, and the changes right behind it.
    fn known_head(&self) -> Head {
        let noted = self.noted_head.unwrap_or_else(empty_head);
        self.owned_changes().fold(noted, |head, change| {
            if change.seq == head.position.seq.next().0 { advance(head, change) } else { head }
        })
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::ports::memory::ManualClock;
    use crate::ports::{EventStore, Raiser, Span, StoredEvent};

    fn event(seq: u64, body: Body) -> StoredEvent {
        let event = wire::Event { room: 7, epoch: 1, seq, author: 5, body: Some(body), ..wire::Event::default() };
        StoredEvent { event, body_hash: 3, renumbered: false }
    }

    #[tokio::test]
    async fn what_died_between_two_rows_is_repaired_by_a_repeat() {
        let events = vec![
            event(1, Body::Created(wire::RoomCreated::default())),
            event(2, Body::Joined(wire::MemberJoined { user: 6 })),
            event(3, Body::Message(wire::Message::default())),
            event(4, Body::Left(wire::MemberLeft { user: 6 })),
        ];
        let room = RoomId::new(7).unwrap();
        for rows in 0..8 {
            let store = MemoryEventStore::new(Arc::new(ManualClock::new(5)));
            store.raise(room, None, Raiser(1)).await.unwrap();
            assert!(store.begin(room, Span::FIRST, Raiser(1)).await.unwrap());
            store.interrupt_next_store(rows);
            store.store(room, events.clone()).await.unwrap_err();
            let snapshot = store.snapshot(room).await.unwrap();
            let is_stored = !store.rows(room).is_empty();
            assert!(snapshot.is_some() || !is_stored, "what is stored is known: after {rows} rows");
            store.store(room, events.clone()).await.unwrap();
            let snapshot = store.snapshot(room).await.unwrap().unwrap();
            assert_eq!((snapshot.row.head.position.seq.0, snapshot.memberships.len()), (2, 2), "after {rows} rows");
            assert_eq!(store.room(room).await.unwrap().unwrap().room.member_count, 1);
        }
    }
}
