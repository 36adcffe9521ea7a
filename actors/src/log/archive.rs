use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use bobchat_proto::wire;

use super::calls::EVENTS_PER_CALL;
use super::runs::as_stored;
use super::{Call, Job, Plant, Reply, Step};
use crate::plant::{self, Bug};
use crate::ports::{AdvanceError, Head, LiveHead, LiveTail, LogRow, StoredEvent, projection};

/// What a round of the archiver comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ArchiveEnd {
    /// Everything up to there is stored, and the live log may let go of it. There may be more.
    Archived(Position),
    /// There was nothing to do.
    Nothing,
    /// The log is cold: its events are put in order by a raise.
    Cold,
    /// The epoch changed: nothing is released; load the room again.
    Reload,
    /// A server did not answer: the same again, from the same place.
    Unavailable,
}

/// Stores what a room's live log holds, then lets it go (rules 19 and 20).
///
/// Any number of them may run at once, late or early, on any node, and die at any step: writes of one position are
/// the same, and only who finds the epoch unchanged after storing releases anything.
#[derive(Debug)]
pub struct Archive {
    room: RoomId,
    state: State,
    live: Option<LiveHead>,
    noted: Option<Head>,
    events: Vec<wire::Event>,
    /// The head as of the last of [`Archive::events`], when that can be told.
    head: Option<Head>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    ReadingHead,
    ReadingNoted,
    ReadingTail,
    Storing,
    ReadingEpoch,
    NotingHead,
    Advancing,
    Releasing,
    Done(ArchiveEnd),
}

impl Archive {
    /// One round for a room.
    #[must_use]
    pub fn new(room: RoomId) -> Self {
        Self { room, state: State::ReadingHead, live: None, noted: None, events: Vec::new(), head: None }
    }

    /// How many events were stored.
    #[must_use]
    pub fn stored_count(&self) -> usize {
        self.events.len()
    }

    /// Whether there may be more of them.
    #[must_use]
    pub fn was_full(&self) -> bool {
        self.events.len() >= EVENTS_PER_CALL
    }

    /// When the oldest of them was added, in microseconds since 1970.
    #[must_use]
    pub fn oldest_at(&self) -> Option<i64> {
        self.events.first().map(|event| event.at)
    }

    fn live(&mut self, live: Option<LiveHead>) -> State {
        let Some(live) = live else { return State::Done(ArchiveEnd::Cold) };
        if live.archived >= live.head.position.seq {
            return State::Done(ArchiveEnd::Nothing);
        }
        self.live = Some(live);
        State::ReadingNoted
    }

    fn tail(&mut self, tail: LiveTail) -> State {
        if self.epoch() != Some(tail.head.head.position.epoch) {
            return State::Done(ArchiveEnd::Reload);
        }
        let archived = self.live.map_or(Sequence::ZERO, |live| live.archived);
        let above = tail.events.into_iter().filter(|event| event.seq > archived.0);
        // Another archiver may have been faster: what is missing at the beginning is stored.
        let start = tail.head.archived.max(archived);
        self.events = above.filter(|event| event.seq > start.0).collect();
        let Some(last) = self.events.last() else { return State::Done(ArchiveEnd::Nothing) };
        self.head = self.head_at(last.position(), tail.head.head);
        if plant::is(Bug::TrimBeforeArchive) { State::ReadingEpoch } else { State::Storing }
    }

    /// The head as of the last event in hand: counted on from what was noted, or the log's own when that is it.
    fn head_at(&self, last: Position, live: Head) -> Option<Head> {
        if last == live.position {
            return Some(live);
        }
        let noted = self.noted.filter(|noted| noted.position.epoch == last.epoch)?;
        let next = self.events.iter().filter(|event| event.seq > noted.position.seq.0);
        let reaches = next.clone().next().is_some_and(|event| event.seq == noted.position.seq.next().0);
        reaches.then(|| next.fold(noted, projection::advance))
    }

    fn epoch(&self) -> Option<Epoch> {
        self.live.map(|live| live.head.position.epoch)
    }

    fn through(&self) -> Option<Position> {
        self.events.last().map(wire::Event::position)
    }

    /// Rule 19: who finds the epoch changed releases nothing, for the new one may begin below what was stored.
    fn epoch_read(&self, row: Option<&LogRow>) -> State {
        let unchanged = row.is_some_and(|row| Some(row.epoch) == self.epoch());
        if !unchanged && !Plant::ArchiveUnread.is_planted() {
            return State::Done(ArchiveEnd::Reload);
        }
        if self.head.is_some() { State::NotingHead } else { State::Advancing }
    }

    fn stored(&self) -> State {
        if Plant::ReleaseEarly.is_planted() { State::Releasing } else { State::ReadingEpoch }
    }

    fn released(&self) -> State {
        if Plant::ReleaseEarly.is_planted() {
            return State::ReadingEpoch;
        }
        State::Done(self.through().map_or(ArchiveEnd::Nothing, ArchiveEnd::Archived))
    }

    fn rows(&self) -> Vec<StoredEvent> {
        self.events.iter().cloned().map(as_stored).collect()
    }

    fn call(&self) -> Option<Call> {
        Some(match self.state {
            State::ReadingHead => Call::LiveHead,
            State::ReadingNoted => Call::NotedHead,
            State::ReadingTail => Call::Tail { after: self.live?.archived, limit: EVENTS_PER_CALL },
            State::Storing => Call::Store(self.rows()),
            State::ReadingEpoch => Call::LogRow { serial: false },
            State::NotingHead => Call::NoteHead(self.head?),
            State::Advancing => Call::Advance(self.through()?),
            State::Releasing => Call::Archived(self.through()?),
            State::Done(_) => return None,
        })
    }
}

impl Job for Archive {
    type End = ArchiveEnd;

    fn room(&self) -> RoomId {
        self.room
    }

    fn next(&mut self) -> Step<ArchiveEnd> {
        match (self.call(), self.state) {
            (Some(call), _) => Step::Call(call),
            (None, State::Done(end)) => Step::Done(end),
            (None, _) => Step::Done(ArchiveEnd::Unavailable),
        }
    }

    fn on(&mut self, reply: Reply) {
        self.state = match (self.state, reply) {
            (State::ReadingHead, Reply::LiveHead(Ok(live))) => self.live(live),
            (State::ReadingNoted, Reply::NotedHead(Ok(noted))) => {
                self.noted = noted;
                State::ReadingTail
            }
            (State::ReadingTail, Reply::Tail(Ok(Some(tail)))) => self.tail(tail),
            (State::ReadingTail, Reply::Tail(Ok(None))) => State::Done(ArchiveEnd::Cold),
            (State::Storing, Reply::Written(Ok(()))) => self.stored(),
            (State::ReadingEpoch, Reply::LogRow(Ok(row))) => self.epoch_read(row.as_ref()),
            (State::NotingHead, Reply::Written(Ok(()))) => State::Advancing,
            (State::Advancing, Reply::Advanced(Ok(()))) if Plant::ReleaseEarly.is_planted() => {
                State::Done(self.through().map_or(ArchiveEnd::Nothing, ArchiveEnd::Archived))
            }
            (State::Advancing, Reply::Advanced(Ok(()))) => State::Releasing,
            (State::Advancing, Reply::Advanced(Err(AdvanceError::Refused))) => State::Done(ArchiveEnd::Reload),
            (State::Releasing, Reply::Noted) => self.released(),
            _ => State::Done(ArchiveEnd::Unavailable),
        };
    }
}
