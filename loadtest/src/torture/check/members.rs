//! Who may hear and say what: whoever left is out until they join again.

use std::collections::BTreeSet;

use bobchat_proto::wire::{self, event::Body};

use super::{Check, place, say};
use crate::check::{Kind, Violations};

/// Where a client stands in a room that it asked to leave at some time.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Member {
    /// It was told that it is out, and has not asked to join since.
    is_out: bool,
    /// Where the event stands that says so, once its stream brought it and no later joining.
    left_at: Option<u64>,
}

impl Check {
    /// Somebody asks to leave a room.
    pub(in super::super) fn leaving(&mut self, client: usize, room: u64) {
        self.tally.moves += 1;
        self.members.insert((client, room), Member::default());
    }

    /// Somebody was told that they are out.
    pub(in super::super) fn left(&mut self, client: usize, room: u64) {
        self.members.entry((client, room)).or_default().is_out = true;
    }

    /// Somebody asks to join a room.
    pub(in super::super) fn joining(&mut self, client: usize, room: u64) {
        self.tally.moves += 1;
        self.members.remove(&(client, room));
    }

    /// Holds an event of a stream against who may hear it. Up to the event that says that somebody left, nothing shows
    /// that they did: the answer may be there before it.
    pub(super) fn may_hear(&mut self, client: usize, event: &wire::Event) {
        let user = self.users.get(&client).copied();
        let Some(member) = self.members.get_mut(&(client, event.room)) else { return };
        let heard_too_much = member.is_out && member.left_at.is_some();
        match &event.body {
            Some(Body::Left(left)) if Some(left.user) == user => member.left_at = Some(event.seq),
            // An earlier leaving may be replayed, which was made good since.
            Some(Body::Joined(joined)) if Some(joined.user) == user => member.left_at = None,
            _ => {}
        }
        if heard_too_much {
            let here = say(place(event));
            self.fault(Kind::Removal, || format!("client {client} left room {} and heard {here} after", event.room));
        }
    }

    /// Somebody who had left was shown a page: nothing in it may have come after that.
    pub(super) fn peeked(&mut self, client: usize, room: u64, events: &[wire::Event]) {
        let left_at = self.members.get(&(client, room)).and_then(|member| member.left_at);
        if let (Some(left_at), Some(last)) = (left_at, events.last())
            && last.seq > left_at
        {
            let seq = last.seq;
            self.fault(Kind::Removal, || format!("client {client} left room {room} at {left_at} and read {seq}"));
        }
        self.page(events, None);
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
                    let sent = event.key.as_deref().and_then(|key| self.sent.get(key));
                    let about = sent.map_or(String::new(), |sent| self.about(&sent.ops()));
                    add_stranger(&mut self.violations, event, &about);
                }
                _ => {}
            }
        }
    }
}

fn add_stranger(violations: &mut Violations, event: &wire::Event, about: &str) {
    violations.add(Kind::Removal, || {
        format!("room {}, seq {}: user {} is no member there{about}", event.room, event.seq, event.author)
    });
}
