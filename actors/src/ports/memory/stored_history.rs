//! Pages of what live logs let go of: what is stored, and owned by the room's log.

use std::convert::Infallible;

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::event_store::{MemoryEventStore, State};
use crate::ports::paging::{boundary, event_page, message_page};
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
        let state = self.reached()?;
        let boundary = boundary(anchor).0;
        let messages = state.owned(room, visible).filter(|event| matches!(event.body, Some(Body::Message(_))));
        let messages: Vec<_> = messages.cloned().collect();
        let older = messages.iter().rev().filter(|event| event.seq <= boundary);
        let newer = messages.iter().filter(|event| event.seq > boundary);
        message_page(anchor, limit, older.cloned().map(Ok::<_, Infallible>), newer.cloned().map(Ok))
            .map_err(|never| match never {})
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        let state = self.reached()?;
        let events = state.owned(room, visible).filter(|event| event.seq > after.0);
        event_page(limit, events.cloned().map(Ok::<_, Infallible>)).map_err(|never| match never {})
    }
}

impl State {
    fn owned<'a>(&'a self, room: RoomId, visible: &'a Visible) -> impl Iterator<Item = &'a wire::Event> {
        let room = self.rooms.get(&room).and_then(|room| Some((room, room.row.as_ref()?)));
        let events = room.into_iter().flat_map(|(room, row)| {
            let events = room.events.values().map(|stored| &stored.event);
            events.filter(|event| row.owns(event.position()))
        });
        events.filter(|event| visible.iter().any(|range| range.contains(&Sequence(event.seq))))
    }
}
