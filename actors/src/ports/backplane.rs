use async_trait::async_trait;
use bobchat_proto::ids::{Position, RoomId, UserId};
use bobchat_proto::wire;

use super::{NodeLife, Unavailable};

/// What is told between nodes about a room. All of it may be lost, late or told twice: whoever needs to be sure
/// looks at the room's log.
#[derive(Debug, Clone, PartialEq)]
pub enum Told {
    /// Another node appended these events, in this order.
    Events(Vec<wire::Event>),
    /// The log stands here; without a position: something may have been missed.
    Head(Option<Position>),
    /// Somebody at another node is typing.
    Typing(wire::TypingSignal),
    /// Which people another node has there.
    Presence(NodePresence),
    /// From here on the room is heard; what was told before may have been missed.
    Anew,
}

/// Which of a room's people are connected to a node.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodePresence {
    /// Which life of the node tells.
    pub life: NodeLife,
    /// Counts what this life told of the room, from 1.
    pub number: u64,
    /// Who.
    pub who: WhoIsHere,
    /// How many the node has in all; not all need be named.
    pub count: u64,
    /// Whether the others shall tell everybody too.
    pub ask: bool,
}

/// Whom a node tells of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum WhoIsHere {
    /// Everybody who is there, up to [`bobchat_proto::limits::PRESENT_USERS_MAX`].
    Everybody(Vec<UserId>),
    /// Who came and who left since the number before.
    Changed {
        /// Who came.
        came: Vec<UserId>,
        /// Who left.
        left: Vec<UserId>,
    },
}

impl Told {
    /// About how many bytes it is.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Events(events) => events.iter().map(prost::Message::encoded_len).sum(),
            Self::Presence(NodePresence { who: WhoIsHere::Everybody(users), .. }) => size_of_val(users.as_slice()),
            Self::Presence(NodePresence { who: WhoIsHere::Changed { came, left }, .. }) => {
                size_of_val(came.as_slice()) + size_of_val(left.as_slice())
            }
            Self::Head(_) | Self::Typing(_) | Self::Anew => 0,
        }
    }
}

/// Takes what is told. Must not block.
pub trait Listener: Send + Sync {
    /// Something was told about a room that is followed.
    fn told(&self, room: RoomId, told: Told);
}

/// Carries what is told between nodes. Events are told by the log as it takes them: see [`super::RoomLog`].
#[async_trait]
pub trait Backplane: Send + Sync {
    /// Lets this node hear of a room. On return everything that is told from now on is heard, or it is told that
    /// something may have been missed. Counts: a room is followed as often as this was called.
    ///
    /// # Errors
    /// [`Unavailable`]: the room is not followed.
    async fn follow(&self, room: RoomId) -> Result<(), Unavailable>;

    /// Takes back one [`Backplane::follow`].
    fn unfollow(&self, room: RoomId);

    /// Tells the other nodes that follow the room that somebody is typing there.
    fn tell_typing(&self, typing: wire::TypingSignal);

    /// Tells the other nodes that follow the room which of its people are here.
    ///
    /// # Errors
    /// [`Unavailable`]: it may not have been told.
    async fn tell_presence(&self, room: RoomId, presence: NodePresence) -> Result<(), Unavailable>;
}

/// The backplane of a node that is alone.
#[derive(Debug, Clone, Copy, Default)]
pub struct Alone;

#[async_trait]
impl Backplane for Alone {
    async fn follow(&self, _: RoomId) -> Result<(), Unavailable> {
        Ok(())
    }

    fn unfollow(&self, _: RoomId) {}

    fn tell_typing(&self, _: wire::TypingSignal) {}

    async fn tell_presence(&self, _: RoomId, _: NodePresence) -> Result<(), Unavailable> {
        Ok(())
    }
}
