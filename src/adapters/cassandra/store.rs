//! Storing events: keys, messages, and last what says "stored".

use bobchat_actors::ports::StoredEvent;
use bobchat_proto::ids::{Ordinal, Position, RoomId};
use bytes::Bytes;
use futures_util::future::BoxFuture;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;
use scylla::serialize::row::SerializeRow;
use scylla::statement::batch::{Batch, BatchType};
use scylla::statement::prepared::PreparedStatement;
use scylla::value::MaybeUnset;

use super::batches::{Sized, batches};
use super::error::Failure;
use super::place::{events_bucket, messages_bucket, write_timestamp};
use super::room_log::{id, number};
use super::{CassandraStore, Values};

/// Writes of one call that are under way at once, where their order does not matter.
pub(super) const IN_FLIGHT: usize = 16;

impl CassandraStore {
    /// Whoever reads an event's row finds its key, its message and what the directory derives from it too: those are
    /// written before it.
    pub(super) async fn store_events(&self, room: RoomId, events: Vec<StoredEvent>) -> Result<(), Failure> {
        let rows: Vec<Encoded> = events.into_iter().map(Encoded::new).collect();
        self.put_keys(room, &rows).await?;
        self.put_messages(room, &rows).await?;
        self.project(room, &rows).await?;
        if let Some(last) = rows.iter().map(|row| events_bucket(row.position.seq)).max() {
            self.note_events_bucket(room, last).await?;
        }
        self.put_events(room, &rows).await
    }

    async fn put_keys(&self, room: RoomId, rows: &[Encoded]) -> Result<(), Failure> {
        let keyed = rows.iter().filter_map(|row| {
            let (author, key) = (row.stored.event.author, row.stored.event.key.clone()?);
            let Position { epoch, seq } = row.position;
            let (bytes, body_hash, timestamp) =
                (key.len(), number(row.stored.body_hash), write_timestamp(row.position));
            let values = (id(room), number(author), key, number(epoch.0), number(seq.0), body_hash, timestamp);
            Some(Sized { partition: author, bytes, values })
        });
        let mut keyed: Vec<_> = keyed.collect();
        keyed.sort_by_key(|row| row.partition);
        let writes: Vec<_> =
            batches(keyed).into_iter().map(|batch| self.write(&self.statements.put_key, batch)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    async fn put_messages(&self, room: RoomId, rows: &[Encoded]) -> Result<(), Failure> {
        let messages = rows.iter().filter_map(|row| {
            let ordinal = row.stored.event.ordinal?;
            let bucket = messages_bucket(Ordinal(ordinal));
            let Position { epoch, seq } = row.position;
            let (event_id, timestamp) = (number(row.stored.event.id), write_timestamp(row.position));
            let (ordinal, epoch, seq) = (number(ordinal), number(epoch.0), number(seq.0));
            let values = (id(room), number(bucket), ordinal, epoch, event_id, seq, row.payload.clone(), timestamp);
            Some(Sized { partition: bucket, bytes: row.payload.len(), values })
        });
        let writes: Vec<_> =
            batches(messages).into_iter().map(|batch| self.write(&self.statements.put_message, batch)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// In order, one batch after the other: what a call that failed leaves behind is where the next one begins.
    async fn put_events(&self, room: RoomId, rows: &[Encoded]) -> Result<(), Failure> {
        let events = rows.iter().map(|row| {
            let Position { epoch, seq } = row.position;
            let bucket = events_bucket(seq);
            // Never `false`: storing an event again does not take back that it was renumbered.
            let renumbered = if row.stored.renumbered { MaybeUnset::Set(true) } else { MaybeUnset::Unset };
            let (body_hash, timestamp) = (number(row.stored.body_hash), write_timestamp(row.position));
            let (seq, epoch) = (number(seq.0), number(epoch.0));
            let values = (id(room), number(bucket), seq, epoch, row.payload.clone(), body_hash, renumbered, timestamp);
            Sized { partition: bucket, bytes: row.payload.len(), values }
        });
        let batches = batches(events);
        for batch in batches {
            self.write(&self.statements.put_event, batch).await?;
        }
        Ok(())
    }

    pub(super) async fn mark(&self, room: RoomId, orphans: &[Position]) -> Result<(), Failure> {
        let marks = orphans.iter().map(|position| {
            let (bucket, timestamp) = (events_bucket(position.seq), write_timestamp(*position));
            let values = (timestamp, id(room), number(bucket), number(position.seq.0), number(position.epoch.0));
            Sized { partition: bucket, bytes: 0, values }
        });
        let writes: Vec<_> =
            batches(marks).into_iter().map(|batch| self.write(&self.statements.mark_renumbered, batch)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
    }

    /// Says how far events of a room may stand, before one does: [`Self::stored_events`] goes by it. Its
    /// timestamp is the bucket, so that it only rises.
    async fn note_events_bucket(&self, room: RoomId, bucket: u64) -> Result<(), Failure> {
        if self.buckets.covers(room, bucket) {
            return Ok(());
        }
        let timestamp = number(bucket.saturating_add(1));
        self.execute(&self.statements.note_bucket, (timestamp, number(bucket), id(room))).await?;
        self.buckets.learn(room, bucket);
        Ok(())
    }

    /// Writes rows of one partition, all or none. Unlogged: a batch of one partition is one mutation.
    pub(super) fn write<'a, V: SerializeRow + Send + Sync + 'a>(
        &'a self,
        statement: &'a PreparedStatement,
        rows: Vec<V>,
    ) -> BoxFuture<'a, Result<(), Failure>> {
        let rows = rows.into_iter().map(|row| -> Values<'a> { Box::new(row) }).collect();
        Box::pin(self.write_rows(statement, rows))
    }

    async fn write_rows(&self, statement: &PreparedStatement, rows: Vec<Values<'_>>) -> Result<(), Failure> {
        let mut batch = Batch::new(BatchType::Unlogged);
        batch.set_is_idempotent(true);
        for _ in &rows {
            batch.append_statement(statement.clone());
        }
        self.metrics.measure(statement.get_statement(), self.session.batch(&batch, rows)).await?;
        Ok(())
    }
}

/// An event and its bytes, encoded once for both tables.
pub(super) struct Encoded {
    pub(super) position: Position,
    pub(super) payload: Bytes,
    pub(super) stored: StoredEvent,
}

impl Encoded {
    fn new(stored: StoredEvent) -> Self {
        Self { position: stored.event.position(), payload: stored.event.encode_to_vec().into(), stored }
    }
}
