use async_trait::async_trait;
use bobchat_actors::ports::{Append, AppendError, Head, Outcome, RoomLog, Unavailable};
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::{record, wire};
use prost::Message as _;
use std::sync::Arc;

use super::EmbeddedStore;
use super::append;
use super::command::{Growth, Refusal};
use super::history::Log;
use super::tables::{HEADS, get, head_of};
use super::transaction::Transaction;

/// What an event weighs in the queue beside its body.
const EVENT_OVERHEAD_BYTES: usize = 256;

#[async_trait]
impl RoomLog for EmbeddedStore {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        let opened = self.write(Growth::Grows, 0, move |transaction| append::open(transaction, room)).await;
        Ok(opened?)
    }

    /// Durable on return: the events were synced to disk, unless the disk lies about it.
    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        let weight = append.events.iter().map(|new| new.event.encoded_len().saturating_add(EVENT_OVERHEAD_BYTES)).sum();
        let clock = Arc::clone(&self.clock);
        let work = move |transaction: &mut Transaction<'_>| append::append(transaction, append, clock.now_micros());
        self.write(Growth::Grows, weight, work).await.map_err(|refusal| match refusal {
            Refusal::Full(retry_after) => AppendError::Full { retry_after },
            Refusal::Unknown(cause) => AppendError::Unknown(cause),
        })?
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        let read = move |transaction: &redb::ReadTransaction| {
            let record: Option<record::Head> = get(&transaction.open_table(HEADS)?, room.get())?;
            Ok(record.map(|record| head_of(&record)))
        };
        self.read(read).await
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        let read = move |transaction: &redb::ReadTransaction| {
            let log = Log::open(transaction, room)?;
            log.events(after.next()..=Sequence(u64::MAX)).take(limit).collect()
        };
        self.read(read).await
    }
}
