//! Reading messages in their order, partition by partition.

use std::ops::{ControlFlow, RangeInclusive};

use bobchat_actors::ports::{Head, LogRow};
use bobchat_proto::ids::{Epoch, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::limits::PAGE_BYTES_MAX;
use bobchat_proto::wire;
use prost::Message as _;
use scylla::response::PagingState;
use scylla::statement::prepared::PreparedStatement;

use super::CassandraStore;
use super::error::Failure;
use super::place::{MESSAGES_PER_BUCKET, last_seq_of_bucket, messages_bucket};
use super::room_log::{id, number};
use super::search::{Mark, Search};

/// One side of a page's anchor, as far as the page can need it.
pub(super) struct Side {
    pub(super) events: Vec<wire::Event>,
    items_max: usize,
    bytes: usize,
}

impl Side {
    pub(super) fn new(items_max: usize) -> Self {
        Self { events: Vec::new(), items_max, bytes: 0 }
    }

    /// Whether nothing more can be needed: a page ends at its bytes as well.
    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= self.items_max || self.bytes > PAGE_BYTES_MAX
    }

    pub(super) fn push(&mut self, event: wire::Event) {
        self.bytes = self.bytes.saturating_add(event.encoded_len());
        self.events.push(event);
    }

    fn missing(&self) -> usize {
        self.items_max.saturating_sub(self.events.len())
    }
}

/// A room's messages, and what is known of where they are.
pub(super) struct Messages<'a> {
    store: &'a CassandraStore,
    room: RoomId,
    /// Says which rows are orphans.
    row: LogRow,
    /// A message that is, or nearly is, the last; a hint.
    hint: Option<Mark>,
    /// No seq is above this one.
    seq_max: Sequence,
}

type Columns = (i64, i64, i64, Option<Vec<u8>>);

/// Which way messages are read.
#[derive(Clone, Copy)]
enum Direction {
    Down,
    Up,
}

impl<'a> Messages<'a> {
    pub(super) fn new(
        store: &'a CassandraStore,
        room: RoomId,
        row: LogRow,
        head: Option<Head>,
        events_bucket: u64,
    ) -> Self {
        let hint = head.map(|head| Mark { ordinal: head.ordinal.0, seq: head.position.seq });
        Self { store, room, row, hint, seq_max: last_seq_of_bucket(events_bucket) }
    }

    /// Reads messages whose seq lies in `range`, newest first, until the side is full.
    pub(super) async fn read_down(&self, range: RangeInclusive<Sequence>, side: &mut Side) -> Result<(), Failure> {
        let place = self.place(*range.end()).await?;
        let mut from = *place.end();
        loop {
            let bucket = messages_bucket(Ordinal(from));
            if self.read_bucket(Direction::Down, bucket, from, &range, side).await?.is_break() || bucket == 0 {
                return Ok(());
            }
            from = first_of(bucket).saturating_sub(1);
        }
    }

    /// Reads messages whose seq lies in `range`, oldest first, until the side is full.
    pub(super) async fn read_up(&self, range: RangeInclusive<Sequence>, side: &mut Side) -> Result<(), Failure> {
        if *range.start() > self.seq_max {
            return Ok(());
        }
        let place = self.place(Sequence(range.start().0.saturating_sub(1))).await?;
        let last = messages_bucket(Ordinal(self.seq_max.0));
        let mut from = *place.start();
        loop {
            let bucket = messages_bucket(Ordinal(from));
            let read = self.read_bucket(Direction::Up, bucket, from, &range, side).await?;
            if read.is_break() || bucket >= last || read == ControlFlow::Continue(false) && self.is_beyond(bucket) {
                return Ok(());
            }
            from = first_of(bucket.saturating_add(1));
        }
    }

    /// Whether an empty bucket is behind the last message. Ordinals are dense: no bucket is empty before the end.
    fn is_beyond(&self, bucket: u64) -> bool {
        self.hint.is_none_or(|hint| messages_bucket(Ordinal(hint.ordinal)) < bucket)
    }

    /// Reads one partition from an ordinal on. Breaks when the side is full or the range is left; else says whether
    /// there was any message.
    async fn read_bucket(
        &self,
        direction: Direction,
        bucket: u64,
        from: u64,
        range: &RangeInclusive<Sequence>,
        side: &mut Side,
    ) -> Result<ControlFlow<(), bool>, Failure> {
        let statements = &self.store.statements;
        let statement = match direction {
            Direction::Down => &statements.messages_down,
            Direction::Up => &statements.messages_up,
        };
        // The page, and what the search has left open.
        let rows_max = i32::try_from(side.missing().saturating_add(32)).unwrap_or(i32::MAX).clamp(1, 256);
        let mut statement = statement.clone();
        statement.set_page_size(rows_max);
        let (mut state, mut any) = (PagingState::start(), false);
        loop {
            let (rows, next) = self.read_rows(&statement, bucket, from, state).await?;
            for (_, epoch, seq, payload) in rows {
                let (epoch, seq) = (Epoch(epoch.cast_unsigned()), Sequence(seq.cast_unsigned()));
                let Some(payload) = payload.filter(|_| self.row.owns(Position { epoch, seq })) else { continue };
                any = true;
                let is_left = match direction {
                    Direction::Down => seq < *range.start(),
                    Direction::Up => seq > *range.end(),
                };
                if is_left || side.is_full() {
                    return Ok(ControlFlow::Break(()));
                }
                if range.contains(&seq) {
                    side.push(wire::Event::decode(payload.as_slice())?);
                }
            }
            match next {
                Some(next) if !side.is_full() => state = next,
                _ if side.is_full() => return Ok(ControlFlow::Break(())),
                _ => return Ok(ControlFlow::Continue(any)),
            }
        }
    }

    /// The ordinals among which the last message with a seq at or below `target` is.
    async fn place(&self, target: Sequence) -> Result<RangeInclusive<u64>, Failure> {
        let mut search = Search::new(target, self.seq_max, self.hint);
        while let Some(ordinal) = search.next() {
            let bucket = messages_bucket(Ordinal(ordinal));
            search.found(first_of(bucket), self.look(bucket, ordinal).await?);
        }
        Ok(search.place())
    }

    /// The last message of a bucket up to an ordinal. Nearly always the first row that is read; orphans come before
    /// it where an epoch lost its end.
    async fn look(&self, bucket: u64, ordinal: u64) -> Result<Option<Mark>, Failure> {
        let mut state = PagingState::start();
        loop {
            let statement = &self.store.statements.look;
            let values = (id(self.room), number(bucket), number(ordinal));
            let (answer, next) = self.store.page_of(statement, values, state).await?;
            let rows = answer.into_rows_result()?;
            for row in rows.rows::<(i64, i64, i64)>()? {
                let (ordinal, epoch, seq) = row?;
                let (epoch, seq) = (Epoch(epoch.cast_unsigned()), Sequence(seq.cast_unsigned()));
                if self.row.owns(Position { epoch, seq }) {
                    return Ok(Some(Mark { ordinal: ordinal.cast_unsigned(), seq }));
                }
            }
            match next.into_paging_control_flow() {
                ControlFlow::Continue(next) => state = next,
                ControlFlow::Break(()) => return Ok(None),
            }
        }
    }

    async fn read_rows(
        &self,
        statement: &PreparedStatement,
        bucket: u64,
        from: u64,
        state: PagingState,
    ) -> Result<(Vec<Columns>, Option<PagingState>), Failure> {
        let values = (id(self.room), number(bucket), number(from));
        let (answer, next) = self.store.page_of(statement, values, state).await?;
        let rows = answer.into_rows_result()?;
        let rows = rows.rows::<Columns>()?.collect::<Result<Vec<_>, _>>()?;
        Ok((rows, next.into_paging_control_flow().continue_value()))
    }
}

/// The first ordinal of a bucket.
fn first_of(bucket: u64) -> u64 {
    bucket.saturating_mul(MESSAGES_PER_BUCKET)
}
