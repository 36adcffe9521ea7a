//! Reading the changes of a room.

use std::ops::RangeInclusive;

use bobchat_actors::ports::LogRow;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;
use futures_util::{Stream, StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;

use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::changes_bucket;
use crate::adapters::cassandra::room_log::{id, number};

/// Partitions that are read at once: between two changes of a room may be many that are empty.
const BUCKETS_AT_ONCE: usize = 8;

impl CassandraStore {
    /// The changes of whole partitions, partition by partition: those from the first seq of a range on that are part
    /// of the room's history, in order. Reaches beyond the range's end where the partition does.
    pub(super) fn owned_changes(
        &self,
        room: RoomId,
        range: &RangeInclusive<Sequence>,
        row: &LogRow,
    ) -> impl Stream<Item = Result<Vec<wire::Event>, Failure>> {
        let from = *range.start();
        let buckets = changes_bucket(from)..=changes_bucket(*range.end());
        let reads = buckets.map(move |bucket| self.owned_changes_of(room, bucket, from, row));
        stream::iter(reads).buffered(BUCKETS_AT_ONCE)
    }

    async fn owned_changes_of(
        &self,
        room: RoomId,
        bucket: u64,
        from: Sequence,
        row: &LogRow,
    ) -> Result<Vec<wire::Event>, Failure> {
        let values = (id(room), number(bucket), number(from.0));
        let rows = self.execute_iter(&self.statements.directory.changes, values).await?;
        let mut rows = rows.rows_stream::<(Option<Vec<u8>>,)>()?;
        let mut changes = Vec::new();
        while let Some((payload,)) = rows.try_next().await? {
            let Some(payload) = payload else { continue };
            let event = wire::Event::decode(payload.as_slice())?;
            if row.owns(event.position()) {
                changes.push(event);
            }
        }
        Ok(changes)
    }

    /// The changes above a seq. `newest` is the one that was projected last: no owned one is in a later partition.
    pub(super) async fn changes_above(
        &self,
        room: RoomId,
        folded: Sequence,
        newest: Sequence,
        row: &LogRow,
    ) -> Result<Vec<wire::Event>, Failure> {
        self.owned_changes(room, &(folded.next()..=newest), row).try_concat().await
    }
}
