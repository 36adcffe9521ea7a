//! Holds a page of history against what is known of the room.

use super::violation::Kind;
use super::{Checker, RoomSlot};
use crate::dialect::Delivery;

impl Checker {
    /// Takes a page of messages, oldest first; `before` is what it was asked for. It must say what was delivered, in
    /// the room's order, and leave no message out between its first and its last.
    pub(crate) fn read_page(&mut self, slot: RoomSlot, page: &[Delivery], before: Option<u64>) {
        let Some(room) = self.rooms.get(slot.0) else { return };
        let (violations, id) = (&mut self.violations, room.id);
        let mut earlier: Option<&Delivery> = None;
        for message in page {
            if message.room != id || before.is_some_and(|before| message.seq >= before) {
                violations.add(Kind::Order, || format!("a page of room {id} has seq {} out of place", message.seq));
            }
            if let Some(entry) = room.entry(message.seq)
                && !entry.agrees_with(message)
            {
                violations.add(Kind::Disagreement, || {
                    format!("room {id} seq {} is not the same on a page and live", message.seq)
                });
            }
            match earlier {
                Some(earlier) if message.seq <= earlier.seq => {
                    violations.add(Kind::Order, || {
                        format!("a page of room {id} has seq {} after {}", message.seq, earlier.seq)
                    });
                }
                Some(earlier) if !follows(earlier, message) => {
                    violations.add(Kind::Hole, || {
                        format!(
                            "a page of room {id} leaves out messages between seq {} and {}",
                            earlier.seq, message.seq
                        )
                    });
                }
                _ => {}
            }
            earlier = Some(message);
        }
    }
}

/// Whether no message stands between two of a page: ordinals count messages alone.
fn follows(earlier: &Delivery, later: &Delivery) -> bool {
    let ordinal = |delivery: &Delivery| delivery.said.as_ref().and_then(|said| said.ordinal);
    match (ordinal(earlier), ordinal(later)) {
        (Some(earlier), Some(later)) => later == earlier + 1,
        _ => true,
    }
}
