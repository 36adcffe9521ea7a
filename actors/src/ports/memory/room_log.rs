use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::{MemoryStore, Room};
use crate::ports::projection::admit;
use crate::ports::{Append, AppendError, Head, Outcome, RoomLog, Unavailable};

#[async_trait]
impl RoomLog for MemoryStore {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        Ok(self.state().rooms.entry(room).or_insert_with(Room::new).head)
    }

    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        let now = self.clock.now_micros();
        let mut state = self.state();
        let room = state.rooms.get_mut(&append.room).ok_or(AppendError::Cold)?;
        admit(&room.head, &append)?;
        Ok(append.events.into_iter().map(|new| room.add(new, now)).collect())
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        Ok(self.state().rooms.get(&room).map(|room| room.head))
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        let state = self.state();
        let events = state.rooms.get(&room).into_iter().flat_map(|room| &room.events);
        Ok(events.filter(|event| event.seq > after.0).take(limit).cloned().collect())
    }
}
