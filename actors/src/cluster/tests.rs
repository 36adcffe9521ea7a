//! The contracts of the ports that [`Cluster`] is, over the references in memory.

use std::time::Duration;

use futures_util::FutureExt as _;
use prometheus_client::registry::Registry;

use super::*;
use crate::ports::contract;
use crate::ports::contract::{BEGIN_MICROS, Make, Stores, Subject};
use crate::ports::memory::{ManualClock, MemoryEventStore, MemoryLiveLog, MemoryStore};

/// What of the events is stored when a subject is opened again.
#[derive(Debug, Clone, Copy)]
enum Archived {
    Nothing,
    All,
}

/// A node of a cluster; whoever opens it again finds another node, which has seen nothing.
struct Nodes {
    clock: Arc<ManualClock>,
    live: Arc<MemoryLiveLog>,
    store: Arc<MemoryEventStore>,
    credentials: Arc<MemoryStore>,
    archived: Archived,
    cluster: Arc<Cluster>,
}

fn boxed(archived: Archived) -> Box<dyn Subject> {
    let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
    let live = MemoryLiveLog::with_tail(Arc::clone(&clock) as _, 3);
    let store = MemoryEventStore::new(Arc::clone(&clock) as _);
    let credentials = MemoryStore::new(Arc::clone(&clock) as _);
    let cluster = node(&clock, &live, &store);
    Box::new(Nodes { clock, live, store, credentials, archived, cluster })
}

fn node(clock: &Arc<ManualClock>, live: &Arc<MemoryLiveLog>, store: &Arc<MemoryEventStore>) -> Arc<Cluster> {
    let ports = ClusterPorts {
        live: Arc::clone(live) as _,
        store: Arc::clone(store) as _,
        history: Arc::clone(store) as _,
        directory: Arc::clone(store) as _,
        clock: Arc::clone(clock) as _,
        node: 1,
    };
    // The clock of a suite stands still: a window would never end.
    let options = ClusterOptions { salvage_for: Duration::ZERO, ..ClusterOptions::default() };
    Cluster::new(ports, options, ClusterMetrics::register(&mut Registry::default()))
}

impl Subject for Nodes {
    fn stores(&self) -> Stores {
        Stores {
            log: Arc::clone(&self.cluster) as _,
            history: Arc::clone(&self.cluster) as _,
            directory: Arc::clone(&self.cluster) as _,
            credentials: Arc::clone(&self.credentials) as _,
            leases: Arc::clone(&self.credentials) as _,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    fn reopen(&mut self) {
        if matches!(self.archived, Archived::All) {
            // Nothing waits in memory.
            self.cluster.archive_all().now_or_never().expect("it is stored at once");
        }
        self.cluster = node(&self.clock, &self.live, &self.store);
    }

    /// The live log knows keys for longer in a room where nothing is said.
    fn forgets_keys_in_time(&self) -> bool {
        false
    }
}

impl Cluster {
    async fn archive_all(&self) {
        let rooms = self.node.live.unarchived(usize::MAX).await.expect("it is read");
        for room in rooms {
            self.archive_room(room).await;
        }
    }
}

const SUBJECTS: [Make<'static>; 2] = [&|| boxed(Archived::Nothing), &|| boxed(Archived::All)];

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_the_room_log() {
    // What is to outlive the node that answered for it has to be stored, or be in the live log.
    for make in SUBJECTS {
        contract::room_log(make).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_history() {
    for make in SUBJECTS {
        contract::history(make).await;
    }
}

#[tokio::test]
async fn a_cluster_keeps_the_contract_of_the_directory() {
    // Heads lag by what is not stored, which is said of them.
    contract::directory(&|| boxed(Archived::All)).await;
}
