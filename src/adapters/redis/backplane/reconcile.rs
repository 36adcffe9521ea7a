//! The task that keeps the connection and what is heard on it as they should be.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::ports::Told;
use bobchat_proto::ids::RoomId;
use tokio::time::{Interval, MissedTickBehavior, interval};

use super::super::backoff::Backoff;
use super::super::ears::{Ears, Push, Pushes};
use super::super::keys::{RoomKeys, room_of, shard};
use super::beat::Beat;
use super::{Shared, lock};

/// Channels in one command: some 30 KB of it.
const CHANNELS_MAX: usize = 1000;

/// Rooms that are told to look at their logs at once, and how often. All of them at a time would ask Redis for more
/// than it keeps for one connection (32 MB), which cuts the connection, after which all look again (rule 30).
const LOOKS_AT_ONCE: usize = 50;
const LOOKS_EVERY: Duration = Duration::from_millis(10);

/// How often the list of changed rooms is read (log protocol, rule 25).
const BEAT_EVERY: Duration = Duration::from_secs(2);

/// Connects, and hears until the connection breaks, for ever.
pub(super) async fn run(shared: Arc<Shared>) {
    let mut backoff = Backoff::default();
    loop {
        match Ears::open(&shared.options).await {
            Ok((ears, pushes)) => {
                backoff.reset();
                shared.metrics.connections.inc();
                lock(&shared.wanted).begin_anew();
                let looks = VecDeque::new();
                let (looking, beating) = (ticks(LOOKS_EVERY), ticks(BEAT_EVERY));
                let beat = Beat::default();
                Hearing { shared: &shared, ears, pushes, looks, looking, beating, beat }.run().await;
                tracing::warn!("the connection that hears other nodes is lost: rooms look at their logs afterwards");
            }
            Err(error) => tracing::warn!(error = %error, "could not connect to redis to hear other nodes"),
        }
        lock(&shared.wanted).begin_anew();
        backoff.wait().await;
    }
}

fn ticks(every: Duration) -> Interval {
    let mut ticks = interval(every);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    ticks
}

struct Hearing<'s> {
    shared: &'s Shared,
    ears: Ears,
    pushes: Pushes,
    /// Rooms to be told to look at their logs, and whether they are heard anew.
    looks: VecDeque<(RoomId, bool)>,
    looking: Interval,
    beating: Interval,
    beat: Beat,
}

impl Hearing<'_> {
    async fn run(mut self) {
        loop {
            if self.reconcile().await.is_err() {
                return;
            }
            tokio::select! {
                push = self.pushes.next() => match push {
                    Push::Message(channel, payload) => self.shared.hear(&channel, &payload),
                    Push::Subscribed(channel) => self.confirm(&channel),
                    Push::Gone => return,
                },
                () = self.shared.changed.notified() => {}
                _ = self.looking.tick(), if !self.looks.is_empty() => self.look(),
                _ = self.beating.tick() => self.look_where_changed().await,
            }
            if self.pushes.take_overflow() {
                self.shared.metrics.overflows.inc();
                let mut wanted = lock(&self.shared.wanted);
                wanted.ask_again();
                self.looks = wanted.all().into_iter().map(|room| (room, true)).collect();
            }
        }
    }

    /// Asks Redis for what is wanted and not heard, and takes back what is not wanted.
    async fn reconcile(&mut self) -> Result<(), ()> {
        let (ask, take_back) = lock(&self.shared.wanted).difference();
        for rooms in by_shard(take_back) {
            self.limited(async |ears: &mut Ears| ears.unsubscribe(channels(&rooms)).await).await?;
        }
        for rooms in by_shard(ask) {
            self.limited(async |ears: &mut Ears| ears.subscribe(channels(&rooms)).await).await?;
        }
        Ok(())
    }

    async fn limited(&mut self, ask: impl AsyncFnOnce(&mut Ears) -> redis::RedisResult<()>) -> Result<(), ()> {
        match tokio::time::timeout(self.shared.log.timeout, ask(&mut self.ears)).await {
            Ok(Ok(())) => Ok(()),
            Ok(Err(error)) => {
                tracing::warn!(error = %error, "redis does not let this node hear of rooms");
                Err(())
            }
            Err(_) => {
                tracing::warn!("redis does not answer the connection that hears other nodes");
                Err(())
            }
        }
    }

    /// A room is heard from here on. What was told before may have been missed (rule 24).
    fn confirm(&mut self, channel: &[u8]) {
        let Some(room) = room_of(channel) else { return };
        if lock(&self.shared.wanted).confirm(room) {
            self.looks.push_back((room, true));
            self.shared.confirmed.notify_waiters();
        }
    }

    fn look(&mut self) {
        let count = self.looks.len().min(LOOKS_AT_ONCE);
        for (room, anew) in self.looks.drain(..count) {
            self.shared.tell(room, Told::Head(None));
            if anew {
                self.shared.tell(room, Told::Anew);
            }
        }
    }

    async fn look_where_changed(&mut self) {
        let is_first = self.beat.is_first();
        match self.beat.changed(&self.shared.log).await {
            Ok(changed) => {
                let wanted = lock(&self.shared.wanted);
                if is_first {
                    // The beat knows of no change before. Whoever has looked by now may have missed one since.
                    self.looks.extend(wanted.confirmed().into_iter().map(|room| (room, false)));
                }
                let before = self.looks.len();
                let changed = changed.into_iter().filter(|room| wanted.is_wanted(*room));
                self.looks.extend(changed.map(|room| (room, false)));
                self.shared.metrics.beats.inc_by(self.looks.len().saturating_sub(before) as u64);
            }
            Err(error) => tracing::warn!(error = %error, "could not read which rooms have changed"),
        }
    }
}

fn channels(rooms: &[RoomId]) -> Vec<String> {
    rooms.iter().map(|room| RoomKeys::new(*room).channel()).collect()
}

/// On a cluster all channels of a command must live in one shard.
fn by_shard(rooms: Vec<RoomId>) -> impl Iterator<Item = Vec<RoomId>> {
    let mut shards = BTreeMap::<u64, Vec<RoomId>>::new();
    for room in rooms {
        shards.entry(shard(room)).or_default().push(room);
    }
    shards.into_values().flat_map(|rooms| rooms.chunks(CHANNELS_MAX).map(<[RoomId]>::to_vec).collect::<Vec<_>>())
}
