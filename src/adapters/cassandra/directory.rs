//! Rooms, members and users, as all nodes share them.
//!
//! What the directory says of a room is a fold of the events that change its state. Those are written as they are
//! (`project`), before the rows that say "stored": under their positions, in any order, as often as may be, lost runs
//! included. Whoever reads them leaves out what the room's log does not own. When it is noted how far a room is stored
//! without a hole, the changes up to there are folded (`fold`): by then they are final, so the same fold is written
//! by whoever comes, and each row under the position of its own last change. What is read is the fold and, on top of
//! it, the changes above (`rooms`): mostly none.
//!
//! - A room: `state` (its one row), `changes` (above the fold), `rooms` (both together, pages of members).
//! - A user's rooms: `lists`. Search: `beginnings`. How partitions are kept small: `parts`.
//! - `users` and their unique `names` are no log's: they go by compare and set.

mod beginnings;
mod changes;
mod fold;
mod lists;
mod memberships;
mod names;
mod parts;
mod project;
mod rooms;
mod state;
mod statements;
mod users;

use async_trait::async_trait;
use bobchat_actors::ports::{Directory, RoomRow, RoomSnapshot, Unavailable};
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use super::CassandraStore;
pub(super) use statements::DirectoryStatements;

#[async_trait]
impl Directory for CassandraStore {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        Ok(self.room_row(room).await?)
    }

    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        Ok(self.room_snapshot(room).await?)
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        Ok(self.claim_room_id(owner, key, proposed).await?)
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        Ok(self.list_rooms_of(user, after, limit).await?)
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        Ok(self.count_rooms_of(user).await?)
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        Ok(self.find_rooms(query, after, limit).await?)
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        Ok(self.list_members(room, after, limit).await?)
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        Ok(self.read_users(users).await?)
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.user_by_name(&names::Name::handle(handle)).await?)
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.user_by_name(&names::Name::subject(issuer, subject)).await?)
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        Ok(self.make_user(id, user, subject).await?)
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        Ok(self.change_user(id, user).await?)
    }
}
