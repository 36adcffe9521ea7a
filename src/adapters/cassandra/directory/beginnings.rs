//! Finding public rooms by how the words of their names begin.
//!
//! Every beginning of every word is a partition, or some of them: a query of one word reads one stretch of it, in the
//! order of rooms. A row is a hint: the room that it leads to is compared with the whole query.

use std::collections::BTreeSet;

use bobchat_actors::ports::RoomRow;
use bobchat_actors::ports::projection::{is_found, longest_beginning, search_words};
use bobchat_proto::ids::{Position, RoomId};
use futures_util::{StreamExt as _, TryStreamExt as _, stream};

use super::parts::{merged, part_of_beginning, parts_of_beginning};
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::write_timestamp;
use crate::adapters::cassandra::room_log::{id, number};
use crate::adapters::cassandra::store::IN_FLIGHT;

/// Rooms of a partition that are looked at together, at least: a query of two words may pass over many.
const LOOK_AT_MIN: usize = 16;

impl CassandraStore {
    pub(super) async fn put_beginnings(
        &self,
        room: RoomId,
        beginnings: BTreeSet<String>,
        position: Position,
    ) -> Result<(), Failure> {
        let timestamp = write_timestamp(position);
        let values = beginnings.into_iter().map(|beginning| {
            let part = part_of_beginning(&beginning, room);
            (beginning, part, id(room), timestamp)
        });
        let writes: Vec<_> =
            values.map(|values| self.execute(&self.statements.directory.put_beginning, values)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).map_ok(drop).try_collect().await
    }

    /// Removes hints, which is safe: under the position of a change that is final, so only later names come after it.
    pub(super) async fn drop_beginnings(
        &self,
        room: RoomId,
        beginnings: impl Iterator<Item = String>,
        position: Position,
    ) -> Result<(), Failure> {
        let timestamp = write_timestamp(position);
        let values = beginnings.map(|beginning| {
            let part = part_of_beginning(&beginning, room);
            (timestamp, beginning, part, id(room))
        });
        let writes: Vec<_> =
            values.map(|values| self.execute(&self.statements.directory.drop_beginning, values)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).map_ok(drop).try_collect().await
    }

    pub(super) async fn find_rooms(
        &self,
        query: &str,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<RoomRow>, Failure> {
        let words = search_words(query);
        let driver = longest_beginning(&words).to_owned();
        let rows = limit.max(LOOK_AT_MIN);
        let (mut after, mut found) = (after.map_or(0, RoomId::get), Vec::new());
        while found.len() < limit {
            let read = |part| self.read_beginning(&driver, part, after, rows);
            let stretch = merged(parts_of_beginning(&driver), rows, read).await?;
            let Some((last, ())) = stretch.rows.last() else { break };
            after = *last;
            let rooms = stretch.rows.iter().filter_map(|(room, ())| RoomId::new(*room).ok());
            let looks: Vec<_> = rooms.map(|room| self.room_row(room)).collect();
            let mut looks = stream::iter(looks).buffered(IN_FLIGHT);
            while let Some(row) = looks.try_next().await? {
                let is_found = |row: &RoomRow| row.room.settings.as_ref().is_some_and(|it| is_found(it, &words));
                found.extend(row.filter(is_found));
                if found.len() >= limit {
                    return Ok(found);
                }
            }
            if stretch.is_last {
                break;
            }
        }
        Ok(found)
    }

    async fn read_beginning(
        &self,
        beginning: &str,
        part: i32,
        after: u64,
        rows: usize,
    ) -> Result<Vec<(u64, ())>, Failure> {
        let values = (beginning, part, number(after), i32::try_from(rows).unwrap_or(i32::MAX));
        let answer = self.execute(&self.statements.directory.beginnings, values).await?.into_rows_result()?;
        let rooms = answer.rows::<(i64,)>()?.map(|row| Ok((row?.0.cast_unsigned(), ())));
        rooms.collect()
    }
}
