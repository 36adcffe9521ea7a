use std::sync::Arc;

use bobchat::adapters::cassandra::{CassandraStore, Keyspace};
use bobchat::settings::{self, SettingsStore};
use bobchat_actors::ports::contract::{self, ArchivedLog, BEGIN_MICROS, DerivingNode, MemorySubject, Stores, Subject};
use bobchat_actors::ports::memory::ManualClock;

use crate::support::{new_keyspace, on_driver, open, options};

/// Cassandra in a keyspace of its own; the live log is the reference's.
struct CassandraSubject {
    keyspace: Keyspace,
    store: Arc<CassandraStore>,
    live: Box<dyn Subject>,
    note_every: u64,
}

impl CassandraSubject {
    /// Heads are noted at every so manieth event: a hint may be late.
    fn boxed(note_every: u64) -> Box<dyn Subject> {
        Box::new(Self::new(note_every))
    }

    fn new(note_every: u64) -> Self {
        let keyspace = new_keyspace();
        let store = reopened(&keyspace);
        Self { keyspace, store, live: MemorySubject::boxed(), note_every }
    }
}

fn reopened(keyspace: &Keyspace) -> Arc<CassandraStore> {
    let options = options(keyspace);
    on_driver(async move { open(&options).await })
}

impl Subject for CassandraSubject {
    fn stores(&self) -> Stores {
        let (log, store) = (self.live.stores().log, Arc::clone(&self.store));
        Stores {
            log: Arc::new(ArchivedLog { log, store: Arc::clone(&store) as _, note_every: self.note_every }),
            history: Arc::clone(&store) as _,
            credentials: Arc::clone(&store) as _,
            leases: Arc::clone(&store) as _,
            directory: store,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::new(ManualClock::new(BEGIN_MICROS))
    }

    fn reopen(&mut self) {
        self.store = reopened(&self.keyspace);
    }
}

impl settings::contract::Subject for CassandraSubject {
    fn store(&self) -> Arc<dyn SettingsStore> {
        self.store.clone()
    }

    fn reopen(&mut self) {
        Subject::reopen(self);
    }
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_settings() {
    settings::contract::settings_store(&|| Box::new(CassandraSubject::new(4))).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_the_event_store() {
    let options = options(&new_keyspace());
    contract::event_store([open(&options).await, open(&options).await]).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_credentials() {
    contract::credentials(&|| CassandraSubject::boxed(4)).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_history() {
    contract::history(&|| CassandraSubject::boxed(4)).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_the_directory() {
    contract::directory(&|| CassandraSubject::boxed(1)).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_what_is_derived() {
    let options = options(&new_keyspace());
    let nodes = [open(&options).await, open(&options).await];
    contract::derived(nodes.map(|store| DerivingNode { store: Arc::clone(&store) as _, directory: store })).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_worker_leases() {
    contract::worker_leases(&|| CassandraSubject::boxed(4)).await;
}
