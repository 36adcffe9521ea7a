//! One client's stream of one room.

use bobchat_proto::ids::Position;
use bobchat_proto::wire;

use super::{place, say};
use crate::check::Kind;

/// Everything up to `last` has come, or was in a gap that the client was told of.
#[derive(Debug, Clone, Copy)]
pub(super) struct Stream {
    last: Position,
}

impl Stream {
    pub(super) const fn new(after: Position) -> Self {
        Self { last: after }
    }

    /// Takes an event, which must be the next.
    ///
    /// # Errors
    /// What is wrong with it. The stream goes on behind it, so that each fault is said once.
    pub(super) fn take(&mut self, event: &wire::Event) -> Result<(), (Kind, String)> {
        let (last, here) = (self.last, place(event));
        self.last = self.last.max(here);
        let came = || format!("{} came after {}", say(here), say(last));
        if here.seq == last.seq.next() {
            return if here.epoch >= last.epoch { Ok(()) } else { Err((Kind::Order, came())) };
        }
        if here.seq > last.seq {
            return Err((Kind::Hole, came()));
        }
        if here.epoch > last.epoch {
            // The client holds other events at these numbers and was not told to drop them.
            return Err((Kind::Order, format!("{} without a reset", came())));
        }
        let kind = if here == last { Kind::Double } else { Kind::Order };
        Err((kind, came()))
    }
}
