use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use super::{MemoryStore, State, lists};
use crate::ports::projection::Derived;
use crate::ports::{Directory, RoomRow, RoomSnapshot, Unavailable};

#[async_trait]
impl Directory for MemoryStore {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        Ok(self.state().rooms.get(&room).and_then(|found| found.row(room)))
    }

    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        let state = self.state();
        let Some((found, row)) = state.rooms.get(&room).and_then(|found| Some((found, found.row(room)?))) else {
            return Ok(None);
        };
        let memberships = found.derived.memberships.clone().into_iter().collect();
        Ok(Some(RoomSnapshot { row, spans: found.spans.clone(), memberships }))
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        Ok(self.state().people.claim_room(owner, key, proposed))
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        Ok(lists::rooms_of(self.state().rooms_after(after), user).take(limit).collect())
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        Ok(lists::rooms_of(self.state().rooms_after(None), user).count() as u64)
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        let state = self.state();
        let rows = state.rooms_after(after).map(|(row, _)| row);
        Ok(lists::found(rows, query).take(limit).collect())
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        let state = self.state();
        Ok(state.rooms.get(&room).map(|room| lists::members(&room.derived, after, limit)).unwrap_or_default())
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        Ok(self.state().people.users(users))
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.state().people.by_handle(handle))
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.state().people.by_subject(issuer, subject))
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        Ok(self.state().people.create(id, user, subject))
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        Ok(self.state().people.update(id, user))
    }
}

impl State {
    fn rooms_after(&self, after: Option<RoomId>) -> impl Iterator<Item = (RoomRow, &Derived)> {
        let rooms = self.rooms.iter().filter(move |(id, _)| lists::is_after(**id, after));
        rooms.filter_map(|(id, room)| Some((room.row(*id)?, &room.derived)))
    }
}
