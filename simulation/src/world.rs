//! What a run consists of, and what its parts tell each other.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;

use bobchat::adapters::embedded::SimulatedDisk;
use bobchat::config::Config;
use bobchat_actors::cluster::Cluster;
use bobchat_actors::ports::memory::{
    LiveImage, ManualClock, MemoryEventStore, MemoryLiveLog, MemoryNetwork, MemoryStore,
};
use bobchat_loadtest::torture::Witness;
use bobchat_proto::ids::{Position, RoomId};
use bobchat_proto::wire;
use prometheus_client::metrics::counter::Counter;

use crate::distant::Link;
use crate::random::Random;
use crate::schedule::{CLIENTS, Schedule, Site};

/// When every run begins: a time of day after every identifier's beginning.
const BEGIN_MICROS: i64 = 1_800_000_000_000_000;

/// Stored events that a live log keeps: few, so that histories are soon read from the store.
const TAIL_EVENTS: u64 = 2;

/// What is wanted of clients.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// Sign up, make rooms, join them.
    Prepare,
    /// Do what the schedule says.
    Act,
    /// Be there, be members, and get what is not acknowledged acknowledged.
    Settle,
    /// Go.
    End,
}

/// Where a client is.
#[derive(Debug, Clone, Default)]
pub struct Standing {
    /// Signed in, and subscribed to every room.
    pub is_there: bool,
    /// Messages that are not acknowledged.
    pub pending: usize,
    /// How far its stream of each room has come.
    pub cursors: BTreeMap<u64, Position>,
}

/// A promise that was broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Broken {
    /// The invariant's name: see docs/simulation.md.
    pub invariant: &'static str,
    /// What was seen.
    pub what: String,
}

/// What a run consists of. On one thread, like all of it.
pub struct World {
    /// What happens.
    pub schedule: Schedule,
    /// The time of day everywhere.
    pub clock: Arc<ManualClock>,
    /// The nodes' configuration.
    pub config: Config,
    /// The disk of a node that is alone.
    pub disk: SimulatedDisk,
    /// The live log of a cluster.
    pub live: Arc<MemoryLiveLog>,
    /// The store of a cluster.
    pub store: Arc<MemoryEventStore>,
    /// Signing keys and leases of a cluster's nodes.
    pub credentials: Arc<MemoryStore>,
    /// How nodes hear each other.
    pub network: Arc<MemoryNetwork>,
    /// Between each node and the servers.
    pub links: Vec<Arc<Link>>,
    /// The nodes that run, as a cluster's logs know them.
    pub clusters: RefCell<Vec<Option<Arc<Cluster>>>>,
    /// How often each node, in each of its lives, found a live log full.
    pub full: RefCell<Vec<Counter>>,
    /// How many holes rooms filled, of each node in each of its lives.
    pub holes_filled: RefCell<Vec<Counter>>,
    /// What the live log held a while ago.
    pub replica: RefCell<LiveImage>,
    /// Holds all that clients hear against what was promised.
    pub witness: RefCell<Witness>,
    /// What else was broken.
    pub broken: RefCell<Vec<Broken>>,
    /// The rooms, once they are made.
    pub rooms: RefCell<Vec<u64>>,
    /// The first client's token, to read with.
    pub token: RefCell<Option<String>>,
    /// What is wanted of clients.
    pub wish: Cell<Wish>,
    /// Where they are.
    pub standing: RefCell<Vec<Standing>>,
    /// What happens, for people.
    pub story: Story,
}

impl World {
    /// A run that has not begun.
    #[must_use]
    pub fn new(schedule: Schedule, config: Config, story: Story) -> Rc<Self> {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let live = MemoryLiveLog::with_tail(clock.clone(), TAIL_EVENTS);
        let link = |node: usize| Link::new(Random::new(schedule.seed, 100 + node as u64));
        let nodes = schedule.site.nodes();
        Rc::new(Self {
            config,
            disk: SimulatedDisk::new(schedule.seed),
            store: MemoryEventStore::new(clock.clone()),
            credentials: MemoryStore::new(clock.clone()),
            network: Arc::default(),
            links: (0..nodes).map(link).collect(),
            clusters: RefCell::new(vec![None; nodes]),
            full: RefCell::default(),
            holes_filled: RefCell::default(),
            replica: RefCell::new(live.image()),
            live,
            clock,
            witness: RefCell::default(),
            broken: RefCell::default(),
            rooms: RefCell::default(),
            token: RefCell::default(),
            wish: Cell::new(Wish::Prepare),
            standing: RefCell::new(vec![Standing::default(); CLIENTS]),
            story,
            schedule,
        })
    }

    /// When that is since 1970, in microseconds.
    #[must_use]
    pub const fn begin_micros() -> i64 {
        BEGIN_MICROS
    }

    /// Notes what was broken outside of what the checker sees.
    pub fn note(&self, invariant: &'static str, what: String) {
        self.broken.borrow_mut().push(Broken { invariant, what });
    }

    /// Whether the servers are those of a cluster.
    #[must_use]
    pub fn is_cluster(&self) -> bool {
        self.schedule.site == Site::Cluster
    }

    /// The identifiers of the rooms, once they are made.
    #[must_use]
    pub fn room_ids(&self) -> Vec<RoomId> {
        self.rooms.borrow().iter().filter_map(|room| RoomId::new(*room).ok()).collect()
    }

    /// Everything of a room that the live log has or a node holds.
    #[must_use]
    pub fn held(&self, room: RoomId) -> Vec<wire::Event> {
        let mut events = self.live.image().events(room);
        for cluster in self.clusters.borrow().iter().flatten() {
            events.extend(cluster.held(room));
        }
        events
    }

    /// All that is broken.
    #[must_use]
    pub fn all_broken(&self) -> Vec<Broken> {
        let witness = self.witness.borrow();
        let seen = witness.broken().keys().map(|kind| {
            let name = format!("{}: ", kind.name());
            let example = witness.examples().iter().find(|example| example.starts_with(&name));
            Broken { invariant: kind.invariant(), what: example.cloned().unwrap_or(name) }
        });
        seen.chain(self.broken.borrow().iter().cloned()).collect()
    }
}

/// What happens in a run, told as it happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Story {
    /// To nobody.
    Silent,
    /// To whoever looks at a run that failed.
    Told,
}

impl Story {
    /// Tells something.
    #[expect(clippy::print_stderr, reason = "for whoever asked to be told, beside the result")]
    pub fn tell(self, what: impl FnOnce() -> String) {
        if self == Self::Told {
            eprintln!("{}", what());
        }
    }
}
