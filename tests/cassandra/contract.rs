use std::sync::Arc;

use bobchat::adapters::cassandra::{CassandraStore, Keyspace};
use bobchat_actors::ports::contract::{self, BEGIN_MICROS, MemorySubject, Stores, Subject};
use bobchat_actors::ports::memory::ManualClock;

use crate::support::{new_keyspace, on_driver, open, options};

/// Cassandra in a keyspace of its own, for what tokens are made of; the rest is the reference's.
struct CredentialsSubject {
    keyspace: Keyspace,
    store: Arc<CassandraStore>,
    others: Box<dyn Subject>,
}

impl CredentialsSubject {
    fn boxed() -> Box<dyn Subject> {
        let keyspace = new_keyspace();
        let store = reopened(&keyspace);
        Box::new(Self { keyspace, store, others: MemorySubject::boxed() })
    }
}

fn reopened(keyspace: &Keyspace) -> Arc<CassandraStore> {
    let options = options(keyspace);
    on_driver(async move { open(&options).await })
}

impl Subject for CredentialsSubject {
    fn stores(&self) -> Stores {
        Stores { credentials: Arc::clone(&self.store) as _, ..self.others.stores() }
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
    contract::credentials(&CredentialsSubject::boxed).await;
}
