use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::calls::EVENTS_PER_CALL;
use super::{Call, Job, Need, Outgoing, Plant, Reply, Send, SendEnd, SendJob, Step};
use crate::ports::{LiveBounds, NewEvent};
use crate::room::body_hash;

/// What a salvage comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SalvageEnd {
    /// So many events stand in the log again, or stood there already; ask for the rest.
    Saved(usize),
    /// Do this first.
    Again(Need),
    /// Not now: after a pause.
    Later,
}

/// Puts back what a node holds of epochs that were lost (rule 16): under the same keys and identifiers, in their
/// old order. What was acked is renumbered, not lost.
#[derive(Debug)]
pub struct Salvage {
    send: Send,
    /// Where the events stood, in their order.
    old: Vec<Position>,
    releasing: Option<SalvageEnd>,
}

impl Salvage {
    /// Puts back a first part of what is lost to `epoch`, which is loaded; `lost` is in its old order
    /// ([`super::Unarchived::lost`]).
    #[must_use]
    pub fn new(room: RoomId, epoch: Epoch, lost: Vec<wire::Event>, deadline: i64, bounds: LiveBounds) -> Self {
        let batch = first_batch(lost);
        let old = batch.iter().map(wire::Event::position).collect();
        let job = SendJob {
            room,
            epoch,
            // Nothing is decided again, so nothing that was known matters.
            known_seq: Sequence::ZERO,
            state_seq: Sequence::ZERO,
            events: batch.into_iter().map(outgoing).collect(),
            deadline,
            bounds,
            history: false,
            in_doubt: false,
        };
        Self { send: Send::salvage(job), old, releasing: None }
    }
}

/// Rule 5: an event that changes the state ends a batch.
fn first_batch(lost: Vec<wire::Event>) -> Vec<wire::Event> {
    let is_message = |event: &wire::Event| matches!(event.body, Some(Body::Message(_)));
    let messages = lost.iter().take_while(|event| is_message(event)).count();
    lost.into_iter().take(messages.saturating_add(1).min(EVENTS_PER_CALL)).collect()
}

/// Rule 16: the same key, the same id; the table is asked; the first position stays.
fn outgoing(event: wire::Event) -> Outgoing {
    let first = event.first.or(Some(event.position().into())).filter(|_| !Plant::ForgetFirst.is_planted());
    let body_hash = event.body.as_ref().map_or(0, body_hash);
    let event = wire::Event { first, epoch: 0, seq: 0, at: 0, ordinal: None, ..event };
    Outgoing { new: NewEvent { event, body_hash, made_at: None }, ask: true }
}

impl Job for Salvage {
    type End = SalvageEnd;

    fn room(&self) -> RoomId {
        self.send.room()
    }

    fn next(&mut self) -> Step<SalvageEnd> {
        if let Some(end) = self.releasing {
            return Step::Done(end);
        }
        match self.send.next() {
            Step::Call(call) => Step::Call(call),
            // Each one is held at its new place now, or stored: only then the old one goes.
            Step::Done(SendEnd::Placed { .. }) => Step::Call(Call::Release(self.old.clone())),
            Step::Done(SendEnd::Again { need, .. }) => Step::Done(SalvageEnd::Again(need)),
            Step::Done(SendEnd::Busy { .. } | SendEnd::Closed | SendEnd::Unknown) => Step::Done(SalvageEnd::Later),
        }
    }

    fn on(&mut self, reply: Reply) {
        match self.send.next() {
            Step::Call(_) => self.send.on(reply),
            Step::Done(_) => self.releasing = Some(SalvageEnd::Saved(self.old.len())),
        }
    }
}
