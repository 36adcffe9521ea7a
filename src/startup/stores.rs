//! What stands behind the core's ports: one store in the data folder, or Redis and Cassandra.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use bobchat_actors::Core;
use bobchat_actors::cluster::{Cluster, ClusterMetrics, ClusterPorts};
use bobchat_actors::nodes::NodePort;
use bobchat_actors::ports::{
    Alone, Backplane, Clock, Credentials, Directory, History, Listener, NodeListener, RoomLog, WorkerLeases,
};
use bobchat_proto::ids::NodeId;
use prometheus_client::registry::Registry;

use super::error::StartError;
use super::options;
use super::waiting::{Trouble, Waiting};
use crate::adapters::cassandra::{self, CassandraMetrics, CassandraOptions, CassandraStore};
use crate::adapters::embedded::{EmbeddedStore, StoreFacts, inspect};
use crate::adapters::redis::{
    BackplaneMetrics, CheckError, NodesMetrics, RedisBackplane, RedisLog, RedisMetrics, RedisNodes, RedisOptions,
    inspect as inspect_redis,
};
use crate::config::{self, Config, Store};
use crate::operator::Backup;
use crate::settings::SettingsStore;
use crate::web::admin::Service;

/// What stands behind the core's ports.
pub(super) struct Stores {
    pub(super) log: Arc<dyn RoomLog>,
    pub(super) history: Arc<dyn History>,
    pub(super) directory: Arc<dyn Directory>,
    pub(super) credentials: Arc<dyn Credentials>,
    pub(super) leases: Arc<dyn WorkerLeases>,
    pub(super) settings: Arc<dyn SettingsStore>,
    pub(super) backplane: Arc<dyn Backplane>,
    pub(super) backup: Backup,
    /// What a node of a cluster has besides.
    pub(super) shared: Option<Shared>,
}

/// What makes a node one of several.
#[derive(Clone)]
pub(super) struct Shared {
    cluster: Arc<Cluster>,
    backplane: Arc<RedisBackplane>,
    nodes: Arc<RedisNodes>,
    node: NodeId,
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
            leases: store.clone(),
            settings: store,
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
        let random = getrandom::u64().map_err(StartError::Number)?;
        // Any identifier of 63 bits: those of all nodes that ever ran differ.
        let node = NodeId::new((random >> 1).max(1)).map_err(|_| StartError::Number(getrandom::Error::UNEXPECTED))?;
        let stored = Self::wait_for_services(config, clock.clone(), registry, waiting).await?;
        let metrics = RedisMetrics::register(registry);
        let redis = RedisOptions { metrics, ..options::redis(config, stored.deployment(), node.get()) };
        let connect = async || RedisLog::connect(redis.clone()).await.map_err(judge_redis);
        let live = waiting.until_done(Service::Redis, connect).await?;
        let backplane = RedisBackplane::start(&redis, live.clone(), BackplaneMetrics::register(registry));
        let nodes = RedisNodes::start(&redis, node, live.clone(), NodesMetrics::register(registry));
        let hears = async || nodes.hears().await.map_err(|error| Trouble::Passing(error.into()));
        waiting.until_done(Service::Redis, hears).await?;
        let ports = ClusterPorts {
            live,
            store: stored.clone(),
            history: stored.clone(),
            directory: stored.clone(),
            clock,
            node: node.get(),
        };
        let cluster = Cluster::new(ports, options::cluster(config), ClusterMetrics::register(registry));
        Ok(Self {
            log: cluster.clone(),
            history: cluster.clone(),
            directory: cluster.clone(),
            credentials: stored.clone(),
            leases: stored.clone(),
            settings: stored,
            backplane: backplane.clone(),
            backup: Arc::new(|_| Err(NO_BACKUP.to_owned())),
            shared: Some(Shared { cluster, backplane, nodes, node }),
        })
    }

    /// Waits for both services at once, so that each that is not there is named. Redis is only looked at: whose it has
    /// to be stands in Cassandra.
    async fn wait_for_services(
        config: &config::Cluster,
        clock: Arc<dyn Clock>,
        registry: &mut Registry,
        waiting: Waiting<'_>,
    ) -> Result<Arc<CassandraStore>, StartError> {
        let metrics = CassandraMetrics::register(registry);
        let cassandra = CassandraOptions { metrics, ..options::cassandra(config) };
        let redis = options::redis(config, &config.deployment, 0);
        let stored = waiting.until_done(Service::Cassandra, async || {
            CassandraStore::open(&cassandra, clock.clone()).await.map_err(judge_cassandra)
        });
        let looked = waiting.until_done(Service::Redis, async || inspect_redis(&redis).await.map_err(judge_redis));
        let (stored, _) = tokio::try_join!(stored, looked)?;
        Ok(stored)
    }
}

/// What is said of backups to who runs a cluster.
pub(crate) const NO_BACKUP: &str = "the data folder of a node of a cluster holds nothing to copy: back up Cassandra \
    with its own snapshots, docs/operations.md says how";

impl Shared {
    /// This node among the others, at `address`.
    pub(super) fn port(&self, address: String) -> NodePort {
        let link = self.nodes.clone();
        let version = env!("CARGO_PKG_VERSION").to_owned();
        let cluster = self.cluster.clone();
        let archive_lag = Arc::new(move || Some(cluster.archive_lag()));
        NodePort { link, node: self.node, version, address, archive_lag }
    }

    /// Says who takes what other nodes tell, and starts what goes on for as long as the node lives.
    pub(super) fn start(&self, core: &Arc<Core>) {
        let listener: Arc<dyn Listener> = core.clone();
        self.backplane.listen(Arc::downgrade(&listener));
        let listener: Arc<dyn NodeListener> = core.clone();
        self.nodes.listen(Arc::downgrade(&listener));
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
        CheckError::Certificates(_)
        | CheckError::Evicts { .. }
        | CheckError::TooOld { .. }
        | CheckError::OtherDeployment { .. }
        | CheckError::Replica => Trouble::Lasting(error.into()),
    }
}

fn judge_cassandra(error: cassandra::OpenError) -> Trouble {
    let trouble = if error.may_pass() { Trouble::Passing } else { Trouble::Lasting };
    trouble(error.into())
}
