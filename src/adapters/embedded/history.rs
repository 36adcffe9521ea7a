use std::iter::{Peekable, from_fn};
use std::ops::RangeInclusive;

use async_trait::async_trait;
use bobchat_actors::ports::paging::{beyond, boundary, event_page, message_page, up_to};
use bobchat_actors::ports::{Anchor, EventPage, History, MessagePage, Unavailable, Visible};
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;
use redb::{ReadOnlyTable, ReadTransaction};

use super::EmbeddedStore;
use super::tables::{CHANGES, MESSAGES, decode_event};

#[async_trait]
impl History for EmbeddedStore {
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable> {
        let visible = visible.clone();
        let read = move |transaction: &ReadTransaction| {
            let log = Log::open(transaction, room)?;
            let older = up_to(&visible, boundary(anchor)).rev().flat_map(|range| log.messages(range).rev());
            let newer = beyond(&visible, boundary(anchor)).flat_map(|range| log.messages(range));
            message_page(anchor, limit, older, newer)
        };
        self.read(read).await
    }

    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable> {
        let visible = visible.clone();
        let read = move |transaction: &ReadTransaction| {
            let log = Log::open(transaction, room)?;
            event_page(limit, beyond(&visible, after).flat_map(|range| log.events(range)))
        };
        self.read(read).await
    }
}

type Events = ReadOnlyTable<(u64, u64), &'static [u8]>;

/// One room's log, as one reader sees it.
pub(super) struct Log {
    room: u64,
    messages: Events,
    changes: Events,
}

impl Log {
    pub(super) fn open(transaction: &ReadTransaction, room: RoomId) -> Result<Self, redb::Error> {
        let (messages, changes) = (transaction.open_table(MESSAGES)?, transaction.open_table(CHANGES)?);
        Ok(Self { room: room.get(), messages, changes })
    }

    /// The messages of a stretch of the log; read one by one as they are taken.
    fn messages(
        &self,
        seqs: RangeInclusive<Sequence>,
    ) -> impl DoubleEndedIterator<Item = Result<wire::Event, redb::Error>> {
        stretch(&self.messages, self.room, &seqs)
    }

    /// All events of a stretch of the log, ascending; read one by one as they are taken.
    pub(super) fn events(
        &self,
        seqs: RangeInclusive<Sequence>,
    ) -> impl Iterator<Item = Result<wire::Event, redb::Error>> {
        let mut messages = stretch(&self.messages, self.room, &seqs).peekable();
        let mut changes = stretch(&self.changes, self.room, &seqs).peekable();
        from_fn(
            move || {
                if next_seq(&mut messages) <= next_seq(&mut changes) { messages.next() } else { changes.next() }
            },
        )
    }
}

/// An error comes before everything, the end after everything.
fn next_seq(events: &mut Peekable<impl Iterator<Item = Result<wire::Event, redb::Error>>>) -> u64 {
    events.peek().map_or(u64::MAX, |next| next.as_ref().map_or(0, |event| event.seq))
}

fn stretch(
    table: &Events,
    room: u64,
    seqs: &RangeInclusive<Sequence>,
) -> impl DoubleEndedIterator<Item = Result<wire::Event, redb::Error>> + use<> {
    let (rows, failed) = match table.range((room, seqs.start().0)..=(room, seqs.end().0)) {
        Ok(rows) => (Some(rows), None),
        Err(error) => (None, Some(Err(error.into()))),
    };
    let events = rows.into_iter().flatten().map(|row| {
        let (key, value) = row?;
        let (room, seq) = key.value();
        decode_event(room, seq, value.value())
    });
    events.chain(failed)
}
