use std::collections::{BTreeMap, HashMap};

use bobchat_proto::ids::{EventId, Ordinal, RoomId, Sequence, UserId};
use bobchat_proto::{record, wire};

use crate::ports::projection::{
    advance, empty_head, fold_membership, fold_settings, is_honoured, is_member, membership_change, place,
};
use crate::ports::{Head, NewEvent, Outcome, Placement, RoomRow, Span};

/// A room's log and what follows from it.
pub(super) struct Room {
    pub(super) head: Head,
    pub(super) spans: Vec<Span>,
    /// The event of seq n stands at n - 1.
    pub(super) events: Vec<wire::Event>,
    /// By author and key.
    keys: HashMap<(u64, String), record::Key>,
    room: record::Room,
    pub(super) memberships: BTreeMap<UserId, record::Membership>,
}

impl Room {
    pub(super) fn new() -> Self {
        Self {
            head: empty_head(),
            spans: vec![Span::FIRST],
            events: Vec::new(),
            keys: HashMap::new(),
            room: record::Room::default(),
            memberships: BTreeMap::new(),
        }
    }

    /// How the directory lists the room: not before its first event.
    pub(super) fn row(&self, id: RoomId) -> Option<RoomRow> {
        let begun = self.head.position.seq > Sequence::ZERO;
        begun.then(|| RoomRow { id, room: self.room.clone(), head: self.head })
    }

    /// The user's membership, while it lasts.
    pub(super) fn member(&self, user: UserId) -> Option<&record::Membership> {
        self.memberships.get(&user).filter(|membership| is_member(membership))
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
        self.project(&event);
        self.events.push(event.clone());
        Outcome::Appended(event)
    }

    fn repeated(&self, used: &record::Key, body_hash: u64) -> Outcome {
        let index = usize::try_from(used.seq.saturating_sub(1)).unwrap_or(usize::MAX);
        let placement = self.events.get(index).and_then(placement);
        placement.filter(|_| used.body_hash == body_hash).map_or(Outcome::Conflict, Outcome::Repeated)
    }

    /// Changes what the directory derives from the log.
    fn project(&mut self, event: &wire::Event) {
        fold_settings(self.room.settings.get_or_insert_default(), event);
        if let Some((user, change)) = membership_change(event) {
            let membership = self.memberships.entry(user).or_default();
            fold_membership(membership, change, event);
            self.memberships.retain(|_, membership| !membership.intervals.is_empty());
            let members = self.memberships.values().filter(|membership| is_member(membership)).count();
            self.room.member_count = members as u64;
        }
    }
}

fn placement(event: &wire::Event) -> Option<Placement> {
    let id = EventId::new(event.id).ok()?;
    Some(Placement { position: event.position(), ordinal: event.ordinal.map(Ordinal), id, at: event.at })
}
