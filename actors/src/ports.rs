//! What the core needs from outside, in its own words. An adapter keeps what a trait's documentation
//! promises, and runs the contract suite of that trait ([`contract`]).
//!
//! [`memory`] holds the reference: complete, in memory, for tests and as the shortest reading of what
//! an adapter has to do.

mod authenticator;
mod backplane;
mod clock;
pub mod contract;
mod credentials;
mod directory;
mod event_store;
mod history;
mod live_log;
pub mod memory;
mod node_link;
pub mod paging;
pub mod projection;
mod room_log;
mod shown;
mod span;
mod worker_leases;

pub use authenticator::{Authenticator, Identity};
pub use backplane::{Alone, Backplane, Listener, NodePresence, Told, WhoIsHere};
pub use clock::Clock;
pub use credentials::{Credentials, FamilyUpdate};
pub use directory::{Directory, RoomRow, RoomSnapshot};
pub use event_store::{EventStore, LogRow, Raised, Raiser, StoredEvent, StoredKey};
pub use history::{Anchor, EventPage, History, MessagePage, Visible};
pub use live_log::{
    AdvanceError, FenceError, Fenced, Incarnation, LiveAppend, LiveAppended, LiveBounds, LiveHead, LiveLog,
    LiveRefusal, LiveTail, Opening,
};
pub use node_link::{
    Hold, Leased, NodeLife, NodeLink, NodeListener, NodeReply, NodeRequest, Packet, Peer, SettingsReport,
    SignedOutDevice,
};
pub use room_log::{Append, AppendError, Head, NewEvent, Outcome, Placement, RoomLog};
pub use shown::is_shown;
pub use span::{Cursor, Span, judge_cursor, owner};
pub use worker_leases::{LeaseUpdate, WorkerLease, WorkerLeases, Workers};

/// Why a store could not answer. Nothing that was asked has been done, unless the method says otherwise.
#[derive(Debug, Clone, thiserror::Error)]
#[error("the store does not answer: {cause}")]
pub struct Unavailable {
    /// For the operator's log; never reaches a client.
    pub cause: String,
}

impl Unavailable {
    /// Wraps what an adapter's library said.
    pub fn new(cause: impl std::fmt::Display) -> Self {
        Self { cause: cause.to_string() }
    }
}
