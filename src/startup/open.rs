//! What a node is made of before it has threads.

use std::sync::Arc;

use bobchat_actors::ids::{IdGenerator, IdMetrics};
use bobchat_actors::ports::{Clock, Unavailable};
use prometheus_client::registry::Registry;

use super::error::StartError;
use super::stores::Stores;
use super::waiting::{Trouble, Waiting};
use crate::adapters::clock::SystemClock;
use crate::auth::{self, ExternalIssuers};
use crate::config::{Config, Layers};
use crate::operator::Operator;
use crate::settings::Settings;
use crate::web::admin::Service;

/// A node's stores, and what is made of them without a runtime of threads.
pub(super) struct Opened {
    pub(super) stores: Stores,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) ids: Arc<IdGenerator>,
    pub(super) auth: Arc<auth::Service>,
}

impl Opened {
    /// Opens what the configuration names. A node of a cluster waits for its services as `waiting` says.
    pub(super) async fn open(
        config: &Config,
        registry: &mut Registry,
        waiting: Waiting<'_>,
    ) -> Result<Self, StartError> {
        // Before the stores: a mistake in a file of keys shall not touch the data.
        let external = ExternalIssuers::load(&config.auth.external).map_err(StartError::Keys)?;
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let (stores, waiting) = match &config.cluster {
            None => (Stores::alone(config, clock.clone(), registry)?, Waiting::Not),
            Some(cluster) => {
                let opening = Stores::in_cluster(&config.store, cluster, clock.clone(), registry, waiting);
                (Box::pin(opening).await?, waiting)
            }
        };
        let numbers = IdMetrics::register(registry);
        let ids = async || IdGenerator::open(clock.clone(), stores.leases.clone(), numbers.clone()).await;
        let ids = Arc::new(waiting.until_done(Service::Cassandra, async || ids().await.map_err(passing)).await?);
        let numbers = ids.clone();
        let parts = auth::Parts {
            credentials: stores.credentials.clone(),
            directory: stores.directory.clone(),
            clock: clock.clone(),
            identifiers: Arc::new(move || numbers.next()),
        };
        let auth = async || auth::Service::open(config.auth.clone(), external.clone(), parts.clone()).await;
        let auth = Arc::new(waiting.until_done(Service::Cassandra, async || auth().await.map_err(passing)).await?);
        Ok(Self { stores, clock, ids, auth })
    }

    /// What operators may have done, through a node of this name.
    pub(super) fn operator(&self, layers: &Arc<Layers>, through: String) -> Operator {
        let settings = Settings::new(layers.clone(), self.stores.settings.clone(), self.clock.clone(), through);
        Operator { auth: self.auth.clone(), backup: self.stores.backup.clone(), settings }
    }
}

fn passing(error: Unavailable) -> Trouble {
    Trouble::Passing(StartError::Unavailable(error))
}
