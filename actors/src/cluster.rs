//! One node of a cluster: what rooms ask of a log, over a live log and a store that all nodes share.
//!
//! [`Cluster`] is the [`RoomLog`](crate::ports::RoomLog), the [`History`] and the [`Directory`] of such a node. It
//! decides nothing by itself about the order of events: that is done by the jobs of [`crate::log`], which it starts,
//! and whose ends it turns into what a room has to do next.
//!
//! - `room_log`: appends ([`crate::log::Send`]); makes rooms.
//! - `raising`: makes sure that a room's log is open, and raises it where it is cold ([`crate::log::Raise`]).
//! - `loading`: what a room is, up to what its live log shows ([`crate::log::Fill`]).
//! - `history`, `merge`: pages of what is stored and of what is not yet.
//! - `directory`: what is derived from logs.
//! - `archiver`: stores what live logs hold ([`crate::log::Archive`]).
//! - `keeper`: watches over what this node answered for and is not stored yet, and puts back what was lost
//!   ([`crate::log::Salvage`]).
//! - `leases`: which rooms this node archives.
//! - `live_clock`: what time it is where deadlines are judged.

mod archiver;
mod directory;
mod history;
mod keeper;
mod leases;
mod live_clock;
mod loading;
mod merge;
mod metrics;
mod options;
mod raising;
mod room_log;
mod rows;
mod seldom;
#[cfg(test)]
mod tests;

use std::sync::Arc;

use bobchat_proto::ids::RoomId;
use bobchat_proto::wire;

use crate::log::{Node, Unarchived};
use crate::ports::{Clock, Directory, EventStore, History, LiveLog, LogRow};
use archiver::Dirty;
use keeper::Worries;
use leases::Leases;
use live_clock::LiveClock;
pub use metrics::ClusterMetrics;
pub use options::{Ack, ClusterOptions};
use raising::Turns;
use rows::Rows;
use seldom::Seldom;

/// What the nodes of a cluster share, and who this one is.
#[derive(Clone)]
pub struct ClusterPorts {
    /// The live ends of logs.
    pub live: Arc<dyn LiveLog>,
    /// What is kept for good, event by event.
    pub store: Arc<dyn EventStore>,
    /// Pages of what is stored.
    pub history: Arc<dyn History>,
    /// What is derived from what is stored, and users.
    pub directory: Arc<dyn Directory>,
    /// Tells the time of day.
    pub clock: Arc<dyn Clock>,
    /// Tells this node from the others that run now.
    pub node: u64,
}

/// A node of a cluster, as rooms see it. Shared by all threads.
pub struct Cluster {
    node: Node,
    history: Arc<dyn History>,
    directory: Arc<dyn Directory>,
    clock: Arc<dyn Clock>,
    number: u64,
    options: ClusterOptions,
    metrics: ClusterMetrics,
    live_clock: LiveClock,
    rows: Rows,
    turns: Turns,
    dirty: Dirty,
    leases: Leases,
    worries: Worries,
    archive_trouble: Seldom,
    keep_trouble: Seldom,
}

impl Cluster {
    /// A node that holds nothing yet. [`Cluster::tend`] has to be polled for as long as it runs.
    #[must_use]
    pub fn new(ports: ClusterPorts, options: ClusterOptions, metrics: ClusterMetrics) -> Arc<Self> {
        let ClusterPorts { live, store, history, directory, clock, node: number } = ports;
        let unarchived = Unarchived::new(options.unarchived_bytes_max);
        Arc::new(Self {
            node: Node { live, store, unarchived },
            history,
            directory,
            clock,
            number,
            options,
            metrics,
            live_clock: LiveClock::default(),
            rows: Rows::default(),
            turns: Turns::default(),
            dirty: Dirty::default(),
            leases: Leases::default(),
            worries: Worries::default(),
            archive_trouble: Seldom::default(),
            keep_trouble: Seldom::default(),
        })
    }

    /// Does what goes on for as long as a node runs, and never ends: stores what live logs hold, watches over what
    /// this node answered for, and puts back what was lost. On one thread at a time.
    pub async fn tend(&self) {
        futures_util::future::join(self.archive(), self.keep()).await;
    }

    /// What this node answered for of a room and does not know to be stored, in order.
    #[must_use]
    pub fn held(&self, room: RoomId) -> Vec<wire::Event> {
        self.node.unarchived.of(room)
    }

    /// Takes in what decides about a room's epochs.
    fn learn(&self, room: RoomId, row: &LogRow) {
        self.node.unarchived.learn(room, row);
        self.rows.put(room, row);
        if !self.node.unarchived.lost(room).is_empty() {
            self.worries.add(room);
        }
    }
}
