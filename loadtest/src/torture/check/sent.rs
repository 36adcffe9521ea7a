//! One message, from its first send on.

use bobchat_proto::ids::Position;
use bobchat_proto::wire;

use super::{Op, position, say};

/// An answer that it stands.
#[derive(Debug, Clone, Copy)]
pub(super) struct Ack {
    pub(super) position: Position,
    pub(super) id: u64,
    pub(super) ordinal: u64,
    pub(super) at: i64,
    /// When the answer came.
    pub(super) when: Op,
    /// The node that gave it, when that is known.
    pub(super) node: Option<usize>,
}

/// A message.
#[derive(Debug)]
pub(super) struct Sent {
    pub(super) room: u64,
    pub(super) author: u64,
    pub(super) text: String,
    /// When it was sent first.
    pub(super) began: Op,
    /// The different answers, each at a later position: more than one when it was renumbered between two tries.
    pub(super) acks: Vec<Ack>,
    /// Given up after an answer that said: surely not added.
    pub(super) abandoned: bool,
    /// Given up without an answer that says whether it stands.
    pub(super) left_open: bool,
}

impl Sent {
    pub(super) fn new(room: u64, author: u64, text: &str, began: Op) -> Self {
        Self { room, author, text: text.to_owned(), began, acks: Vec::new(), abandoned: false, left_open: false }
    }

    /// When it was sent, and each time it was answered.
    pub(super) fn ops(&self) -> Vec<Op> {
        std::iter::once(self.began).chain(self.acks.iter().map(|ack| ack.when)).collect()
    }

    /// Takes an answer.
    ///
    /// # Errors
    /// How it contradicts the message or an earlier answer.
    pub(super) fn take(&mut self, ack: &wire::MessageSendOk, when: Op, node: Option<usize>) -> Result<(), String> {
        let position = position(ack.position.as_ref());
        let new = Ack { position, id: ack.id, ordinal: ack.ordinal, at: ack.at, when, node };
        let Some(last) = self.acks.last().copied() else {
            self.acks.push(new);
            return if ack.room == self.room { Ok(()) } else { Err(format!("acknowledged for room {}", ack.room)) };
        };
        if last.position == position {
            let same = (last.id, last.ordinal, last.at) == (new.id, new.ordinal, new.at);
            return if same { Ok(()) } else { Err(format!("two answers at {}: {last:?} and {new:?}", say(position))) };
        }
        self.acks.push(new);
        let moved = format!("answered at {} and then at {}", say(last.position), say(position));
        if last.id != new.id {
            return Err(format!("{moved}, as two messages"));
        }
        // An answer that was long on its way may say where it stood before; never two places in one epoch.
        if last.position.epoch == position.epoch { Err(moved) } else { Ok(()) }
    }
}
