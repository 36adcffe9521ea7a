//! A node in memory.

use std::rc::Rc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::bucket::Rate;
use bobchat_actors::ids::{IdGenerator, IdMetrics};
use bobchat_actors::metrics::Metrics;
use bobchat_actors::nodes::NodePort;
use bobchat_actors::operations::Acting;
use bobchat_actors::ports::memory::{ManualClock, MemoryStore};
use bobchat_actors::ports::{
    Alone, Append, AppendError, Authenticator, Backplane, Clock, Directory, Head, History, Identity, Outcome, RoomLog,
    SignedOutDevice, Unavailable,
};
use bobchat_actors::{Core, CoreOptions, CorePorts, Worker};
use bobchat_proto::ids::{Epoch, RoomId, Sequence, UserId};
use bobchat_proto::{record, wire};
use prometheus_client::registry::Registry;

/// A time of day after every identifier's beginning.
pub(crate) const NOW_MICROS: i64 = 1_800_000_000_000_000;

/// How long anything may take that has to come; on a busy machine.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until something has come to be.
pub(crate) async fn eventually(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = std::time::Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < PATIENCE, "not within {PATIENCE:?}: {what}");
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

pub(crate) struct TestNode {
    pub(crate) worker: Rc<Worker>,
    pub(crate) log: Arc<TrickyLog>,
}

/// The stores of nodes that belong together.
pub(crate) struct Stores {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl Stores {
    pub(crate) async fn new() -> Self {
        let clock = Arc::new(ManualClock::new(NOW_MICROS));
        let store = MemoryStore::new(clock.clone());
        for (id, handle) in [(2, "ada"), (3, "bob")] {
            let user = record::User { handle: handle.to_owned(), name: handle.to_owned(), ..record::User::default() };
            store.create_user(UserId::new(id).unwrap(), user, None).await.unwrap();
        }
        Self { clock, store }
    }

    /// The log as it is, for a node that tells nobody.
    pub(crate) fn log(&self) -> Arc<dyn RoomLog> {
        self.store.clone()
    }
}

/// What rooms are kept in.
pub(crate) struct Rooms {
    pub(crate) log: Arc<dyn RoomLog>,
    pub(crate) history: Arc<dyn History>,
    pub(crate) directory: Arc<dyn Directory>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl TestNode {
    pub(crate) async fn start() -> Self {
        let stores = Stores::new().await;
        Self::with(&stores, stores.log(), Arc::new(Alone)).await
    }

    pub(crate) async fn with(stores: &Stores, log: Arc<dyn RoomLog>, backplane: Arc<dyn Backplane>) -> Self {
        Self::among(stores, log, backplane, NodePort::alone("test", "memory")).await
    }

    pub(crate) async fn among(
        stores: &Stores,
        log: Arc<dyn RoomLog>,
        backplane: Arc<dyn Backplane>,
        nodes: NodePort,
    ) -> Self {
        let Stores { clock, store } = stores;
        let rooms = Rooms { log, history: store.clone(), directory: store.clone(), clock: clock.clone() };
        Self::over(rooms, store, backplane, nodes).await
    }

    /// A node whose rooms may be kept elsewhere than what else it knows.
    pub(crate) async fn over(
        rooms: Rooms,
        store: &Arc<MemoryStore>,
        backplane: Arc<dyn Backplane>,
        nodes: NodePort,
    ) -> Self {
        let Rooms { log, history, directory, clock } = rooms;
        let log = TrickyLog { inner: log, panic_after_append: AtomicBool::new(false), before_head: Mutex::default() };
        let log = Arc::new(log);
        let ports = CorePorts {
            log: log.clone(),
            history,
            directory,
            authenticator: Arc::new(Trusting),
            backplane,
            clock: clock.clone(),
            ids: Arc::new(IdGenerator::open(clock, store.clone(), IdMetrics::default()).await.unwrap()),
            nodes,
        };
        let send_rate = Rate { per_second: 100_000.0, burst: 100_000.0 };
        let options = CoreOptions { room_idle: Duration::from_secs(60), send_rate, ..CoreOptions::default() };
        let core = Core::new(ports, options, Metrics::register(&mut Registry::default()));
        Self { worker: Worker::start(core), log }
    }

    /// What is counted.
    pub(crate) fn metrics(&self) -> &Metrics {
        &self.worker.core.metrics
    }
}

/// Believes that a token is the identifier of its user, and behind an `@` how many seconds it lasts.
struct Trusting;

#[async_trait]
impl Authenticator for Trusting {
    async fn authenticate(&self, token: &str) -> Result<Identity, wire::Error> {
        let (user, seconds) = token.split_once('@').unwrap_or((token, "1000000"));
        let user: UserId = user.parse().unwrap();
        let expires_at = NOW_MICROS + 1_000_000 * seconds.parse::<i64>().unwrap();
        let acting = Acting { user, device: None, admin: false };
        Ok(Identity { acting, user: wire::User { id: user.get(), ..wire::User::default() }, expires_at })
    }

    fn forget(&self, _: SignedOutDevice) {}
}

/// The reference log, with planted bad luck.
pub(crate) struct TrickyLog {
    inner: Arc<dyn RoomLog>,
    /// The room that asks it panics when its batch is in the log already: the worst moment, since nobody has been told.
    pub(crate) panic_after_append: AtomicBool,
    /// What another node appends just before this one asks for the head.
    pub(crate) before_head: Mutex<Option<Append>>,
}

#[async_trait]
impl RoomLog for TrickyLog {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        self.inner.open(room).await
    }

    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        let outcomes = self.inner.append(append).await;
        assert!(
            !self.panic_after_append.swap(false, Ordering::Relaxed),
            "planted: the room dies before it tells anybody"
        );
        outcomes
    }

    fn put_back(&self, room: RoomId, events: Vec<wire::Event>) {
        self.inner.put_back(room, events);
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        let planted = self.before_head.lock().unwrap().take();
        if let Some(append) = planted {
            self.inner.append(append).await.unwrap();
        }
        self.inner.head(room).await
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        self.inner.tail(room, after, limit).await
    }

    async fn epoch(&self, room: RoomId) -> Result<Option<Epoch>, Unavailable> {
        self.inner.epoch(room).await
    }
}
