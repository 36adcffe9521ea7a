//! The contract suites of the ports: every adapter runs them, the memory reference included.
//!
//! A suite checks everything that the documentation of its port promises, and fails by panicking. Each
//! case gets a [`Subject`] of its own.

#![expect(clippy::expect_used, clippy::indexing_slicing, reason = "a suite fails by panicking")]

mod append;
mod archived;
mod credentials;
mod derived;
mod directory;
mod epochs;
mod event_store;
mod history;
mod keys;
mod live;
mod nodes;
mod people;
mod room_log;
mod scenario;
mod search;
mod stored;
mod stranded;
mod users;
mod worker_leases;

use std::sync::Arc;

use super::memory::{ManualClock, MemoryEventStore, MemoryStore};
use super::{Credentials, Directory, History, RoomLog, WorkerLeases};
pub use archived::ArchivedLog;
pub use credentials::credentials;
pub use derived::{DerivingNode, derived};
pub use directory::directory;
pub use event_store::event_store;
pub use history::history;
pub use live::{LiveLoss, LiveSubject, MakeLive, MemoryLiveSubject, live_log};
pub use nodes::{MakeNodes, MemoryNodesSubject, NodesSubject, node_link};
pub use room_log::room_log;
pub use worker_leases::worker_leases;

/// What a suite is run on: stores that are empty at first, and see each other's writes at once.
pub trait Subject {
    /// The stores as they are open now.
    fn stores(&self) -> Stores;

    /// The clock that the stores go by.
    fn clock(&self) -> Arc<ManualClock>;

    /// Closes the stores and opens them again: what was durable is there, and nothing else. Handles from
    /// before are not used any more.
    fn reopen(&mut self);

    /// Whether a key counts as unused from 24 hours on. Else it may be known for longer.
    fn forgets_keys_in_time(&self) -> bool {
        true
    }
}

/// The stores of a [`Subject`]. Dropped before it is opened again.
#[derive(Clone)]
pub struct Stores {
    /// The logs.
    pub log: Arc<dyn RoomLog>,
    /// What they have been through.
    pub history: Arc<dyn History>,
    /// What follows from them, and users.
    pub directory: Arc<dyn Directory>,
    /// Tokens and keys.
    pub credentials: Arc<dyn Credentials>,
    /// Who makes identifiers.
    pub leases: Arc<dyn WorkerLeases>,
}

/// Makes an empty subject for each case.
pub type Make<'a> = &'a dyn Fn() -> Box<dyn Subject>;

/// 2026-01-01T00:00:00Z: where the clock of a subject stands at first.
pub const BEGIN_MICROS: i64 = 1_767_225_600_000_000;

/// The reference as a subject: its state lives as long as it does.
pub struct MemorySubject {
    clock: Arc<ManualClock>,
    store: Arc<MemoryStore>,
}

impl MemorySubject {
    /// Makes an empty one.
    #[must_use]
    pub fn boxed() -> Box<dyn Subject> {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let store = MemoryStore::new(Arc::clone(&clock) as _);
        Box::new(Self { clock, store })
    }
}

impl Subject for MemorySubject {
    fn stores(&self) -> Stores {
        Stores {
            log: Arc::clone(&self.store) as _,
            history: Arc::clone(&self.store) as _,
            directory: Arc::clone(&self.store) as _,
            credentials: Arc::clone(&self.store) as _,
            leases: Arc::clone(&self.store) as _,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    fn reopen(&mut self) {}
}

/// The reference of what live logs let go of as a subject; its live log is the reference's too.
pub struct MemoryStoredSubject {
    live: MemorySubject,
    store: Arc<MemoryEventStore>,
    note_every: u64,
}

impl MemoryStoredSubject {
    /// Makes an empty one, in which heads are noted at every so manieth event.
    #[must_use]
    pub fn boxed(note_every: u64) -> Box<dyn Subject> {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let live = MemorySubject { store: MemoryStore::new(Arc::clone(&clock) as _), clock: Arc::clone(&clock) };
        Box::new(Self { live, store: MemoryEventStore::new(clock), note_every })
    }
}

impl Subject for MemoryStoredSubject {
    fn stores(&self) -> Stores {
        let live = self.live.stores();
        let store = Arc::clone(&self.store);
        let log = ArchivedLog { log: live.log, store: Arc::clone(&store) as _, note_every: self.note_every };
        Stores { log: Arc::new(log), directory: store, ..live }
    }

    fn clock(&self) -> Arc<ManualClock> {
        self.live.clock()
    }

    fn reopen(&mut self) {}
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_event_store() {
        let store = MemoryEventStore::new(Arc::new(ManualClock::new(BEGIN_MICROS)));
        event_store([Arc::clone(&store) as _, store]).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_room_log() {
        room_log(&MemorySubject::boxed).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_live_log() {
        live_log(&MemoryLiveSubject::boxed).await;
    }

    #[tokio::test(start_paused = true)]
    async fn memory_keeps_the_contract_of_links_between_nodes() {
        node_link(&MemoryNodesSubject::boxed).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_history() {
        history(&MemorySubject::boxed).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_directory() {
        directory(&MemorySubject::boxed).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_the_directory_of_what_is_stored() {
        directory(&|| MemoryStoredSubject::boxed(1)).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_what_is_derived() {
        let store = MemoryEventStore::new(Arc::new(ManualClock::new(BEGIN_MICROS)));
        let node = || DerivingNode { store: Arc::clone(&store) as _, directory: Arc::clone(&store) as _ };
        derived([node(), node()]).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_credentials() {
        credentials(&MemorySubject::boxed).await;
    }

    #[tokio::test]
    async fn memory_keeps_the_contract_of_worker_leases() {
        worker_leases(&MemorySubject::boxed).await;
    }
}
