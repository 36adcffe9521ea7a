//! A room on a live log, and who appends to it knowing everything.

use std::sync::Arc;
use std::time::Duration;

use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::LiveSubject;
use crate::ports::contract::scenario::{self, appended, message};
use crate::ports::{
    Append, Fenced, Head, Incarnation, LiveAppend, LiveAppended, LiveBounds, LiveHead, LiveLog, LiveRefusal, NewEvent,
    Opening, Outcome,
};

/// More than any case appends.
pub(super) const WIDE: LiveBounds = LiveBounds { events: 1_000_000, bytes: 1 << 40 };

/// No deadline.
pub(super) const NEVER: i64 = i64::MAX;

pub(super) struct Room {
    pub(super) id: RoomId,
    pub(super) log: Arc<dyn LiveLog>,
}

impl Room {
    /// A room whose log was never opened.
    pub(super) fn cold(subject: &dyn LiveSubject, raw: u64) -> Self {
        Self { id: scenario::room(raw), log: subject.log() }
    }

    /// A room that was just made: its log is empty, under the first epoch.
    pub(super) async fn open(subject: &dyn LiveSubject, raw: u64) -> Self {
        let room = Self::cold(subject, raw);
        room.raise(head(1, 0)).await;
        room
    }

    /// Fences and opens, without salvage.
    pub(super) async fn raise(&self, head: Head) {
        let fenced = self.fence(head.position.epoch).await;
        self.log.open(self.opening(head, fenced.incarnation)).await.expect("the log opens");
    }

    pub(super) async fn fence(&self, epoch: Epoch) -> Fenced {
        self.log.fence(self.id, epoch).await.expect("the log is fenced")
    }

    pub(super) fn opening(&self, head: Head, incarnation: Incarnation) -> Opening {
        Opening { room: self.id, head, incarnation, salvage_for: Duration::ZERO, closed: false }
    }

    pub(super) async fn live_head(&self) -> LiveHead {
        self.log.head(self.id).await.expect("the head is read").expect("the log is open")
    }

    pub(super) async fn head(&self) -> Head {
        self.live_head().await.head
    }

    pub(super) fn event(&self, author: u64, key: Option<&str>, body: Body) -> NewEvent {
        scenario::event(self.id, author, key, body)
    }

    /// A batch that is up to date.
    pub(super) async fn batch(&self, events: Vec<NewEvent>) -> LiveAppend {
        let Head { position, state_seq, .. } = self.head().await;
        let append = Append { room: self.id, epoch: position.epoch, known_seq: position.seq, state_seq, events };
        LiveAppend { append, deadline: NEVER, bounds: WIDE, salvage: false }
    }

    pub(super) async fn append(&self, events: Vec<NewEvent>) -> Result<LiveAppended, LiveRefusal> {
        self.log.append(self.batch(events).await).await
    }

    /// Adds one event and returns what came of it.
    pub(super) async fn append_one(&self, new: NewEvent) -> Outcome {
        self.append(vec![new]).await.expect("it is appended").outcomes.remove(0)
    }

    pub(super) async fn add(&self, author: u64, body: Body) -> wire::Event {
        appended(&self.append_one(self.event(author, None, body)).await).clone()
    }

    pub(super) async fn say(&self, text: &str) -> wire::Event {
        self.add(1, message(text)).await
    }

    pub(super) async fn tail(&self) -> Vec<wire::Event> {
        self.tail_of(0, usize::MAX).await
    }

    pub(super) async fn tail_of(&self, after: u64, limit: usize) -> Vec<wire::Event> {
        let tail = self.log.tail(self.id, Sequence(after), limit).await.expect("the tail is read");
        tail.expect("the log is open").events
    }

    /// Whether it is cold for everything that asks.
    pub(super) async fn assert_cold(&self, epoch: Epoch) {
        assert_eq!(self.log.head(self.id).await.expect("the head is read"), None);
        assert_eq!(self.log.tail(self.id, Sequence::ZERO, 10).await.expect("the tail is read"), None);
        let append = Append {
            room: self.id,
            epoch,
            known_seq: Sequence::ZERO,
            state_seq: Sequence::ZERO,
            events: vec![self.event(1, None, message("hello"))],
        };
        let batch = LiveAppend { append, deadline: NEVER, bounds: WIDE, salvage: true };
        let refusal = self.log.append(batch).await.expect_err("it is refused");
        assert!(matches!(refusal, LiveRefusal::Cold), "{refusal:?}");
    }
}

/// Where a log stands after `seq` events, all of them messages.
pub(super) fn head(epoch: u64, seq: u64) -> Head {
    let position = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
    Head { position, at: 0, ordinal: Ordinal(seq), state_seq: Sequence::ZERO }
}
