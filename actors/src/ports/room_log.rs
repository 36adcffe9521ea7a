use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, EventId, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire;
use std::time::Duration;

use super::Unavailable;

/// The newest entry of a room's log and what it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Head {
    /// The position of the newest event; seq 0 in a log without events.
    pub position: Position,
    /// When it was added, in microseconds since 1970.
    pub at: i64,
    /// How many messages the room has.
    pub ordinal: Ordinal,
    /// The seq of the last event that changed the room's state: anything but a message.
    pub state_seq: Sequence,
}

/// An event that has no position yet.
#[derive(Debug, Clone, PartialEq)]
pub struct NewEvent {
    /// The event with `room`, `id`, `author`, `key` and `body` set; the log sets `epoch`, `seq`, `at` and,
    /// for a message, `ordinal`.
    pub event: wire::Event,
    /// Tells two bodies under the same key apart: [`crate::room::body_hash`].
    pub body_hash: u64,
    /// When its client made the key, in microseconds since 1970 by the client's clock, where this is surely the first
    /// attempt to send it; `None` when it may have been sent before.
    pub made_at: Option<i64>,
}

/// A batch of events for one room, and what their author knew when they were decided.
#[derive(Debug, Clone, PartialEq)]
pub struct Append {
    /// The room.
    pub room: RoomId,
    /// The epoch that the room was loaded under.
    pub epoch: Epoch,
    /// The seq up to which the room has applied every event.
    pub known_seq: Sequence,
    /// The [`Head::state_seq`] of the state that the events were decided on.
    pub state_seq: Sequence,
    /// The events, in order. At most the last one may change the room's state (log protocol, rule 5).
    pub events: Vec<NewEvent>,
}

/// Where an event stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placement {
    /// Its position.
    pub position: Position,
    /// For a message: its ordinal.
    pub ordinal: Option<Ordinal>,
    /// Its identifier.
    pub id: EventId,
    /// When the log took it, in microseconds since 1970.
    pub at: i64,
}

/// What came of one event of a batch.
#[derive(Debug, Clone, PartialEq)]
pub enum Outcome {
    /// It is in the log now, as given here.
    Appended(wire::Event),
    /// Its key was used before, for the same body: it stands where it stood, and nothing was added.
    Repeated(Placement),
    /// Its key was used before, for another body: nothing was added.
    Conflict,
}

/// Why a batch was not appended. In all cases but [`AppendError::Unknown`] surely nothing was.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AppendError {
    /// The room has no log here, or one of an older epoch, or one that ends before `known_seq`: open it,
    /// load the room again, decide again.
    #[error("the room has no open log")]
    Cold,
    /// The log has a newer epoch: load the room again, decide again.
    #[error("the log was opened again under a newer epoch")]
    StaleEpoch,
    /// The state was changed by an event that the room has not applied: catch up, decide again.
    #[error("the room's state has changed since the decision")]
    Behind,
    /// The room takes nothing any more.
    #[error("the room is closed")]
    Closed,
    /// The log is full, or has no room on disk: answer `busy`.
    #[error("the log takes nothing for now")]
    Full {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// The outcome is not known: append again with the same keys and identifiers, or answer `unknown`.
    #[error("the outcome is unknown: {0}")]
    Unknown(Unavailable),
}

/// Gives a room's events their order and keeps them: the same port for a node that is alone and for a cluster (log
/// protocol, rule 36).
///
/// Positions of one room are dense and in the order of the slice; `at` strictly increases, also when the
/// clock goes back. All events of a batch that get a position get it together, or none does.
#[async_trait]
pub trait RoomLog: Send + Sync {
    /// Makes the log of a room, empty, under [`Epoch::FIRST`]; the one that exists when there is one.
    ///
    /// # Errors
    /// [`Unavailable`]: it may or may not exist; ask again.
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable>;

    /// Adds a batch, and with it what the directory derives from it ([`super::projection`]).
    ///
    /// On return the batch is durable at the level that the adapter documents: a node that dies afterwards
    /// does not lose it. A key (room, author, key) is honoured for 24 hours, across restarts: the same body
    /// gives [`Outcome::Repeated`], another body [`Outcome::Conflict`]; within one batch too. Dropping the
    /// future leaves the outcome unknown.
    ///
    /// # Errors
    /// See [`AppendError`]: each variant says what to do.
    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError>;

    /// Takes events that a room on this node had applied and that its log has lost, to put them back under the same
    /// keys and identifiers. A log that loses nothing is never handed any.
    fn put_back(&self, room: RoomId, events: Vec<wire::Event>) {
        let _ = (room, events);
    }

    /// Hears that another node appended to a room, in the span of what it appended. A hint, for a log that nodes share.
    fn heard(&self, room: RoomId) {
        let _ = room;
    }

    /// The head of a room's log; `None` when the room has none.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable>;

    /// The events after `after` that the log still holds, in order, at most `limit`.
    ///
    /// The first one may be later than `after + 1`: what is missing is in [`super::History`].
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable>;

    /// The epoch that the log stands in now: a newer one may have begun without an event. `None` where a log has but one,
    /// or none while it is cold.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, Unavailable> {
        let _ = room;
        Ok(None)
    }
}
