//! Folded memberships: rows of a room, divided among partitions when there are many.

use std::collections::BTreeMap;

use bobchat_actors::ports::projection::last_change;
use bobchat_proto::ids::{Position, RoomId, UserId};
use bobchat_proto::record::Membership;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;

use super::parts::{Stretch, merged, part_of_member, parts_of_member, parts_of_members};
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::batches::{Sized, batches};
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::place::write_timestamp;
use crate::adapters::cassandra::room_log::{id, number};
use crate::adapters::cassandra::store::IN_FLIGHT;

/// Rows of a partition that are read at once where all are wanted.
const ROWS_AT_ONCE: usize = 5_000;

impl CassandraStore {
    /// The folded memberships of some users, of who has one.
    pub(super) async fn memberships_of(
        &self,
        room: RoomId,
        people: u64,
        users: impl Iterator<Item = UserId>,
    ) -> Result<BTreeMap<UserId, Membership>, Failure> {
        let places = users.flat_map(|user| parts_of_member(people, user).into_iter().map(move |part| (user, part)));
        let reads: Vec<_> = places.map(|(user, part)| self.read_membership(room, part, user)).collect();
        let mut reads = stream::iter(reads).buffer_unordered(IN_FLIGHT);
        let mut known = BTreeMap::new();
        while let Some(read) = reads.try_next().await? {
            if let Some((user, membership)) = read {
                keep_newest(&mut known, user, membership);
            }
        }
        Ok(known)
    }

    async fn read_membership(
        &self,
        room: RoomId,
        part: i32,
        user: UserId,
    ) -> Result<Option<(UserId, Membership)>, Failure> {
        let values = (id(room), part, number(user.get()));
        let rows = self.execute(&self.statements.directory.membership, values).await?.into_rows_result()?;
        let Some((stored,)) = rows.maybe_first_row::<(Option<Vec<u8>>,)>()? else { return Ok(None) };
        Ok(Some((user, Membership::decode(stored.unwrap_or_default().as_slice())?)))
    }

    /// Everybody who is or was a member.
    pub(super) async fn all_memberships(
        &self,
        room: RoomId,
        people: u64,
    ) -> Result<BTreeMap<UserId, Membership>, Failure> {
        let (mut known, mut after) = (BTreeMap::new(), 0);
        loop {
            let stretch = self.memberships_after(room, people, after, ROWS_AT_ONCE).await?;
            after = stretch.rows.last().map_or(after, |(user, _)| *user);
            for (user, membership) in stretch.rows {
                keep_newest(&mut known, UserId::new(user).map_err(|error| Failure(error.to_string()))?, membership);
            }
            if stretch.is_last {
                return Ok(known);
            }
        }
    }

    /// What follows a user: at least `rows` rows, of which one user may have two, unless there are no more.
    pub(super) async fn memberships_after(
        &self,
        room: RoomId,
        people: u64,
        after: u64,
        rows: usize,
    ) -> Result<Stretch<Membership>, Failure> {
        merged(parts_of_members(people), rows, |part| self.read_memberships(room, part, after, rows)).await
    }

    async fn read_memberships(
        &self,
        room: RoomId,
        part: i32,
        after: u64,
        rows: usize,
    ) -> Result<Vec<(u64, Membership)>, Failure> {
        let values = (id(room), part, number(after), i32::try_from(rows).unwrap_or(i32::MAX));
        let answer = self.execute(&self.statements.directory.memberships, values).await?.into_rows_result()?;
        let memberships = answer.rows::<(i64, Option<Vec<u8>>)>()?.map(|row| {
            let (user, stored) = row?;
            Ok((user.cast_unsigned(), Membership::decode(stored.unwrap_or_default().as_slice())?))
        });
        memberships.collect()
    }

    /// Writes folded memberships, each under the position of its last change: whoever folds up to there writes the
    /// same.
    pub(super) async fn write_memberships(
        &self,
        room: RoomId,
        people: u64,
        memberships: &[(UserId, Membership, Position)],
    ) -> Result<(), Failure> {
        let mut rows: Vec<_> = memberships
            .iter()
            .map(|(user, membership, position)| {
                let (part, stored) = (part_of_member(people, *user), membership.encode_to_vec());
                let (bytes, timestamp) = (stored.len(), write_timestamp(*position));
                let values = (id(room), part, number(user.get()), stored, timestamp);
                Sized { partition: u64::from(part.unsigned_abs()), bytes, values }
            })
            .collect();
        rows.sort_by_key(|row| row.partition);
        let statement = &self.statements.directory.put_membership;
        let writes: Vec<_> = batches(rows).into_iter().map(|batch| self.write(statement, batch)).collect();
        stream::iter(writes).buffer_unordered(IN_FLIGHT).try_collect().await
    }
}

/// Of two rows of a user one is older: the room was small then.
pub(super) fn keep_newest(known: &mut BTreeMap<UserId, Membership>, user: UserId, membership: Membership) {
    let older = known.get(&user).is_some_and(|known| last_change(known) >= last_change(&membership));
    if !older {
        known.insert(user, membership);
    }
}
