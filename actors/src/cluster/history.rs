//! Pages: what the live log still holds is read first, then what is stored, so that nothing falls between (rule 26).

use async_trait::async_trait;
use bobchat_proto::ids::{Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::Cluster;
use super::merge::{Shown, merge_events, merge_messages};
use crate::log::wait;
use crate::ports::paging::up_to;
use crate::ports::{Anchor, EventPage, History, LiveHead, LiveTail, MessagePage, Unavailable, Visible};

/// How often a page is read again because the room's epoch changed meanwhile: some seconds.
const TRIES_MAX: u32 = 8;

/// Events read from a live log at once.
const TAIL_EVENTS: usize = 1024;

/// What of a room is in its live log alone, or was when it was read.
struct Tail {
    head: Position,
    /// Whether all of the room was stored.
    is_stored: bool,
    /// Whether the live log was lost while it was read: `room_log` says so only when somebody opens it again.
    is_lost: bool,
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
        let (mut page, stored) = self.merged_page(room, anchor, limit, visible).await?;
        if !page.messages.is_empty() {
            return Ok(page);
        }
        // Where all that was read came again and is for others, what is asked for lies beyond it.
        if !matches!(anchor, Anchor::After(_)) {
            if let Some(older) = self.page_beyond(room, stored.more_before, Anchor::Before, limit, visible).await? {
                return Ok(MessagePage { has_more_after: page.has_more_after, ..older });
            }
            page.has_more_before = false;
        }
        if matches!(anchor, Anchor::After(_) | Anchor::Around(_)) {
            if let Some(newer) = self.page_beyond(room, stored.more_after, Anchor::After, limit, visible).await? {
                return Ok(MessagePage { has_more_before: page.has_more_before, ..newer });
            }
            page.has_more_after = false;
        }
        Ok(page)
    }

    async fn events(
        &self,
        room: RoomId,
        mut after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        loop {
            let (page, last) = self.merged_events(room, after, limit, visible).await?;
            match last {
                Some(last) if page.events.is_empty() && page.has_more => after = last,
                _ => return Ok(page),
            }
        }
    }
}

/// Where a stored page ends, on the sides on which there is more.
struct Stored {
    more_before: Option<Sequence>,
    more_after: Option<Sequence>,
}

impl Stored {
    fn of(page: &MessagePage) -> Self {
        let seq = |event: &wire::Event| Sequence(event.seq);
        Self {
            more_before: page.messages.first().filter(|_| page.has_more_before).map(seq),
            more_after: page.messages.last().filter(|_| page.has_more_after).map(seq),
        }
    }
}

impl Cluster {
    /// What is shown of a page, and where what is stored of it ends.
    async fn merged_page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<(MessagePage, Stored), Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let Some(tail) = self.tail_of(room).await? else {
                let nothing = MessagePage::default();
                let stored = Stored::of(&nothing);
                return Ok((nothing, stored));
            };
            let shown = self.shown(room, visible, tail.head).await?;
            let page = self.history.page(room, anchor, limit, &shown.visible).await?;
            if self.still_stands(room, &tail).await? {
                let stored = Stored::of(&page);
                return Ok((merge_messages(anchor, limit, &shown, page, tail.events), stored));
            }
            wait(attempt).await;
        }
        Err(changes_too_fast(room))
    }

    /// The first page on one side of a seq of which anything is shown.
    async fn page_beyond(
        &self,
        room: RoomId,
        mut more: Option<Sequence>,
        side: fn(Sequence) -> Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<Option<MessagePage>, Unavailable> {
        while let Some(seq) = more {
            let (page, stored) = self.merged_page(room, side(seq), limit, visible).await?;
            if !page.messages.is_empty() {
                return Ok(Some(page));
            }
            more = if matches!(side(seq), Anchor::Before(_)) { stored.more_before } else { stored.more_after };
        }
        Ok(None)
    }

    /// What is shown of a page, and the last seq that is stored of it.
    async fn merged_events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<(EventPage, Option<Sequence>), Unavailable> {
        for attempt in 1..=TRIES_MAX {
            let Some(mut tail) = self.tail_of(room).await? else { return Ok((EventPage::default(), None)) };
            let shown = self.shown(room, visible, tail.head).await?;
            let page = self.history.events(room, after, limit, &shown.visible).await?;
            if self.still_stands(room, &tail).await? {
                tail.events.retain(|event| event.seq > after.0);
                let last = page.events.last().map(|event| Sequence(event.seq));
                return Ok((merge_events(limit, &shown, page, tail.events), last));
            }
            wait(attempt).await;
        }
        Err(changes_too_fast(room))
    }

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
        Ok(Some(Tail {
            head: live.head.position,
            is_stored: live.archived >= live.head.position.seq,
            is_lost: events.is_none(),
            events: events.unwrap_or_default(),
        }))
    }

    /// `None` where the log went cold, or was opened again, before all was read.
    async fn unstored(&self, room: RoomId, live: &LiveHead) -> Result<Option<Vec<wire::Event>>, Unavailable> {
        let LiveHead { head, archived, .. } = live;
        let mut events: Vec<wire::Event> = Vec::new();
        let mut after = *archived;
        while after < head.position.seq {
            let tail = self.node.live.tail(room, after, TAIL_EVENTS).await?;
            let tail = tail.filter(|tail| tail.head.head.position.epoch == head.position.epoch);
            let Some(LiveTail { events: read, .. }) = tail else { return Ok(None) };
            // What it has let go of is stored by now.
            let Some(last) = read.last() else { break };
            after = Sequence(last.seq);
            events.extend(read);
        }
        Ok(Some(events))
    }

    /// What may be shown, up to the head that was read and judged by the epochs up to that one's.
    async fn shown(&self, room: RoomId, visible: &Visible, head: Position) -> Result<Shown, Unavailable> {
        let row = match self.rows.get(room).filter(|row| row.epoch >= head.epoch) {
            Some(row) => Some(row),
            None => self.node.store.log_row(room, false).await?.inspect(|row| self.learn(room, row)),
        };
        Ok(Shown { visible: up_to_head(visible, head), spans: row.map(|row| row.spans).unwrap_or_default() })
    }

    /// Whether what was read first still belongs to the room after what is stored was read: then both did.
    async fn still_stands(&self, room: RoomId, tail: &Tail) -> Result<bool, Unavailable> {
        if tail.is_stored || tail.is_lost {
            return Ok(tail.is_stored);
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
