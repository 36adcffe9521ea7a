use std::sync::Arc;

use bobchat::adapters::embedded::EmbeddedStore;
use bobchat::settings::{self, SettingsStore};
use bobchat_actors::ports::contract::{self, BEGIN_MICROS, Stores, Subject};
use bobchat_actors::ports::memory::ManualClock;
use prometheus_client::registry::Registry;
use tempfile::TempDir;

use crate::support::options;

/// The embedded store in a folder of its own.
struct EmbeddedSubject {
    folder: TempDir,
    clock: Arc<ManualClock>,
    store: Option<Arc<EmbeddedStore>>,
}

impl EmbeddedSubject {
    fn boxed() -> Box<dyn Subject> {
        Box::new(Self::new())
    }
}

impl settings::contract::Subject for EmbeddedSubject {
    fn store(&self) -> Arc<dyn SettingsStore> {
        self.store.clone().unwrap()
    }

    fn reopen(&mut self) {
        Subject::reopen(self);
    }
}

impl EmbeddedSubject {
    fn new() -> Self {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let mut subject = Self { folder: TempDir::new().unwrap(), clock, store: None };
        Subject::reopen(&mut subject);
        subject
    }
}

impl Subject for EmbeddedSubject {
    fn stores(&self) -> Stores {
        let store = self.store.as_ref().unwrap();
        Stores {
            log: Arc::clone(store) as _,
            history: Arc::clone(store) as _,
            directory: Arc::clone(store) as _,
            credentials: Arc::clone(store) as _,
            leases: Arc::clone(store) as _,
        }
    }

    fn clock(&self) -> Arc<ManualClock> {
        Arc::clone(&self.clock)
    }

    fn reopen(&mut self) {
        self.store = None;
        let (clock, registry) = (Arc::clone(&self.clock), &mut Registry::default());
        self.store = Some(EmbeddedStore::open(self.folder.path(), options(), clock, registry).unwrap());
    }
}

/// Log protocol, rule 36.
#[tokio::test]
async fn the_store_keeps_the_contract_of_the_room_log() {
    contract::room_log(&EmbeddedSubject::boxed).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_history() {
    contract::history(&EmbeddedSubject::boxed).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_the_directory() {
    contract::directory(&EmbeddedSubject::boxed).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_credentials() {
    contract::credentials(&EmbeddedSubject::boxed).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_worker_leases() {
    contract::worker_leases(&EmbeddedSubject::boxed).await;
}

#[tokio::test]
async fn the_store_keeps_the_contract_of_settings() {
    settings::contract::settings_store(&|| Box::new(EmbeddedSubject::new())).await;
}
