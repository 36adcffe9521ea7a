use std::time::Duration;

use bobchat_proto::ids::{Epoch, EventId, Ordinal, Position, RoomId, Sequence};
use bobchat_proto::wire;
use prost::Message as _;

use super::calls::TRIES_MAX;
use super::runs::as_stored;
use super::{Call, Job, Plant, Reply, Step};
use crate::ports::{
    Append, LiveAppend, LiveAppended, LiveBounds, LiveRefusal, LiveTail, LogRow, NewEvent, Outcome, Placement,
    StoredEvent, StoredKey,
};

/// An event on its way to the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Outgoing {
    /// The event, with its client's key or one that the node made (rule 9).
    pub new: NewEvent,
    /// Whether the table of keys is asked first: [`super::asks_the_table`].
    pub ask: bool,
}

/// What is to be sent.
#[derive(Debug, Clone, PartialEq)]
pub struct SendJob {
    /// The room.
    pub room: RoomId,
    /// The epoch that the room was loaded under; its [`LogRow`] had a base.
    pub epoch: Epoch,
    /// The seq up to which the room has applied every event.
    pub known_seq: Sequence,
    /// The seq of the last event that changed the state that was decided on.
    pub state_seq: Sequence,
    /// The batch, in order. At most the last one changes the room's state (rule 5).
    pub events: Vec<Outgoing>,
    /// After this time of the live log's own clock, in microseconds since 1970, nothing is appended.
    pub deadline: i64,
    /// How much may wait to be archived.
    pub bounds: LiveBounds,
    /// Whether the answer waits until the events are stored (rule 12). Removals and bans always do.
    pub history: bool,
    /// Whether an attempt before this one may have appended: then nobody is told that surely nothing was.
    pub in_doubt: bool,
}

/// What has to be done before a batch is decided again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// Raise the epoch that the send named ([`super::Raise`]), then load the room.
    Raise,
    /// Load the room.
    Reload,
    /// Apply what the log has.
    CatchUp,
}

/// What a send comes to.
#[derive(Debug, Clone, PartialEq)]
pub enum SendEnd {
    /// Every event has its place, as durable as was asked for; everybody may be told.
    Placed {
        /// One for each event, in order.
        outcomes: Vec<Outcome>,
    },
    /// Decide again after this, and send again, all events asking the table.
    Again {
        /// What comes before.
        need: Need,
        /// For the next [`SendJob::in_doubt`].
        in_doubt: bool,
    },
    /// Surely nothing was appended.
    Busy {
        /// When it is worth trying again, if that is known.
        retry_after: Option<Duration>,
    },
    /// The room takes nothing any more; surely nothing was appended.
    Closed,
    /// It may or may not be in the log: the client sends it again under the same keys.
    Unknown,
}

/// Adds a batch to a room's log, surely once (rules 6 to 9, 11 and 12).
///
/// In order: room in the node's own store; the table of keys and the rows of what it knows; room_log again;
/// the append; what the log had already, read back; then all of it into the node's own store; and where the
/// answer waits for history, the store and room_log once more.
#[derive(Debug)]
pub struct Send {
    job: SendJob,
    salvage: bool,
    state: State,
    /// For each event: what the table knows of its key.
    uses: Vec<Vec<Use>>,
    outcomes: Vec<Option<Outcome>>,
    /// What this node answers for, by the event's place in the batch.
    events: Vec<Option<wire::Event>>,
    archived: Sequence,
    tries: u32,
}

/// A use of a key, and the row that stands there.
#[derive(Debug)]
struct Use {
    key: StoredKey,
    row: Option<StoredEvent>,
}

#[derive(Debug, Clone, PartialEq)]
enum State {
    Reserving,
    /// The table, for all events of the batch that have to ask it.
    Asking,
    /// The rows of what it knows.
    Looking,
    /// room_log, after the table.
    Confirming,
    Appending,
    /// What was appended now goes to the node's own store.
    HoldingAppended,
    /// What the log had already.
    ReadingBack,
    HoldingRepeated,
    Settling,
    Storing,
    ReadingEpoch,
    /// After a failure: then all over, under the same keys.
    Waiting,
    Done(SendEnd),
}

impl Send {
    /// A batch that was decided.
    #[must_use]
    pub fn new(job: SendJob) -> Self {
        Self::with(job, false)
    }

    /// The same for what is put back (rule 16).
    pub(super) fn salvage(job: SendJob) -> Self {
        Self::with(job, true)
    }

    fn with(job: SendJob, salvage: bool) -> Self {
        let count = job.events.len();
        let mut send = Self {
            job,
            salvage,
            state: State::Reserving,
            uses: Vec::new(),
            outcomes: vec![None; count],
            events: vec![None; count],
            archived: Sequence::ZERO,
            tries: 0,
        };
        send.uses.resize_with(count, Vec::new);
        if salvage {
            // What is put back is in the node's own store already.
            send.state = send.ask();
        }
        send
    }

    /// Rule 8: asks for the keys that have to be asked for; when there are none, nothing is asked.
    fn ask(&self) -> State {
        if self.asking().next().is_some() { State::Asking } else { State::Appending }
    }

    /// The events of the batch whose key has to be asked for: their places, and whose key it is.
    fn asking(&self) -> impl Iterator<Item = (usize, u64, &str)> {
        let events = self.job.events.iter().enumerate();
        let asks = |outgoing: &Outgoing| outgoing.ask && !Plant::NeverAsk.is_planted();
        events.filter(move |(_, outgoing)| asks(outgoing)).filter_map(|(index, outgoing)| {
            Some((index, outgoing.new.event.author, outgoing.new.event.key.as_deref()?))
        })
    }

    fn asked(&mut self, answers: Vec<Vec<StoredKey>>) -> State {
        let places: Vec<usize> = self.asking().map(|(index, ..)| index).collect();
        if places.len() != answers.len() {
            return self.not_now(None);
        }
        for (index, keys) in places.into_iter().zip(answers) {
            if let Some(uses) = self.uses.get_mut(index) {
                *uses = keys.into_iter().map(|key| Use { key, row: None }).collect();
            }
        }
        if self.uses.iter().all(Vec::is_empty) { State::Confirming } else { State::Looking }
    }

    fn looked(&mut self, rows: Vec<Option<StoredEvent>>) -> State {
        let uses = self.uses.iter_mut().flatten();
        uses.zip(rows).for_each(|(found, row)| found.row = row);
        State::Confirming
    }

    /// Rule 8: the table was read between two looks at room_log that say the same; rows were read before the
    /// second one, so that no later epoch can begin below them.
    fn confirmed(&mut self, row: &LogRow) -> State {
        if Plant::AskStale.is_planted() {
            self.job.epoch = row.epoch;
        }
        if row.epoch != self.job.epoch || !row.is_loaded() {
            return self.again(Need::Reload);
        }
        for ((outgoing, uses), outcome) in self.job.events.iter().zip(&self.uses).zip(&mut self.outcomes) {
            *outcome = uses.iter().find_map(|used| judge(row, used, outgoing));
        }
        if self.outcomes.iter().all(Option::is_some) { self.settled() } else { State::Appending }
    }

    fn append(&self) -> LiveAppend {
        let missing = self.job.events.iter().zip(&self.outcomes).filter(|(_, outcome)| outcome.is_none());
        LiveAppend {
            append: Append {
                room: self.job.room,
                epoch: self.job.epoch,
                known_seq: self.job.known_seq,
                state_seq: self.job.state_seq,
                events: missing.map(|(outgoing, _)| outgoing.new.clone()).collect(),
            },
            deadline: self.job.deadline,
            bounds: self.job.bounds,
            salvage: self.salvage,
        }
    }

    fn appended(&mut self, appended: LiveAppended) -> State {
        self.archived = appended.archived;
        let mut answers = appended.outcomes.into_iter();
        for (outcome, event) in self.outcomes.iter_mut().zip(&mut self.events) {
            if outcome.is_none() {
                *outcome = answers.next();
                if let Some(Outcome::Appended(appended)) = outcome {
                    *event = Some(appended.clone());
                }
            }
        }
        State::HoldingAppended
    }

    /// Rule 9: what each refusal leads to.
    fn refused(&mut self, refusal: &LiveRefusal) -> State {
        match refusal {
            LiveRefusal::Cold | LiveRefusal::Stale => self.again(Need::Raise),
            LiveRefusal::NewerEpoch(_) => self.again(Need::Reload),
            LiveRefusal::Behind => self.again(Need::CatchUp),
            LiveRefusal::Opening | LiveRefusal::Expired => self.not_now(None),
            LiveRefusal::Full { retry_after } => self.not_now(Some(*retry_after)),
            LiveRefusal::Closed if self.job.in_doubt => State::Done(SendEnd::Unknown),
            LiveRefusal::Closed => State::Done(SendEnd::Closed),
            LiveRefusal::Unknown(_) if Plant::UnknownIsBusy.is_planted() => self.not_now(None),
            LiveRefusal::Unknown(_) => self.unknown(),
        }
    }

    fn again(&self, need: Need) -> State {
        State::Done(SendEnd::Again { need, in_doubt: self.job.in_doubt })
    }

    /// Surely not appended now; but an attempt before may have been.
    fn not_now(&self, retry_after: Option<Duration>) -> State {
        State::Done(if self.job.in_doubt { SendEnd::Unknown } else { SendEnd::Busy { retry_after } })
    }

    /// Rule 9: it may have happened: the same keys again, and the table is asked (rule 8).
    fn unknown(&mut self) -> State {
        self.job.in_doubt = true;
        self.tries += 1;
        if self.tries >= TRIES_MAX { State::Done(SendEnd::Unknown) } else { State::Waiting }
    }

    fn restart(&mut self) -> State {
        self.job.events.iter_mut().for_each(|outgoing| outgoing.ask = true);
        self.uses.iter_mut().for_each(Vec::clear);
        self.outcomes.fill(None);
        self.events.fill(None);
        self.ask()
    }

    /// Rule 11: whoever answers a repeated key holds its event too, unless it is stored.
    fn read_back_all(&self) -> State {
        let has_some = self.unstored().next().is_some();
        if has_some && !Plant::HoldNoRepeat.is_planted() { State::ReadingBack } else { State::Settling }
    }

    /// What the log had already and the store may not have: its places in the batch, and where it stands.
    fn unstored(&self) -> impl Iterator<Item = (usize, Position)> {
        self.outcomes.iter().enumerate().filter_map(|(index, outcome)| match outcome {
            Some(Outcome::Repeated(placement)) if self.is_unstored(placement.position) => {
                Some((index, placement.position))
            }
            _ => None,
        })
    }

    /// What an older epoch holds came from the table, with its row.
    fn is_unstored(&self, position: Position) -> bool {
        position.epoch == self.job.epoch && position.seq > self.archived
    }

    fn read_back(&mut self, tails: Vec<Option<LiveTail>>) -> State {
        let places: Vec<(usize, Position)> = self.unstored().collect();
        if places.len() != tails.len() {
            return self.unknown();
        }
        for ((index, position), tail) in places.into_iter().zip(tails) {
            // The log was lost since it answered: all over again.
            let Some(tail) = tail else { return self.unknown() };
            let found = tail.events.into_iter().find(|event| event.position() == position);
            let is_stored = tail.head.head.position.epoch == position.epoch && tail.head.archived >= position.seq;
            if found.is_none() && !is_stored {
                return self.unknown();
            }
            if let Some(event) = self.events.get_mut(index) {
                *event = found;
            }
        }
        State::HoldingRepeated
    }

    /// All that is placed is held; what waits for history is stored first (rule 12).
    fn settled(&mut self) -> State {
        let to_store = self.events.iter().any(Option::is_some);
        match (self.job.history, to_store) {
            (true, _) if Plant::HistoryReadFirst.is_planted() => State::ReadingEpoch,
            (true, true) => State::Storing,
            (true, false) => State::ReadingEpoch,
            (false, _) => self.placed(),
        }
    }

    fn stored(&mut self) -> State {
        let unread = Plant::HistoryUnread.is_planted() || Plant::HistoryReadFirst.is_planted();
        if unread { self.placed() } else { State::ReadingEpoch }
    }

    /// Rule 12: stored under an epoch that still stands, so that a later one begins above it.
    fn epoch_read(&mut self, row: &LogRow) -> State {
        if row.epoch != self.job.epoch {
            self.job.in_doubt = true;
            return self.again(Need::Reload);
        }
        if Plant::HistoryReadFirst.is_planted() { State::Storing } else { self.placed() }
    }

    fn placed(&mut self) -> State {
        let outcomes: Option<Vec<Outcome>> = self.outcomes.iter().cloned().collect();
        State::Done(outcomes.map_or(SendEnd::Unknown, |outcomes| SendEnd::Placed { outcomes }))
    }

    fn held(&self, appended: bool) -> Vec<wire::Event> {
        let events =
            self.events.iter().zip(&self.outcomes).filter_map(|(event, outcome)| Some((event.clone()?, outcome)));
        let wanted = events.filter(|(_, outcome)| matches!(outcome, Some(Outcome::Appended(_))) == appended);
        if Plant::HoldNothing.is_planted() { Vec::new() } else { wanted.map(|(event, _)| event).collect() }
    }

    fn call(&self) -> Option<Call> {
        Some(match &self.state {
            State::Reserving => {
                Call::Reserve { bytes: self.job.events.iter().map(|outgoing| outgoing.new.event.encoded_len()).sum() }
            }
            State::Asking => Call::AllKeys(self.asking().map(|(_, author, key)| (author, key.to_owned())).collect()),
            State::Looking => Call::Rows(self.uses.iter().flatten().map(|found| found.key.position).collect()),
            State::Confirming | State::ReadingEpoch => Call::LogRow { serial: false },
            State::Appending => Call::Append(self.append()),
            State::HoldingAppended => Call::Hold(self.held(true)),
            State::HoldingRepeated => Call::Hold(self.held(false)),
            State::ReadingBack => Call::Tails(self.unstored().map(|(_, position)| position.seq).collect()),
            State::Settling => Call::Archived(Position { epoch: self.job.epoch, seq: self.archived }),
            State::Storing => Call::Store(self.events.iter().flatten().cloned().map(as_stored).collect()),
            State::Waiting => Call::Wait { attempt: self.tries },
            State::Done(_) => return None,
        })
    }
}

/// What a use of an event's key says: it counts only where its row stands and its position is owned (rule 8).
fn judge(row: &LogRow, used: &Use, outgoing: &Outgoing) -> Option<Outcome> {
    let stands = used.row.is_some() || Plant::KeyWithoutRow.is_planted();
    let owned = row.owns(used.key.position) || Plant::KeyOfOrphan.is_planted();
    if !stands || !owned {
        return None;
    }
    if used.key.body_hash != outgoing.new.body_hash {
        return Some(Outcome::Conflict);
    }
    let event = used.row.as_ref().map_or(&outgoing.new.event, |row| &row.event);
    let id = EventId::new(event.id).ok()?;
    let ordinal = event.ordinal.map(Ordinal);
    Some(Outcome::Repeated(Placement { position: used.key.position, ordinal, id, at: event.at }))
}

impl Job for Send {
    type End = SendEnd;

    fn room(&self) -> RoomId {
        self.job.room
    }

    fn next(&mut self) -> Step<SendEnd> {
        match (self.call(), &self.state) {
            (Some(call), _) => Step::Call(call),
            (None, State::Done(end)) => Step::Done(end.clone()),
            (None, _) => Step::Done(SendEnd::Unknown),
        }
    }

    fn on(&mut self, reply: Reply) {
        self.state = match (self.state.clone(), reply) {
            (State::Reserving, Reply::Reserved(true)) => self.ask(),
            // Rule 11: no room in the node's own store: busy, before anything is appended.
            (State::Reserving, Reply::Reserved(false)) => self.not_now(None),
            (State::Asking, Reply::AllKeys(Ok(answers))) => self.asked(answers),
            (State::Looking, Reply::Rows(Ok(rows))) => self.looked(rows),
            (State::Confirming, Reply::LogRow(Ok(Some(row)))) => self.confirmed(&row),
            (State::Confirming, Reply::LogRow(Ok(None))) => self.again(Need::Reload),
            // The table does not answer, so nobody knows whether it was sent before: nothing is appended.
            (State::Asking | State::Looking | State::Confirming, _) => self.not_now(None),
            (State::Appending, Reply::Appended(Ok(appended))) => self.appended(appended),
            (State::Appending, Reply::Appended(Err(refusal))) => self.refused(&refusal),
            (State::HoldingAppended, Reply::Noted) => self.read_back_all(),
            (State::ReadingBack, Reply::Tails(Ok(tails))) => self.read_back(tails),
            (State::ReadingBack, _) => self.unknown(),
            (State::HoldingRepeated, Reply::Noted) => State::Settling,
            (State::Settling, Reply::Noted) => self.settled(),
            (State::Storing, Reply::Written(Ok(()))) => self.stored(),
            (State::ReadingEpoch, Reply::LogRow(Ok(Some(row)))) => self.epoch_read(&row),
            (State::Storing | State::ReadingEpoch, _) => self.unknown(),
            (State::Waiting, Reply::Noted) => self.restart(),
            _ => State::Done(SendEnd::Unknown),
        };
    }
}
