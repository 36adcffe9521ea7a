use std::collections::HashMap;
use std::time::Duration;

use bobchat_proto::ids::{Epoch, EventId, Ordinal, Position, Sequence};
use bobchat_proto::wire;
use prost::Message as _;

use crate::log::{KEYS_REMEMBERED, Plant};
use crate::plant::{self, Bug};
use crate::ports::projection::{advance, place};
use crate::ports::{
    AdvanceError, FenceError, Head, LiveAppend, LiveAppended, LiveBounds, LiveHead, LiveRefusal, LiveTail, NewEvent,
    Opening, Outcome, Placement,
};

/// The wait that is advised to whoever finds a log full: a round of the archiver.
const FULL_RETRY: Duration = Duration::from_millis(250);

/// What a server keeps of one room's log.
#[derive(Debug, Clone, Default)]
pub(super) struct LiveRoom {
    /// Absent until the log was opened once.
    pub(super) meta: Option<Meta>,
    /// The newest fence, and the life of the server that it was put up in.
    fence: Option<(Epoch, u64)>,
    /// The events, of any epoch, in the order in which they came.
    pub(super) stream: Vec<wire::Event>,
    /// The keys of now, and those of before.
    keys: [Keys; 2],
}

/// What decides about a room's log.
#[derive(Debug, Clone)]
pub(super) struct Meta {
    /// The life that may be appended in; `None` behind a fence.
    life: Option<u64>,
    head: Head,
    archived: Sequence,
    opened_at: i64,
    salvage_until: i64,
    pub(super) closed: bool,
}

/// What idempotency keys were used for.
#[derive(Debug, Clone, Default)]
struct Keys {
    since: i64,
    newest: Sequence,
    /// By author and key: where the event stands, and the hash of its body.
    used: HashMap<(u64, String), (Placement, u64)>,
}

impl LiveRoom {
    /// Rule 6: all checks first; rule 7: then all events.
    pub(super) fn append(&mut self, append: LiveAppend, life: u64, now: i64) -> Result<LiveAppended, LiveRefusal> {
        let bytes = self.unarchived_bytes();
        let meta = self.meta.as_ref().ok_or(LiveRefusal::Cold)?;
        admit(meta, &append, life, now, bytes)?;
        self.rotate_keys(now);
        let outcomes = append.append.events.into_iter().map(|new| self.add(new, now)).collect();
        let archived = self.meta.as_ref().map_or(Sequence::ZERO, |meta| meta.archived);
        Ok(LiveAppended { outcomes, archived })
    }

    fn add(&mut self, new: NewEvent, now: i64) -> Outcome {
        let mut event = new.event;
        let key = event.key.clone().map(|key| (event.author, key));
        let used = key.as_ref().and_then(|key| self.keys.iter().find_map(|keys| keys.used.get(key)));
        if let Some((placement, body_hash)) =
            used.filter(|_| !Plant::NoKeys.is_planted() && !plant::is(Bug::DoubleOnRetry))
        {
            let same = *body_hash == new.body_hash;
            return if same { Outcome::Repeated(*placement) } else { Outcome::Conflict };
        }
        let Some(meta) = &mut self.meta else { return Outcome::Conflict };
        place(&meta.head, now, &mut event);
        meta.head = advance(meta.head, &event);
        let [current, _] = &mut self.keys;
        if let Some((key, placement)) = key.zip(placement(&event)) {
            current.newest = placement.position.seq;
            current.used.insert(key, (placement, new.body_hash));
        }
        self.stream.push(event.clone());
        Outcome::Appended(event)
    }

    /// Rule 8: the older half goes after a while, when everything it stands for is stored.
    fn rotate_keys(&mut self, now: i64) {
        let archived = self.meta.as_ref().map_or(Sequence::ZERO, |meta| meta.archived);
        let [current, before] = &mut self.keys;
        let due = i128::from(now.saturating_sub(current.since)) >= KEYS_REMEMBERED.as_micros().cast_signed();
        if due && archived >= before.newest {
            *before = std::mem::replace(current, Keys { since: now, ..Keys::default() });
        }
    }

    /// Rule 14 b.
    pub(super) fn fence(&mut self, epoch: Epoch, life: u64) -> Result<Vec<wire::Event>, FenceError> {
        let open = self.meta.as_ref().map(|meta| meta.head.position.epoch).filter(|open| *open >= epoch);
        let fenced = self.fence.map(|(fenced, _)| fenced).filter(|fenced| *fenced > epoch);
        if let Some(newer) = open.max(fenced) {
            return Err(FenceError::Superseded(Some(newer)));
        }
        self.fence = Some((epoch, life));
        if let Some(meta) = self.meta.as_mut().filter(|_| !Plant::OpenFence.is_planted()) {
            meta.life = None;
        }
        Ok(self.stream.clone())
    }

    /// Rule 14 f. The server's life is the one that was fenced: that was compared before.
    pub(super) fn open(&mut self, opening: &Opening, life: u64, now: i64) -> Result<(), FenceError> {
        let epoch = opening.head.position.epoch;
        let open = self.meta.as_ref().map(|meta| meta.head.position.epoch);
        let fenced = self.fence == Some((epoch, life)) || Plant::OpenUnfenced.is_planted();
        if open.is_some_and(|open| open >= epoch) || !fenced {
            return Err(FenceError::Superseded(open.max(self.fence.map(|(fenced, _)| fenced))));
        }
        let closed = opening.closed || self.meta.as_ref().is_some_and(|meta| meta.closed);
        let salvage = i64::try_from(opening.salvage_for.as_micros()).unwrap_or(i64::MAX);
        self.meta = Some(Meta {
            life: Some(life),
            head: opening.head,
            archived: opening.head.position.seq,
            opened_at: now,
            salvage_until: now.saturating_add(salvage),
            closed,
        });
        self.stream.clear();
        self.keys = [Keys { since: now, ..Keys::default() }, Keys::default()];
        Ok(())
    }

    /// Rule 20.
    pub(super) fn advance(&mut self, through: Position, tail: u64) -> Result<(), AdvanceError> {
        let meta = self.meta.as_mut().ok_or(AdvanceError::Refused)?;
        if meta.head.position.epoch != through.epoch || through.seq > meta.head.position.seq {
            return Err(AdvanceError::Refused);
        }
        meta.archived = meta.archived.max(through.seq);
        let trimmed = Position { seq: Sequence(meta.archived.0.saturating_sub(tail)), ..through };
        self.stream.retain(|event| event.position() > trimmed);
        Ok(())
    }

    pub(super) fn head(&self, life: u64) -> Option<LiveHead> {
        let meta = self.meta.as_ref().filter(|meta| meta.life == Some(life))?;
        Some(LiveHead { head: meta.head, archived: meta.archived, closed: meta.closed })
    }

    pub(super) fn tail(&self, life: u64, after: Sequence, limit: usize) -> Option<LiveTail> {
        let head = self.head(life)?;
        let epoch = head.head.position.epoch.0;
        let newer = self.stream.iter().filter(|event| event.epoch == epoch && event.seq > after.0);
        Some(LiveTail { head, events: newer.take(limit).cloned().collect() })
    }

    /// Whether events wait to be archived, trusted or not.
    pub(super) fn is_dirty(&self) -> bool {
        self.meta.as_ref().is_some_and(|meta| meta.archived < meta.head.position.seq)
    }

    fn unarchived_bytes(&self) -> u64 {
        let archived = self.meta.as_ref().map_or(Sequence::ZERO, |meta| meta.archived);
        self.stream.iter().filter(|event| event.seq > archived.0).map(|event| event.encoded_len() as u64).sum()
    }
}

/// Rule 6, in its order. Salvage puts back what was taken before: nothing is decided again.
fn admit(meta: &Meta, append: &LiveAppend, life: u64, now: i64, bytes: u64) -> Result<(), LiveRefusal> {
    let LiveAppend { append, deadline, bounds, salvage } = append;
    let (epoch, head) = (meta.head.position.epoch, &meta.head);
    let trusted = meta.life == Some(life) || Plant::AnyLife.is_planted();
    if !trusted || epoch < append.epoch {
        return Err(LiveRefusal::Cold);
    }
    if epoch > append.epoch && !Plant::AnyEpoch.is_planted() {
        return Err(LiveRefusal::NewerEpoch(epoch));
    }
    if meta.closed && !salvage {
        return Err(LiveRefusal::Closed);
    }
    if append.known_seq > head.position.seq {
        return Err(LiveRefusal::Stale);
    }
    // A clock that was set back to before the window does not make it longer.
    if (meta.opened_at..meta.salvage_until).contains(&now) && !salvage {
        return Err(LiveRefusal::Opening);
    }
    if append.state_seq < head.state_seq && !salvage && !Plant::NotBehind.is_planted() {
        return Err(LiveRefusal::Behind);
    }
    if now > *deadline {
        return Err(LiveRefusal::Expired);
    }
    if is_full(meta, *bounds, bytes) {
        return Err(LiveRefusal::Full { retry_after: FULL_RETRY });
    }
    Ok(())
}

fn is_full(meta: &Meta, bounds: LiveBounds, bytes: u64) -> bool {
    let events = meta.head.position.seq.0.saturating_sub(meta.archived.0);
    events >= bounds.events || bytes >= bounds.bytes
}

fn placement(event: &wire::Event) -> Option<Placement> {
    let id = EventId::new(event.id).ok()?;
    Some(Placement { position: event.position(), ordinal: event.ordinal.map(Ordinal), id, at: event.at })
}

#[cfg(test)]
mod tests {
    use bobchat_proto::ids::RoomId;
    use bobchat_proto::wire::event::Body;

    use super::*;
    use crate::ports::{Append, Incarnation};

    const LIFE: u64 = 1;
    const MINUTE: i64 = 60_000_000;

    fn open(epoch: u64, seq: u64) -> LiveRoom {
        let mut room = LiveRoom::default();
        let room_id = RoomId::new(1).unwrap();
        room.fence(Epoch(epoch), LIFE).unwrap();
        let position = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
        let head = Head { position, ..Head::default() };
        let incarnation = Incarnation(String::new());
        room.open(&Opening { room: room_id, head, incarnation, salvage_for: Duration::ZERO, closed: false }, LIFE, 0)
            .unwrap();
        room
    }

    fn say(room: &mut LiveRoom, key: &str, now: i64) -> Outcome {
        let body = Some(Body::Message(wire::Message { text: key.to_owned() }));
        let event = wire::Event { id: 1, author: 1, key: Some(key.to_owned()), body, ..wire::Event::default() };
        let append = Append {
            room: RoomId::new(1).unwrap(),
            epoch: Epoch(2),
            known_seq: Sequence::ZERO,
            state_seq: Sequence::ZERO,
            events: vec![NewEvent { event, body_hash: 1, made_at: None }],
        };
        let bounds = LiveBounds { events: 100, bytes: 100_000 };
        let append = LiveAppend { append, deadline: i64::MAX, bounds, salvage: false };
        room.append(append, LIFE, now).unwrap().outcomes.remove(0)
    }

    /// Rule 20.
    #[test]
    fn an_archiver_of_another_epoch_or_beyond_the_head_is_refused() {
        let mut room = open(2, 5);
        for (epoch, seq) in [(1, 4), (3, 5), (2, 6)] {
            let through = Position { epoch: Epoch(epoch), seq: Sequence(seq) };
            assert!(room.advance(through, 0).is_err(), "{through:?}");
        }
    }

    /// Rule 8.
    #[test]
    fn keys_are_forgotten_only_when_what_they_stand_for_is_stored() {
        let mut room = open(2, 0);
        say(&mut room, "a", MINUTE);
        say(&mut room, "b", 11 * MINUTE);
        assert!(matches!(say(&mut room, "a", 22 * MINUTE), Outcome::Repeated(_)), "it is not stored");
        room.advance(Position { epoch: Epoch(2), seq: Sequence(1) }, 0).unwrap();
        say(&mut room, "c", 33 * MINUTE);
        assert!(matches!(say(&mut room, "a", 34 * MINUTE), Outcome::Appended(_)), "the table knows it now");
        assert!(matches!(say(&mut room, "b", 34 * MINUTE), Outcome::Repeated(_)));
    }
}
