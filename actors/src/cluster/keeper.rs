//! Watches over what this node answered for and what is not stored yet: it is let go of when it is, put back when it
//! was lost (rules 11, 13 and 16).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use bobchat_proto::ids::{Position, RoomId};
use bobchat_proto::wire;
use futures_util::stream::StreamExt as _;
use tokio::sync::Notify;

use super::Cluster;
use crate::log::{Need, Salvage, SalvageEnd, run};
use crate::ports::{Incarnation, LogRow, Unavailable};

/// How often it is looked what the live log is, and what became of what this node holds (rule 25).
const BEAT: Duration = Duration::from_secs(2);

/// Pause between two rounds over rooms that need something.
const PAUSE: Duration = Duration::from_millis(100);

/// Rooms that are looked after at the same time: when a live log is lost, all its rooms are raised, and whoever raises
/// reads all that is not stored of a room (rule 13: rate-limited).
const AT_ONCE: usize = 16;

/// Batches that are put back into one room before it is looked at again.
const SALVAGES_MAX: usize = 64;

/// Rooms that need to be looked after.
#[derive(Default)]
pub(super) struct Worries {
    rooms: Mutex<BTreeSet<RoomId>>,
    added: Notify,
}

impl Worries {
    pub(super) fn add(&self, room: RoomId) {
        self.rooms().insert(room);
        self.added.notify_one();
    }

    fn take(&self) -> BTreeSet<RoomId> {
        std::mem::take(&mut *self.rooms())
    }

    fn rooms(&self) -> MutexGuard<'_, BTreeSet<RoomId>> {
        self.rooms.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What one beat tells the next.
#[derive(Default)]
struct Before {
    incarnation: Option<Incarnation>,
    /// The oldest event that was held of each room.
    oldest: BTreeMap<RoomId, Position>,
}

impl Cluster {
    /// Goes on for as long as it is polled.
    pub(super) async fn keep(&self) {
        futures_util::future::join(self.beat(), self.look_after_all()).await;
    }

    async fn beat(&self) {
        let mut before = Before::default();
        loop {
            self.look_around(&mut before).await;
            tokio::time::sleep(BEAT).await;
        }
    }

    /// Finds the rooms that need something: all that are held, when the live log has another life; else those of which
    /// nothing was stored since the last look.
    async fn look_around(&self, before: &mut Before) {
        let unarchived = &self.node.unarchived;
        self.metrics.unarchived_bytes.set(i64::try_from(unarchived.bytes()).unwrap_or(i64::MAX));
        self.metrics.unarchived_seconds.set(self.archive_lag().as_secs_f64());
        let oldest: BTreeMap<RoomId, Position> = unarchived.oldest().into_iter().collect();
        self.metrics.unarchived_rooms.set(i64::try_from(oldest.len()).unwrap_or(i64::MAX));
        let changed = match self.node.live.incarnation().await {
            Ok(incarnation) => {
                before.incarnation.replace(incarnation.clone()).is_some_and(|known| known != incarnation)
            }
            // It is asked again; what was known stays.
            Err(_) => false,
        };
        if changed {
            tracing::warn!(rooms = oldest.len(), "the live log has another life: raising the rooms that are held");
        }
        let stuck = |(room, position): &(&RoomId, &Position)| changed || before.oldest.get(room) == Some(position);
        oldest.iter().filter(stuck).for_each(|(room, _)| self.worries.add(*room));
        before.oldest = oldest;
    }

    async fn look_after_all(&self) {
        loop {
            self.worries.added.notified().await;
            let rooms = futures_util::stream::iter(self.worries.take());
            rooms.for_each_concurrent(AT_ONCE, |room| self.look_after(room)).await;
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// A room of which this node holds nothing too: what its cold log holds is nobody's until it is raised.
    async fn look_after(&self, room: RoomId) {
        if let Err(error) = self.settle(room).await {
            // The next beat finds the room again.
            if self.keep_trouble.is_due() {
                tracing::warn!(room.id = %room, error = %error, "could not look after events that are not stored");
            }
            return;
        }
        if !self.node.unarchived.of(room).is_empty() {
            self.dirty.find(room);
        }
    }

    /// Learns what became of what is held, and puts back what was lost.
    async fn settle(&self, room: RoomId) -> Result<(), Unavailable> {
        for _ in 0..SALVAGES_MAX {
            let Some((row, live)) = self.opened(room, false).await? else { return Ok(()) };
            self.node.unarchived.learn(room, &row);
            self.node.unarchived.archived(room, Position { seq: live.archived, ..live.head.position });
            let lost = self.node.unarchived.lost(room);
            if lost.is_empty() || !self.salvage_some(room, &row, lost).await? {
                return Ok(());
            }
        }
        self.worries.add(room);
        Ok(())
    }

    /// Puts some of what was lost back (rule 16); `false` when the rest has to wait.
    async fn salvage_some(&self, room: RoomId, row: &LogRow, lost: Vec<wire::Event>) -> Result<bool, Unavailable> {
        let now = self.live_clock.now(&*self.node.live, &*self.clock).await?;
        let deadline = now.saturating_add(i64::try_from(self.options.deadline.as_micros()).unwrap_or(i64::MAX));
        match run(&self.node, Salvage::new(room, row.epoch, lost, deadline, self.options.bounds)).await {
            SalvageEnd::Saved(count) => {
                self.metrics.salvaged.inc_by(count as u64);
                tracing::info!(room.id = %room, events = count, "put events back that a log had lost");
                Ok(true)
            }
            SalvageEnd::Again(Need::Raise) => self.raise(room, Some(row.epoch)).await.map(|()| true),
            SalvageEnd::Again(Need::Reload | Need::CatchUp) => Ok(true),
            SalvageEnd::Later => {
                self.worries.add(room);
                Ok(false)
            }
        }
    }
}
