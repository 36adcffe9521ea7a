//! What is known of one room's log from what its receivers got.

use std::collections::VecDeque;
use std::hash::BuildHasher as _;

use super::violation::{Kind, Violations};
use crate::dialect::Delivery;
use crate::time::Nanos;

/// A seq farther ahead than this is no gap but a fault.
pub(super) const GAP_MAX: u64 = 1_000_000;

/// One event as it was first seen.
#[derive(Debug)]
pub(super) struct Entry {
    /// The bytes that came, until everybody has them.
    pub(super) payload: Box<[u8]>,
    /// When it was to be sent, if it is a message of this run.
    pub(super) intended: Option<Nanos>,
    pub(super) epoch: u64,
    content: u64,
    at: i64,
    ordinal: Option<u64>,
    receipts: u32,
}

impl Entry {
    pub(super) fn new(delivery: &Delivery, payload: &[u8], intended: Option<Nanos>) -> Self {
        Self {
            payload: payload.into(),
            intended,
            epoch: delivery.epoch,
            content: content(delivery),
            at: delivery.at,
            ordinal: delivery.said.as_ref().and_then(|said| said.ordinal),
            receipts: 0,
        }
    }

    /// Whether a delivery at the same position says the same.
    pub(super) fn agrees_with(&self, delivery: &Delivery) -> bool {
        self.content == content(delivery)
    }
}

/// A hash of all that an event says: two receivers may get it in different encodings.
fn content(delivery: &Delivery) -> u64 {
    foldhash::fast::FixedState::with_seed(1).hash_one(delivery)
}

/// A room's events in the order of their seq.
#[derive(Debug)]
pub(super) struct RoomLog {
    pub(super) id: u64,
    /// The seq of the first entry.
    first: u64,
    entries: VecDeque<Option<Entry>>,
    receivers: u32,
    /// The highest seq that an ack named.
    acked: u64,
}

impl RoomLog {
    pub(super) const fn new(id: u64) -> Self {
        Self { id, first: 1, entries: VecDeque::new(), receivers: 0, acked: 0 }
    }

    /// One more receives, from after `head` on.
    pub(super) fn subscribed(&mut self, head: u64) {
        self.receivers += 1;
        if self.entries.is_empty() {
            self.first = head + 1;
        }
    }

    /// Whether anybody receives this room.
    pub(super) const fn is_watched(&self) -> bool {
        self.receivers > 0
    }

    /// The highest seq that is known to exist.
    pub(super) fn last_seq(&self) -> u64 {
        (self.first + self.entries.len() as u64 - 1).max(self.acked)
    }

    /// An ack says that the room reaches this far.
    pub(super) fn reaches(&mut self, seq: u64) {
        self.acked = self.acked.max(seq);
    }

    pub(super) fn entry(&self, seq: u64) -> Option<&Entry> {
        let place = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get(place)?.as_ref()
    }

    pub(super) fn entry_mut(&mut self, seq: u64) -> Option<&mut Entry> {
        let place = usize::try_from(seq.checked_sub(self.first)?).ok()?;
        self.entries.get_mut(place)?.as_mut()
    }

    pub(super) fn insert(&mut self, seq: u64, entry: Entry) {
        while seq < self.first {
            self.first -= 1;
            self.entries.push_front(None);
        }
        let place = usize::try_from(seq - self.first).unwrap_or(usize::MAX);
        while self.entries.len() <= place {
            self.entries.push_back(None);
        }
        if let Some(slot) = self.entries.get_mut(place) {
            *slot = Some(entry);
        }
    }

    /// One more has the event; when it was the last, its bytes are not needed any more.
    pub(super) fn received(&mut self, seq: u64) {
        let receivers = self.receivers;
        if let Some(entry) = self.entry_mut(seq) {
            entry.receipts += 1;
            if entry.receipts >= receivers {
                entry.payload = Box::default();
            }
        }
    }

    /// Ordinals count messages without a hole, and times grow.
    pub(super) fn check_numbers(&self, violations: &mut Violations) {
        let mut before: Option<&Entry> = None;
        let mut ordinal_before = None;
        for entry in &self.entries {
            let Some(entry) = entry else {
                (before, ordinal_before) = (None, None);
                continue;
            };
            if before.is_some_and(|before| entry.at <= before.at) {
                violations.add(Kind::Numbers, || format!("room {}: time stands still or goes back", self.id));
            }
            if let (Some(last), Some(ordinal)) = (ordinal_before, entry.ordinal)
                && ordinal != last + 1
            {
                violations.add(Kind::Numbers, || format!("room {}: ordinal {ordinal} follows {last}", self.id));
            }
            before = Some(entry);
            ordinal_before = entry.ordinal.or(ordinal_before);
        }
    }
}
