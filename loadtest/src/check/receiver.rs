//! What one receiver has got of its room.

use std::collections::BTreeSet;

use super::violation::{Kind, Violations};
use super::{Head, RoomSlot};

/// One receiver of one room. Everything below `next` has come, but for what is `missing`.
#[derive(Debug)]
pub(crate) struct Receiver {
    pub(super) room: RoomSlot,
    pub(super) next: u64,
    /// The epoch of the newest event that came: with `next`, the cursor.
    pub(super) epoch: u64,
    /// Whether it reads slowly on purpose: its latencies are counted apart.
    pub(super) is_slow: bool,
    missing: BTreeSet<u64>,
}

impl Receiver {
    pub(super) const fn new(room: RoomSlot, head: Head) -> Self {
        Self { room, next: head.seq + 1, epoch: head.epoch, is_slow: false, missing: BTreeSet::new() }
    }

    /// Counts its latencies apart from now on.
    #[must_use]
    pub(crate) const fn slow(mut self, is_slow: bool) -> Self {
        self.is_slow = is_slow;
        self
    }

    /// The position of the last event that came: from there it goes on, on another connection.
    pub(crate) const fn cursor(&self) -> Head {
        Head { epoch: self.epoch, seq: self.next - 1 }
    }

    /// The server said that it cannot go on from the cursor, and goes on after `head`: what lies between never
    /// comes.
    pub(crate) const fn reset(&mut self, head: Head) {
        self.next = head.seq + 1;
        self.epoch = head.epoch;
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
