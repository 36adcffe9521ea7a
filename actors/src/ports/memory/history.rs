use std::convert::Infallible;

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::{MemoryStore, State};
use crate::ports::paging::{boundary, event_page, message_page};
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
        let state = self.state();
        let boundary = boundary(anchor).0;
        let messages = state.visible(room, visible).filter(|event| matches!(event.body, Some(Body::Message(_))));
        let older = messages.clone().rev().filter(|event| event.seq <= boundary);
        let newer = messages.filter(|event| event.seq > boundary);
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
        let state = self.state();
        let events = state.visible(room, visible).filter(|event| event.seq > after.0);
        event_page(limit, events.cloned().map(Ok::<_, Infallible>)).map_err(|never| match never {})
    }
}

impl State {
    fn visible<'a>(
        &'a self,
        room: RoomId,
        visible: &'a Visible,
    ) -> impl DoubleEndedIterator<Item = &'a wire::Event> + Clone {
        let events = self.rooms.get(&room).map_or_else(Default::default, |room| room.events.iter());
        events.filter(|event| visible.iter().any(|range| range.contains(&Sequence(event.seq))))
    }
}
