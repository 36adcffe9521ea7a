use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::{DeviceId, NodeId, Position, RoomId, UserId};
use bobchat_proto::wire;

use super::{Alone, Unavailable};

/// One life of a node: from when it took its lease until it lost it. A node that was frozen for longer than its
/// lease lasts comes back as another life, so that nobody takes what it said before for what is so now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NodeLife {
    /// The node.
    pub node: NodeId,
    /// Which of its lives: a random number.
    pub life: u64,
}

/// What a node's lease says of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Peer {
    /// Whose lease it is.
    pub life: NodeLife,
    /// The version of its program.
    pub version: String,
    /// Where clients reach it.
    pub address: String,
    /// When its process started, in microseconds since 1970.
    pub started_at: i64,
}

/// A lease that somebody has.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leased {
    /// Who.
    pub peer: Peer,
    /// How long it lasts if it is not renewed.
    pub remaining: Duration,
}

/// What came of asking for a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Hold {
    /// The asker has it. All leases, its own among them.
    Held(Vec<Leased>),
    /// It was to be renewed and is not there any more: others may have seen it end.
    Lost,
    /// Another life has the node's lease.
    Taken,
}

/// What one node says to another, or to all. All of it may be lost, late or said twice.
#[derive(Debug, Clone, PartialEq)]
pub enum Packet {
    /// Wants an answer.
    Ask {
        /// Names it among the asker's.
        id: u64,
        /// What is asked.
        request: NodeRequest,
    },
    /// Is one.
    Reply {
        /// The question's.
        id: u64,
        /// What is answered.
        reply: NodeReply,
    },
    /// The sender took a lease.
    Came,
    /// The sender gave its lease back.
    Left,
    /// A user's list of rooms changed.
    Membership {
        /// The user.
        user: UserId,
        /// What their devices are told.
        signal: wire::MembershipSignal,
    },
    /// Operators changed settings.
    SettingsChanged,
}

/// What a node can be asked. Asked twice, it does no harm.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NodeRequest {
    /// What do you do now?
    Status,
    /// Close the connections of who signed out.
    SignOut(SignedOutDevice),
    /// Where did you see these events of a room?
    Places {
        /// The room.
        room: RoomId,
        /// The identifiers of its events: no more than one batch has.
        ids: Vec<u64>,
    },
    /// Which settings hold at you?
    Settings,
}

/// Which settings of operators hold at a node. What they are about is known outside of the core.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SettingsReport {
    /// The version that was applied last; 0 before the first.
    pub version: u64,
    /// A newer version that was refused.
    pub refused: Option<u64>,
    /// Why.
    pub faults: Vec<String>,
    /// Keys that this program does not know.
    pub ignored: Vec<String>,
    /// When the newest version was last read, in microseconds since 1970.
    pub looked_at: i64,
    /// Whether the node goes by its own configuration alone.
    pub unheeded: bool,
}

/// A device that signed out, or all devices of a user.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SignedOutDevice {
    /// The user.
    pub user: UserId,
    /// The device; all of the user's when there is none.
    pub device: Option<DeviceId>,
}

/// What a node answers.
#[derive(Debug, Clone, PartialEq)]
pub enum NodeReply {
    /// What it does now.
    Status(wire::NodeStatus),
    /// Connections were told to close.
    SignedOut {
        /// How many.
        connections: u32,
    },
    /// Events that were seen, by identifier, and where they stood first.
    Places(Vec<(u64, Position)>),
    /// Which settings hold there.
    Settings(SettingsReport),
}

/// Takes what other nodes say. Must not block.
pub trait NodeListener: Send + Sync {
    /// Another node said something.
    fn heard(&self, from: NodeLife, packet: Packet);
}

/// Lets nodes know of each other, and carries what they say.
#[async_trait]
pub trait NodeLink: Send + Sync {
    /// Takes the lease of a node for `lasting`, or renews it. While it lasts no other life has it; when it ends it
    /// is gone without anybody's doing. `renewing` says that the asker believes to have it: then it is not taken
    /// anew where it is missing, for others may have seen that.
    ///
    /// Asking again with the same `peer` after an error is harmless.
    ///
    /// # Errors
    /// [`Unavailable`]: it is not known whether the lease was taken or renewed.
    async fn hold(&self, peer: &Peer, lasting: Duration, renewing: bool) -> Result<Hold, Unavailable>;

    /// All leases that somebody has.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn leases(&self) -> Result<Vec<Leased>, Unavailable>;

    /// Gives a lease back; nothing happens when this life does not have it.
    ///
    /// # Errors
    /// [`Unavailable`]: it ends by itself.
    async fn let_go(&self, life: NodeLife) -> Result<(), Unavailable>;

    /// Says something to one node, or to all others.
    ///
    /// # Errors
    /// [`Unavailable`]: it may not have been sent.
    async fn send(&self, from: NodeLife, to: Option<NodeId>, packet: Packet) -> Result<(), Unavailable>;

    /// Notes that somebody signed out, for nodes that do not hear now. Kept for longer than access tokens live.
    ///
    /// # Errors
    /// [`Unavailable`]: it may not be noted.
    async fn note_sign_out(&self, who: SignedOutDevice) -> Result<(), Unavailable>;

    /// Who signed out behind a mark, and the next mark. Without one nobody, and the mark of now.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn signed_out_since(&self, mark: Option<u64>) -> Result<(Vec<SignedOutDevice>, u64), Unavailable>;
}

#[async_trait]
impl NodeLink for Alone {
    async fn hold(&self, peer: &Peer, lasting: Duration, _: bool) -> Result<Hold, Unavailable> {
        Ok(Hold::Held(vec![Leased { peer: peer.clone(), remaining: lasting }]))
    }

    async fn leases(&self) -> Result<Vec<Leased>, Unavailable> {
        Ok(Vec::new())
    }

    async fn let_go(&self, _: NodeLife) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn send(&self, _: NodeLife, _: Option<NodeId>, _: Packet) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn note_sign_out(&self, _: SignedOutDevice) -> Result<(), Unavailable> {
        Ok(())
    }

    async fn signed_out_since(&self, _: Option<u64>) -> Result<(Vec<SignedOutDevice>, u64), Unavailable> {
        Ok((Vec::new(), 0))
    }
}
