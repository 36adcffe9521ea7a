use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::{MemoryStore, State, pages};
use crate::ports::{Anchor, EventPage, History, MessagePage, Unavailable, Visible};

#[async_trait]
impl History for MemoryStore {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        Ok(pages::messages(self.state().events_of(room), anchor, limit, visible))
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        Ok(pages::events(self.state().events_of(room), after, limit, visible))
    }
}

impl State {
    fn events_of(&self, room: RoomId) -> impl Iterator<Item = &wire::Event> {
        self.rooms.get(&room).into_iter().flat_map(|room| &room.events)
    }
}
