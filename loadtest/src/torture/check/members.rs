//! Who may hear and say what: whoever left is out until they join again.
//!
//! What somebody is shown while they are out is written down, and judged in the end, when the room's log says where
//! they left. At the time nobody can: the answer that says so may be there before the event, and an older leaving may
//! be replayed that was made good since.

use std::collections::{BTreeSet, HashMap};

use bobchat_proto::ids::Position;
use bobchat_proto::wire::{self, event::Body};

use super::{Check, NodeLog, Op, place, say};
use crate::check::Kind;

/// Where a client stands in a room that it asked to leave at some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Member {
    /// How often it has left, the leaving that is under way included.
    times: usize,
    /// It was told that it is out, and has not asked to join since.
    is_out: bool,
}

/// Something that somebody was shown who was out.
#[derive(Debug, Clone, Copy)]
pub(super) struct Outside {
    client: usize,
    room: u64,
    /// Which of its leavings it was.
    times: usize,
    shown: Position,
    op: Op,
}

/// From where to where each user was a member, by a room's log.
#[derive(Debug, Default)]
struct Stays(HashMap<u64, Vec<Stay>>);

/// One stay of a user; the end is missing while it goes on.
#[derive(Debug, Clone, Copy)]
struct Stay {
    from: u64,
    until: Option<u64>,
}

impl Stays {
    fn of(events: &[wire::Event]) -> Self {
        let mut stays = Self::default();
        for event in events {
            match &event.body {
                Some(Body::Created(_)) => stays.begin(event.author, event.seq),
                Some(Body::Joined(joined)) => stays.begin(joined.user, event.seq),
                Some(Body::Left(left)) => stays.end(left.user, event.seq),
                _ => {}
            }
        }
        stays
    }

    fn begin(&mut self, user: u64, seq: u64) {
        self.0.entry(user).or_default().push(Stay { from: seq, until: None });
    }

    fn end(&mut self, user: u64, seq: u64) {
        if let Some(stay) = self.0.get_mut(&user).and_then(|stays| stays.last_mut()) {
            stay.until = Some(seq);
        }
    }

    /// Where a user left for the `times`th time.
    fn left_at(&self, user: u64, times: usize) -> Option<u64> {
        self.0.get(&user)?.iter().filter_map(|stay| stay.until).nth(times.saturating_sub(1))
    }

    fn was_inside(&self, user: u64, seq: u64) -> bool {
        let stays = self.0.get(&user).map_or(&[][..], Vec::as_slice);
        stays.iter().any(|stay| stay.from <= seq && stay.until.is_none_or(|until| seq <= until))
    }
}

impl Check {
    /// Somebody asks to leave a room.
    pub(in super::super) fn leaving(&mut self, client: usize, room: u64) {
        self.tally.moves += 1;
        self.members.entry((client, room)).or_default().times += 1;
    }

    /// Somebody was told that they are out.
    pub(in super::super) fn left(&mut self, client: usize, room: u64) {
        self.members.entry((client, room)).or_default().is_out = true;
    }

    /// Somebody asks to join a room.
    pub(in super::super) fn joining(&mut self, client: usize, room: u64) {
        self.tally.moves += 1;
        self.members.entry((client, room)).or_default().is_out = false;
    }

    /// Somebody is shown an event. The newest one of a page says all of it.
    pub(super) fn shown_to(&mut self, client: usize, event: &wire::Event) {
        let Some(member) = self.members.get(&(client, event.room)).filter(|member| member.is_out) else { return };
        let (room, times, shown, op) = (event.room, member.times, place(event), self.now);
        self.outside.push(Outside { client, room, times, shown, op });
    }

    /// Nobody who was out was shown what came after they left.
    pub(super) fn check_outside(&mut self, log: &NodeLog) {
        let stays = Stays::of(&log.events);
        // What was lost since and stands elsewhere now is judged by nobody: its number says nothing.
        let stands: BTreeSet<Position> = log.events.iter().map(place).collect();
        let outside: Vec<_> = self.outside.iter().filter(|outside| outside.room == log.room).copied().collect();
        for Outside { client, room, times, shown, op } in outside {
            let user = self.users.get(&client).copied().unwrap_or_default();
            let left_at =
                stays.left_at(user, times).filter(|left_at| shown.seq.0 > *left_at && stands.contains(&shown));
            // A request that was held on its way may be heard after later ones: then there are stays that it knows nothing of.
            if let Some(left_at) = left_at.filter(|_| !stays.was_inside(user, shown.seq.0)) {
                let (shown, about) = (say(shown), self.about(&[op]));
                self.violations.add(Kind::Removal, || {
                    format!("client {client} left room {room} at seq {left_at} and was shown {shown} after that{about}")
                });
            }
        }
    }

    /// Whoever said something was a member there. What was put back is judged by where it stood first.
    pub(super) fn check_authors(&mut self, events: &[wire::Event]) {
        // A log whose beginning is missing says nothing about who was there; that it is missing is said elsewhere.
        if !events.first().is_some_and(|first| matches!(first.body, Some(Body::Created(_)))) {
            return;
        }
        let mut members = BTreeSet::new();
        for event in events {
            match &event.body {
                Some(Body::Created(_)) => drop(members.insert(event.author)),
                Some(Body::Joined(joined)) => drop(members.insert(joined.user)),
                Some(Body::Left(left)) => drop(members.remove(&left.user)),
                Some(Body::Message(_)) if event.first.is_none() && !members.contains(&event.author) => {
                    self.is_stranger(event);
                }
                _ => {}
            }
        }
    }

    fn is_stranger(&mut self, event: &wire::Event) {
        let sent = event.key.as_deref().and_then(|key| self.sent.get(key));
        let about = sent.map_or(String::new(), |sent| self.about(&sent.ops()));
        self.violations.add(Kind::Removal, || {
            format!("room {}, seq {}: user {} is no member there{about}", event.room, event.seq, event.author)
        });
    }
}
