//! What nodes tell each other through Redis: pub/sub, one connection a node.
//!
//! A reconciler compares the rooms that are wanted with the channels that Redis has confirmed, and asks for the
//! difference: many channels in one command. Pub/sub loses what is published while a connection is away, or behind
//! a full buffer. So whenever a room is confirmed anew, and whenever the shared list of changed rooms names it
//! (the beat), the room is told to look at its log (log protocol, rules 24, 25 and 30).

mod beat;
mod reconcile;
mod wanted;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::ports::{Backplane, Listener, NodePresence, Told, Unavailable};
use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;
use prometheus_client::metrics::counter::Counter;
use prometheus_client::registry::Registry;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

use super::frame::{self, Heard};
use super::keys::RoomKeys;
use super::trace;
use super::{RedisLog, RedisOptions};
use wanted::Wanted;

/// How long a room waits to be heard of before it cannot be loaded.
const FOLLOW_TIMEOUT: Duration = Duration::from_secs(2);

/// What is counted of what nodes tell each other.
#[derive(Debug, Clone, Default)]
pub struct BackplaneMetrics {
    /// Frames of other nodes that were taken.
    pub frames: Counter,
    /// Frames that were thrown away: too large, broken, or of another version.
    pub refused: Counter,
    /// Times that more was pushed than could be looked at.
    pub overflows: Counter,
    /// Connections that were made.
    pub connections: Counter,
    /// Rooms that were told to look at their logs because the list of changed rooms named them.
    pub beats: Counter,
}

impl BackplaneMetrics {
    /// Makes the metrics and registers them.
    pub fn register(registry: &mut Registry) -> Self {
        let metrics = Self::default();
        for (name, help, counter) in [
            ("bobchat_backplane_frames", "Frames of other nodes", &metrics.frames),
            ("bobchat_backplane_refused", "Frames thrown away: large, broken, another version", &metrics.refused),
            ("bobchat_backplane_overflows", "Times that more was pushed than was looked at", &metrics.overflows),
            ("bobchat_backplane_connections", "Connections made to hear other nodes", &metrics.connections),
            ("bobchat_backplane_beats", "Rooms found changed by the beat", &metrics.beats),
        ] {
            registry.register(name, help, counter.clone());
        }
        metrics
    }
}

/// The backplane on Redis.
pub struct RedisBackplane {
    shared: Arc<Shared>,
    reconciling: AbortHandle,
}

struct Shared {
    log: Arc<RedisLog>,
    options: RedisOptions,
    wanted: Mutex<Wanted>,
    /// Something is wanted, or no more.
    changed: Notify,
    /// Redis has confirmed something.
    confirmed: Notify,
    listener: Mutex<Option<Weak<dyn Listener>>>,
    metrics: BackplaneMetrics,
}

impl RedisBackplane {
    /// Hears what nodes publish through `log`, which was connected with the same options. Starts a task on the
    /// present runtime that ends with this.
    #[must_use]
    pub fn start(options: &RedisOptions, log: Arc<RedisLog>, metrics: BackplaneMetrics) -> Arc<Self> {
        let shared = Arc::new(Shared {
            log,
            options: options.clone(),
            wanted: Mutex::default(),
            changed: Notify::new(),
            confirmed: Notify::new(),
            listener: Mutex::new(None),
            metrics,
        });
        let reconciling = tokio::spawn(reconcile::run(shared.clone())).abort_handle();
        Arc::new(Self { shared, reconciling })
    }

    /// Says who takes what is heard.
    pub fn listen(&self, listener: Weak<dyn Listener>) {
        *lock(&self.shared.listener) = Some(listener);
    }
}

impl Drop for RedisBackplane {
    fn drop(&mut self) {
        self.reconciling.abort();
    }
}

impl Shared {
    /// Tells nothing of a room that was left: Redis may still send some of it.
    fn tell(&self, room: RoomId, told: Told) {
        if !lock(&self.wanted).is_wanted(room) {
            return;
        }
        let listener = lock(&self.listener).as_ref().and_then(Weak::upgrade);
        if let Some(listener) = listener {
            listener.told(room, told);
        }
    }

    /// Takes what was published on a channel.
    fn hear(&self, channel: &[u8], payload: &[u8]) {
        match frame::read(self.log.node, channel, payload) {
            Ok(None) => {}
            Ok(Some(Heard { room, told, trace })) => {
                self.metrics.frames.inc();
                let _entered = trace::continued(trace, room).entered();
                self.tell(room, told);
            }
            Err(refusal) => {
                self.metrics.refused.inc();
                tracing::warn!(reason = ?refusal, bytes = payload.len(), "a frame of another node was thrown away");
            }
        }
    }
}

#[async_trait]
impl Backplane for RedisBackplane {
    async fn follow(&self, room: RoomId) -> Result<(), Unavailable> {
        lock(&self.shared.wanted).want(room);
        self.shared.changed.notify_one();
        let confirmed = async {
            loop {
                let confirmed = self.shared.confirmed.notified();
                tokio::pin!(confirmed);
                confirmed.as_mut().enable();
                if lock(&self.shared.wanted).is_confirmed(room) {
                    return;
                }
                confirmed.await;
            }
        };
        tokio::time::timeout(FOLLOW_TIMEOUT, confirmed).await.map_err(|_| {
            self.unfollow(room);
            Unavailable::new("redis does not let this node hear of the room")
        })
    }

    fn unfollow(&self, room: RoomId) {
        if lock(&self.shared.wanted).leave(room) {
            self.shared.changed.notify_one();
        }
    }

    fn tell_typing(&self, typing: wire::TypingSignal) {
        let Ok(room) = RoomId::new(typing.room) else { return };
        let log = self.shared.log.clone();
        tokio::spawn(async move {
            let mut publish = redis::cmd(log.link.publish_command());
            publish.arg(RoomKeys::new(room).channel()).arg(frame::typing(log.node, typing));
            // A signal may be lost.
            let _ = log.link.call(&publish, log.timeout).await;
        });
    }

    async fn tell_presence(&self, room: RoomId, presence: NodePresence) -> Result<(), Unavailable> {
        let log = &self.shared.log;
        let mut publish = redis::cmd(log.link.publish_command());
        publish.arg(RoomKeys::new(room).channel()).arg(frame::presence(log.node, room, presence));
        log.link.call(&publish, log.timeout).await?;
        Ok(())
    }
}

/// A thread that panicked under a lock left what it guards whole: every change is one call.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
