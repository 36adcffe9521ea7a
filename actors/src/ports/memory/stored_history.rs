//! Pages of what live logs let go of: what is stored, and owned by the room's log.

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::event_store::{MemoryEventStore, State};
use super::pages;
use crate::ports::{Anchor, EventPage, History, MessagePage, Unavailable, Visible};

#[async_trait]
impl History for MemoryEventStore {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        Ok(pages::messages(self.reached()?.owned(room), anchor, limit, visible))
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        Ok(pages::events(self.reached()?.owned(room), after, limit, visible))
    }
}

impl State {
    fn owned(&self, room: RoomId) -> impl Iterator<Item = &wire::Event> {
        let room = self.rooms.get(&room).and_then(|room| Some((room, room.row.as_ref()?)));
        room.into_iter().flat_map(|(room, row)| {
            let events = room.events.values().map(|stored| &stored.event);
            events.filter(|event| row.owns(event.position()))
        })
    }
}
