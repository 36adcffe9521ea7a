//! Opening what a node keeps its data in.

use std::sync::Arc;

use bobchat_actors::ids::{IdGenerator, IdMetrics};
use bobchat_actors::ports::{Alone, Backplane, Clock, Credentials, Directory, History, RoomLog, WorkerLeases};
use prometheus_client::registry::Registry;

use super::error::StartError;
use super::options;
use crate::adapters::clock::SystemClock;
use crate::adapters::embedded::EmbeddedStore;
use crate::auth::{self, ExternalIssuers};
use crate::config::Config;
use crate::operator::{Backup, Operator};

/// What stands behind the core's ports.
pub(super) struct Stores {
    pub(super) log: Arc<dyn RoomLog>,
    pub(super) history: Arc<dyn History>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) leases: Arc<dyn WorkerLeases>,
    pub(super) backplane: Arc<dyn Backplane>,
    backup: Backup,
}

/// A node's stores, and what is made of them without a runtime of threads.
pub(super) struct Opened {
    pub(super) stores: Stores,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<IdGenerator>,
    pub(super) auth: Arc<auth::Service>,
}

impl Opened {
    pub(super) async fn open(config: &Config, registry: &mut Registry) -> Result<Self, StartError> {
        if config.cluster.is_some() {
            return Err(StartError::Cluster);
        }
        // Before the stores: a mistake in a file of keys shall not touch the data.
        let external = ExternalIssuers::load(&config.auth.external).map_err(StartError::Keys)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let stores = Stores::alone(config, clock.clone(), registry)?;
        let numbers = IdMetrics::register(registry);
        let ids = Arc::new(IdGenerator::open(clock.clone(), stores.leases.clone(), numbers).await?);
        let numbers = ids.clone();
        let parts = auth::Parts {
            credentials: stores.credentials.clone(),
            directory: stores.directory.clone(),
            clock: clock.clone(),
            identifiers: Arc::new(move || numbers.next()),
        };
        let auth = Arc::new(auth::Service::open(config.auth.clone(), external, parts).await?);
        Ok(Self { stores, clock, ids, auth })
    }

    /// What operators may have done.
    pub(super) fn operator(&self) -> Operator {
        Operator { auth: self.auth.clone(), backup: self.stores.backup.clone() }
    }
}

impl Stores {
    /// One store for everything, in the data folder, and no other nodes.
    fn alone(config: &Config, clock: Arc<dyn Clock>, registry: &mut Registry) -> Result<Self, StartError> {
        let store = EmbeddedStore::open(&config.store.data, options::embedded(&config.store), clock, registry)?;
        let copied = store.clone();
        let backup: Backup =
            Arc::new(move |path| copied.backup(path).map(|report| report.bytes).map_err(|error| error.to_string()));
        Ok(Self {
            log: store.clone(),
            history: store.clone(),
            directory: store.clone(),
            credentials: store.clone(),
            leases: store,
            backplane: Arc::new(Alone),
            backup,
        })
    }
}
