//! The rooms of a user.

use bobchat_actors::ports::RoomRow;
use bobchat_actors::ports::projection::{is_member, last_change};
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::record::Membership;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use prost::Message as _;

use super::rooms::{ALL, Known};
use super::statements::many;
use crate::adapters::cassandra::CassandraStore;
use crate::adapters::cassandra::error::Failure;
use crate::adapters::cassandra::room_log::number;
use crate::adapters::cassandra::store::IN_FLIGHT;

/// A room that somebody is, was or may be a member of.
struct Listed {
    room: RoomId,
    membership: Membership,
    /// Whether there was a change that the membership does not know, or that changed nothing.
    is_changed: bool,
}

type Columns = (i64, Option<Vec<u8>>, Option<i64>);

impl Listed {
    fn new((room, membership, changed): Columns) -> Result<Self, Failure> {
        let membership = Membership::decode(membership.unwrap_or_default().as_slice())?;
        let room = RoomId::new(room.cast_unsigned()).map_err(|error| Failure(error.to_string()))?;
        let changed = changed.map(|changed| Sequence(changed.cast_unsigned()));
        Ok(Self { room, is_changed: changed > last_change(&membership), membership })
    }

    fn may_be_member(&self) -> bool {
        self.is_changed || is_member(&self.membership)
    }
}

impl CassandraStore {
    pub(super) async fn list_rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, Membership)>, Failure> {
        let mut page = Vec::new();
        if limit == 0 {
            return Ok(page);
        }
        let values = (number(user.get()), number(after.map_or(0, RoomId::get)));
        let answer = self.execute_iter(&self.statements.directory.rooms_of, values).await?;
        let rows = answer.rows_stream::<Columns>()?.map(|row| Listed::new(row?));
        let candidates = rows.try_filter(|listed| std::future::ready(listed.may_be_member()));
        let rooms = candidates.map_ok(|listed| self.joined(user, listed));
        let mut rooms = rooms.try_buffered(IN_FLIGHT.min(limit));
        while let Some(joined) = rooms.try_next().await? {
            page.extend(joined);
            if page.len() >= limit {
                break;
            }
        }
        Ok(page)
    }

    /// The room and the membership, if there is one now.
    async fn joined(&self, user: UserId, listed: Listed) -> Result<Option<(RoomRow, Membership)>, Failure> {
        let room = listed.room;
        let Some(known) = self.known_room(room).await? else { return Ok(None) };
        let membership = self.completed(user, listed, &known).await?;
        if !is_member(&membership) {
            return Ok(None);
        }
        Ok(Some((self.row_of(room, &known).await?, membership)))
    }

    /// The membership with all its changes. What was changed may have been folded since the list was read: the room's
    /// own row of it is read after the fold, so it has that.
    async fn completed(&self, user: UserId, listed: Listed, known: &Known) -> Result<Membership, Failure> {
        let Listed { room, mut membership, is_changed } = listed;
        if is_changed {
            let mut folded = self.memberships_of(room, known.people(), std::iter::once(user)).await?;
            membership = folded.remove(&user).unwrap_or_default();
        }
        known.complete(user, &mut membership, ALL);
        Ok(membership)
    }

    pub(super) async fn count_rooms_of(&self, user: UserId) -> Result<u64, Failure> {
        let statement = many(&self.statements.directory.rooms_of);
        let answer = self.execute_iter(&statement, (number(user.get()), 0_i64)).await?;
        let mut rows = answer.rows_stream::<Columns>()?.map(|row| Listed::new(row?));
        let (mut count, mut open) = (0_u64, Vec::new());
        while let Some(listed) = rows.try_next().await? {
            if listed.is_changed {
                open.push(listed);
            } else if is_member(&listed.membership) {
                count = count.saturating_add(1);
            }
        }
        let looks: Vec<_> = open.into_iter().map(|listed| self.is_joined(user, listed)).collect();
        let mut looks = stream::iter(looks).buffer_unordered(IN_FLIGHT);
        while let Some(joined) = looks.try_next().await? {
            count = count.saturating_add(u64::from(joined));
        }
        Ok(count)
    }

    async fn is_joined(&self, user: UserId, listed: Listed) -> Result<bool, Failure> {
        let Some(known) = self.known_room(listed.room).await? else { return Ok(false) };
        Ok(is_member(&self.completed(user, listed, &known).await?))
    }
}
