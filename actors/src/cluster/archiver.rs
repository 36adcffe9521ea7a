//! Stores what live logs hold, so that they may let go of it (rules 19 and 20).

use std::collections::{BTreeMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::RoomId;
use futures_util::stream::{FuturesUnordered, StreamExt as _};
use tokio::time::MissedTickBehavior;
use tracing::Instrument as _;

use super::Cluster;
use crate::log::{Archive, ArchiveEnd, run};
use crate::traces::{self, TRACE};

/// How often it is looked for rooms that nobody stores: those of nodes that died.
const SWEEP_EVERY: Duration = Duration::from_secs(5);

/// Rooms that one look finds at most; the next one finds others.
const SWEEP_ROOMS: usize = 1024;

/// Rounds of one room before another room gets its turn.
const ROUNDS_MAX: usize = 16;

/// Rooms that have something to be stored, as far as this node knows. Each with a span that lasts until they have their
/// turn: a child of the first append that waits for it and is traced. Storing several appends hangs below that one.
#[derive(Default)]
pub(super) struct Dirty(Mutex<BTreeMap<RoomId, tracing::Span>>);

impl Dirty {
    /// Something was appended to the room, within the present span.
    pub(super) fn add(&self, room: RoomId) {
        let append = traces::present();
        self.hold(room, || traces::below([&append], |append| waiting(room, append.id())));
    }

    /// Something of the room is left over, for whatever reason. Unless that is known, a trace may begin with it.
    pub(super) fn find(&self, room: RoomId) {
        self.rooms().entry(room).or_insert_with(|| traces::begin(|| waiting(room, None)));
    }

    /// A room that is in the works already has its turn again, with what it has waited for.
    fn put_back(&self, room: RoomId, wait: tracing::Span) {
        self.hold(room, || wait);
    }

    /// What waits first keeps its span, unless it is not traced.
    fn hold(&self, room: RoomId, wait: impl FnOnce() -> tracing::Span) {
        let mut rooms = self.rooms();
        let held = rooms.entry(room).or_insert_with(tracing::Span::none);
        if held.is_disabled() {
            *held = wait();
        }
    }

    fn take(&self) -> BTreeMap<RoomId, tracing::Span> {
        std::mem::take(&mut *self.rooms())
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeMap<RoomId, tracing::Span>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Cluster {
    /// Stores what this node's rooms appended, and what nobody else stores, for as long as it is polled.
    pub(super) async fn archive(&self) {
        futures_util::future::join(self.sweep(), self.work()).await;
    }

    /// Finds the rooms of nodes that died.
    async fn sweep(&self) {
        loop {
            tokio::time::sleep(SWEEP_EVERY).await;
            match self.node.live.unarchived(SWEEP_ROOMS).await {
                Ok(rooms) => rooms.into_iter().for_each(|room| self.dirty.find(room)),
                Err(error) => tracing::warn!(error = %error, "could not look for rooms that nobody stores"),
            }
        }
    }

    /// Each room is in the works once; a burst is stored together.
    async fn work(&self) {
        let mut ticks = tokio::time::interval(self.options.archive_after);
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut waiting: Vec<(RoomId, tracing::Span)> = Vec::new();
        let (mut in_work, mut rounds) = (HashSet::new(), FuturesUnordered::new());
        loop {
            tokio::select! {
                // What ends makes room for more; and a simulation has to be the same each time.
                biased;
                Some(room) = rounds.next() => drop(in_work.remove(&room)),
                _ = ticks.tick(), if waiting.is_empty() => {
                    let (again, now): (Vec<_>, Vec<_>) =
                        self.dirty.take().into_iter().partition(|(room, _)| in_work.contains(room));
                    again.into_iter().for_each(|(room, wait)| self.dirty.put_back(room, wait));
                    waiting = now;
                }
            }
            while rounds.len() < self.options.archived_at_once.max(1)
                && let Some((room, wait)) = waiting.pop()
            {
                in_work.insert(room);
                rounds.push(self.archive_room(room).instrument(archiving(room, wait)));
            }
        }
    }

    /// Stores what a room's live log holds, and says which room that was. In the span of its turn.
    pub(super) async fn archive_room(&self, room: RoomId) -> RoomId {
        if !self.archives(room).await {
            // Another node does, as soon as it hears of what was appended here. Should it hear nothing or die, the keeper
            // finds what this node holds, and the sweep what nobody does.
            return room;
        }
        let mut events = 0_usize;
        for _ in 0..ROUNDS_MAX {
            let mut job = Archive::new(room);
            let end = run(&self.node, &mut job).await;
            events = events.saturating_add(job.stored_count());
            tracing::Span::current().record("events", events);
            match end {
                ArchiveEnd::Archived(_) => {
                    self.metrics.archived.inc_by(job.stored_count() as u64);
                    self.observe_lag(job.oldest_at());
                    if !job.was_full() {
                        return room;
                    }
                }
                ArchiveEnd::Nothing => return room,
                // Its events are put in order by a raise, and what this node holds of them by salvage.
                ArchiveEnd::Cold | ArchiveEnd::Reload => {
                    self.worries.add(room);
                    return room;
                }
                ArchiveEnd::Unavailable => {
                    self.metrics.archive_failed.inc();
                    if self.archive_trouble.is_due() {
                        tracing::warn!(room.id = %room, "could not store a room's events, trying again");
                    }
                    break;
                }
            }
        }
        self.dirty.add(room);
        room
    }

    fn observe_lag(&self, oldest_at: Option<i64>) {
        let Some(oldest_at) = oldest_at else { return };
        self.metrics.archive_lag_seconds.observe(self.age(oldest_at).as_secs_f64(), &tracing::Span::current());
    }

    /// How old the oldest event is that this node answered for and does not know to be stored; zero where there is
    /// none. What other nodes store it learns within two beats of its keeper.
    pub fn archive_lag(&self) -> Duration {
        self.node.unarchived.oldest_at().map(|at| self.age(at)).unwrap_or_default()
    }

    fn age(&self, at: i64) -> Duration {
        Duration::from_micros(u64::try_from(self.clock.now_micros().saturating_sub(at)).unwrap_or(0))
    }

    /// Waits until everything that this node answered for is stored, at most for `limit`; [`Cluster::tend`] goes on
    /// meanwhile. Returns how many events are left.
    pub async fn drain(&self, limit: Duration) -> usize {
        let deadline = tokio::time::Instant::now() + limit;
        loop {
            let rooms = self.node.unarchived.rooms();
            if rooms.is_empty() {
                return 0;
            }
            if tokio::time::Instant::now() >= deadline {
                return rooms.into_iter().map(|room| self.node.unarchived.of(room).len()).sum();
            }
            for room in rooms {
                self.dirty.find(room);
                self.worries.add(room);
            }
            tokio::time::sleep(self.options.archive_after).await;
        }
    }
}

/// The span of a room that waits for its turn.
fn waiting(room: RoomId, append: Option<tracing::Id>) -> tracing::Span {
    tracing::debug_span!(target: TRACE, parent: append, "archive.wait", room.id = %room)
}

/// The span of a room's turn; the time that it waited for it ends here.
fn archiving(room: RoomId, wait: tracing::Span) -> tracing::Span {
    let events = tracing::field::Empty;
    traces::below(
        [&wait],
        |wait| tracing::debug_span!(target: TRACE, parent: wait, "room.archive", room.id = %room, events),
    )
}
