use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::calls::{EVENTS_PER_CALL, TRIES_MAX};
use super::{Call, Job, Reply, Step};
use crate::ports::{LiveHead, LiveTail, LogRow, StoredEvent};

/// What reading on comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum FillEnd {
    /// The events that follow, without a hole, and where the log stood; as many as were asked for.
    Filled {
        /// In order.
        events: Vec<wire::Event>,
        /// The log, after them.
        live: LiveHead,
    },
    /// The log is cold, or of an epoch that was left behind: it is raised when somebody needs it.
    Cold,
    /// The log has a newer epoch: load the room.
    NewerEpoch,
    /// A server did not answer, or both have let go of what is missing for now: after a pause.
    Unavailable,
}

/// Reads what a room has not applied: from the live log, and what that has let go of from the store (rules 23 and
/// 24).
#[derive(Debug)]
pub struct Fill {
    room: RoomId,
    row: LogRow,
    /// The seq up to which nothing is missing.
    applied: Sequence,
    limit: usize,
    events: Vec<wire::Event>,
    state: State,
    tries: u32,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    ReadingTail,
    ReadingRows,
    Done(FillEnd),
}

impl Fill {
    /// Reads the events above `applied`, at most `limit` or a few more, of a room that was loaded under `row`.
    #[must_use]
    pub fn new(room: RoomId, row: LogRow, applied: Sequence, limit: usize) -> Self {
        Self { room, row, applied, limit, events: Vec::new(), state: State::ReadingTail, tries: 0 }
    }

    fn tail(&mut self, tail: LiveTail) -> State {
        let head = tail.head.head.position;
        if head.epoch > self.row.epoch {
            return State::Done(FillEnd::NewerEpoch);
        }
        if head.epoch < self.row.epoch {
            return State::Done(FillEnd::Cold);
        }
        let before = self.applied;
        tail.events.into_iter().for_each(|event| self.take(event));
        if self.applied >= head.seq || self.events.len() >= self.limit {
            let events = std::mem::take(&mut self.events);
            return State::Done(FillEnd::Filled { events, live: tail.head });
        }
        // Rule 24: what the live log does not have any more is stored.
        if self.applied > before { State::ReadingTail } else { State::ReadingRows }
    }

    fn rows(&mut self, rows: Vec<StoredEvent>) -> State {
        let before = self.applied;
        let full = rows.len() >= EVENTS_PER_CALL;
        let owned: Vec<StoredEvent> = rows.into_iter().filter(|row| self.row.owns(row.event.position())).collect();
        owned.into_iter().for_each(|row| self.take(row.event));
        if self.applied > before {
            return if full && self.events.len() < self.limit { State::ReadingRows } else { State::ReadingTail };
        }
        self.tries += 1;
        if self.tries < TRIES_MAX { State::ReadingTail } else { State::Done(FillEnd::Unavailable) }
    }

    /// Rule 23: only the next one; what was read before is dropped.
    fn take(&mut self, event: wire::Event) {
        if event.seq == self.applied.next().0 {
            self.applied = self.applied.next();
            self.events.push(event);
        }
    }
}

impl Job for Fill {
    type End = FillEnd;

    fn room(&self) -> RoomId {
        self.room
    }

    fn next(&mut self) -> Step<FillEnd> {
        match &self.state {
            State::ReadingTail => Step::Call(Call::Tail { after: self.applied, limit: EVENTS_PER_CALL }),
            State::ReadingRows => Step::Call(Call::Stored { from: self.applied.next(), limit: EVENTS_PER_CALL }),
            State::Done(end) => Step::Done(end.clone()),
        }
    }

    fn on(&mut self, reply: Reply) {
        self.state = match (&self.state, reply) {
            (State::ReadingTail, Reply::Tail(Ok(Some(tail)))) => self.tail(tail),
            (State::ReadingTail, Reply::Tail(Ok(None))) => State::Done(FillEnd::Cold),
            (State::ReadingRows, Reply::Stored(Ok(rows))) => self.rows(rows),
            _ => State::Done(FillEnd::Unavailable),
        };
    }
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::{Epoch, Position};

    use super::*;
    use crate::log::runs::as_stored;
    use crate::ports::{Head, Raiser, Span};

    const ROOM: RoomId = match RoomId::new(5) {
        Ok(room) => room,
        Err(_) => unreachable!(),
    };

    /// A log of epoch 2 that begins at 3.
    fn fill(applied: u64) -> Fill {
        let spans = vec![Span::FIRST, Span { epoch: Epoch(2), base: Sequence(3) }];
        let row = LogRow { epoch: Epoch(2), raiser: Raiser(1), spans, deleted: false, opened_at: None };
        Fill::new(ROOM, row, Sequence(applied), 100)
    }

    fn event(epoch: u64, seq: u64) -> wire::Event {
        wire::Event { epoch, seq, ..wire::Event::default() }
    }

    fn tail(epoch: u64, head: u64, from: u64) -> Reply {
        let position = Position { epoch: Epoch(epoch), seq: Sequence(head) };
        let live = LiveHead { head: Head { position, ..Head::default() }, archived: Sequence(0), closed: false };
        let events = (from..=head).map(|seq| event(epoch, seq)).collect();
        Reply::Tail(Ok(Some(LiveTail { head: live, events })))
    }

    fn seqs(fill: &mut Fill) -> Vec<(u64, u64)> {
        let Step::Done(FillEnd::Filled { events, .. }) = fill.next() else { panic!("not filled: {fill:?}") };
        events.iter().map(|event| (event.epoch, event.seq)).collect()
    }

    /// Rules 2 and 24.
    #[test]
    fn what_the_live_log_has_let_go_of_comes_from_the_store_without_orphans() {
        let mut fill = fill(1);
        fill.on(tail(2, 6, 5));
        assert_eq!(fill.next(), Step::Call(Call::Stored { from: Sequence(2), limit: EVENTS_PER_CALL }));
        let rows = [(1, 2), (1, 3), (2, 3), (2, 4)].map(|(epoch, seq)| as_stored(event(epoch, seq)));
        fill.on(Reply::Stored(Ok(rows.to_vec())));
        fill.on(tail(2, 6, 5));
        assert_eq!(seqs(&mut fill), [(1, 2), (2, 3), (2, 4), (2, 5), (2, 6)]);
    }

    /// Rule 23.
    #[test]
    fn another_epoch_is_not_applied() {
        let mut newer = fill(4);
        newer.on(tail(3, 9, 5));
        assert_eq!(newer.next(), Step::Done(FillEnd::NewerEpoch));
        let mut older = fill(4);
        older.on(tail(1, 9, 5));
        assert_eq!(older.next(), Step::Done(FillEnd::Cold));
    }

    #[test]
    fn a_hole_that_nobody_fills_is_given_up() {
        let mut fill = fill(4);
        for _ in 0..TRIES_MAX {
            fill.on(tail(2, 9, 7));
            fill.on(Reply::Stored(Ok(Vec::new())));
        }
        assert_eq!(fill.next(), Step::Done(FillEnd::Unavailable));
    }
}
