use std::collections::VecDeque;
use std::time::Duration;

use bobchat_proto::error::ErrorCode;
use bobchat_proto::ids::{EventId, Ordinal, Position, Sequence, UserId};
use bobchat_proto::wire::{self, event::Body};
use prost::Message as _;
use tokio::time::Instant;

use super::ring::Ring;
use super::{Command, Decision, Key, RoomState, decide};
use crate::operations::Acting;
use crate::plant::{self, Bug};
use crate::ports::{Append, AppendError, Cursor, NewEvent, Outcome, Placement, Unavailable, judge_cursor, owner};
use doubt::first_place;
use pending::Pending;

/// Commands that may wait in a room. A window of 32 from each of a hundred busy members; whoever comes
/// after that is told `busy`.
const PENDING_MAX: usize = 4096;

/// Events in one batch: enough that the cost of a commit is spread, few enough that the first one does not
/// wait long.
const BATCH_EVENTS_MAX: usize = 512;

/// Bytes in one batch.
const BATCH_BYTES_MAX: usize = 1024 * 1024;

/// How long a command may be on its way before its sender is told `unknown`.
const COMMAND_DEADLINE: Duration = Duration::from_secs(10);

/// How often a command is decided again because the room was behind its log. Each time the room has
/// caught up first, so a second time is rare and a fourth means that something is wrong.
const ATTEMPTS_MAX: u8 = 4;

/// The wait that is advised to whoever finds a room full.
const BUSY_RETRY: Duration = Duration::from_millis(250);

/// What a command came to.
#[derive(Debug, Clone, PartialEq)]
pub enum Answer {
    /// Its event stands here, durably.
    Placed {
        /// Where.
        placement: Placement,
        /// Whether an earlier attempt with the same key put it there.
        repeated: bool,
    },
    /// There was nothing to do.
    Nothing,
}

/// What follows from something that happened to a room.
#[derive(Debug, PartialEq)]
pub enum Effect<T> {
    /// Answer the command that came with this ticket.
    Reply(T, Result<Answer, wire::Error>),
    /// Write these events to all subscribers, in order.
    FanOut(Vec<wire::Event>),
    /// Let a user's connections receive no more, after all that was fanned out before.
    Remove(UserId),
    /// The log has events that the room has not seen: read those after this seq, then call
    /// [`Machine::filled`] before anything else.
    Fill(Sequence),
    /// The room's state is not what the log says: load it again, then call [`Machine::reloaded`] before
    /// anything else.
    Reload,
    /// Append this again after a pause, then call [`Machine::appended`].
    Retry(Append),
    /// The log has lost these, which the room had applied: have them put back (log protocol, rule 16).
    Lost(Vec<wire::Event>),
    /// Subscribers have seen what the log has lost: they load the newest page (rule 17).
    Reset,
    /// These may have been appended to a log that is lost now. Ask the nodes that follow the room whether they heard of
    /// them, then call [`Machine::others_told`].
    AskOthers(Vec<u64>),
    /// The room is loaded again with more events behind what subscribers have seen: write those after this seq to them.
    CatchUp(Sequence),
}

/// What the machine is waiting for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Phase {
    /// Nothing: commands may be decided.
    Ready,
    /// The log's answer.
    Appending,
    /// Events that it has not seen.
    Filling,
    /// Its state.
    Reloading,
    /// What other nodes heard of its commands.
    Asking,
}

/// The decisions of one room, apart from their effects.
///
/// Commands wait while one batch is with the log; then all of them are decided on the state that the
/// batch made, and go as the next one. So a burst stays a burst, and nobody acts on rights that an event
/// before theirs took away: an event that changes the state ends its batch (log protocol, rule 5).
///
/// `T` is how whoever asked is found again.
#[derive(Debug)]
pub struct Machine<T> {
    /// The room's state, applied without a hole.
    state: RoomState,
    ring: Ring,
    waiting: VecDeque<Pending<T>>,
    /// What is with the log, in the order of the batch.
    in_flight: Vec<Pending<T>>,
    /// The [`Append::state_seq`] that it was decided on.
    decided_on: Sequence,
    phase: Phase,
    /// Set when the log has events that the room has not seen, while a batch is with it.
    missed: bool,
    /// Where events stood that the log has lost after the room had applied them, by their identifiers.
    lost: Vec<(u64, Position)>,
}

impl<T> Machine<T> {
    /// A room in this state, with nothing to do.
    #[must_use]
    pub fn new(state: RoomState) -> Self {
        let ring = Ring::new(state.applied());
        let decided_on = state.head.state_seq;
        let (waiting, in_flight) = (VecDeque::new(), Vec::new());
        Self { state, ring, waiting, in_flight, decided_on, phase: Phase::Ready, missed: false, lost: Vec::new() }
    }

    /// The room's state.
    #[must_use]
    pub fn state(&self) -> &RoomState {
        &self.state
    }

    /// Whether nothing waits and nothing is on its way.
    #[must_use]
    pub fn is_idle(&self) -> bool {
        self.waiting.is_empty() && self.phase == Phase::Ready
    }

    /// The tickets of the commands of the batch that is on its way, in their order.
    pub fn in_flight(&self) -> impl Iterator<Item = &T> {
        self.in_flight.iter().map(|pending| &pending.ticket)
    }

    /// The events after `seq` up to the applied position; `None` when the ring does not hold them all.
    pub fn events_after(&self, seq: Sequence) -> Option<Vec<wire::Event>> {
        Some(self.ring.after(seq)?.cloned().collect())
    }

    /// Takes a command; [`Machine::next_batch`] decides it.
    ///
    /// # Errors
    /// The ticket and `busy` when too many wait.
    pub fn submit(
        &mut self,
        ticket: T,
        acting: Acting,
        command: Command,
        key: Option<Key>,
        now: Instant,
    ) -> Result<(), (T, wire::Error)> {
        if self.waiting.len() >= PENDING_MAX {
            return Err((ticket, busy(BUSY_RETRY)));
        }
        self.waiting.push_back(Pending::new(ticket, acting, command, key, now + COMMAND_DEADLINE));
        Ok(())
    }

    /// Decides what waits, and makes the next batch of it, unless something is on its way. `next_id` makes
    /// the identifiers.
    pub fn next_batch(
        &mut self,
        mut next_id: impl FnMut() -> Result<u64, Unavailable>,
    ) -> (Vec<Effect<T>>, Option<Append>) {
        let mut effects = Vec::new();
        if self.phase != Phase::Ready {
            return (effects, None);
        }
        let mut events: Vec<NewEvent> = Vec::new();
        let mut bytes = 0;
        while events.len() < BATCH_EVENTS_MAX && bytes < BATCH_BYTES_MAX {
            let Some(mut pending) = self.waiting.pop_front() else { break };
            let body = match decide(&self.state, &pending.acting, &pending.command) {
                Ok(Decision::Append(body)) => body,
                Ok(Decision::Nothing) => {
                    effects.push(Effect::Reply(pending.ticket, Ok(Answer::Nothing)));
                    continue;
                }
                Err(error) => {
                    let error = if pending.uncertain { unknown() } else { error };
                    effects.push(Effect::Reply(pending.ticket, Err(error)));
                    continue;
                }
            };
            // What is decided again keeps its identifier, and so its key where the client gave none.
            if pending.id == 0 {
                let Ok(id) = next_id() else {
                    effects.push(Effect::Reply(pending.ticket, Err(unavailable())));
                    continue;
                };
                pending.id = id;
            }
            let changes_state = !matches!(body, Body::Message(_));
            let new = pending.event(self.state.id, body);
            bytes += new.event.encoded_len();
            events.push(new);
            self.in_flight.push(pending);
            if changes_state {
                break;
            }
        }
        if events.is_empty() {
            return (effects, None);
        }
        self.phase = Phase::Appending;
        self.decided_on = self.state.head.state_seq;
        (effects, Some(self.append(events)))
    }

    fn append(&self, events: Vec<NewEvent>) -> Append {
        let head = &self.state.head;
        Append {
            room: self.state.id,
            epoch: head.position.epoch,
            known_seq: head.position.seq,
            state_seq: head.state_seq,
            events,
        }
    }

    /// Takes the log's answer to a batch.
    pub fn appended(&mut self, answer: Result<Vec<Outcome>, AppendError>, now: Instant) -> Vec<Effect<T>> {
        debug_assert_eq!(self.phase, Phase::Appending, "one batch at a time");
        self.phase = Phase::Ready;
        let mut effects = match answer {
            Ok(outcomes) => self.placed(outcomes),
            Err(AppendError::Cold | AppendError::StaleEpoch) => self.decide_again(Effect::Reload),
            Err(AppendError::Behind) => self.decide_again(Effect::Fill(self.state.applied())),
            Err(AppendError::Closed) => self.refuse_in_flight(closed()),
            Err(AppendError::Full { retry_after }) => self.refuse_in_flight(busy(retry_after)),
            Err(AppendError::Unknown(_)) => self.retry_or_give_up(now),
        };
        if self.missed && self.phase == Phase::Ready {
            self.fill(&mut effects);
        }
        effects
    }

    /// Takes events that the log had and the room had not seen, in order, from where it asked; `has_more` says
    /// that there are others behind them.
    pub fn filled(&mut self, events: Vec<wire::Event>, has_more: bool) -> Vec<Effect<T>> {
        self.phase = Phase::Ready;
        let mut effects = Vec::new();
        if events.iter().any(|event| event.epoch > self.state.head.position.epoch.0) {
            // What the room has applied may not be what these follow.
            self.load_again(&mut effects);
            return effects;
        }
        let before = self.state.applied();
        self.apply_all(events, &mut effects);
        // One that gave nothing is not asked again at once: whoever said that there is more was wrong.
        if has_more && self.state.applied() > before && self.phase == Phase::Ready {
            self.fill(&mut effects);
        }
        effects
    }

    /// Takes the room's state anew: what waits is decided on it.
    pub fn reloaded(&mut self, state: RoomState) -> Vec<Effect<T>> {
        self.phase = Phase::Ready;
        self.missed = false;
        let (applied, before) = (state.applied(), self.state.head.position);
        let ring = std::mem::replace(&mut self.ring, Ring::new(applied));
        self.state = state;
        let mut effects = Vec::new();
        let lost: Vec<wire::Event> = ring.into_events().filter(|event| !self.owns(event)).collect();
        if !lost.is_empty() {
            self.lost = lost.iter().map(|event| (event.id, first_place(event))).collect();
            effects.push(Effect::Lost(lost));
        }
        match judge_cursor(&self.state.spans, self.state.head.position, before) {
            Cursor::Good(seen) if seen < applied => effects.push(Effect::CatchUp(seen)),
            Cursor::Good(_) => {}
            Cursor::Lost | Cursor::Never => effects.push(Effect::Reset),
        }
        self.ask_others(&mut effects);
        effects
    }

    fn owns(&self, event: &wire::Event) -> bool {
        owner(&self.state.spans, Sequence(event.seq)).is_none_or(|epoch| epoch.0 == event.epoch)
    }

    fn placed(&mut self, outcomes: Vec<Outcome>) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        let mut fresh = Vec::new();
        let mut seen_seq = self.state.applied();
        for (pending, outcome) in std::mem::take(&mut self.in_flight).into_iter().zip(outcomes) {
            let answer = match outcome {
                Outcome::Appended(event) => {
                    let placement = placement_of(&event);
                    fresh.push(event);
                    Ok(Answer::Placed { placement, repeated: false })
                }
                Outcome::Repeated(placement) => {
                    seen_seq = seen_seq.max(placement.position.seq);
                    Ok(Answer::Placed { placement, repeated: true })
                }
                Outcome::Conflict => Err(conflict()),
            };
            effects.push(Effect::Reply(pending.ticket, answer));
        }
        self.apply_all(fresh, &mut effects);
        self.missed |= seen_seq > self.state.applied();
        effects
    }

    /// Applies events that follow one another; stops at a hole and has it filled from the log, which has
    /// the rest as well.
    fn apply_all(&mut self, events: Vec<wire::Event>, effects: &mut Vec<Effect<T>>) {
        let mut batch = Vec::new();
        for event in events {
            let seq = Sequence(event.seq);
            if seq <= self.state.applied() {
                continue;
            }
            if seq > self.state.applied().next() && !plant::is(Bug::NoGapCheck) {
                self.look_again(effects);
                break;
            }
            let removed = self.state.apply(&event);
            self.ring.push(event.clone());
            batch.push(event);
            if let Some(user) = removed {
                // A removal ends the fan-out batch: the list changes before the next (rule 28).
                effects.push(Effect::FanOut(std::mem::take(&mut batch)));
                effects.push(Effect::Remove(user));
            }
        }
        if !batch.is_empty() {
            effects.push(Effect::FanOut(batch));
        }
    }

    /// Has what was missed read from the log, now or as soon as the log has answered.
    fn look_again(&mut self, effects: &mut Vec<Effect<T>>) {
        if self.phase == Phase::Ready {
            self.fill(effects);
        } else {
            self.missed = true;
        }
    }

    fn fill(&mut self, effects: &mut Vec<Effect<T>>) {
        self.phase = Phase::Filling;
        self.missed = false;
        effects.push(Effect::Fill(self.state.applied()));
    }

    /// Has the batch decided again after `catching_up`.
    fn decide_again(&mut self, catching_up: Effect<T>) -> Vec<Effect<T>> {
        let mut effects = Vec::new();
        for mut pending in std::mem::take(&mut self.in_flight).into_iter().rev() {
            pending.attempts += 1;
            if pending.attempts >= ATTEMPTS_MAX {
                let error = if pending.uncertain { unknown() } else { busy(BUSY_RETRY) };
                effects.push(Effect::Reply(pending.ticket, Err(error)));
            } else {
                pending.sent_before();
                self.waiting.push_front(pending);
            }
        }
        self.phase = if matches!(catching_up, Effect::Reload) { Phase::Reloading } else { Phase::Filling };
        effects.push(catching_up);
        effects
    }

    /// The same batch again, under the same keys: whatever the first attempt did, it is done once.
    fn retry_or_give_up(&mut self, now: Instant) -> Vec<Effect<T>> {
        let epoch = self.state.head.position.epoch;
        self.in_flight.iter_mut().for_each(|pending| pending.in_doubt(epoch));
        if self.in_flight.iter().any(|pending| pending.deadline > now) {
            if self.decided_on != self.state.head.state_seq {
                // Another node has changed the state meanwhile: the log would refuse what was decided before.
                return self.decide_again(Effect::Fill(self.state.applied()));
            }
            self.phase = Phase::Appending;
            let again = self.in_flight.iter().filter_map(|pending| {
                match decide(&self.state, &pending.acting, &pending.command) {
                    Ok(Decision::Append(body)) => Some(pending.event(self.state.id, body)),
                    // The state is the one that the batch was decided on, so is the decision.
                    Ok(Decision::Nothing) | Err(_) => None,
                }
            });
            return vec![Effect::Retry(self.append(again.collect()))];
        }
        let mut effects = self.refuse_in_flight(unknown());
        self.phase = Phase::Reloading;
        effects.push(Effect::Reload);
        effects
    }

    fn refuse_in_flight(&mut self, error: wire::Error) -> Vec<Effect<T>> {
        let refused = std::mem::take(&mut self.in_flight).into_iter();
        let answer = |uncertain: bool| if uncertain { unknown() } else { error.clone() };
        refused.map(|pending| Effect::Reply(pending.ticket, Err(answer(pending.uncertain)))).collect()
    }
}

fn placement_of(event: &wire::Event) -> Placement {
    Placement {
        position: event.position(),
        ordinal: event.ordinal.map(Ordinal),
        // The room made it with `IdGenerator`, which makes nothing else.
        id: EventId::new(event.id).unwrap_or(FIRST_ID),
        at: event.at,
    }
}

const FIRST_ID: EventId = match EventId::new(1) {
    Ok(id) => id,
    Err(_) => unreachable!(),
};

fn busy(retry_after: Duration) -> wire::Error {
    ErrorCode::Busy.error("the room has too much to do").with_retry_after(retry_after)
}

fn unavailable() -> wire::Error {
    ErrorCode::Unavailable.error("no identifiers can be made for now").with_retry_after(Duration::from_secs(5))
}

fn unknown() -> wire::Error {
    ErrorCode::Unknown.error("it is not known whether the request took effect").with_retry_after(BUSY_RETRY)
}

fn closed() -> wire::Error {
    ErrorCode::Forbidden.error("the room is closed").with_field("room")
}

fn conflict() -> wire::Error {
    ErrorCode::IdempotencyConflict.error("the key was used for another body").with_field("key")
}

mod doubt;
mod follow;
mod pending;

#[cfg(test)]
mod tests;
