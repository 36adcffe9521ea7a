use async_trait::async_trait;
use bobchat_proto::ids::{Position, RoomId};
use bobchat_proto::wire;

use super::Unavailable;

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
}

impl Told {
    /// About how many bytes it is.
    #[must_use]
    pub fn encoded_len(&self) -> usize {
        match self {
            Self::Events(events) => events.iter().map(prost::Message::encoded_len).sum(),
            Self::Head(_) | Self::Typing(_) => 0,
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
}
