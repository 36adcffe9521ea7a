use async_trait::async_trait;
use bobchat_actors::ports::{LeaseUpdate, Unavailable, WorkerLease, WorkerLeases, Workers};
use redb::ReadableTable;

use super::EmbeddedStore;
use super::command::Growth;
use super::meta::{IDS_HOLDER_KEYS, IDS_UNTIL_KEY, number};
use super::tables::META;
use super::transaction::Transaction;

#[async_trait]
impl WorkerLeases for EmbeddedStore {
    /// The data folder is locked.
    fn workers(&self) -> Workers {
        Workers::Alone
    }

    async fn worker_leases(&self) -> Result<Vec<WorkerLease>, Unavailable> {
        let lease = self.read(|transaction| stored(&transaction.open_table(META)?)).await?;
        Ok(lease.into_iter().collect())
    }

    async fn replace_worker_lease(
        &self,
        old: Option<WorkerLease>,
        new: WorkerLease,
    ) -> Result<LeaseUpdate, Unavailable> {
        let replace = move |transaction: &mut Transaction<'_>| {
            let mut meta = transaction.table(META)?;
            let known = stored(&meta)?;
            if known != old {
                transaction.unchanged();
                return Ok(LeaseUpdate::Changed(known));
            }
            meta.insert(IDS_UNTIL_KEY, new.valid_until.cast_unsigned())?;
            for (key, half) in IDS_HOLDER_KEYS.into_iter().zip(halves(new.holder)) {
                meta.insert(key, half)?;
            }
            Ok(LeaseUpdate::Done)
        };
        Ok(self.write(Growth::Keeps, 0, replace).await?)
    }
}

fn stored(meta: &impl ReadableTable<&'static str, u64>) -> Result<Option<WorkerLease>, redb::Error> {
    let Some(until) = number(meta, IDS_UNTIL_KEY)? else { return Ok(None) };
    let [high, low] = IDS_HOLDER_KEYS;
    let (high, low) = (number(meta, high)?.unwrap_or(0), number(meta, low)?.unwrap_or(0));
    let holder = u128::from(high) << u64::BITS | u128::from(low);
    Ok(Some(WorkerLease { worker: 0, holder, valid_until: until.cast_signed() }))
}

fn halves(holder: u128) -> [u64; 2] {
    let [a, b, c, d, e, f, g, h, low @ ..] = holder.to_be_bytes();
    [u64::from_be_bytes([a, b, c, d, e, f, g, h]), u64::from_be_bytes(low)]
}
