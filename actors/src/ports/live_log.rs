use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::{Append, Head, Outcome, Unavailable};

/// Names one life of the server that keeps live logs: it changes when the server restarts, with or without its
/// data, and when a replica is promoted. What was written in another life is not to be trusted.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Incarnation(pub String);

/// A room's live log as it stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveHead {
    /// The newest event and what it counts.
    pub head: Head,
    /// The seq up to which events are stored: those may be trimmed.
    pub archived: Sequence,
    /// Whether the room takes nothing any more.
    pub closed: bool,
}

/// How much of a room may wait to be archived; beyond, appends are refused as full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LiveBounds {
    /// Events.
    pub events: u64,
    /// Bytes of them, encoded.
    pub bytes: u64,
}

/// A batch for a room's live log.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveAppend {
    /// The batch, and what its author knew (log protocol, rule 5).
    pub append: Append,
    /// After this time of the server's own clock, in microseconds since 1970, nothing is appended any more.
    pub deadline: i64,
    /// How much may wait to be archived.
    pub bounds: LiveBounds,
    /// Whether this puts back events of an older epoch: allowed in a closed room and while the others still wait,
    /// and nothing about them is decided again, so the state that they were decided on does not matter.
    pub salvage: bool,
}

/// What came of a batch.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveAppended {
    /// One for each event, in order.
    pub outcomes: Vec<Outcome>,
    /// The seq up to which events are stored.
    pub archived: Sequence,
}

/// Why a batch was not appended. In all cases but [`LiveRefusal::Unknown`] surely nothing was (rule 6).
#[derive(Debug, Clone, thiserror::Error)]
pub enum LiveRefusal {
    /// There is no log here that can be trusted under this epoch: raise it.
    #[error("the room's log is not open here")]
    Cold,
    /// The log has a newer epoch: load the room again.
    #[error("the room's log is open under epoch {0}")]
    NewerEpoch(Epoch),
    /// The log ends before what the author has applied: it has lost something: raise it.
    #[error("the room's log ends before what is known of it")]
    Stale,
    /// The room takes nothing any more.
    #[error("the room is closed")]
    Closed,
    /// The log was just opened and waits for what nodes still hold of the old epoch.
    #[error("the room's log is being put together again")]
    Opening,
    /// The state was changed by an event that the author has not applied.
    #[error("the room's state has changed since the decision")]
    Behind,
    /// The deadline has passed.
    #[error("the deadline has passed")]
    Expired,
    /// Too much waits to be archived, or the server has no memory.
    #[error("the room's log takes nothing for now")]
    Full {
        /// When it is worth trying again.
        retry_after: Duration,
    },
    /// There was no answer: it may or may not be appended.
    #[error("the outcome is unknown: {0}")]
    Unknown(Unavailable),
}

/// What a fence found (rule 14 b).
#[derive(Debug, Clone, PartialEq)]
pub struct Fenced {
    /// Under which the fence stands.
    pub incarnation: Incarnation,
    /// Every event that the log still holds, of any epoch, in its order.
    pub events: Vec<wire::Event>,
}

/// Why a log was not fenced or opened.
#[derive(Debug, Clone, thiserror::Error)]
pub enum FenceError {
    /// A fence or a log of this epoch or a newer one stands, or the fence is not there any more: load the room
    /// again.
    #[error("another epoch stands: {0:?}")]
    Superseded(Option<Epoch>),
    /// There was no answer: it may or may not be done. Load the room again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// How a fenced log is opened (rule 14 f).
#[derive(Debug, Clone, PartialEq)]
pub struct Opening {
    /// The room.
    pub room: RoomId,
    /// Where the log stands, under its new epoch: everything up to there is stored.
    pub head: Head,
    /// The incarnation that was fenced.
    pub incarnation: Incarnation,
    /// How long only salvage is taken.
    pub salvage_for: Duration,
    /// Whether the room takes nothing any more.
    pub closed: bool,
}

/// What a live log holds behind a seq, read at one moment.
#[derive(Debug, Clone, PartialEq)]
pub struct LiveTail {
    /// Where the log stands.
    pub head: LiveHead,
    /// The events above the seq that was asked for, of the log's own epoch, in order. The first one may be later
    /// than the next: what is missing is stored.
    pub events: Vec<wire::Event>,
}

/// Why a log was not advanced.
#[derive(Debug, Clone, thiserror::Error)]
pub enum AdvanceError {
    /// The log is not open under this epoch, or does not reach that far: load the room again.
    #[error("the log is not what was archived")]
    Refused,
    /// There was no answer: do it again.
    #[error(transparent)]
    Unavailable(#[from] Unavailable),
}

/// The live end of rooms' logs: gives events their order, on one server that all nodes share and that may lose
/// or roll back what it holds.
///
/// Each method is one step that happens whole or not at all, and can be repeated. What it must keep is the log
/// protocol's (docs/architecture.md): a log that the server's present life did not open is cold, whatever it
/// holds.
#[async_trait]
pub trait LiveLog: Send + Sync {
    /// Adds a batch: seq, time and ordinal for each event, all or none, and tells whoever follows the room. A key
    /// that was used under this epoch gives the first outcome again, or [`Outcome::Conflict`] for another body.
    ///
    /// # Errors
    /// See [`LiveRefusal`]: each variant says what to do.
    async fn append(&self, append: LiveAppend) -> Result<LiveAppended, LiveRefusal>;

    /// Makes sure that nothing is appended to `room` until it is opened under `epoch` or a newer one, and returns
    /// what it holds.
    ///
    /// # Errors
    /// See [`FenceError`].
    async fn fence(&self, room: RoomId, epoch: Epoch) -> Result<Fenced, FenceError>;

    /// Opens a log under the epoch of [`Opening::head`], empty, when its fence stands on the same incarnation.
    /// Known keys are forgotten.
    ///
    /// # Errors
    /// See [`FenceError`].
    async fn open(&self, opening: Opening) -> Result<(), FenceError>;

    /// Notes that everything up to `through` is stored, and lets go of it, but for a short tail.
    ///
    /// # Errors
    /// See [`AdvanceError`].
    async fn advance(&self, room: RoomId, through: Position) -> Result<(), AdvanceError>;

    /// Where a room's log stands; `None` when it is cold.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn head(&self, room: RoomId) -> Result<Option<LiveHead>, Unavailable>;

    /// Reads at most `limit` events above `after`; `None` when the log is cold.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Option<LiveTail>, Unavailable>;

    /// Rooms with events that are not archived, at most `limit`; which ones, when there are more, is left open.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn unarchived(&self, limit: usize) -> Result<Vec<RoomId>, Unavailable>;

    /// Has a room archived by `holder` alone for a while; again by the same one: for as long from now. `false` while it
    /// is another's. For economy: what has a claim is not kept from anybody.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn claim(&self, room: RoomId, holder: u64, lasts: Duration) -> Result<bool, Unavailable>;

    /// The server's present life.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn incarnation(&self) -> Result<Incarnation, Unavailable>;

    /// The server's own clock, which deadlines are judged by, in microseconds since 1970; of several servers, the
    /// latest.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn time(&self) -> Result<i64, Unavailable>;
}
