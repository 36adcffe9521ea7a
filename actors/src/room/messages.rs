//! What can be asked of a room.

use std::sync::Weak;

use actix::Message;
use bobchat_proto::ids::{Position, UserId};
use bobchat_proto::wire::{self, Role};
use tokio::sync::{OwnedSemaphorePermit, oneshot};

use super::{Answer, Command};
use crate::hub::{SessionId, Subscriber};
use crate::operations::Acting;
use crate::ports::{Told, Visible};

/// Do something. Answered through `reply`; a reply that is dropped means that it is not known whether the
/// command took effect.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Ask {
    /// Who.
    pub acting: Acting,
    /// What.
    pub command: Command,
    /// The client's idempotency key.
    pub key: Option<Key>,
    /// Where the answer goes.
    pub reply: oneshot::Sender<Result<Answer, wire::Error>>,
    /// What the answer is a part of, for traces.
    pub span: tracing::Span,
}

/// Names a request, so that a repeat is known as one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Unique among all that the same user asks of the same room.
    pub text: String,
    /// When the client made it, in microseconds since 1970 by its clock, where it surely asks for the first time.
    pub made_at: Option<i64>,
}

impl Key {
    /// A key that may have been used before.
    #[must_use]
    pub fn repeated(text: String) -> Self {
        Self { text, made_at: None }
    }
}

/// Something was told about the room by another node.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Heard {
    /// What.
    pub told: Told,
    /// Belongs to the trace of what was said there; what the room does with it goes below.
    pub span: tracing::Span,
    /// Its share of what may wait, given back when it is handled.
    pub weight: OwnedSemaphorePermit,
}

/// Nodes came or are gone.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct NodesChanged {
    /// Whether some came.
    pub came: bool,
    /// Whether this node has another life.
    pub own: bool,
}

/// Where did you see these events first? Answered with those that were seen lately.
#[derive(Debug, Message)]
#[rtype(result = "Vec<(u64, Position)>")]
pub struct FirstPlaces {
    /// The identifiers of the events.
    pub ids: Vec<u64>,
}

/// What may I see?
#[derive(Debug, Message)]
#[rtype(result = "Result<Inspected, wire::Error>")]
pub struct Inspect {
    /// Who asks.
    pub acting: Acting,
    /// Whether the people who are here are asked for too.
    pub presence: bool,
}

/// What somebody may see of a room.
#[derive(Debug)]
pub struct Inspected {
    /// The room as it stands in lists.
    pub room: wire::Room,
    /// Their role, when they are a member.
    pub role: Option<Role>,
    /// The stretches of the log that they may see; none when they never were a member.
    pub visible: Option<Visible>,
    /// Members with a connection that receives the room, as many as are listed.
    pub present: Vec<UserId>,
    /// How many there are in all.
    pub present_count: u64,
}

/// From where on could I receive the room? Nothing comes back where the cursor is ahead of what the room has applied
/// and the log may reach as far: read where the log stands, and ask again with that (log protocol, rule 26).
#[derive(Debug, Message)]
#[rtype(result = "Result<Option<Inquired>, wire::Error>")]
pub struct Inquire {
    /// Who asks.
    pub acting: Acting,
    /// Where the client was; none for live events only.
    pub cursor: Option<Position>,
    /// Where the log stood, read after the client said its cursor.
    pub log_head: Option<Position>,
}

/// From where on somebody can receive a room.
#[derive(Debug, Clone)]
pub struct Inquired {
    /// What the client is told.
    pub answer: wire::SubscribeOk,
    /// The position after which its events begin.
    pub after: Position,
}

/// Let this connection receive the room, from `after` on.
#[derive(Debug, Message)]
#[rtype(result = "Attached")]
pub struct Attach {
    /// Who asks.
    pub acting: Acting,
    /// The connection.
    pub subscriber: Subscriber,
    /// The worker thread that it is on.
    pub worker: usize,
    /// Held by who asks for as long as they want it: what comes of this must not reach who has begun anew since.
    pub wanted: Weak<()>,
    /// The last position that it has seen or was sent. The log may have lost it since the room was asked about it.
    pub after: Position,
}

/// What came of attaching a connection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Attached {
    /// The missing events are on their way, and everything after them.
    Live,
    /// Too much is missing: read what is visible up to `applied` from history, then attach again.
    Behind {
        /// The position up to which `visible` is true.
        applied: Position,
        /// The stretches of the log that the user may see, up to `applied`.
        visible: Visible,
    },
    /// The user is not a member: nothing comes but what is visible to them of the past.
    Ended {
        /// The stretches of the log that the user may see.
        visible: Visible,
        /// Where the room stands, by whose epochs they are told.
        head: Position,
    },
    /// The log has lost what the connection was sent last: tell it to drop what it has, and attach again after `head`.
    Lost {
        /// Where the room stands.
        head: Position,
    },
    /// The room cannot be reached: try again.
    Unavailable,
}

/// Let this connection receive the room no more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Detach {
    /// The connection.
    pub session: SessionId,
}

/// Tell the others that this user is typing.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), wire::Error>")]
pub struct TypingHint {
    /// Who.
    pub acting: Acting,
}
