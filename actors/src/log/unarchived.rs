use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bobchat_proto::ids::{Position, RoomId, Sequence};
use bobchat_proto::wire;
use prost::Message as _;

use super::{Plant, runs};
use crate::plant::{self, Bug};
use crate::ports::LogRow;

/// The events that a node answered for and that are not known to be stored (rule 11).
///
/// It is the node's own and outlives its room actors, which may panic or leave memory. Bounded in bytes: room is
/// reserved before an append and taken after it. An event goes only when it is stored for good, or held again at
/// its new place. Draining waits until it is empty.
#[derive(Debug)]
pub struct Unarchived {
    bytes_max: usize,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    bytes: usize,
    reserved: usize,
    /// Rooms without events are not listed.
    rooms: BTreeMap<RoomId, Held>,
}

#[derive(Debug, Default)]
struct Held {
    events: BTreeMap<Position, wire::Event>,
    /// Encoded bytes of the events.
    bytes: usize,
    /// Up to where a live log was said to be archived: answers that come late are judged by it.
    archived: Option<Position>,
    row: Option<LogRow>,
}

/// Room for what is about to be appended; given back when it is dropped.
#[derive(Debug)]
pub struct Permit {
    store: Arc<Unarchived>,
    bytes: usize,
}

impl Drop for Permit {
    fn drop(&mut self) {
        let mut state = self.store.state();
        state.reserved = state.reserved.saturating_sub(self.bytes);
    }
}

impl Unarchived {
    /// An empty one for at most so many encoded bytes.
    #[must_use]
    pub fn new(bytes_max: usize) -> Arc<Self> {
        Arc::new(Self { bytes_max, state: Mutex::default() })
    }

    /// Takes room for events that are about to be appended; `None` when there is none: `busy`.
    #[must_use]
    pub fn reserve(self: &Arc<Self>, bytes: usize) -> Option<Permit> {
        let mut state = self.state();
        if state.bytes.saturating_add(state.reserved).saturating_add(bytes) > self.bytes_max {
            return None;
        }
        state.reserved = state.reserved.saturating_add(bytes);
        Some(Permit { store: Arc::clone(self), bytes })
    }

    /// Holds events at their positions, unless they are known to be stored. What comes late, when nothing else
    /// of the room is held any more, is judged by the next [`Unarchived::learn`].
    pub fn hold(&self, room: RoomId, events: Vec<wire::Event>) {
        self.state().change(room, |held| events.into_iter().for_each(|event| held.insert(event)));
    }

    /// Learns that a live log is archived up to a position, and lets go of what that covers.
    pub fn archived(&self, room: RoomId, through: Position) {
        self.state().change(room, |held| held.archived(through));
    }

    /// Learns what decides about a room's epochs, and lets go of what is stored for good. To be told when the room
    /// was loaded, and with every beat as long as something is held.
    pub fn learn(&self, room: RoomId, row: &LogRow) {
        self.state().change(room, |held| held.learn(row));
    }

    /// Lets go of events that are held at another position now.
    pub fn release(&self, room: RoomId, positions: &[Position]) {
        self.state().change(room, |held| positions.iter().for_each(|position| held.remove(*position)));
    }

    /// What the newest epoch, as far as it is known here, does not have: to be salvaged, in its old order
    /// (rule 16).
    #[must_use]
    pub fn lost(&self, room: RoomId) -> Vec<wire::Event> {
        if plant::is(Bug::LostOnEpochChange) {
            return Vec::new();
        }
        let state = self.state();
        let Some(held) = state.rooms.get(&room) else { return Vec::new() };
        let Some(row) = held.row.as_ref().filter(|row| row.is_loaded()) else { return Vec::new() };
        let older = held.events.iter().filter(|(position, _)| position.epoch < row.epoch);
        older.filter(|(position, _)| !row.owns(**position)).map(|(_, event)| event.clone()).collect()
    }

    /// All that is held of a room, in order.
    #[must_use]
    pub fn of(&self, room: RoomId) -> Vec<wire::Event> {
        let state = self.state();
        state.rooms.get(&room).map(|held| held.events.values().cloned().collect()).unwrap_or_default()
    }

    /// The rooms that something is held of: those that a changed incarnation concerns (rule 13).
    #[must_use]
    pub fn rooms(&self) -> Vec<RoomId> {
        self.state().rooms.keys().copied().collect()
    }

    /// The oldest event that is held of each room.
    #[must_use]
    pub fn oldest(&self) -> Vec<(RoomId, Position)> {
        let state = self.state();
        let first = |held: &Held| held.events.keys().next().copied();
        state.rooms.iter().filter_map(|(room, held)| Some((*room, first(held)?))).collect()
    }

    /// When the oldest event that is held was added, in microseconds since 1970.
    #[must_use]
    pub fn oldest_at(&self) -> Option<i64> {
        let state = self.state();
        state.rooms.values().filter_map(|held| held.events.values().next()).map(|event| event.at).min()
    }

    /// The encoded bytes that are held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.state().bytes
    }

    /// A panic under the lock leaves at worst a wrong count of bytes.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn change(&mut self, room: RoomId, change: impl FnOnce(&mut Held)) {
        let held = self.rooms.entry(room).or_default();
        let before = held.bytes;
        change(held);
        self.bytes = self.bytes.saturating_sub(before).saturating_add(held.bytes);
        if held.events.is_empty() {
            self.rooms.remove(&room);
        }
    }
}

impl Held {
    fn insert(&mut self, event: wire::Event) {
        let position = event.position();
        self.remove(position);
        if !self.is_stored(position) {
            self.bytes = self.bytes.saturating_add(event.encoded_len());
            self.events.insert(position, event);
        }
    }

    fn remove(&mut self, position: Position) {
        if let Some(event) = self.events.remove(&position) {
            self.bytes = self.bytes.saturating_sub(event.encoded_len());
        }
    }

    fn archived(&mut self, through: Position) {
        self.archived = self.archived.max(Some(through));
        // What an older epoch's archiver tells late still covers that epoch.
        let first = Position { seq: Sequence::ZERO, ..through };
        let first = if Plant::ReleaseAnyEpoch.is_planted() { Position::default() } else { first };
        let covered: Vec<Position> = self.events.range(first..=through).map(|(position, _)| *position).collect();
        covered.into_iter().for_each(|position| self.remove(position));
    }

    fn learn(&mut self, row: &LogRow) {
        if self.row.as_ref().is_some_and(|known| known.epoch > row.epoch) {
            return;
        }
        let settled: Vec<Position> = self.events.keys().copied().filter(|at| runs::is_settled(row, *at)).collect();
        settled.into_iter().for_each(|position| self.remove(position));
        self.row = Some(row.clone());
    }

    /// Rule 11: covered by what is archived of the same epoch; or stored, owned, and below where a later epoch
    /// begins.
    fn is_stored(&self, position: Position) -> bool {
        let archived = |through: Position| through.epoch == position.epoch && through.seq >= position.seq;
        self.archived.is_some_and(archived) || self.row.as_ref().is_some_and(|row| runs::is_settled(row, position))
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::Epoch;

    use super::*;
    use crate::ports::{Raiser, Span};

    const ROOM: RoomId = match RoomId::new(7) {
        Ok(room) => room,
        Err(_) => unreachable!(),
    };

    fn at(epoch: u64, seq: u64) -> Position {
        Position { epoch: Epoch(epoch), seq: Sequence(seq) }
    }

    fn event(epoch: u64, seq: u64) -> wire::Event {
        wire::Event { epoch, seq, id: 1, ..wire::Event::default() }
    }

    fn row(epoch: u64, spans: &[(u64, u64)]) -> LogRow {
        let spans = spans.iter().map(|(epoch, base)| Span { epoch: Epoch(*epoch), base: Sequence(*base) }).collect();
        LogRow { epoch: Epoch(epoch), raiser: Raiser(1), spans, deleted: false, opened_at: None }
    }

    fn places(events: &[wire::Event]) -> Vec<(u64, u64)> {
        events.iter().map(|event| (event.epoch, event.seq)).collect()
    }

    /// Rule 11.
    #[test]
    fn what_is_archived_of_the_same_epoch_goes() {
        let store = Unarchived::new(1_000);
        store.hold(ROOM, vec![event(1, 4), event(2, 4), event(2, 5)]);
        store.archived(ROOM, at(2, 4));
        assert_eq!(places(&store.of(ROOM)), [(1, 4), (2, 5)]);
        store.hold(ROOM, vec![event(2, 3)]);
        assert_eq!(places(&store.of(ROOM)), [(1, 4), (2, 5)], "an answer that came late");
    }

    /// Rules 11 and 16.
    #[test]
    fn a_newer_epoch_settles_what_is_below_its_base_and_loses_what_is_not() {
        let store = Unarchived::new(1_000);
        store.hold(ROOM, vec![event(1, 4), event(1, 5)]);
        store.learn(ROOM, &row(2, &[(1, 1)]));
        assert_eq!(places(&store.of(ROOM)), [(1, 4), (1, 5)], "nobody knows where it begins");
        assert!(store.lost(ROOM).is_empty());
        store.learn(ROOM, &row(2, &[(1, 1), (2, 5)]));
        assert_eq!(places(&store.of(ROOM)), [(1, 5)]);
        assert_eq!(places(&store.lost(ROOM)), [(1, 5)]);
        store.release(ROOM, &[at(1, 5)]);
        assert!(store.rooms().is_empty());
        assert_eq!(store.bytes(), 0);
    }

    /// Rule 11: bounded.
    #[test]
    fn room_is_reserved_before_it_is_needed_and_given_back() {
        let store = Unarchived::new(100);
        let permit = store.reserve(60);
        assert!(permit.is_some());
        assert!(store.reserve(60).is_none());
        drop(permit);
        assert!(store.reserve(60).is_some());
    }
}
