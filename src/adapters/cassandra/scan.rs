//! Reading what is stored: events, keys, heads.

use bobchat_actors::ports::{Head, StoredEvent, StoredKey};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire;
use futures_util::TryStreamExt as _;
use prost::Message as _;

use super::CassandraStore;
use super::error::Failure;
use super::place::{events_bucket, write_timestamp};
use super::room_log::{id, number};

type EventColumns = (i64, i64, Option<Vec<u8>>, Option<i64>, Option<bool>);

impl CassandraStore {
    /// Walks the room's partitions from the one of `from` on.
    ///
    /// The walk ends at the last bucket that an event may stand in, which is noted before an event is written
    /// ([`Self::store_events`]) and read here before the first partition is. An empty partition is no sign of
    /// the end: an event that waited for its own row (`ack = "history"`) may stand beyond a hole of thousands that
    /// were lost before they were archived, and must be found to be renumbered.
    pub(super) async fn stored_events(
        &self,
        room: RoomId,
        from: Sequence,
        limit: usize,
    ) -> Result<Vec<StoredEvent>, Failure> {
        let mut events = Vec::new();
        let Some(last) = self.last_events_bucket(room).await? else { return Ok(events) };
        for bucket in events_bucket(from)..=last {
            let wanted = limit.saturating_sub(events.len());
            if wanted == 0 {
                break;
            }
            self.read_bucket(room, bucket, from, wanted, &mut events).await?;
        }
        Ok(events)
    }

    async fn read_bucket(
        &self,
        room: RoomId,
        bucket: u64,
        from: Sequence,
        wanted: usize,
        events: &mut Vec<StoredEvent>,
    ) -> Result<(), Failure> {
        let limit = i32::try_from(wanted).unwrap_or(i32::MAX);
        let values = (id(room), number(bucket), number(from.0), limit);
        let rows = self.execute_iter(&self.statements.events, values).await?;
        let mut rows = rows.rows_stream::<EventColumns>()?;
        while let Some((_, _, payload, body_hash, renumbered)) = rows.try_next().await? {
            // A mark without its event: whoever marked it had read the row, so it is not of this life.
            let Some(payload) = payload else { continue };
            let event = wire::Event::decode(payload.as_slice())?;
            let body_hash = body_hash.unwrap_or_default().cast_unsigned();
            events.push(StoredEvent { event, body_hash, renumbered: renumbered.unwrap_or(false) });
        }
        Ok(())
    }

    /// The last bucket of `events` that a row may stand in; `None` before the first.
    pub(super) async fn last_events_bucket(&self, room: RoomId) -> Result<Option<u64>, Failure> {
        let rows = self.execute(&self.statements.last_bucket, (id(room),)).await?.into_rows_result()?;
        let bucket = rows.maybe_first_row::<(Option<i64>,)>()?.and_then(|(bucket,)| bucket);
        Ok(bucket.map(i64::cast_unsigned))
    }

    pub(super) async fn stored_keys(&self, room: RoomId, author: u64, key: &str) -> Result<Vec<StoredKey>, Failure> {
        let rows = self.execute(&self.statements.keys, (id(room), number(author), key)).await?.into_rows_result()?;
        let used = rows.rows::<(i64, i64, i64)>()?.map(|row| {
            let (epoch, seq, body_hash) = row?;
            let position = Position { epoch: Epoch(epoch.cast_unsigned()), seq: Sequence(seq.cast_unsigned()) };
            Ok(StoredKey { position, body_hash: body_hash.cast_unsigned() })
        });
        used.collect()
    }

    pub(super) async fn read_head(&self, room: RoomId) -> Result<Option<Head>, Failure> {
        type Columns = (Option<i64>, Option<i64>, Option<i64>, Option<i64>, Option<i64>);
        let rows = self.execute(&self.statements.head, (id(room),)).await?.into_rows_result()?;
        // The row may hold nothing but how far events stand.
        let Some((Some(epoch), Some(seq), Some(at), Some(ordinal), Some(state_seq))) =
            rows.maybe_first_row::<Columns>()?
        else {
            return Ok(None);
        };
        let position = Position { epoch: Epoch(epoch.cast_unsigned()), seq: Sequence(seq.cast_unsigned()) };
        let (ordinal, state_seq) = (Ordinal(ordinal.cast_unsigned()), Sequence(state_seq.cast_unsigned()));
        Ok(Some(Head { position, at, ordinal, state_seq }))
    }

    /// The timestamp is the position: an older head that comes late changes nothing.
    pub(super) async fn write_head(&self, room: RoomId, head: Head) -> Result<(), Failure> {
        let Position { epoch, seq } = head.position;
        let (ordinal, state_seq) = (number(head.ordinal.0), number(head.state_seq.0));
        let timestamp = write_timestamp(head.position);
        let values = (timestamp, number(epoch.0), number(seq.0), head.at, ordinal, state_seq, id(room));
        self.execute(&self.statements.note_head, values).await?;
        Ok(())
    }
}
