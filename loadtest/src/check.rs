//! Holds every message against what was promised: nothing lost, doubled, reordered or different
//! between receivers, and acks that say what the events say.

mod counts;
mod page;
mod receiver;
mod room;
mod violation;

use std::collections::HashMap;

use crate::dialect::{Delivery, Placed};
use crate::message::Messages;
use crate::time::{Nanos, micros};

pub(crate) use counts::{Counts, LATENCY_US_MAX};
pub(crate) use receiver::Receiver;
use room::{Entry, RoomLog};
pub use violation::Kind;
pub(crate) use violation::Violations;

/// How many of the newest messages tell whether all have arrived.
const NEWEST: usize = 10_000;

/// Names a room of the run, in the order in which they were added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct RoomSlot(usize);

/// The newest event of a room, as a subscription was told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) epoch: u64,
    pub(crate) seq: u64,
}

/// What became of a message that was sent.
#[derive(Debug)]
struct Sent {
    room: RoomSlot,
    /// When it was to be sent: a stall of the harness or of the server counts.
    intended: Nanos,
    is_acked: bool,
    /// Where its ack says that it stands.
    placed: Option<(u64, u64)>,
    /// The first event that carried it.
    event: Option<(u64, u64)>,
    refused: bool,
}

/// Checks one fleet's messages.
#[derive(Debug)]
pub(crate) struct Checker {
    messages: Messages,
    slots: HashMap<u64, RoomSlot>,
    rooms: Vec<RoomLog>,
    sent: Vec<Sent>,
    acked_in_all: u64,
    refused_in_all: u64,
    counts: Counts,
    violations: Violations,
}

impl Checker {
    /// Nothing sent yet.
    ///
    /// # Errors
    /// None in practice: the bounds of the histograms are constants.
    pub(crate) fn new(messages: Messages) -> anyhow::Result<Self> {
        Ok(Self {
            messages,
            slots: HashMap::new(),
            rooms: Vec::new(),
            sent: Vec::new(),
            acked_in_all: 0,
            refused_in_all: 0,
            counts: Counts::new()?,
            violations: Violations::default(),
        })
    }

    /// Counts from 0 again; what was sent before stays checked.
    pub(crate) fn begin(&mut self) {
        self.counts.reset();
    }

    /// What was counted.
    pub(crate) const fn counts(&self) -> &Counts {
        &self.counts
    }

    /// Counts what happened outside messages.
    pub(crate) const fn counts_mut(&mut self) -> &mut Counts {
        &mut self.counts
    }

    /// What went wrong so far.
    pub(crate) const fn violations(&self) -> &Violations {
        &self.violations
    }

    /// Notes what went wrong outside messages: a connection closed, a frame that cannot be read.
    pub(crate) fn fault(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        self.violations.add(kind, detail);
    }

    /// The place of a room, which is added if it is new.
    pub(crate) fn room(&mut self, id: u64) -> RoomSlot {
        *self.slots.entry(id).or_insert_with(|| {
            self.rooms.push(RoomLog::new(id));
            RoomSlot(self.rooms.len() - 1)
        })
    }

    /// Somebody receives `room` from after `head` on.
    pub(crate) fn subscribed(&mut self, slot: RoomSlot, head: Head) -> Receiver {
        if let Some(room) = self.rooms.get_mut(slot.0) {
            room.subscribed(head.seq);
        }
        Receiver::new(slot, head)
    }

    /// A message is about to be sent; gives its index.
    pub(crate) fn sending(&mut self, room: RoomSlot, intended: Nanos) -> u64 {
        self.sent.push(Sent { room, intended, is_acked: false, placed: None, event: None, refused: false });
        self.counts.sent += 1;
        self.sent.len() as u64 - 1
    }

    /// How many messages wait for their ack.
    pub(crate) fn unacked(&self) -> u64 {
        self.sent.len() as u64 - self.acked_in_all - self.refused_in_all
    }

    /// Whether this receiver has got all that is known to exist, holes aside.
    pub(crate) fn is_delivered_to(&self, receiver: &Receiver) -> bool {
        self.rooms.get(receiver.room.0).is_none_or(|room| receiver.next > room.last_seq())
    }

    /// Whether the newest messages were seen by somebody: ends the wait where nothing is acked.
    pub(crate) fn newest_seen(&self) -> bool {
        self.sent.iter().rev().take(NEWEST).all(|sent| sent.event.is_some() || sent.refused)
    }

    /// Notes a read that brought deliveries.
    pub(crate) const fn read(&mut self) {
        self.counts.reads += 1;
    }

    /// Takes a delivery whose bytes are those of the event that this receiver waits for. The server
    /// encodes an event once, so this is the way of nearly all; it decodes nothing. `false`: decode it.
    pub(crate) fn take_same_bytes(&mut self, receiver: &mut Receiver, payload: &[u8], now: Nanos) -> bool {
        let Some(room) = self.rooms.get_mut(receiver.room.0) else { return false };
        let Some(entry) = room.entry_mut(receiver.next) else { return false };
        if *entry.payload != *payload {
            return false;
        }
        receiver.next += 1;
        receiver.epoch = entry.epoch;
        let intended = entry.intended;
        room.received(receiver.next - 1);
        self.count_delivery(receiver, intended, now);
        true
    }

    /// Takes a delivery that had to be decoded.
    pub(crate) fn take(&mut self, receiver: &mut Receiver, delivery: &Delivery, payload: &[u8], now: Nanos) {
        let Some(room) = self.rooms.get_mut(receiver.room.0) else { return };
        if delivery.room != room.id {
            let id = room.id;
            return self.violations.add(Kind::Protocol, || format!("room {id} got an event of room {}", delivery.room));
        }
        if delivery.seq > room.last_seq().max(receiver.next) + room::GAP_MAX {
            return self.violations.add(Kind::Protocol, || format!("seq {} came out of nowhere", delivery.seq));
        }
        let intended = match room.entry_mut(delivery.seq) {
            Some(entry) => {
                let (agrees, intended) = (entry.agrees_with(delivery), entry.intended);
                if !agrees {
                    self.violations.add(Kind::Disagreement, || {
                        format!("room {} seq {} is not the same for all receivers", delivery.room, delivery.seq)
                    });
                }
                intended
            }
            None => self.first_sight(receiver.room, delivery, payload),
        };
        if receiver.take(delivery.seq, &mut self.violations, delivery.room) {
            receiver.epoch = delivery.epoch;
            if let Some(room) = self.rooms.get_mut(receiver.room.0) {
                room.received(delivery.seq);
            }
            self.count_delivery(receiver, intended, now);
        }
    }

    /// Somebody is the first to see an event: compares it with what was sent.
    fn first_sight(&mut self, slot: RoomSlot, delivery: &Delivery, payload: &[u8]) -> Option<Nanos> {
        let intended = self.message_of(slot, delivery);
        if let Some(room) = self.rooms.get_mut(slot.0) {
            room.insert(delivery.seq, Entry::new(delivery, payload, intended));
        }
        intended
    }

    fn message_of(&mut self, slot: RoomSlot, delivery: &Delivery) -> Option<Nanos> {
        let said = delivery.said.as_ref()?;
        let index = said.index?;
        let place = || format!("room {} seq {}", delivery.room, delivery.seq);
        let Some(sent) = usize::try_from(index).ok().and_then(|index| self.sent.get_mut(index)) else {
            self.violations.add(Kind::Text, || format!("{} has a message that was never sent", place()));
            return None;
        };
        if said.text != self.messages.text(index) || sent.room != slot {
            self.violations.add(Kind::Text, || format!("{} is not what was sent", place()));
        }
        if let Some((earlier, _)) = sent.event {
            self.violations.add(Kind::Double, || format!("{} adds a message again that stands at {earlier}", place()));
            return None;
        }
        sent.event = Some((delivery.seq, delivery.id));
        Some(sent.intended)
    }

    fn count_delivery(&mut self, receiver: &Receiver, intended: Option<Nanos>, now: Nanos) {
        self.counts.events += 1;
        if let Some(intended) = intended {
            self.counts.delivered += 1;
            let latency = micros(now.saturating_sub(intended));
            match receiver.is_slow {
                true => self.counts.slow_latency.saturating_record(latency),
                false => self.counts.delivery_latency.saturating_record(latency),
            }
        }
    }

    /// Takes an ack, which may not say where the message stands.
    pub(crate) fn ack(&mut self, index: u64, placed: Option<Placed>, now: Nanos) {
        let Some(sent) = usize::try_from(index).ok().and_then(|index| self.sent.get_mut(index)) else {
            return self.violations.add(Kind::Ack, || format!("an ack for request {index} that was never made"));
        };
        if std::mem::replace(&mut sent.is_acked, true) {
            return self.violations.add(Kind::Ack, || format!("message {index} was acked twice"));
        }
        sent.placed = placed.map(|placed| (placed.seq, placed.id));
        self.acked_in_all += 1;
        self.counts.acked += 1;
        self.counts.ack_latency.saturating_record(micros(now.saturating_sub(sent.intended)));
        let Some(placed) = placed else { return };
        match self.rooms.get_mut(sent.room.0) {
            Some(room) if room.id == placed.room => room.reaches(placed.seq),
            _ => self.violations.add(Kind::Ack, || format!("message {index} was acked for room {}", placed.room)),
        }
    }

    /// A message was refused.
    pub(crate) fn refused(&mut self, index: u64, detail: impl FnOnce() -> String) {
        if let Some(sent) = usize::try_from(index).ok().and_then(|index| self.sent.get_mut(index)) {
            sent.refused = true;
            self.refused_in_all += 1;
        }
        self.violations.add(Kind::Refused, detail);
    }

    /// Looks for what one receiver did not get; nothing if it receives no room.
    pub(crate) fn finish_receiver(&mut self, receiver: Option<&Receiver>) {
        if let Some(receiver) = receiver
            && let Some(room) = self.rooms.get(receiver.room.0)
        {
            receiver.finish(room.last_seq(), room.id, &mut self.violations);
        }
    }

    /// Looks for what nobody got. `expects_acks`: each message must have been acked.
    pub(crate) fn finish(&mut self, expects_acks: bool) {
        for room in &self.rooms {
            room.check_numbers(&mut self.violations);
        }
        for (index, sent) in self.sent.iter().enumerate().filter(|(_, sent)| !sent.refused) {
            let room = self.rooms.get(sent.room.0);
            let watched = room.is_some_and(RoomLog::is_watched);
            match (sent.placed, sent.event) {
                (Some(placed), Some(event)) if placed != event => self.violations.add(Kind::Ack, || {
                    format!("message {index} was acked at seq {} and stands at seq {}", placed.0, event.0)
                }),
                _ if expects_acks && !sent.is_acked => {
                    self.violations.add(Kind::Unacked, || format!("message {index} was never acked"));
                }
                (_, None) if watched => {
                    self.violations.add(Kind::Loss, || format!("message {index} reached nobody"));
                }
                _ => {}
            }
        }
    }
}

#[cfg(test)]
mod tests;
