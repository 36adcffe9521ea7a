//! Who makes identifiers. Every change is a compare-and-set.

use async_trait::async_trait;
use bobchat_actors::ids::WORKERS;
use bobchat_actors::ports::{LeaseUpdate, Unavailable, WorkerLease, WorkerLeases, Workers};

use super::CassandraStore;
use super::error::Failure;

type Columns = (i32, Option<Vec<u8>>, Option<i64>);

#[async_trait]
impl WorkerLeases for CassandraStore {
    fn workers(&self) -> Workers {
        Workers::Shared(WORKERS)
    }

    async fn worker_leases(&self) -> Result<Vec<WorkerLease>, Unavailable> {
        Ok(self.read_leases().await?)
    }

    /// The holder's token, which nobody else has, and the time decide an outcome that was not heard.
    async fn replace_worker_lease(
        &self,
        old: Option<WorkerLease>,
        new: WorkerLease,
    ) -> Result<LeaseUpdate, Unavailable> {
        let heard = self.try_lease(old, new).await;
        if let Ok(true) = heard {
            return Ok(LeaseUpdate::Done);
        }
        let stands = self.read_lease(new.worker).await?;
        match heard {
            _ if stands == Some(new) => Ok(LeaseUpdate::Done),
            // It may still be on its way: nothing has taken the place of what it is compared with.
            Err(failure) if stands == old => Err(failure.into()),
            _ => Ok(LeaseUpdate::Changed(stands)),
        }
    }
}

impl CassandraStore {
    async fn read_leases(&self) -> Result<Vec<WorkerLease>, Failure> {
        // One row more than there can be would still be one page of a few dozen KB.
        let mut statement = self.statements.worker_leases.clone();
        statement.set_page_size(i32::from(WORKERS.cast_signed()).saturating_add(1));
        let rows = self.execute(&statement, ()).await?.into_rows_result()?;
        rows.rows::<Columns>()?.map(|row| lease(row?)).collect()
    }

    async fn read_lease(&self, worker: u16) -> Result<Option<WorkerLease>, Failure> {
        let answer = self.execute(&self.statements.worker_lease_serial, (i32::from(worker),)).await?;
        answer.into_rows_result()?.maybe_first_row::<Columns>()?.map(lease).transpose()
    }

    async fn try_lease(&self, old: Option<WorkerLease>, new: WorkerLease) -> Result<bool, Failure> {
        let (worker, holder, until) = (i32::from(new.worker), new.holder.to_be_bytes(), new.valid_until);
        match old {
            None => self.compare_and_set(&self.statements.make_worker_lease, (worker, holder, until)).await,
            Some(old) => {
                let values = (holder, until, worker, old.holder.to_be_bytes(), old.valid_until);
                self.compare_and_set(&self.statements.replace_worker_lease, values).await
            }
        }
    }
}

fn lease((worker, holder, valid_until): Columns) -> Result<WorkerLease, Failure> {
    let holder = holder.as_deref().and_then(|holder| <[u8; 16]>::try_from(holder).ok());
    match (u16::try_from(worker), holder, valid_until) {
        (Ok(worker), Some(holder), Some(valid_until)) => {
            Ok(WorkerLease { worker, holder: u128::from_be_bytes(holder), valid_until })
        }
        _ => Err(Failure(format!("the row of worker {worker} lacks its holder or its end"))),
    }
}
