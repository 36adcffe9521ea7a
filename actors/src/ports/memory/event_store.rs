use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::limits::KEY_LIFETIME;
use bobchat_proto::wire::{self, event::Body};

use super::people::People;
use crate::log::Plant;
use crate::ports::projection::changes_state;
use crate::ports::{Clock, EventStore, Head, LogRow, Raised, Raiser, Span, StoredEvent, StoredKey, Unavailable};

/// What live logs let go of, and the directory that follows from it, in memory: every write is seen at once.
pub struct MemoryEventStore {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

#[derive(Default)]
pub(super) struct State {
    unreachable: bool,
    /// How many rows the next [`EventStore::store`] writes before it fails.
    interrupt: Option<usize>,
    pub(super) rooms: BTreeMap<RoomId, StoredRoom>,
    pub(super) people: People,
}

#[derive(Default)]
pub(super) struct StoredRoom {
    pub(super) row: Option<LogRow>,
    pub(super) events: BTreeMap<(Sequence, Epoch), StoredEvent>,
    /// What history pages are read from.
    messages: BTreeSet<Position>,
    /// By author and key: each use, and when it was written.
    keys: HashMap<(u64, String), Vec<(StoredKey, i64)>>,
    pub(super) noted_head: Option<Head>,
    /// What the directory is derived from: events that change the state, orphans included.
    pub(super) changes: BTreeMap<(Sequence, Epoch), wire::Event>,
}

impl MemoryEventStore {
    /// Makes an empty store. `clock` ends idempotency keys.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Arc::new(Self { clock, state: Mutex::default() })
    }

    /// Whether the store answers. While it does not, nothing that is asked of it is done.
    pub fn set_reachable(&self, reachable: bool) {
        self.state().unreachable = !reachable;
    }

    /// Has the next [`EventStore::store`] write only so many rows before it fails: keys first, then message
    /// rows, then what the directory is derived from, then the rows that say "stored", the newest first.
    pub fn interrupt_next_store(&self, rows: usize) {
        self.state().interrupt = Some(rows);
    }

    /// The positions that history pages would show: those with a message row.
    #[must_use]
    pub fn message_rows(&self, room: RoomId) -> BTreeSet<Position> {
        self.state().rooms.get(&room).map(|room| room.messages.clone()).unwrap_or_default()
    }

    /// What decides about a room's epochs, also while the store does not answer.
    #[must_use]
    pub fn row(&self, room: RoomId) -> Option<LogRow> {
        self.state().rooms.get(&room).and_then(|room| room.row.clone())
    }

    /// All stored events of a room by seq and epoch, also while the store does not answer.
    #[must_use]
    pub fn rows(&self, room: RoomId) -> Vec<StoredEvent> {
        self.state().rooms.get(&room).map(|room| room.events.values().cloned().collect()).unwrap_or_default()
    }

    /// A panic under the lock is a failed assertion of a test that shows itself anyway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn reached(&self) -> Result<MutexGuard<'_, State>, Unavailable> {
        let state = self.state();
        if state.unreachable { Err(Unavailable::new("the store was made unreachable")) } else { Ok(state) }
    }
}

/// One write of [`EventStore::store`].
enum Write {
    Key(StoredEvent),
    Message(Position),
    Change(wire::Event),
    Event(StoredEvent),
}

/// Rule 19: the rows that say "stored" come last, so that nothing else of a stored event can be missing.
fn writes(events: Vec<StoredEvent>) -> Vec<Write> {
    let keys: Vec<Write> = events.iter().cloned().map(Write::Key).collect();
    let said = events.iter().filter(|stored| matches!(stored.event.body, Some(Body::Message(_))));
    let messages = said.map(|stored| Write::Message(stored.event.position()));
    let changes = events.iter().filter(|stored| changes_state(&stored.event));
    let changes = changes.map(|stored| Write::Change(stored.event.clone()));
    let before: Vec<Write> = keys.into_iter().chain(messages).chain(changes).collect();
    let last = events.into_iter().rev().map(Write::Event);
    if Plant::RowFirst.is_planted() {
        return last.chain(before).collect();
    }
    before.into_iter().chain(last).collect()
}

impl StoredRoom {
    fn write(&mut self, write: Write, now: i64) {
        match write {
            Write::Key(stored) => self.write_key(&stored, now),
            Write::Message(position) => {
                self.messages.insert(position);
            }
            Write::Change(event) => {
                let Position { epoch, seq } = event.position();
                self.changes.insert((seq, epoch), event);
            }
            Write::Event(stored) => {
                let Position { epoch, seq } = stored.event.position();
                let renumbered = self.events.get(&(seq, epoch)).is_some_and(|known| known.renumbered);
                let renumbered = renumbered || stored.renumbered;
                self.events.insert((seq, epoch), StoredEvent { renumbered, ..stored });
            }
        }
    }

    /// One row for each use, so that no epoch's use hides another's (rule 8).
    fn write_key(&mut self, stored: &StoredEvent, now: i64) {
        let Some(key) = stored.event.key.clone() else { return };
        let used = StoredKey { position: stored.event.position(), body_hash: stored.body_hash };
        let uses = self.keys.entry((stored.event.author, key)).or_default();
        uses.retain(|(known, _)| known.position != used.position);
        uses.push((used, now));
    }

    fn raise(&mut self, from: Option<Epoch>, raiser: Raiser) -> Raised {
        let row = match (&mut self.row, from) {
            (Some(row), Some(from)) if row.epoch == from => row,
            // The same attempt again: whoever finds their token has won.
            (Some(row), from) if row.raiser == raiser && row.epoch == above(from) => return Raised::Won,
            (Some(row), _) => return Raised::Lost(row.clone()),
            (None, Some(_)) => return Raised::Lost(LogRow::missing()),
            (row @ None, None) => row.insert(LogRow::missing()),
        };
        row.epoch = Epoch(row.epoch.0.saturating_add(1));
        row.raiser = raiser;
        Raised::Won
    }

    fn begin(&mut self, span: Span, raiser: Raiser, now: i64) -> bool {
        let theirs = |row: &&mut LogRow| row.epoch == span.epoch && row.raiser == raiser;
        let anybody = Plant::AnybodyBegins.is_planted();
        let Some(row) = self.row.as_mut().filter(|row| theirs(row) || anybody) else { return false };
        if anybody {
            row.spans.retain(|known| known.epoch != span.epoch);
            row.spans.push(span);
            row.spans.sort_by_key(|known| known.epoch);
            return true;
        }
        if !row.is_loaded() {
            row.spans.push(span);
            row.opened_at = Some(now);
        }
        row.spans.last() == Some(&span)
    }
}

/// Whether a key that was written then is still in the table (rule 8).
fn is_kept(written_at: i64, now: i64) -> bool {
    i128::from(now.saturating_sub(written_at)) < KEY_LIFETIME.as_micros().cast_signed()
}

/// The epoch that an attempt raises to.
fn above(from: Option<Epoch>) -> Epoch {
    Epoch(from.map_or(0, |from| from.0).saturating_add(1))
}

#[async_trait]
impl EventStore for MemoryEventStore {
    async fn log_row(&self, room: RoomId, _serial: bool) -> Result<Option<LogRow>, Unavailable> {
        Ok(self.reached()?.rooms.get(&room).and_then(|room| room.row.clone()))
    }

    async fn raise(&self, room: RoomId, from: Option<Epoch>, raiser: Raiser) -> Result<Raised, Unavailable> {
        Ok(self.reached()?.rooms.entry(room).or_default().raise(from, raiser))
    }

    async fn begin(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Unavailable> {
        let now = self.clock.now_micros();
        Ok(self.reached()?.rooms.entry(room).or_default().begin(span, raiser, now))
    }

    async fn store(&self, room: RoomId, events: Vec<StoredEvent>) -> Result<(), Unavailable> {
        let now = self.clock.now_micros();
        let mut state = self.reached()?;
        let interrupt = state.interrupt.take();
        let room = state.rooms.entry(room).or_default();
        let rows = interrupt.unwrap_or(usize::MAX);
        writes(events).into_iter().take(rows).for_each(|write| room.write(write, now));
        interrupt.map_or(Ok(()), |_| Err(Unavailable::new("the store was interrupted")))
    }

    async fn stored(&self, room: RoomId, from: Sequence, limit: usize) -> Result<Vec<StoredEvent>, Unavailable> {
        let state = self.reached()?;
        let events = state.rooms.get(&room).into_iter().flat_map(|room| room.events.range((from, Epoch(0))..));
        Ok(events.map(|(_, stored)| stored.clone()).take(limit).collect())
    }

    async fn mark_renumbered(&self, room: RoomId, orphans: &[Position]) -> Result<(), Unavailable> {
        let mut state = self.reached()?;
        let Some(room) = state.rooms.get_mut(&room) else { return Ok(()) };
        for orphan in orphans {
            if let Some(stored) = room.events.get_mut(&(orphan.seq, orphan.epoch)) {
                stored.renumbered = true;
            }
        }
        Ok(())
    }

    async fn keys(&self, room: RoomId, author: u64, key: &str) -> Result<Vec<StoredKey>, Unavailable> {
        let now = self.clock.now_micros();
        let state = self.reached()?;
        let uses = state.rooms.get(&room).and_then(|room| room.keys.get(&(author, key.to_owned())));
        Ok(uses.into_iter().flatten().filter(|(_, at)| is_kept(*at, now)).map(|(used, _)| *used).collect())
    }

    async fn noted_head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        Ok(self.reached()?.rooms.get(&room).and_then(|room| room.noted_head))
    }

    async fn note_head(&self, room: RoomId, head: Head) -> Result<(), Unavailable> {
        let mut state = self.reached()?;
        let noted = &mut state.rooms.entry(room).or_default().noted_head;
        if noted.is_none_or(|known| known.position < head.position) {
            *noted = Some(head);
        }
        Ok(())
    }
}
