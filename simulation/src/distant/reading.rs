//! What a node reads of the store, and its directory, over the same link.

use async_trait::async_trait;
use bobchat_actors::ports::{
    Anchor, Directory, EventPage, History, MessagePage, RoomRow, RoomSnapshot, Unavailable, Visible,
};
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bobchat_proto::record;

use super::Distant;

#[async_trait]
impl<P: History> History for Distant<P> {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        self.link.around(self.port.page(room, anchor, limit, visible)).await
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        self.link.around(self.port.events(room, after, limit, visible)).await
    }
}

#[async_trait]
impl<P: Directory> Directory for Distant<P> {
    async fn room(&self, room: RoomId) -> Result<Option<RoomRow>, Unavailable> {
        self.link.around(self.port.room(room)).await
    }

    async fn snapshot(&self, room: RoomId) -> Result<Option<RoomSnapshot>, Unavailable> {
        self.link.around(self.port.snapshot(room)).await
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        self.link.around(self.port.claim_room(owner, key, proposed)).await
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        self.link.around(self.port.rooms_of(user, after, limit)).await
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        self.link.around(self.port.room_count_of(user)).await
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        self.link.around(self.port.search(query, after, limit)).await
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        self.link.around(self.port.members(room, after, limit)).await
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        self.link.around(self.port.users(users)).await
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        self.link.around(self.port.user_by_handle(handle)).await
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        self.link.around(self.port.user_by_subject(issuer, subject)).await
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        self.link.around(self.port.create_user(id, user, subject)).await
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        self.link.around(self.port.update_user(id, user)).await
    }
}
