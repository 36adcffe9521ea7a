//! Pages of what is stored. What a live log still holds comes before it, and is merged by who asks.

use async_trait::async_trait;
use bobchat_actors::ports::paging::{beyond, boundary, event_page, message_page, up_to};
use bobchat_actors::ports::{Anchor, EventPage, History, LogRow, MessagePage, Unavailable, Visible};
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::CassandraStore;
use super::error::Failure;
use super::messages::{Messages, Side};

/// Events that are read at once.
const CHUNK: usize = 500;

#[async_trait]
impl History for CassandraStore {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        let (older, newer) = self.sides(room, anchor, limit, visible).await?;
        message_page(anchor, limit, older.into_iter().map(Ok), newer.into_iter().map(Ok))
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        let events = self.visible_events(room, after, limit, visible).await?;
        event_page(limit, events.into_iter().map(Ok))
    }
}

impl CassandraStore {
    /// What a page can need of both sides of its anchor.
    async fn sides(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<(Vec<wire::Event>, Vec<wire::Event>), Failure> {
        let Some(messages) = self.messages(room).await? else { return Ok((Vec::new(), Vec::new())) };
        // The page and one more, which says that there is more; where the page has none, that one alone.
        let whole = limit.saturating_add(1);
        let (older_max, newer_max) = match anchor {
            Anchor::Newest | Anchor::Before(_) => (whole, 1),
            Anchor::After(_) => (1, whole),
            Anchor::Around(_) => (whole, whole),
        };
        let (mut older, mut newer) = (Side::new(older_max), Side::new(newer_max));
        let ranges: Vec<_> = up_to(visible, boundary(anchor)).rev().collect();
        for range in ranges {
            if !older.is_full() {
                messages.read_down(range, &mut older).await?;
            }
        }
        let ranges: Vec<_> = beyond(visible, boundary(anchor)).collect();
        for range in ranges {
            if !newer.is_full() {
                messages.read_up(range, &mut newer).await?;
            }
        }
        Ok((older.events, newer.events))
    }

    /// The messages of a room; `None` before anything is stored of it.
    async fn messages(&self, room: RoomId) -> Result<Option<Messages<'_>>, Failure> {
        let (row, head, bucket) = futures_util::future::try_join3(
            self.read_log_row(room, false),
            self.read_head(room),
            self.last_events_bucket(room),
        )
        .await?;
        let (Some(row), Some(bucket)) = (row, bucket) else { return Ok(None) };
        Ok(Some(Messages::new(self, room, row, head, bucket)))
    }

    async fn visible_events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<Vec<wire::Event>, Failure> {
        let mut side = Side::new(limit.saturating_add(1));
        let Some(row) = self.read_log_row(room, false).await? else { return Ok(side.events) };
        let ranges: Vec<_> = beyond(visible, after).collect();
        for range in ranges {
            self.read_events(room, &row, *range.start(), *range.end(), &mut side).await?;
        }
        Ok(side.events)
    }

    /// Reads events of a stretch of the log, without orphans, until it ends or the page is full.
    async fn read_events(
        &self,
        room: RoomId,
        row: &LogRow,
        first: Sequence,
        last: Sequence,
        side: &mut Side,
    ) -> Result<(), Failure> {
        let mut next = first;
        while next <= last && !side.is_full() {
            let begin = next;
            let chunk = self.stored_events(room, begin, CHUNK).await?;
            let is_whole = chunk.len() < CHUNK;
            let Some(end) = chunk.last().map(|stored| Sequence(stored.event.seq)) else { break };
            for stored in chunk {
                let position = stored.event.position();
                // The owner's row of the last seq may be in the next chunk, or in this one: then it is not read again.
                if position.seq <= last && row.owns(position) && position.seq >= next && !side.is_full() {
                    next = position.seq.next();
                    side.push(stored.event);
                }
            }
            if is_whole {
                break;
            }
            // One seq in more epochs than a chunk has rows: what is left of it is orphans of orphans.
            let stuck = end <= begin;
            next = next.max(if stuck { end.next() } else { end });
        }
        Ok(())
    }
}
