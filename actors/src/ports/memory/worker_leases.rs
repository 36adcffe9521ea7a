use async_trait::async_trait;

use super::MemoryStore;
use crate::ids::WORKERS;
use crate::ports::{LeaseUpdate, Unavailable, WorkerLease, WorkerLeases, Workers};

#[async_trait]
impl WorkerLeases for MemoryStore {
    /// Tests run several nodes over one store.
    fn workers(&self) -> Workers {
        Workers::Shared(WORKERS)
    }

    async fn worker_leases(&self) -> Result<Vec<WorkerLease>, Unavailable> {
        Ok(self.state().worker_leases.values().copied().collect())
    }

    async fn replace_worker_lease(
        &self,
        old: Option<WorkerLease>,
        new: WorkerLease,
    ) -> Result<LeaseUpdate, Unavailable> {
        let leases = &mut self.state().worker_leases;
        let known = leases.get(&new.worker).copied();
        if known != old {
            return Ok(LeaseUpdate::Changed(known));
        }
        leases.insert(new.worker, new);
        Ok(LeaseUpdate::Done)
    }
}
