//! What the cases are told in: rooms, and people who do things in them.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::wire::{self, HistoryVisibility, RoomKind, event::Body};

use super::Stores;
use crate::ports::{Append, AppendError, Head, NewEvent, Outcome, RoomLog};
use crate::room::body_hash;

/// Every event of a run has another identifier.
static NEXT_EVENT_ID: AtomicU64 = AtomicU64::new(1);

pub(super) fn room(raw: u64) -> RoomId {
    RoomId::new(raw).expect("a room's identifier")
}

pub(super) fn user(raw: u64) -> UserId {
    UserId::new(raw).expect("a user's identifier")
}

/// A room, and who appends to it knowing everything.
pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) log: Arc<dyn RoomLog>,
}

impl Room {
    /// Opens a log without events.
    pub(super) async fn open(stores: &Stores, raw: u64) -> Self {
        let room = Self { id: room(raw), log: Arc::clone(&stores.log) };
        room.log.open(room.id).await.expect("the log opens");
        room
    }

    /// Makes a public room of user 1.
    pub(super) async fn create(stores: &Stores, raw: u64, name: &str) -> Self {
        let room = Self::open(stores, raw).await;
        room.add(1, created(name, RoomKind::Public)).await;
        room
    }

    pub(super) async fn head(&self) -> Head {
        self.log.head(self.id).await.expect("the head is read").expect("the room has a log")
    }

    /// A batch that is up to date.
    pub(super) async fn batch(&self, events: Vec<NewEvent>) -> Append {
        let head = self.head().await;
        let Head { position, state_seq, .. } = head;
        Append { room: self.id, epoch: position.epoch, known_seq: position.seq, state_seq, events }
    }

    pub(super) async fn append(&self, events: Vec<NewEvent>) -> Result<Vec<Outcome>, AppendError> {
        self.log.append(self.batch(events).await).await
    }

    /// Adds one event without a key and returns it.
    pub(super) async fn add(&self, author: u64, body: Body) -> wire::Event {
        let outcomes = self.append(vec![self.event(author, None, body)]).await.expect("it is appended");
        appended(&outcomes[0]).clone()
    }

    pub(super) async fn say(&self, author: u64, text: &str) -> wire::Event {
        self.add(author, message(text)).await
    }

    pub(super) fn event(&self, author: u64, key: Option<&str>, body: Body) -> NewEvent {
        event(self.id, author, key, body)
    }

    pub(super) async fn tail(&self) -> Vec<wire::Event> {
        self.log.tail(self.id, Sequence::ZERO, usize::MAX).await.expect("the tail is read")
    }
}

/// An event with an identifier of its own.
pub(super) fn event(room: RoomId, author: u64, key: Option<&str>, body: Body) -> NewEvent {
    let body_hash = body_hash(&body);
    let id = NEXT_EVENT_ID.fetch_add(1, Ordering::Relaxed);
    let key = key.map(str::to_owned);
    let event = wire::Event { room: room.get(), id, author, key, body: Some(body), ..wire::Event::default() };
    NewEvent { event, body_hash, made_at: None }
}

pub(super) fn appended(outcome: &Outcome) -> &wire::Event {
    match outcome {
        Outcome::Appended(event) => Some(event),
        Outcome::Repeated(_) | Outcome::Conflict => None,
    }
    .expect("the event is appended")
}

pub(super) fn message(text: &str) -> Body {
    Body::Message(wire::Message { text: text.to_owned() })
}

pub(super) fn created(name: &str, kind: RoomKind) -> Body {
    let history = HistoryVisibility::Everything as i32;
    let settings = wire::RoomSettings { name: name.to_owned(), topic: String::new(), kind: kind as i32, history };
    Body::Created(wire::RoomCreated { settings: Some(settings) })
}

pub(super) fn joined(user: u64) -> Body {
    Body::Joined(wire::MemberJoined { user })
}

pub(super) fn left(user: u64) -> Body {
    Body::Left(wire::MemberLeft { user })
}

pub(super) fn renamed(name: &str) -> Body {
    Body::Settings(wire::SettingsChanged { name: Some(name.to_owned()), ..wire::SettingsChanged::default() })
}
