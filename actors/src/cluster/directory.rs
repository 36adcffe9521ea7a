use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use super::Cluster;
use crate::ports::{Directory, RoomRow, RoomSnapshot, Unavailable};

/// What is derived from logs, as far as that is stored. Members and settings are stored before whoever changed them is
/// answered; the head of a room lags by what is not stored yet. [`Directory::snapshot`] alone does not lag.
#[async_trait]
impl Directory for Cluster {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        self.directory.room(room).await
    }

    /// Up to what the live log shows; opens it where it is cold.
    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        let state = self.load(room).await?;
        Ok(state.filter(|state| !state.is_empty()).map(crate::room::RoomState::into_snapshot))
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        self.directory.claim_room(owner, key, proposed).await
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        self.directory.rooms_of(user, after, limit).await
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        self.directory.room_count_of(user).await
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        self.directory.search(query, after, limit).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        self.directory.members(room, after, limit).await
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        self.directory.users(users).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        self.directory.user_by_handle(handle).await
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        self.directory.user_by_subject(issuer, subject).await
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        self.directory.create_user(id, user, subject).await
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        self.directory.update_user(id, user).await
    }
}
