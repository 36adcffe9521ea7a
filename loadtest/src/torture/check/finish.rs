//! The end: every node's log, against all that was said and heard.

use std::collections::{HashMap, HashSet};

use bobchat_proto::ids::{Position, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::sent::{Ack, Sent};
use super::{Check, Op, Seen, place, say};
use crate::check::{Kind, Violations};

/// A room's log as one node shows it, from its first event to its last, and its messages as history shows them.
#[derive(Debug, Clone)]
pub(in super::super) struct NodeLog {
    pub(in super::super) room: u64,
    pub(in super::super) node: usize,
    pub(in super::super) events: Vec<wire::Event>,
    pub(in super::super) messages: Vec<wire::Event>,
}

impl Check {
    /// Judges the run. Nobody sends any more, and nothing is broken.
    pub(in super::super) fn finish(&mut self, logs: &[NodeLog]) {
        logs.iter().for_each(|log| self.agrees(log));
        let mut finals: HashMap<u64, &NodeLog> = HashMap::new();
        for log in logs {
            let first = *finals.entry(log.room).or_insert(log);
            if first.events != log.events {
                self.violations.add(Kind::Disagreement, || differs(first, log));
            }
        }
        for log in finals.values() {
            check_numbers(&log.events, &mut self.violations);
            self.check_messages(&log.events);
            self.check_authors(&log.events);
            self.check_outside(log);
            self.check_real_time(&log.events);
        }
        let rooms = std::mem::take(&mut self.rooms);
        for (room, seen) in &rooms {
            let events = finals.get(room).map_or(&[][..], |log| log.events.as_slice());
            self.check_seen(seen, events);
        }
        self.check_sent(&finals);
    }

    /// A node's pages and its log show the same, and what was seen before.
    fn agrees(&mut self, log: &NodeLog) {
        log.events.iter().for_each(|event| self.saw(event));
        let messages = log.events.iter().filter(|event| matches!(event.body, Some(Body::Message(_))));
        if !messages.eq(&log.messages) {
            let (room, node) = (log.room, log.node);
            self.violations
                .add(Kind::Disagreement, || format!("room {room}, node {node}: history and log do not show the same"));
        }
    }

    /// Every message was sent, once, as it stands.
    fn check_messages(&mut self, events: &[wire::Event]) {
        let mut keys = HashSet::new();
        for event in events {
            let Some(Body::Message(message)) = &event.body else { continue };
            let place = || format!("room {} seq {}", event.room, event.seq);
            let key = event.key.as_deref().unwrap_or_default();
            if !keys.insert(key) {
                let about = self.sent.get(key).map_or(String::new(), |sent| self.about(&sent.ops()));
                self.violations.add(Kind::Double, || format!("{}: {key} stands in the room twice{about}", place()));
            }
            let wrong = match self.sent.get(key) {
                Some(sent) if sent.abandoned => {
                    Some((Kind::Phantom, "was refused as surely not added, and stands", sent.ops()))
                }
                Some(sent) if (sent.room, sent.author, &sent.text) == (event.room, event.author, &message.text) => None,
                Some(sent) => Some((Kind::Text, "is not what was sent", sent.ops())),
                None => Some((Kind::Text, "was sent by nobody", Vec::new())),
            };
            if let Some((kind, what, ops)) = wrong {
                let about = self.about(&ops);
                self.violations.add(kind, || format!("{}: {key} {what}{about}", place()));
            }
        }
    }

    /// What was answered before something else was begun stands before it.
    fn check_real_time(&mut self, events: &[wire::Event]) {
        // From the end: the earliest answer among all that stands later.
        let mut earliest: Option<(Op, u64)> = None;
        for event in events.iter().rev() {
            let sent = event.key.as_deref().and_then(|key| self.sent.get(key));
            let Some(sent) = sent.filter(|_| event.first.is_none()) else { continue };
            let began = sent.began;
            let answered_first = sent.acks.first().map(|ack| ack.when);
            if let Some((answered, seq)) = earliest
                && answered.n < began.n
            {
                let (room, later, about) = (event.room, event.seq, self.about(&[answered, began]));
                self.violations.add(Kind::RealTime, || {
                    format!(
                        "room {room}: seq {later} was begun after seq {seq} was answered, and stands before it{about}"
                    )
                });
            }
            if let Some(when) = answered_first
                && earliest.is_none_or(|(answered, _)| when.n < answered.n)
            {
                earliest = Some((when, event.seq));
            }
        }
    }

    /// What somebody saw stands, there or renumbered; and nobody was told to begin anew without need.
    fn check_seen(&mut self, seen: &Seen, events: &[wire::Event]) {
        let by_id: HashMap<u64, &wire::Event> = events.iter().map(|event| (event.id, event)).collect();
        let stands: HashSet<Position> = events.iter().map(place).collect();
        let mut renumbered = HashSet::new();
        for (position, (event, op)) in seen.events.iter().filter(|(position, _)| !stands.contains(*position)) {
            match by_id.get(&event.id) {
                // Of an acknowledged message `check_sent` says that it is lost.
                None if self.is_acked(event) || self.is_excused(event) || self.is_named(event) => {}
                None => self.vanished(*position, event, *op),
                Some(now) => {
                    renumbered.insert(event.id);
                    if !admits(now, *position) {
                        let about = self.about(&[*op]);
                        self.violations.add(Kind::Disagreement, || {
                            let (room, seq) = (now.room, now.seq);
                            format!("room {room}: {} stands at {seq} and does not say so{about}", say(*position))
                        });
                    }
                }
            }
        }
        self.tally.renumbered += renumbered.len() as u64;
        for (known, shown, op) in seen.stale.iter().filter(|(known, ..)| stands.contains(known)) {
            let about = self.about(&[*op]);
            self.violations.add(Kind::Stale, || {
                format!("somebody who knew {} was shown {} as the newest message{about}", say(*known), say(*shown))
            });
        }
        for (cursor, head, op) in &seen.resets {
            if cursor.epoch == head.epoch || stands.contains(cursor) {
                let about = self.about(&[*op]);
                self.violations
                    .add(Kind::Reset, || format!("{} was reset to {} without need{about}", say(*cursor), say(*head)));
            }
        }
    }

    fn is_acked(&self, event: &wire::Event) -> bool {
        event.key.as_deref().and_then(|key| self.sent.get(key)).is_some_and(|sent| !sent.acks.is_empty())
    }

    fn is_named(&self, event: &wire::Event) -> bool {
        let sent = event.key.as_deref().and_then(|key| self.sent.get(key));
        sent.is_some_and(|sent| self.is_of_the_named_class(sent))
    }

    fn vanished(&mut self, position: Position, event: &wire::Event, op: Op) {
        let about = self.about(&[op]);
        self.violations.add(Kind::Vanished, || {
            let key = event.key.as_deref().unwrap_or("no key");
            format!("room {}: {} ({key}) was seen and stands nowhere{about}", event.room, say(position))
        });
    }

    /// Every message that was acknowledged stands where that was said, or later and says so.
    fn check_sent(&mut self, finals: &HashMap<u64, &NodeLog>) {
        let mut standing: HashMap<&str, &wire::Event> = HashMap::new();
        for event in finals.values().flat_map(|log| &log.events) {
            if let (Some(key), Some(Body::Message(_))) = (event.key.as_deref(), &event.body) {
                standing.insert(key, event);
            }
        }
        for (key, sent) in &self.sent {
            match (standing.get(key.as_str()), sent.acks.is_empty()) {
                (_, true) if sent.abandoned || sent.left_open => {}
                (None, false) if self.excused.contains(key) || self.is_of_the_named_class(sent) => {
                    self.tally.lost += 1;
                    self.tally.excused += 1;
                }
                (_, true) => {
                    let about = self.about(&sent.ops());
                    self.violations.add(Kind::Unacked, || format!("{key} was never acknowledged{about}"));
                }
                (None, false) => {
                    self.tally.lost += 1;
                    let (room, answers, about) = (sent.room, answers(sent), self.about(&sent.ops()));
                    self.violations
                        .add(Kind::Loss, || format!("{key} of room {room} was acknowledged at {answers}{about}"));
                }
                (Some(event), false) => {
                    let about = self.about(&sent.ops());
                    check_answers(key, sent, event, &about, &mut self.violations);
                }
            }
        }
    }
}

/// Whether an event says that it stood at `earlier`: it names where it stood first, and may have moved more than once.
fn admits(now: &wire::Event, earlier: Position) -> bool {
    let Some(first) = &now.first else { return false };
    super::position(Some(first)) <= earlier && earlier < place(now)
}

fn check_answers(key: &str, sent: &Sent, event: &wire::Event, about: &str, violations: &mut Violations) {
    for ack in &sent.acks {
        let here = ack.position == place(event) && (ack.ordinal, ack.at) == (event.ordinal.unwrap_or(0), event.at);
        if ack.id != event.id || !(here || admits(event, ack.position)) {
            violations.add(Kind::Ack, || {
                let Ack { id, ordinal, at, .. } = *ack;
                let (said, here) = (say(ack.position), say(place(event)));
                format!(
                    "{key} was acknowledged at {said}, id {id}, ordinal {ordinal}, at {at}, and stands at {here}, id {}, \
                     ordinal {:?}, at {}{about}",
                    event.id, event.ordinal, event.at
                )
            });
        }
    }
}

fn answers(sent: &Sent) -> String {
    sent.acks.iter().map(|ack| say(ack.position)).collect::<Vec<_>>().join(", ")
}

/// Seq and ordinal are dense, time rises, epochs do not fall, and no identifier comes twice.
fn check_numbers(events: &[wire::Event], violations: &mut Violations) {
    let (mut seq, mut ordinal, mut at, mut epoch) = (0, 0, i64::MIN, 0);
    let mut ids = HashSet::new();
    for event in events {
        let place = || format!("room {} seq {}", event.room, event.seq);
        if Sequence(seq).next() != Sequence(event.seq) {
            violations.add(Kind::Hole, || format!("{} stands after seq {seq}", place()));
        }
        if event.at <= at {
            violations.add(Kind::Numbers, || format!("{}: time does not rise", place()));
        }
        if event.epoch < epoch {
            violations.add(Kind::Numbers, || format!("{}: epoch {} after {epoch}", place(), event.epoch));
        }
        if !ids.insert(event.id) {
            violations.add(Kind::Double, || format!("{}: id {} stands twice", place(), event.id));
        }
        if matches!(event.body, Some(Body::Message(_))) {
            ordinal += 1;
            if event.ordinal != Some(ordinal) {
                violations
                    .add(Kind::Numbers, || format!("{}: ordinal {:?} instead of {ordinal}", place(), event.ordinal));
            }
        }
        (seq, at, epoch) = (event.seq, event.at, event.epoch);
    }
}

fn differs(one: &NodeLog, other: &NodeLog) -> String {
    let pair = one.events.iter().zip(&other.events).find(|(one, other)| one != other);
    let nodes = format!("room {}: nodes {} and {} show", one.room, one.node, other.node);
    match pair {
        Some((one, other)) => format!("{nodes} {one:?} and {other:?}"),
        None => format!("{nodes} {} and {} events", one.events.len(), other.events.len()),
    }
}
