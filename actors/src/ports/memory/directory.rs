use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, UserId};
use bobchat_proto::record;

use super::{MemoryStore, Room, State};
use crate::ports::projection::{is_found, search_words};
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
        let memberships = found.memberships.iter().map(|(user, membership)| (*user, membership.clone())).collect();
        Ok(Some(RoomSnapshot { row, spans: found.spans.clone(), memberships }))
    }

    async fn claim_room(&self, owner: UserId, key: &str, proposed: RoomId) -> Result<RoomId, Unavailable> {
        Ok(*self.state().claims.entry((owner, key.to_owned())).or_insert(proposed))
    }

    async fn rooms_of(
        &self,
        user: UserId,
        after: Option<RoomId>,
        limit: usize,
    ) -> Result<Vec<(RoomRow, record::Membership)>, Unavailable> {
        let state = self.state();
        let rooms = state.rooms_after(after);
        let joined = rooms.filter_map(|(id, room)| Some((room.row(id)?, room.member(user)?.clone())));
        Ok(joined.take(limit).collect())
    }

    async fn room_count_of(&self, user: UserId) -> Result<u64, Unavailable> {
        Ok(self.state().rooms.values().filter(|room| room.member(user).is_some()).count() as u64)
    }

    async fn search(&self, query: &str, after: Option<RoomId>, limit: usize) -> Result<Vec<RoomRow>, Unavailable> {
        let words = search_words(query);
        let state = self.state();
        let rows = state.rooms_after(after).filter_map(|(id, room)| room.row(id));
        let found = rows.filter(|row| row.room.settings.as_ref().is_some_and(|settings| is_found(settings, &words)));
        Ok(found.take(limit).collect())
    }

    async fn members(
        &self,
        room: RoomId,
        after: Option<UserId>,
        limit: usize,
    ) -> Result<Vec<(UserId, record::Membership)>, Unavailable> {
        let state = self.state();
        let room = state.rooms.get(&room);
        let users = room.into_iter().flat_map(|room| room.memberships.keys().map(move |user| (*user, room)));
        let members = users.filter_map(|(user, room)| Some((user, room.member(user)?.clone())));
        Ok(members.filter(|(user, _)| Some(*user) > after).take(limit).collect())
    }

    async fn users(&self, users: &[UserId]) -> Result<Vec<(UserId, record::User)>, Unavailable> {
        let state = self.state();
        Ok(users.iter().filter_map(|id| Some((*id, state.users.get(id)?.clone()))).collect())
    }

    async fn user_by_handle(&self, handle: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.state().handles.get(handle).copied())
    }

    async fn user_by_subject(&self, issuer: &str, subject: &str) -> Result<Option<UserId>, Unavailable> {
        Ok(self.state().subjects.get(&(issuer.to_owned(), subject.to_owned())).copied())
    }

    async fn create_user(
        &self,
        id: UserId,
        user: record::User,
        subject: Option<(String, String)>,
    ) -> Result<bool, Unavailable> {
        let mut state = self.state();
        let subject_taken = subject.as_ref().is_some_and(|subject| state.subjects.contains_key(subject));
        if subject_taken || state.users.contains_key(&id) || state.handles.contains_key(&user.handle) {
            return Ok(false);
        }
        state.handles.insert(user.handle.clone(), id);
        if let Some(subject) = subject {
            state.subjects.insert(subject, id);
        }
        state.users.insert(id, user);
        Ok(true)
    }

    async fn update_user(&self, id: UserId, user: record::User) -> Result<bool, Unavailable> {
        let mut state = self.state();
        let Some(known) = state.users.get_mut(&id) else { return Ok(false) };
        *known = record::User { handle: std::mem::take(&mut known.handle), ..user };
        Ok(true)
    }
}

impl State {
    fn rooms_after(&self, after: Option<RoomId>) -> impl Iterator<Item = (RoomId, &Room)> {
        self.rooms.iter().map(|(id, room)| (*id, room)).filter(move |(id, _)| Some(*id) > after)
    }
}
