//! What all threads of a node share.

mod options;
mod settings;

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use actix::Addr;
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::limits::RESUME_EVENTS_MAX;
use bobchat_proto::wire;

use tokio::sync::{Notify, Semaphore};

use crate::bucket::Buckets;
use crate::hub::{Drain, Hub, HubLink, OutboundBudget, SessionId};
use crate::ids::IdGenerator;
use crate::metrics::Metrics;
use crate::nodes::{GoneDevices, NodePort, Nodes};
use crate::operations::Entering;
use crate::ports::{Authenticator, Backplane, Clock, Directory, History, Listener, RoomLog, Told};
use crate::registry::Registry;
use crate::room::{Heard, Room};
use crate::traces;
use crate::user::User;
pub use options::{CoreOptions, LiveOptions};
pub use settings::SettingsNews;

/// How often the end of a drain is looked for.
const DRAIN_STEP: Duration = Duration::from_millis(20);

/// Bytes of what other nodes told that wait for rooms: some seconds of a busy node.
const HEARD_BYTES_MAX: usize = 64 << 20;

/// Those bytes are counted in these.
const HEARD_UNIT_BYTES: usize = 256;

/// How soon a room looks at its log that could not take what it was told: it has had its turn by then.
const CATCH_UP_AFTER: Duration = Duration::from_millis(50);

/// How often it is looked whether the hubs live.
const HUB_CHECK_EVERY: Duration = Duration::from_secs(1);

/// The adapters of a node.
#[derive(Clone)]
pub struct CorePorts {
    /// Orders and keeps events.
    pub log: Arc<dyn RoomLog>,
    /// Reads them.
    pub history: Arc<dyn History>,
    /// Knows rooms and users.
    pub directory: Arc<dyn Directory>,
    /// Judges tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// Hears of other nodes.
    pub backplane: Arc<dyn Backplane>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    /// Makes identifiers; opened on its own, since signing people up needs it too.
    pub ids: Arc<IdGenerator>,
    /// Makes it one of several nodes.
    pub nodes: NodePort,
}

/// What all threads of a node share: ports, options, and where to find rooms, users and hubs.
pub struct Core {
    /// Orders and keeps events.
    pub log: Arc<dyn RoomLog>,
    /// Reads them.
    pub history: Arc<dyn History>,
    /// Knows rooms and users.
    pub directory: Arc<dyn Directory>,
    /// Judges tokens.
    pub authenticator: Arc<dyn Authenticator>,
    /// Hears of other nodes.
    pub backplane: Arc<dyn Backplane>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    /// What the operator set: [`Core::set_options`].
    pub options: LiveOptions,
    /// Makes identifiers.
    pub ids: Arc<IdGenerator>,
    /// What is counted.
    pub metrics: Metrics,
    /// The rooms in use.
    pub rooms: Registry<RoomId, Room>,
    /// The connected users.
    pub users: Registry<UserId, User>,
    /// This node among the others.
    pub nodes: Nodes,
    /// What nodes tell each other of settings.
    pub settings: SettingsNews,
    /// What waits for clients.
    pub budget: Arc<OutboundBudget>,
    /// How many pages each user may still ask for.
    pub(crate) pages: Buckets<UserId>,
    /// How much of what each user missed may still be read, in pages. Apart from those that they ask for: who comes back
    /// to many rooms and looks around at once is refused nothing, and who exports a room is not kept from the others.
    pub(crate) missed_pages: Buckets<UserId>,
    /// Devices that signed out just now.
    pub(crate) gone_devices: GoneDevices,
    /// Rooms that users are about to enter.
    pub(crate) entering: Entering,
    hubs: Mutex<Vec<HubLink>>,
    sessions_made: AtomicU64,
    sessions_live: AtomicUsize,
    draining: AtomicBool,
    /// Rooms that could not take what they were told.
    unheard: Mutex<BTreeSet<RoomId>>,
    missed: Notify,
    heard_waiting: Arc<Semaphore>,
}

impl Core {
    /// A node's core. Nothing runs yet: [`crate::Worker::start`] starts a thread's part.
    #[must_use]
    pub fn new(ports: CorePorts, options: CoreOptions, metrics: Metrics) -> Arc<Self> {
        let CorePorts { log, history, directory, authenticator, backplane, clock, ids, nodes } = ports;
        let budget = OutboundBudget::new(
            options.outbound_bytes_max,
            options.outbound_bytes_total_max,
            metrics.slow_consumers.clone(),
        );
        let (pages, missed_pages) = (Buckets::new(options.page_rate), Buckets::new(options.page_rate));
        let nodes = Nodes::new(nodes, clock.now_micros(), metrics.clone());
        Arc::new(Self {
            log,
            history,
            directory,
            authenticator,
            backplane,
            clock,
            options: LiveOptions::new(&options),
            ids,
            metrics,
            rooms: Registry::default(),
            users: Registry::default(),
            nodes,
            settings: SettingsNews::default(),
            budget: Arc::new(budget),
            pages,
            missed_pages,
            gone_devices: GoneDevices::default(),
            entering: Entering::default(),
            hubs: Mutex::default(),
            sessions_made: AtomicU64::new(0),
            sessions_live: AtomicUsize::new(0),
            draining: AtomicBool::new(false),
            unheard: Mutex::default(),
            missed: Notify::new(),
            heard_waiting: Arc::new(Semaphore::new(HEARD_BYTES_MAX / HEARD_UNIT_BYTES)),
        })
    }

    /// Has other options hold from now on, for who is connected too. Who sees them change may see some before others.
    pub fn set_options(&self, options: &CoreOptions) {
        // Each by its name, so that one which is added cannot be forgotten here.
        let CoreOptions {
            page_rate,
            outbound_bytes_max,
            outbound_bytes_total_max,
            send_rate: _,
            frame_rate: _,
            frame_byte_rate: _,
            connections_per_user: _,
            rooms_per_user: _,
            requests_in_flight: _,
            room_idle: _,
        } = options;
        self.options.set(options);
        self.budget.set_bounds(*outbound_bytes_max, *outbound_bytes_total_max);
        self.pages.set_rate(*page_rate);
        self.missed_pages.set_rate(*page_rate);
    }

    /// Has rooms look at their logs that could not take what they were told, for as long as it is polled.
    pub async fn catch_up(&self) {
        loop {
            self.missed.notified().await;
            tokio::time::sleep(CATCH_UP_AFTER).await;
            let unheard = std::mem::take(&mut *self.unheard.lock().unwrap_or_else(PoisonError::into_inner));
            for room in unheard {
                self.told(room, Told::Head(None));
                self.told(room, Told::Anew);
            }
        }
    }

    /// Keeps it possible to make identifiers, for as long as it is polled.
    pub async fn tend(&self) {
        self.ids.tend().await;
    }

    /// Ends when a hub has died, unless the node is being drained. Without its hub a thread's connections
    /// have no heartbeat and hear nothing of rooms elsewhere, and nothing can take them over: the process has
    /// to end, so that another one takes its place and clients come back.
    pub async fn hub_died(&self) {
        loop {
            tokio::time::sleep(HUB_CHECK_EVERY).await;
            if self.draining.load(Ordering::Relaxed) {
                std::future::pending::<()>().await;
            }
            if self.hubs().iter().any(|hub| !hub.address.connected()) {
                return;
            }
        }
    }

    /// Takes a worker thread's hub in; its place is the worker's number.
    pub(crate) fn add_hub(&self, make: impl FnOnce(usize) -> Addr<Hub>) -> HubLink {
        let mut hubs = self.hubs.lock().unwrap_or_else(PoisonError::into_inner);
        let worker = hubs.len();
        let link = HubLink { worker, address: make(worker) };
        hubs.push(link.clone());
        link
    }

    /// The hubs of all worker threads.
    pub fn hubs(&self) -> Vec<HubLink> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The hub of one worker thread.
    pub fn hub(&self, worker: usize) -> Option<HubLink> {
        self.hubs.lock().unwrap_or_else(PoisonError::into_inner).get(worker).cloned()
    }

    /// A number for a new connection, unique on this node.
    pub(crate) fn new_session(&self) -> SessionId {
        self.sessions_live.fetch_add(1, Ordering::Relaxed);
        SessionId(self.sessions_made.fetch_add(1, Ordering::Relaxed))
    }

    pub(crate) fn session_ended(&self) {
        self.sessions_live.fetch_sub(1, Ordering::Relaxed);
    }

    /// Live connections on this node.
    pub fn session_count(&self) -> usize {
        self.sessions_live.load(Ordering::Relaxed)
    }

    /// Tells every client to come back elsewhere, spread over half of `limit` where there are many, and waits until they
    /// have left, at most for all of it. Returns how many were still there.
    pub async fn drain(&self, limit: Duration) -> usize {
        self.draining.store(true, Ordering::Relaxed);
        for hub in self.hubs() {
            // Once a life; the bound is not for this.
            hub.address.do_send(Drain { within: limit / 2 });
        }
        let deadline = tokio::time::Instant::now() + limit;
        while self.session_count() > 0 && tokio::time::Instant::now() < deadline {
            tokio::time::sleep(DRAIN_STEP).await;
        }
        // At most as long as a service that is away takes to say so: the lease ends by itself.
        self.nodes.leave().await;
        self.session_count()
    }

    /// The events of a room after `after`, however long it takes; none when there are more than are
    /// replayed.
    pub(crate) async fn events_after(&self, room: RoomId, after: Sequence) -> Option<Vec<wire::Event>> {
        let everything = vec![Sequence(1)..=Sequence(u64::MAX)];
        let mut events: Vec<wire::Event> = Vec::new();
        while events.len() as u64 <= RESUME_EVENTS_MAX {
            let from = events.last().map_or(after, |event| Sequence(event.seq));
            match self.history.events(room, from, READ_EVENTS, &everything).await {
                Ok(page) => {
                    events.extend(page.events);
                    if !page.has_more {
                        return Some(events);
                    }
                }
                Err(error) => {
                    tracing::warn!(room.id = %room, error = %error, "could not read a room's events, trying again");
                    tokio::time::sleep(READ_AGAIN_AFTER).await;
                }
            }
        }
        None
    }
}

impl Listener for Core {
    /// What is too much to keep until the room gets its turn is dropped: the room looks at its log a little later.
    /// The span that this is called in is the parent of what follows from it.
    fn told(&self, room: RoomId, told: Told) {
        let span = traces::present();
        if let Told::Events(events) = &told {
            self.log.heard(room);
            if let Some(newest) = events.last() {
                let age = self.clock.now_micros().saturating_sub(newest.at).max(0);
                self.metrics.stages.publish.observe(age as f64 / 1e6, &span);
            }
        }
        let Some(actor) = self.rooms.find(room) else { return };
        let units = told.encoded_len().div_ceil(HEARD_UNIT_BYTES).max(1);
        let room_to_wait = self.heard_waiting.clone().try_acquire_many_owned(u32::try_from(units).unwrap_or(u32::MAX));
        match room_to_wait {
            // Bounded by its weight: each copy of an address has a place of its own in the mailbox.
            Ok(weight) => actor.do_send(Heard { told, span, weight }),
            Err(_) if matches!(told, Told::Typing(_)) => drop(self.metrics.signals_dropped.inc()),
            Err(_) => {
                self.metrics.heard_late.inc();
                self.unheard.lock().unwrap_or_else(PoisonError::into_inner).insert(room);
                self.missed.notify_one();
            }
        }
    }
}

/// Events read at once when a room catches up.
const READ_EVENTS: usize = 512;

/// Pause before reading again.
const READ_AGAIN_AFTER: Duration = Duration::from_millis(100);
