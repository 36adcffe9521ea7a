use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::live_room::LiveRoom;
use crate::log::Plant;
use crate::ports::{
    AdvanceError, Clock, FenceError, Fenced, Incarnation, LiveAppend, LiveAppended, LiveHead, LiveLog, LiveRefusal,
    LiveTail, Opening, Outcome, Unavailable,
};

/// Stored events that a log keeps all the same, for those who are a little behind.
const TAIL_EVENTS: u64 = 64;

/// Numbers the lives of all servers of the process, so that a promoted replica never has another's.
static LIVES: AtomicU64 = AtomicU64::new(1);

/// The live logs of one server that all nodes share, in memory.
///
/// It lives and dies as a test says: it may be started again, lose what it holds or a part of it, fall back to
/// what it held before, or stop answering. Whatever happens, it goes on with what it then holds, as a real one
/// would: to notice is up to the protocol.
pub struct MemoryLiveLog {
    clock: Arc<dyn Clock>,
    tail: u64,
    state: Mutex<State>,
}

struct State {
    life: u64,
    reachable: bool,
    rooms: BTreeMap<RoomId, LiveRoom>,
    /// Who archives a room, and until when.
    claims: BTreeMap<RoomId, (u64, i64)>,
    /// Sees what the next append adds, before it is lost.
    last_witness: Option<Witness>,
    /// Whether the next reading of events finds it started again.
    restarts_at_tail: bool,
}

type Witness = Box<dyn FnOnce(Vec<wire::Event>) + Send>;

/// What a server held at one moment: what a replica that lags behind has.
#[derive(Clone)]
pub struct LiveImage(BTreeMap<RoomId, LiveRoom>);

impl LiveImage {
    /// The events of a room, of any epoch, trusted or not.
    #[must_use]
    pub fn events(&self, room: RoomId) -> Vec<wire::Event> {
        self.0.get(&room).map(|room| room.stream.clone()).unwrap_or_default()
    }
}

impl MemoryLiveLog {
    /// Makes an empty server. `clock` is the server's own.
    #[must_use]
    pub fn new(clock: Arc<dyn Clock>) -> Arc<Self> {
        Self::with_tail(clock, TAIL_EVENTS)
    }

    /// The same, keeping `tail` stored events of each room.
    #[must_use]
    pub fn with_tail(clock: Arc<dyn Clock>, tail: u64) -> Arc<Self> {
        let state = State {
            life: new_life(),
            reachable: true,
            rooms: BTreeMap::new(),
            claims: BTreeMap::new(),
            last_witness: None,
            restarts_at_tail: false,
        };
        Arc::new(Self { clock, tail, state: Mutex::new(state) })
    }

    /// Starts the server again; what it held is still there, as with an append-only file.
    pub fn restart(&self) {
        self.state().life = new_life();
    }

    /// Starts the server again, empty.
    pub fn restart_empty(&self) {
        self.roll_back(LiveImage(BTreeMap::new()));
    }

    /// What the server holds.
    #[must_use]
    pub fn image(&self) -> LiveImage {
        LiveImage(self.state().rooms.clone())
    }

    /// Goes on, in a new life, with what was held before: a replica that lags behind is promoted.
    pub fn roll_back(&self, image: LiveImage) {
        let mut state = self.state();
        state.life = new_life();
        state.rooms = image.0;
        state.claims.clear();
    }

    /// Forgets everything, in the same life: what `FLUSHALL` does.
    pub fn flush_all(&self) {
        let mut state = self.state();
        state.rooms.clear();
        state.claims.clear();
    }

    /// Forgets one room, in the same life.
    pub fn forget(&self, room: RoomId) {
        self.state().rooms.remove(&room);
    }

    /// Closes a room: it takes nothing any more but salvage. No event says this yet.
    pub fn close(&self, room: RoomId) {
        if let Some(meta) = self.state().rooms.get_mut(&room).and_then(|room| room.meta.as_mut()) {
            meta.closed = true;
        }
    }

    /// The next append is taken and shown to `witness`, and before it is answered everything is lost.
    pub fn forget_in_next_append(&self, witness: impl FnOnce(Vec<wire::Event>) + Send + 'static) {
        self.state().last_witness = Some(Box::new(witness));
    }

    /// Whoever reads where a room's log stands and then its events finds the server started again in between.
    pub fn restart_before_next_tail(&self) {
        self.state().restarts_at_tail = true;
    }

    /// Whether the server answers. While it does not, nothing that is asked of it is done.
    pub fn set_reachable(&self, reachable: bool) {
        self.state().reachable = reachable;
    }

    /// A panic under the lock is a failed assertion of a test that shows itself anyway.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn reached(&self) -> Result<MutexGuard<'_, State>, Unavailable> {
        let state = self.state();
        if state.reachable { Ok(state) } else { Err(Unavailable::new("the live log was made unreachable")) }
    }
}

fn new_life() -> u64 {
    LIVES.fetch_add(1, Ordering::Relaxed)
}

fn incarnation(life: u64) -> Incarnation {
    Incarnation(format!("life-{life}"))
}

#[async_trait]
impl LiveLog for MemoryLiveLog {
    async fn append(&self, append: LiveAppend) -> Result<LiveAppended, LiveRefusal> {
        let now = self.clock.now_micros();
        let mut state = self.reached().map_err(LiveRefusal::Unknown)?;
        let life = state.life;
        let room = state.rooms.get_mut(&append.append.room).ok_or(LiveRefusal::Cold)?;
        let answer = room.append(append, life, now)?;
        let Some(witness) = state.last_witness.take() else { return Ok(answer) };
        state.rooms.clear();
        drop(state);
        let appended = answer.outcomes.into_iter().filter_map(|outcome| match outcome {
            Outcome::Appended(event) => Some(event),
            Outcome::Repeated(_) | Outcome::Conflict => None,
        });
        witness(appended.collect());
        Err(LiveRefusal::Unknown(Unavailable::new("everything was lost before the answer")))
    }

    async fn fence(&self, room: RoomId, epoch: Epoch) -> Result<Fenced, FenceError> {
        let mut state = self.reached()?;
        let life = state.life;
        let events = state.rooms.entry(room).or_default().fence(epoch, life)?;
        Ok(Fenced { incarnation: incarnation(life), events })
    }

    async fn open(&self, opening: Opening) -> Result<(), FenceError> {
        let now = self.clock.now_micros();
        let mut state = self.reached()?;
        let life = state.life;
        let same_life = opening.incarnation == incarnation(life) || Plant::OpenUnfenced.is_planted();
        if Plant::OpenUnfenced.is_planted() {
            state.rooms.entry(opening.room).or_default();
        }
        let room = state.rooms.get_mut(&opening.room).filter(|_| same_life).ok_or(FenceError::Superseded(None))?;
        room.open(&opening, life, now)
    }

    async fn advance(&self, room: RoomId, through: Position) -> Result<(), AdvanceError> {
        let mut state = self.reached()?;
        state.rooms.get_mut(&room).ok_or(AdvanceError::Refused)?.advance(through, self.tail)
    }

    async fn head(&self, room: RoomId) -> Result<Option<LiveHead>, Unavailable> {
        let state = self.reached()?;
        Ok(state.rooms.get(&room).and_then(|room| room.head(state.life)))
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Option<LiveTail>, Unavailable> {
        let mut state = self.reached()?;
        if std::mem::take(&mut state.restarts_at_tail) {
            state.life = new_life();
        }
        Ok(state.rooms.get(&room).and_then(|room| room.tail(state.life, after, limit)))
    }

    async fn unarchived(&self, limit: usize) -> Result<Vec<RoomId>, Unavailable> {
        let state = self.reached()?;
        let rooms = state.rooms.iter().filter(|(_, room)| room.is_dirty());
        Ok(rooms.map(|(id, _)| *id).take(limit).collect())
    }

    async fn claim(&self, room: RoomId, holder: u64, lasts: Duration) -> Result<bool, Unavailable> {
        let now = self.clock.now_micros();
        let until = now.saturating_add(i64::try_from(lasts.as_micros()).unwrap_or(i64::MAX));
        let mut state = self.reached()?;
        let held = state.claims.get(&room).is_some_and(|(by, until)| *by != holder && *until > now);
        if !held {
            state.claims.insert(room, (holder, until));
        }
        Ok(!held)
    }

    async fn incarnation(&self) -> Result<Incarnation, Unavailable> {
        Ok(incarnation(self.reached()?.life))
    }

    async fn time(&self) -> Result<i64, Unavailable> {
        drop(self.reached()?);
        Ok(self.clock.now_micros())
    }
}
