//! What stands behind the core's ports: one store in the data folder, or Redis and Cassandra.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::Core;
use bobchat_actors::cluster::{Cluster, ClusterMetrics, ClusterPorts};
use bobchat_actors::ports::{
    Alone, Backplane, Clock, Credentials, Directory, History, Listener, RoomLog, WorkerLeases,
};
use prometheus_client::registry::Registry;

use super::error::StartError;
use super::options;
use super::waiting::{Trouble, Waiting};
use crate::adapters::cassandra::{self, CassandraStore};
use crate::adapters::embedded::{EmbeddedStore, StoreFacts, inspect};
use crate::adapters::redis::{BackplaneMetrics, CheckError, RedisBackplane, RedisLog};
use crate::config::{self, Config, Store};
use crate::operator::Backup;
use crate::web::admin::Service;

/// What stands behind the core's ports.
pub(super) struct Stores {
    pub(super) log: Arc<dyn RoomLog>,
    pub(super) history: Arc<dyn History>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) leases: Arc<dyn WorkerLeases>,
    pub(super) backplane: Arc<dyn Backplane>,
    pub(super) backup: Backup,
    /// What a node of a cluster has besides.
    pub(super) shared: Option<Shared>,
}

/// What makes a node one of several.
#[derive(Clone)]
pub(super) struct Shared {
    pub(super) cluster: Arc<Cluster>,
    backplane: Arc<RedisBackplane>,
}

impl Stores {
    /// One store for everything, in the data folder, and no other nodes.
    pub(super) fn alone(config: &Config, clock: Arc<dyn Clock>, registry: &mut Registry) -> Result<Self, StartError> {
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
            shared: None,
        })
    }

    /// Redis and Cassandra, shared with all other nodes.
    pub(super) async fn in_cluster(
        store: &Store,
        config: &config::Cluster,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
        waiting: Waiting<'_>,
    ) -> Result<Self, StartError> {
        warn_of_store(&store.data);
        let node = getrandom::u64().map_err(StartError::Number)?;
        let (redis, cassandra) = (options::redis(config, node), options::cassandra(&config.cassandra));
        let live =
            waiting.until_done(Service::Redis, async || RedisLog::connect(redis.clone()).await.map_err(judge_redis));
        let stored = waiting.until_done(Service::Cassandra, async || {
            CassandraStore::open(&cassandra, clock.clone()).await.map_err(judge_cassandra)
        });
        let (live, stored) = tokio::try_join!(live, stored)?;
        let backplane = RedisBackplane::start(&redis, live.clone(), BackplaneMetrics::register(registry));
        let ports = ClusterPorts {
            live,
            store: stored.clone(),
            history: stored.clone(),
            directory: stored.clone(),
            clock,
            node,
        };
        let cluster = Cluster::new(ports, options::cluster(config), ClusterMetrics::register(registry));
        Ok(Self {
            log: cluster.clone(),
            history: cluster.clone(),
            directory: cluster.clone(),
            credentials: stored.clone(),
            leases: stored,
            backplane: backplane.clone(),
            backup: Arc::new(|_| Err(NO_BACKUP.to_owned())),
            shared: Some(Shared { cluster, backplane }),
        })
    }
}

/// What is said of backups to who runs a cluster.
pub(crate) const NO_BACKUP: &str = "the data folder of a node of a cluster holds nothing to copy: back up Cassandra \
    with its own snapshots, docs/operations.md says how";

impl Shared {
    /// Says who takes what other nodes tell, and starts what goes on for as long as the node lives.
    pub(super) fn start(&self, core: &Arc<Core>) {
        let listener: Arc<dyn Listener> = core.clone();
        self.backplane.listen(Arc::downgrade(&listener));
        let cluster = self.cluster.clone();
        actix_rt::spawn(async move { cluster.tend().await });
    }

    /// Waits until what this node answered for is archived, so that nothing depends on its memory when it is gone.
    pub(super) async fn drain(&self, limit: Duration) {
        let left = self.cluster.drain(limit).await;
        if left > 0 {
            tracing::warn!(
                events = left,
                "the node ends with events that are not archived: until another node archives them, Redis alone has them"
            );
        }
    }
}

/// Somebody who goes over from one server to a cluster shall not wonder where everything is.
fn warn_of_store(folder: &Path) {
    if !matches!(inspect(folder), Ok(StoreFacts::Missing)) {
        tracing::warn!(
            folder = %folder.display(),
            "there is a store in the data folder, which a node of a cluster does not use: what is in it is not seen"
        );
    }
}

fn judge_redis(error: CheckError) -> Trouble {
    match error {
        CheckError::Unreachable(_) => Trouble::Passing(error.into()),
        CheckError::Evicts { .. }
        | CheckError::TooOld { .. }
        | CheckError::OtherDeployment { .. }
        | CheckError::Replica => Trouble::Lasting(error.into()),
    }
}

fn judge_cassandra(error: cassandra::OpenError) -> Trouble {
    use cassandra::OpenError::{Certificates, Connect, NewerSchema, Schema, SchemaBusy};
    match error {
        Connect { .. } | SchemaBusy { .. } | Schema { .. } => Trouble::Passing(error.into()),
        Certificates { .. } | NewerSchema { .. } => Trouble::Lasting(error.into()),
    }
}
