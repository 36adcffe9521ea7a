use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::{Head, Span, Unavailable, owner};

/// Who raises an epoch: random, so that an attempt whose outcome was not heard can be told from another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Raiser(pub u128);

/// What decides about a room's epochs: the one row that is only changed by compare and set.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogRow {
    /// The newest epoch. While it has no span it is being made ready, and nothing is appended under it.
    pub epoch: Epoch,
    /// Who raised it.
    pub raiser: Raiser,
    /// The runs of the log, oldest first.
    pub spans: Vec<Span>,
    /// Whether the room is gone.
    pub deleted: bool,
    /// When the newest span began, in microseconds since 1970 by the store's clock: later than everything that was
    /// appended before it. What idempotency keys are judged by (rule 8).
    pub opened_at: Option<i64>,
}

impl LogRow {
    /// What stands for the row of a room that has none: before its first epoch.
    #[must_use]
    pub fn missing() -> Self {
        Self { epoch: Epoch(0), raiser: Raiser(0), spans: Vec::new(), deleted: false, opened_at: None }
    }

    /// Whose event stands at a seq: the last epoch that begins at or below it.
    #[must_use]
    pub fn owner(&self, seq: Sequence) -> Option<Epoch> {
        owner(&self.spans, seq)
    }

    /// Whether the newest epoch may be used: not before it is known where it begins (rule 2).
    #[must_use]
    pub fn is_loaded(&self) -> bool {
        self.spans.last().is_some_and(|span| span.epoch == self.epoch)
    }

    /// Whether an event at this position is part of the room's history, and not an orphan of a lost run.
    #[must_use]
    pub fn owns(&self, position: Position) -> bool {
        self.owner(position.seq) == Some(position.epoch)
    }
}

/// What came of an attempt to raise an epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Raised {
    /// It is the raiser's.
    Won,
    /// Somebody else was first: the row as it is, or [`LogRow::missing`].
    Lost(LogRow),
}

/// A use of an idempotency key. It counts only if an event is stored at the position and owned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredKey {
    /// Where the event stands.
    pub position: Position,
    /// Tells two bodies under the same key apart.
    pub body_hash: u64,
}

/// An event as it is stored.
#[derive(Debug, Clone, PartialEq)]
pub struct StoredEvent {
    /// The event, at its position.
    pub event: wire::Event,
    /// Tells two bodies under the same key apart.
    pub body_hash: u64,
    /// Whether it stands in a newer epoch too, under another seq: it must not be renumbered again.
    pub renumbered: bool,
}

/// Keeps what live logs let go of, for good, on servers that all nodes share and that outlive each of them.
///
/// A write that failed may have happened all the same; every write can be repeated. Reads see every write that
/// returned before (quorums that overlap). Writes of one room are ordered by position, not by time.
#[async_trait]
pub trait EventStore: Send + Sync {
    /// Reads what decides about a room's epochs; `serial` also settles compare-and-sets whose outcome is open.
    ///
    /// # Errors
    /// [`Unavailable`], as in every method here.
    async fn log_row(&self, room: RoomId, serial: bool) -> Result<Option<LogRow>, Unavailable>;

    /// Raises the epoch of a room from `from` to the one after it, by compare and set; `None` makes the row of a
    /// new room, under [`Epoch::FIRST`]. An error leaves it open: read again with `serial`, or raise again with the
    /// same token: that is [`Raised::Won`] as long as it is the newest epoch.
    async fn raise(&self, room: RoomId, from: Option<Epoch>, raiser: Raiser) -> Result<Raised, Unavailable>;

    /// Says where the epoch begins that `raiser` raised, and notes when, by compare and set; `false` when it is not theirs any
    /// more. Saying the same again is `true`; it is never moved: saying another base again is `false`.
    async fn begin(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Unavailable>;

    /// Stores events: for each its key, its message row and what the directory derives from it, and **last** the
    /// row that says "stored" (rule 19). On return all of it is durable, and a [`super::Directory`] over this store
    /// knows it: events can come twice, late and in any order, and those of a lost run count for nothing.
    async fn store(&self, room: RoomId, events: Vec<StoredEvent>) -> Result<(), Unavailable>;

    /// Reads at most `limit` stored events with a seq at or above `from`, by seq and epoch, orphans included.
    async fn stored(&self, room: RoomId, from: Sequence, limit: usize) -> Result<Vec<StoredEvent>, Unavailable>;

    /// Marks orphans as renumbered.
    async fn mark_renumbered(&self, room: RoomId, orphans: &[Position]) -> Result<(), Unavailable>;

    /// Reads where a key was used, in any epoch of the last 24 hours.
    async fn keys(&self, room: RoomId, author: u64, key: &str) -> Result<Vec<StoredKey>, Unavailable>;

    /// Where a room's stored events ended when [`EventStore::note_head`] was last called: a hint where to start a
    /// scan, and never later than what is stored.
    async fn noted_head(&self, room: RoomId) -> Result<Option<Head>, Unavailable>;

    /// Notes where a room's stored events end: all up to there are stored, and owned for ever. An older head never
    /// replaces a newer one.
    async fn note_head(&self, room: RoomId, head: Head) -> Result<(), Unavailable>;
}
