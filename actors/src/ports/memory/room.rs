use std::collections::HashMap;

use bobchat_proto::ids::{EventId, Ordinal, RoomId, Sequence};
use bobchat_proto::{record, wire};

use crate::ports::projection::{Derived, advance, empty_head, is_honoured, place};
use crate::ports::{Head, NewEvent, Outcome, Placement, RoomRow, Span};

/// A room's log and what follows from it.
pub(super) struct Room {
    pub(super) head: Head,
    pub(super) spans: Vec<Span>,
    /// The event of seq n stands at n - 1.
    pub(super) events: Vec<wire::Event>,
    /// By author and key.
    keys: HashMap<(u64, String), record::Key>,
    pub(super) derived: Derived,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            head: empty_head(),
            spans: vec![Span::FIRST],
            events: Vec::new(),
            keys: HashMap::new(),
            derived: Derived::default(),
        }
    }

    /// How the directory lists the room: not before its first event.
    pub(super) fn row(&self, id: RoomId) -> Option<RoomRow> {
        let begun = self.head.position.seq > Sequence::ZERO;
        begun.then(|| RoomRow { id, room: self.derived.room.clone(), head: self.head })
    }

    pub(super) fn add(&mut self, new: NewEvent, now_micros: i64) -> Outcome {
        let mut event = new.event;
        let key = event.key.clone().map(|key| (event.author, key));
        let used = key.as_ref().and_then(|key| self.keys.get(key)).filter(|used| is_honoured(used, now_micros));
        if let Some(used) = used {
            return self.repeated(used, new.body_hash);
        }
        place(&self.head, now_micros, &mut event);
        if let Some(key) = key {
            let (epoch, seq, at) = (event.epoch, event.seq, event.at);
            self.keys.insert(key, record::Key { epoch, seq, at, body_hash: new.body_hash });
        }
        self.head = advance(self.head, &event);
        self.derived.apply(&event);
        self.events.push(event.clone());
        Outcome::Appended(event)
    }

    fn repeated(&self, used: &record::Key, body_hash: u64) -> Outcome {
        let index = usize::try_from(used.seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let placement = self.events.get(index).and_then(placement);
        placement.filter(|_| used.body_hash == body_hash).map_or(Outcome::Conflict, Outcome::Repeated)
    }
}

fn placement(event: &wire::Event) -> Option<Placement> {
    let id = EventId::new(event.id).ok()?;
    Some(Placement { position: event.position(), ordinal: event.ordinal.map(Ordinal), id, at: event.at })
}
