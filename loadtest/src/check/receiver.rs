//! What one receiver has got of its room.

use std::collections::BTreeSet;

use super::RoomSlot;
use super::violation::{Kind, Violations};

/// One receiver of one room. Everything below `next` has come, but for what is `missing`.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(super) room: RoomSlot,
    pub(super) next: u64,
    missing: BTreeSet<u64>,
}

impl Receiver {
    pub(super) const fn new(room: RoomSlot, head: u64) -> Self {
        Self { room, next: head + 1, missing: BTreeSet::new() }
    }

    /// Notes an event. `true` when it is the first time.
    pub(super) fn take(&mut self, seq: u64, violations: &mut Violations, room: u64) -> bool {
        if seq >= self.next {
            self.missing.extend(self.next..seq);
            self.next = seq + 1;
            return true;
        }
        if self.missing.remove(&seq) {
            violations.add(Kind::Order, || format!("room {room} seq {seq} came after a later one"));
            return true;
        }
        violations.add(Kind::Double, || format!("room {room} seq {seq} came twice"));
        false
    }

    /// Notes what never came up to `last`.
    pub(super) fn finish(&self, last: u64, room: u64, violations: &mut Violations) {
        for seq in self.missing.iter().copied().chain(self.next..=last) {
            violations.add(Kind::Loss, || format!("room {room} seq {seq} never came to a receiver"));
        }
    }
}
