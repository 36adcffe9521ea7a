use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};

use async_trait::async_trait;
use bobchat_proto::ids::{Epoch, RoomId, Sequence};
use bobchat_proto::wire;

use crate::ports::{Append, AppendError, Backplane, Head, Listener, NodePresence, Outcome, RoomLog, Told, Unavailable};

/// What connects the nodes of a test: tells each of them at once what another one says, or loses it.
#[derive(Default)]
pub struct MemoryNetwork {
    nodes: Mutex<Vec<Arc<MemoryBackplane>>>,
    /// While set, everything that is told is lost.
    pub is_cut: AtomicBool,
    carrier: Mutex<Option<Arc<Carrier>>>,
}

/// Decides about what is told, each on its way to each node: whether and when it arrives.
pub type Carrier = dyn Fn(OnItsWay) + Send + Sync;

/// What one node told, on its way to another one. Dropped, it is lost.
pub struct OnItsWay {
    to: Arc<MemoryBackplane>,
    room: RoomId,
    told: Told,
}

impl OnItsWay {
    /// Lets the node hear it.
    pub fn arrive(self) {
        self.to.hear(self.room, self.told);
    }
}

/// One node's end of a [`MemoryNetwork`].
pub struct MemoryBackplane {
    network: Weak<MemoryNetwork>,
    number: usize,
    following: Mutex<HashMap<RoomId, usize>>,
    listener: Mutex<Option<Weak<dyn Listener>>>,
}

impl MemoryNetwork {
    /// Adds a node.
    pub fn join(self: &Arc<Self>) -> Arc<MemoryBackplane> {
        let mut nodes = lock(&self.nodes);
        let backplane = Arc::new(MemoryBackplane {
            network: Arc::downgrade(self),
            number: nodes.len(),
            following: Mutex::default(),
            listener: Mutex::new(None),
        });
        nodes.push(backplane.clone());
        backplane
    }

    /// From now on `carrier` decides about what is told; without one all of it arrives at once.
    pub fn carry_by(&self, carrier: Option<Arc<Carrier>>) {
        *lock(&self.carrier) = carrier;
    }

    fn tell(&self, from: usize, room: RoomId, told: &Told) {
        if self.is_cut.load(Ordering::Relaxed) {
            return;
        }
        let others: Vec<_> = lock(&self.nodes).iter().filter(|node| node.number != from).cloned().collect();
        // Whoever hears may tell in turn: no lock is held meanwhile.
        let carrier = lock(&self.carrier).clone();
        for to in others {
            let told = OnItsWay { to, room, told: told.clone() };
            match &carrier {
                Some(carrier) => carrier(told),
                None => told.arrive(),
            }
        }
    }
}

impl MemoryBackplane {
    /// Says who takes what this node hears.
    pub fn listen(&self, listener: Weak<dyn Listener>) {
        *lock(&self.listener) = Some(listener);
    }

    /// Lets this node hear something, from nobody in particular.
    pub fn hear(&self, room: RoomId, told: Told) {
        let listener = lock(&self.listener).as_ref().and_then(Weak::upgrade);
        if let Some(listener) = listener.filter(|_| lock(&self.following).contains_key(&room)) {
            listener.told(room, told);
        }
    }

    /// Lets this node hear of no room any more, as if their actors were gone.
    pub fn forget_all(&self) {
        lock(&self.following).clear();
    }

    /// How many rooms this node hears of.
    pub fn followed(&self) -> usize {
        lock(&self.following).len()
    }

    fn tell(&self, room: RoomId, told: &Told) {
        if let Some(network) = self.network.upgrade() {
            network.tell(self.number, room, told);
        }
    }
}

#[async_trait]
impl Backplane for MemoryBackplane {
    async fn follow(&self, room: RoomId) -> Result<(), Unavailable> {
        let mut following = lock(&self.following);
        let times = following.entry(room).or_default();
        *times = times.saturating_add(1);
        Ok(())
    }

    fn unfollow(&self, room: RoomId) {
        let mut following = lock(&self.following);
        if let Some(times) = following.get_mut(&room) {
            *times = times.saturating_sub(1);
            if *times == 0 {
                following.remove(&room);
            }
        }
    }

    fn tell_typing(&self, typing: wire::TypingSignal) {
        if let Ok(room) = RoomId::new(typing.room) {
            self.tell(room, &Told::Typing(typing));
        }
    }

    async fn tell_presence(&self, room: RoomId, presence: NodePresence) -> Result<(), Unavailable> {
        self.tell(room, &Told::Presence(presence));
        Ok(())
    }
}

/// A log that tells the other nodes what this one appends, as the log of a cluster does.
pub struct ToldLog {
    log: Arc<dyn RoomLog>,
    backplane: Arc<MemoryBackplane>,
}

impl ToldLog {
    /// Lets what is appended to `log` be told through `backplane`.
    #[must_use]
    pub fn new(log: Arc<dyn RoomLog>, backplane: Arc<MemoryBackplane>) -> Self {
        Self { log, backplane }
    }
}

#[async_trait]
impl RoomLog for ToldLog {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        self.log.open(room).await
    }

    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        let room = append.room;
        let outcomes = self.log.append(append).await?;
        let appended = outcomes.iter().filter_map(|outcome| match outcome {
            Outcome::Appended(event) => Some(event.clone()),
            Outcome::Repeated(_) | Outcome::Conflict => None,
        });
        let events: Vec<_> = appended.collect();
        if !events.is_empty() {
            self.backplane.tell(room, &Told::Events(events));
        }
        Ok(outcomes)
    }

    fn put_back(&self, room: RoomId, events: Vec<wire::Event>) {
        self.log.put_back(room, events);
    }

    fn heard(&self, room: RoomId) {
        self.log.heard(room);
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, Unavailable> {
        self.log.epoch(room).await
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        self.log.head(room).await
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        self.log.tail(room, after, limit).await
    }
}

/// A panic under a lock is a failed assertion of a test that shows itself anyway.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
