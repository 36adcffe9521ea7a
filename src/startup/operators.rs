use std::net::SocketAddr;
use std::path::Path;
use std::sync::{Arc, OnceLock};

use actix_server::ServerHandle;
use bobchat_actors::Core;
use prometheus_client::registry::Registry;

use super::error::StartError;
use super::listen;
use crate::operator::Operator;
use crate::settings::Heeding;
use crate::telemetry;
use crate::web::admin::{self, Admin, Administered, Readiness};

/// The operator's listener. It is there before the node is: whoever watches over the process sees that it lives,
/// and what it waits for.
pub(super) struct Operators {
    pub(super) address: SocketAddr,
    pub(super) readiness: Arc<Readiness>,
    node: Arc<OnceLock<Administered>>,
    handle: ServerHandle,
}

impl Operators {
    /// Listens at `wanted`. Has to run inside an actix system.
    pub(super) fn start(wanted: SocketAddr) -> Result<Self, StartError> {
        let place = listen::reserve(wanted)?;
        let address = place.address;
        let (readiness, node) = (Arc::<Readiness>::default(), Arc::<OnceLock<_>>::default());
        let process = Arc::new(telemetry::metrics::registry());
        let admin = Admin { process, readiness: readiness.clone(), node: node.clone() };
        let server = listen::serve_admin(place.listen()?, admin).map_err(StartError::Serve)?;
        let handle = server.handle();
        actix_rt::spawn(server);
        Ok(Self { address, readiness, node, handle })
    }

    /// The node is there: from now on it is measured and administered. The secret is made only now, when nobody
    /// else uses the data folder.
    pub(super) fn administer(
        &self,
        data: &Path,
        metrics: Registry,
        operator: Operator,
        core: Arc<Core>,
        settings: Arc<Heeding>,
    ) -> Result<(), StartError> {
        let secret = admin::create_secret(data).map_err(StartError::Secret)?;
        // Once a start.
        let _ = self.node.set(Administered { metrics, operator, core, settings, secret });
        Ok(())
    }

    pub(super) async fn stop(&self, gracefully: bool) {
        self.handle.stop(gracefully).await;
    }
}
