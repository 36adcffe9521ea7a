//! Pages: what the live log still holds is read first, then what is stored, so that nothing falls between (rule 26).

use async_trait::async_trait;
use bobchat_proto::ids::{Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::Cluster;
use super::merge::{Shown, merge_events, merge_messages};
use crate::log::wait;
use crate::ports::paging::up_to;
use crate::ports::{Anchor, EventPage, History, LiveHead, MessagePage, Unavailable, Visible};

/// How often a page is read again because the room's epoch changed meanwhile: some seconds.
const TRIES_MAX: u32 = 8;

/// Events read from a live log at once.
const TAIL_EVENTS: usize = 1024;

/// What of a room is in its live log alone, or was when it was read.
struct Tail {
    head: Position,
    /// Whether all of the room was stored.
    is_stored: bool,
    events: Vec<wire::Event>,
}

#[async_trait]
impl History for Cluster {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let Some(tail) = self.tail_of(room).await? else { return Ok(MessagePage::default()) };
            let shown = up_to_head(visible, tail.head);
            let stored = self.history.page(room, anchor, limit, &shown).await?;
            if self.still_stands(room, &tail).await? {
                return Ok(merge_messages(anchor, limit, &self.shown(room, shown), stored, tail.events));
            }
            wait(attempt).await;
        }
        Err(changes_too_fast(room))
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let Some(mut tail) = self.tail_of(room).await? else { return Ok(EventPage::default()) };
            let shown = up_to_head(visible, tail.head);
            let stored = self.history.events(room, after, limit, &shown).await?;
            if self.still_stands(room, &tail).await? {
                tail.events.retain(|event| event.seq > after.0);
                return Ok(merge_events(limit, &self.shown(room, shown), stored, tail.events));
            }
            wait(attempt).await;
        }
        Err(changes_too_fast(room))
    }
}

impl Cluster {
    /// Everything above what is known to be stored, without a hole but for what is stored by now; `None` where there
    /// is no such room.
    async fn tail_of(&self, room: RoomId) -> Result<Option<Tail>, Unavailable> {
        let live = match self.node.live.head(room).await? {
            Some(live) => live,
            // What it alone held is put back before anything is shown.
            None => match self.opened(room, false).await? {
                Some((_, live)) => live,
                None => return Ok(None),
            },
        };
        let events = self.unstored(room, &live).await?;
        Ok(Some(Tail { head: live.head.position, is_stored: live.archived >= live.head.position.seq, events }))
    }

    async fn unstored(&self, room: RoomId, live: &LiveHead) -> Result<Vec<wire::Event>, Unavailable> {
        let LiveHead { head, archived, .. } = live;
        let mut events: Vec<wire::Event> = Vec::new();
        let mut after = *archived;
        while after < head.position.seq {
            let tail = self.node.live.tail(room, after, TAIL_EVENTS).await?;
            let read = tail.filter(|tail| tail.head.head.position.epoch == head.position.epoch);
            // Of another epoch: whoever asked finds that and reads again.
            let Some(last) = read.as_ref().and_then(|tail| tail.events.last()) else { break };
            after = Sequence(last.seq);
            events.extend(read.into_iter().flat_map(|tail| tail.events));
        }
        Ok(events)
    }

    /// Judges what is shown by the epochs that are known here: every room that is read was loaded.
    fn shown(&self, room: RoomId, visible: Visible) -> Shown {
        Shown { visible, spans: self.rows.get(room).map(|row| row.spans).unwrap_or_default() }
    }

    /// Whether what was read first still belongs to the room after what is stored was read: then both did.
    async fn still_stands(&self, room: RoomId, tail: &Tail) -> Result<bool, Unavailable> {
        if tail.is_stored {
            return Ok(true);
        }
        let row = self.node.store.log_row(room, false).await?;
        Ok(row.is_some_and(|row| row.epoch == tail.head.epoch))
    }
}

/// Nothing is shown above what the live log showed: the reader's room has not applied it.
fn up_to_head(visible: &Visible, head: Position) -> Visible {
    up_to(visible, head.seq).collect()
}

fn changes_too_fast(room: RoomId) -> Unavailable {
    Unavailable::new(format_args!("room {room} changes faster than it is read"))
}
