use std::collections::VecDeque;
use std::time::Duration;

use bobchat_proto::ids::{Epoch, RoomId, Sequence};

use super::calls::{EVENTS_PER_CALL, TRIES_MAX};
use super::renumber::Renumbering;
use super::runs::{Rows, as_stored};
use super::{Call, Job, Plant, Reply, Step};
use crate::ports::{FenceError, Fenced, Head, LogRow, Opening, Raised, Raiser, Span, StoredEvent, projection};

/// What a raise comes to. Whatever it is, the room is loaded again after it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RaiseEnd {
    /// The log is open under the new epoch.
    Opened(Head),
    /// Somebody else raised it, or a newer epoch stands: theirs counts.
    Superseded,
    /// A server did not answer: nothing is half done, raise again after a pause.
    Unavailable,
}

/// Opens a room's log under a new epoch, when its live log is cold or has lost something (rules 13 to 15); with
/// no epoch before, this makes the room (rule 31).
///
/// One at a time for a room and node. Every step can be repeated, by anybody: a raiser that dies leaves an epoch
/// without a base, and the next one raises again.
#[derive(Debug)]
pub struct Raise {
    room: RoomId,
    from: Option<Epoch>,
    epoch: Epoch,
    raiser: Raiser,
    salvage_for: Duration,
    state: State,
    row: Option<LogRow>,
    fenced: Option<Fenced>,
    /// A head that is known to be stored, with everything below.
    floor: Head,
    rows: Rows,
    /// What is to be stored before the next step.
    to_store: VecDeque<StoredEvent>,
    renumbering: Option<Renumbering>,
    tries: u32,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// (a)
    Raising,
    /// (a), when its outcome was not heard.
    Settling,
    Reading,
    /// (b)
    Fencing,
    FindingFloor,
    Scanning(Sequence),
    /// (c)
    Copying,
    /// (d)
    Asking,
    Renumbering,
    /// (e)
    Beginning,
    NotingHead,
    Marking,
    /// (f)
    Opening,
    Done(RaiseEnd),
}

impl Raise {
    /// Raises the epoch that a refused append named; `None` makes the room. `raiser` is random and used once.
    #[must_use]
    pub fn new(room: RoomId, from: Option<Epoch>, raiser: Raiser) -> Self {
        Self {
            room,
            from,
            epoch: Epoch(from.map_or(0, |from| from.0).saturating_add(1)),
            raiser,
            salvage_for: Duration::ZERO,
            state: if Plant::ScanFirst.is_planted() { State::FindingFloor } else { State::Raising },
            row: None,
            fenced: None,
            floor: Head::default(),
            rows: Rows::new(),
            to_store: VecDeque::new(),
            renumbering: None,
            tries: 0,
        }
    }

    /// Has the new epoch take only salvage for a while, so that what nodes still hold comes before what is new.
    #[must_use]
    pub fn salvage_for(mut self, salvage_for: Duration) -> Self {
        self.salvage_for = salvage_for;
        self
    }

    fn raised(&mut self, raised: Raised) -> State {
        match raised {
            Raised::Won => State::Reading,
            Raised::Lost(_) => State::Done(RaiseEnd::Superseded),
        }
    }

    /// Rule 14 a: after an unknown outcome the epoch is ours only if the token is.
    fn settled(&mut self, row: Option<LogRow>) -> State {
        let ours = |row: &LogRow| row.raiser == self.raiser || Plant::AnyRaiser.is_planted();
        match row.filter(|row| row.epoch == self.epoch && ours(row)) {
            Some(row) => self.loaded(row),
            None => State::Done(RaiseEnd::Superseded),
        }
    }

    fn loaded(&mut self, row: LogRow) -> State {
        self.row = Some(row);
        State::Fencing
    }

    fn fenced(&mut self, fenced: Fenced) -> State {
        self.fenced = Some(fenced);
        if Plant::ScanFirst.is_planted() { self.scanned() } else { State::FindingFloor }
    }

    /// Rule 15: rows are read after (a), for whoever releases an event has read room_log after writing its row.
    fn floor(&mut self, noted: Option<Head>) -> State {
        self.floor = noted.unwrap_or_default();
        let fenced = self.fenced.iter().flat_map(|fenced| &fenced.events).map(|event| Sequence(event.seq));
        let above = self.floor.position.seq.next();
        State::Scanning(fenced.min().map_or(above, |lowest| lowest.min(above)))
    }

    fn rows(&mut self, from: Sequence, page: Vec<StoredEvent>) -> State {
        let full = page.len() >= EVENTS_PER_CALL;
        let last = page.last().map_or(from, |stored| Sequence(stored.event.seq));
        self.rows.extend(page.into_iter().map(|stored| (place(&stored), stored)));
        // A page may end amid the rows of one seq: go on with that seq, unless it fills a page alone.
        match full {
            true if last > from => State::Scanning(last),
            true => State::Scanning(from.next()),
            false if Plant::ScanFirst.is_planted() && self.fenced.is_none() => State::Raising,
            false => self.scanned(),
        }
    }

    /// Rule 14 c: what the live log holds and nobody stored, of any epoch, under its own epoch.
    fn scanned(&mut self) -> State {
        let events = self.fenced.iter().flat_map(|fenced| fenced.events.iter().cloned());
        let mut missing: Vec<StoredEvent> =
            events.map(as_stored).filter(|stored| !self.rows.contains_key(&place(stored))).collect();
        if Plant::CopyNothing.is_planted() {
            missing.clear();
        }
        self.rows.extend(missing.iter().cloned().map(|stored| (place(&stored), stored)));
        self.to_store = missing.into();
        self.copied()
    }

    fn copied(&mut self) -> State {
        if !self.to_store.is_empty() {
            return State::Copying;
        }
        let Some(row) = &self.row else { return State::Done(RaiseEnd::Unavailable) };
        self.renumbering = Some(Renumbering::new(row, self.epoch, self.floor, &self.rows));
        self.asked()
    }

    fn asked(&mut self) -> State {
        let Some(renumbering) = &mut self.renumbering else { return State::Done(RaiseEnd::Unavailable) };
        if renumbering.asks().is_some() {
            return State::Asking;
        }
        self.to_store = renumbering.take_rows();
        self.renumbered()
    }

    /// Rule 14 d: their rows stand before OPEN, or a raiser that dies loses what only the store holds.
    fn renumbered(&self) -> State {
        if self.to_store.is_empty() { State::Beginning } else { State::Renumbering }
    }

    fn next_chunk(&self) -> Vec<StoredEvent> {
        self.to_store.iter().take(EVENTS_PER_CALL).cloned().collect()
    }

    fn drop_chunk(&mut self) {
        self.to_store.drain(..self.to_store.len().min(EVENTS_PER_CALL));
        self.tries = 0;
    }

    fn begun(&mut self, begun: bool) -> State {
        self.tries = 0;
        if begun { State::NotingHead } else { State::Done(RaiseEnd::Superseded) }
    }

    fn marks(&self) -> State {
        let nothing = self.renumbering.as_ref().is_none_or(|renumbering| renumbering.old().is_empty());
        if nothing { State::Opening } else { State::Marking }
    }

    fn head(&self) -> Head {
        self.renumbering.as_ref().map_or_else(projection::empty_head, Renumbering::head)
    }

    fn span(&self) -> Span {
        let base = self.renumbering.as_ref().map_or(Span::FIRST.base, Renumbering::base);
        Span { epoch: self.epoch, base }
    }

    /// A step that can be repeated goes a few times.
    fn again(&mut self, state: State) -> State {
        self.tries += 1;
        if self.tries < TRIES_MAX { state } else { State::Done(RaiseEnd::Unavailable) }
    }

    fn call(&mut self) -> Option<Call> {
        Some(match self.state {
            State::Raising => Call::Raise { from: self.from, raiser: self.raiser },
            State::Settling => Call::LogRow { serial: true },
            State::Reading => Call::LogRow { serial: false },
            State::Fencing => Call::Fence(self.epoch),
            State::FindingFloor => Call::NotedHead,
            State::Scanning(from) => Call::Stored { from, limit: EVENTS_PER_CALL },
            State::Copying | State::Renumbering => Call::Store(self.next_chunk()),
            State::Asking => {
                let (author, key) = self.renumbering.as_mut()?.asks()?;
                Call::Keys { author, key }
            }
            State::Beginning => Call::Begin(self.span(), self.raiser),
            State::NotingHead => Call::NoteHead(self.head()),
            State::Marking => Call::MarkRenumbered(self.renumbering.as_ref()?.old().to_vec()),
            State::Opening => Call::Open(Opening {
                room: self.room,
                head: self.head(),
                incarnation: self.fenced.as_ref()?.incarnation.clone(),
                salvage_for: self.salvage_for,
                closed: self.row.as_ref().is_some_and(|row| row.deleted),
            }),
            State::Done(_) => return None,
        })
    }
}

fn place(stored: &StoredEvent) -> (Sequence, Epoch) {
    (Sequence(stored.event.seq), Epoch(stored.event.epoch))
}

impl Job for Raise {
    type End = RaiseEnd;

    fn room(&self) -> RoomId {
        self.room
    }

    fn next(&mut self) -> Step<RaiseEnd> {
        match (self.call(), self.state) {
            (Some(call), _) => Step::Call(call),
            (None, State::Done(end)) => Step::Done(end),
            (None, _) => Step::Done(RaiseEnd::Unavailable),
        }
    }

    fn on(&mut self, reply: Reply) {
        self.state = match (self.state, reply) {
            (State::Raising, Reply::Raised(Ok(raised))) => self.raised(raised),
            (State::Raising, Reply::Raised(Err(_))) => State::Settling,
            (State::Settling, Reply::LogRow(Ok(row))) => self.settled(row),
            (State::Reading, Reply::LogRow(Ok(row))) => self.settled(row),
            (State::Fencing, Reply::Fenced(Ok(fenced))) => self.fenced(fenced),
            (State::Fencing, Reply::Fenced(Err(FenceError::Superseded(_)))) => State::Done(RaiseEnd::Superseded),
            (State::FindingFloor, Reply::NotedHead(Ok(noted))) => self.floor(noted),
            (State::Scanning(from), Reply::Stored(Ok(page))) => self.rows(from, page),
            (State::Copying, Reply::Written(Ok(()))) => {
                self.drop_chunk();
                self.copied()
            }
            (State::Asking, Reply::Keys(Ok(uses))) => {
                if let Some(renumbering) = &mut self.renumbering {
                    renumbering.decide(&uses);
                }
                self.asked()
            }
            (State::Renumbering, Reply::Written(Ok(()))) => {
                self.drop_chunk();
                self.renumbered()
            }
            (State::Beginning, Reply::Begun(Ok(begun))) => self.begun(begun),
            // To say the same again is safe: it is ours as long as the token is.
            (State::Beginning, Reply::Begun(Err(_))) => self.again(State::Beginning),
            // A hint, and a mark that keys make good for a day: neither is worth a raise.
            (State::NotingHead, Reply::Written(_)) => self.marks(),
            (State::Marking, Reply::Written(_)) => State::Opening,
            (State::Opening, Reply::Opened(Ok(()))) => State::Done(RaiseEnd::Opened(self.head())),
            (State::Opening, Reply::Opened(Err(FenceError::Superseded(_)))) => State::Done(RaiseEnd::Superseded),
            (State::Opening, Reply::Opened(Err(_))) if Plant::OpenUnfenced.is_planted() => self.again(State::Opening),
            // Rule 14 f: never again on what may be another server; the room is loaded, and raised if it is cold.
            _ => State::Done(RaiseEnd::Unavailable),
        };
    }
}
