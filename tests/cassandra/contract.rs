use std::sync::Arc;

use bobchat::adapters::cassandra::{CassandraStore, Keyspace};
use bobchat_actors::ports::contract::{self, ArchivedLog, BEGIN_MICROS, MemorySubject, Stores, Subject};
use bobchat_actors::ports::memory::ManualClock;

use crate::support::{new_keyspace, on_driver, open, options};

/// Cassandra in a keyspace of its own, for credentials and history; the live log and the directory are the
/// reference's.
struct CassandraSubject {
    keyspace: Keyspace,
    store: Arc<CassandraStore>,
    live: Box<dyn Subject>,
}

impl CassandraSubject {
    fn boxed() -> Box<dyn Subject> {
        let keyspace = new_keyspace();
        let store = reopened(&keyspace);
        Box::new(Self { keyspace, store, live: MemorySubject::boxed() })
    }
}

fn reopened(keyspace: &Keyspace) -> Arc<CassandraStore> {
    let options = options(keyspace);
    on_driver(async move { open(&options).await })
}

impl Subject for CassandraSubject {
    fn stores(&self) -> Stores {
        let Stores { log, directory, .. } = self.live.stores();
        let store = Arc::clone(&self.store);
        Stores {
            log: Arc::new(ArchivedLog { log, store: Arc::clone(&store) as _, note_every: 4 }),
            history: Arc::clone(&store) as _,
            credentials: Arc::clone(&store) as _,
            leases: store,
            directory,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::new(ManualClock::new(BEGIN_MICROS))
    }

    fn reopen(&mut self) {
        self.store = reopened(&self.keyspace);
    }
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_the_event_store() {
    let options = options(&new_keyspace());
    contract::event_store([open(&options).await, open(&options).await]).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_credentials() {
    contract::credentials(&CassandraSubject::boxed).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_history() {
    contract::history(&CassandraSubject::boxed).await;
}

#[tokio::test]
async fn cassandra_keeps_the_contract_of_worker_leases() {
    contract::worker_leases(&CassandraSubject::boxed).await;
}
