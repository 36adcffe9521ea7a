use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire;

use crate::ports::{
    AdvanceError, FenceError, Fenced, Head, LiveAppend, LiveAppended, LiveHead, LiveRefusal, LiveTail, LogRow, Opening,
    Raised, Raiser, Span, StoredEvent, StoredKey, Unavailable,
};

/// Events that are read or stored by one call: enough to be worth the way, few enough for one partition batch.
pub(super) const EVENTS_PER_CALL: usize = 256;

/// How often a call is made again that failed and may have happened.
pub(super) const TRIES_MAX: u32 = 6;

/// One job of the log protocol for one room: a state machine that is asked what to do and told what came of it.
///
/// [`Job::next`] and [`Job::on`] alternate until there is [`Step::Done`]. To drop a job at any step is safe: it is
/// what the death of its node looks like.
pub trait Job {
    /// What the job comes to.
    type End;

    /// The room it is for.
    fn room(&self) -> RoomId;

    /// What is to be done now.
    fn next(&mut self) -> Step<Self::End>;

    /// Takes what came of it. A reply that does not belong to the call counts as no answer.
    fn on(&mut self, reply: Reply);
}

impl<J: Job> Job for &mut J {
    type End = J::End;

    fn room(&self) -> RoomId {
        (**self).room()
    }

    fn next(&mut self) -> Step<J::End> {
        (**self).next()
    }

    fn on(&mut self, reply: Reply) {
        (**self).on(reply);
    }
}

/// What a job wants.
#[derive(Debug, Clone, PartialEq)]
pub enum Step<End> {
    /// Carry this out, and tell.
    Call(Call),
    /// Nothing: it is done.
    Done(End),
}

/// One atomic step: one call of a port, or of what the node itself keeps.
#[derive(Debug, Clone, PartialEq)]
pub enum Call {
    /// [`crate::ports::EventStore::log_row`].
    LogRow {
        /// Whether it settles what is open.
        serial: bool,
    },
    /// [`crate::ports::EventStore::raise`].
    Raise {
        /// The epoch to raise; `None` makes the room.
        from: Option<Epoch>,
        /// Who does.
        raiser: Raiser,
    },
    /// [`crate::ports::EventStore::begin`].
    Begin(Span, Raiser),
    /// [`crate::ports::EventStore::store`].
    Store(Vec<StoredEvent>),
    /// [`crate::ports::EventStore::stored`].
    Stored {
        /// The lowest seq.
        from: Sequence,
        /// At most so many.
        limit: usize,
    },
    /// [`crate::ports::EventStore::mark_renumbered`].
    MarkRenumbered(Vec<Position>),
    /// [`crate::ports::EventStore::keys`].
    Keys {
        /// Whose key.
        author: u64,
        /// The key.
        key: String,
    },
    /// [`Call::Keys`] of all of these, at once: a batch does not wait for its keys one after the other.
    AllKeys(Vec<(u64, String)>),
    /// The rows at these positions, at once.
    Rows(Vec<Position>),
    /// [`crate::ports::EventStore::noted_head`].
    NotedHead,
    /// [`crate::ports::EventStore::note_head`].
    NoteHead(Head),
    /// [`crate::ports::LiveLog::append`].
    Append(LiveAppend),
    /// [`crate::ports::LiveLog::fence`].
    Fence(Epoch),
    /// [`crate::ports::LiveLog::open`].
    Open(Opening),
    /// [`crate::ports::LiveLog::advance`].
    Advance(Position),
    /// [`crate::ports::LiveLog::head`].
    LiveHead,
    /// [`crate::ports::LiveLog::tail`].
    Tail {
        /// Only what is above.
        after: Sequence,
        /// At most so many.
        limit: usize,
    },
    /// What [`Call::Tail`] has at each of these seqs, at once.
    Tails(Vec<Sequence>),
    /// [`super::Unarchived::reserve`].
    Reserve {
        /// Encoded bytes of the events.
        bytes: usize,
    },
    /// [`super::Unarchived::hold`].
    Hold(Vec<wire::Event>),
    /// [`super::Unarchived::archived`].
    Archived(Position),
    /// [`super::Unarchived::release`].
    Release(Vec<Position>),
    /// A pause, longer with each attempt, and jittered.
    Wait {
        /// Which attempt failed, from 1.
        attempt: u32,
    },
}

/// What came of a [`Call`].
#[derive(Debug, Clone)]
pub enum Reply {
    /// Of [`Call::LogRow`].
    LogRow(Result<Option<LogRow>, Unavailable>),
    /// Of [`Call::Raise`].
    Raised(Result<Raised, Unavailable>),
    /// Of [`Call::Begin`].
    Begun(Result<bool, Unavailable>),
    /// Of [`Call::Store`], [`Call::MarkRenumbered`] and [`Call::NoteHead`].
    Written(Result<(), Unavailable>),
    /// Of [`Call::Stored`].
    Stored(Result<Vec<StoredEvent>, Unavailable>),
    /// Of [`Call::Keys`].
    Keys(Result<Vec<StoredKey>, Unavailable>),
    /// Of [`Call::AllKeys`], in their order.
    AllKeys(Result<Vec<Vec<StoredKey>>, Unavailable>),
    /// Of [`Call::Rows`], in their order.
    Rows(Result<Vec<Option<StoredEvent>>, Unavailable>),
    /// Of [`Call::NotedHead`].
    NotedHead(Result<Option<Head>, Unavailable>),
    /// Of [`Call::Append`].
    Appended(Result<LiveAppended, LiveRefusal>),
    /// Of [`Call::Fence`].
    Fenced(Result<Fenced, FenceError>),
    /// Of [`Call::Open`].
    Opened(Result<(), FenceError>),
    /// Of [`Call::Advance`].
    Advanced(Result<(), AdvanceError>),
    /// Of [`Call::LiveHead`].
    LiveHead(Result<Option<LiveHead>, Unavailable>),
    /// Of [`Call::Tail`].
    Tail(Result<Option<LiveTail>, Unavailable>),
    /// Of [`Call::Tails`], in their order.
    Tails(Result<Vec<Option<LiveTail>>, Unavailable>),
    /// Of [`Call::Reserve`]: whether there was room.
    Reserved(bool),
    /// Of what the node does by itself and what cannot fail.
    Noted,
}
