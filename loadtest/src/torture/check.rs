//! What was promised, held against all that clients said and heard.
//!
//! The checker knows nothing of connections or nodes. It is told, in the order of one clock, what clients did and heard:
//! messages that are sent and what was answered, what each client's stream of a room brings, pages that were read. In
//! the end it gets every node's log of every room. Whether it is told while that happens or out of files makes no
//! difference to it. [`told`] takes facts, [`stream`] holds one stream, [`sent`] one message, [`members`] who may hear
//! what, [`named`] the one loss that is documented, and [`finish`] the end.
//!
//! A **position** is (epoch, seq). When a log is lost and opened again, its epoch rises, and an event that was put
//! back stands at a later position, with `first` saying where it stood: *renumbered*. That is counted, and is no
//! fault. Everything else that contradicts what was heard before is one.

mod finish;
mod members;
mod named;
mod sent;
mod stream;
mod told;

use std::collections::{BTreeMap, HashMap, HashSet};

use bobchat_proto::ids::{Epoch, Position, Sequence};
use bobchat_proto::wire;

use super::abuser::Abuse;
use super::history::deed::Deed;
use super::history::fact::Op;
use crate::check::{Kind, Violations};
pub(super) use finish::NodeLog;
use members::{Member, Outside};
use sent::Sent;
use stream::Stream;

/// Faults that are named beside one violation.
const DEEDS_TOLD_MAX: usize = 3;

/// What was counted.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Tally {
    /// Messages that clients made.
    pub(super) sent: u64,
    /// Those that were acknowledged.
    pub(super) acked: u64,
    /// Clients that say everything over REST.
    pub(super) clients_over_rest: u64,
    /// Messages of theirs that were acknowledged.
    pub(super) acked_over_rest: u64,
    /// Connections of those who mean harm that nodes ended, by what they did.
    pub(super) thrown_out: BTreeMap<Abuse, u64>,
    /// Acknowledged messages that stand nowhere in the end.
    pub(super) lost: u64,
    /// Those of them that are of the one class that docs/guarantees.md names.
    pub(super) excused: u64,
    /// Repeated sends: further attempts under the same key.
    pub(super) again: u64,
    /// Joinings and leavings that were asked for.
    pub(super) moves: u64,
    /// Events that stand at a later position than somebody saw, and say so.
    pub(super) renumbered: u64,
    /// Events that streams brought.
    pub(super) delivered: u64,
    /// Streams that were told to begin anew.
    pub(super) resets: u64,
    /// Answers that were errors, by code: what is asked again.
    pub(super) errors: BTreeMap<String, u64>,
    /// Connections that were opened.
    pub(super) connections: u64,
    /// Requests that got no answer on a connection that went on.
    pub(super) unanswered: u64,
}

/// A room's events as all have seen them.
#[derive(Debug, Default)]
struct Seen {
    /// Every event that was seen at a position, and when first.
    events: BTreeMap<Position, (wire::Event, Op)>,
    /// The resets that were told: the cursor, if there was one, and where the stream went on.
    resets: Vec<(Position, Position, Op)>,
    /// Newest pages that did not reach what their readers had been told: that, and how far they reached.
    stale: Vec<(Position, Position, Op)>,
}

/// Checks one run.
#[derive(Debug, Default)]
pub(super) struct Check {
    rooms: HashMap<u64, Seen>,
    streams: HashMap<(usize, u64), Stream>,
    sent: HashMap<String, Sent>,
    /// Messages that everybody lost who held them: the one loss that is documented.
    excused: HashSet<String>,
    /// Who each client is.
    users: HashMap<usize, u64>,
    /// Those who say everything over REST.
    over_rest: HashSet<usize>,
    /// Where each client stands in each room that it ever asked to leave.
    members: HashMap<(usize, u64), Member>,
    /// What was shown to clients that were out.
    outside: Vec<Outside>,
    /// What happens now. Orders what clients begin and what is answered: all are on one machine and under one lock.
    now: Op,
    /// The node that each client is at.
    nodes: HashMap<usize, usize>,
    /// What was broken when; known when a run is judged out of files.
    deeds: Vec<Deed>,
    /// Whether the one loss that is documented may happen in this run.
    names_a_loss: bool,
    pub(super) tally: Tally,
    pub(super) violations: Violations,
}

/// Where an event stands.
pub(super) fn place(event: &wire::Event) -> Position {
    Position { epoch: Epoch(event.epoch), seq: Sequence(event.seq) }
}

/// A position of the wire.
pub(super) fn position(position: Option<&wire::Position>) -> Position {
    position.map_or(Position { epoch: Epoch(0), seq: Sequence(0) }, |position| Position {
        epoch: Epoch(position.epoch),
        seq: Sequence(position.seq),
    })
}

/// A position for people.
fn say(position: Position) -> String {
    format!("({}, {})", position.epoch.0, position.seq.0)
}

impl Check {
    /// A checker that says of what it finds which of these faults was there.
    pub(super) fn beside(deeds: Vec<Deed>) -> Self {
        Self { deeds, ..Self::default() }
    }

    /// Something else happens, for whoever has no operations of a history.
    pub(super) const fn tick(&mut self) {
        self.now.n += 1;
    }

    /// Notes what is wrong now.
    pub(super) fn fault(&mut self, kind: Kind, detail: impl FnOnce() -> String) {
        let about = self.about(&[self.now]);
        self.violations.add(kind, || format!("{}{about}", detail()));
    }

    /// Names operations and the faults around them, for people; nothing for whoever has no history.
    fn about(&self, ops: &[Op]) -> String {
        let ops: Vec<_> = ops.iter().filter(|op| op.t_ns > 0).collect();
        let named = ops.iter().map(|op| format!("op {} at {:.3} s", op.n, op.t_ns as f64 / 1e9)).collect::<Vec<_>>();
        let mut about = if named.is_empty() { String::new() } else { format!(" [{}]", named.join(", ")) };
        let around = self.deeds.iter().filter(|deed| ops.iter().any(|op| deed.is_around(op.t_ns)));
        for deed in around.take(DEEDS_TOLD_MAX) {
            about.push_str(&format!(" {{{}}}", deed.told()));
        }
        about
    }

    /// Notes an answer that is an error.
    pub(super) fn refused(&mut self, code: &str) {
        *self.tally.errors.entry(code.to_owned()).or_insert(0) += 1;
    }

    /// A client has a new connection, which carries nothing yet.
    pub(super) fn connected(&mut self, client: usize) {
        self.tally.connections += 1;
        self.streams.retain(|(whose, _), _| *whose != client);
    }

    /// A client's stream of a room goes on after a position.
    pub(super) fn subscribed(&mut self, client: usize, room: u64, after: Position) {
        self.streams.insert((client, room), Stream::new(after));
    }

    /// A client's stream of a room was told to drop what it has and go on after `head`.
    pub(super) fn reset(&mut self, client: usize, room: u64, cursor: Position, head: Position) {
        self.tally.resets += 1;
        let op = self.now;
        self.rooms.entry(room).or_default().resets.push((cursor, head, op));
        self.subscribed(client, room, head);
    }

    /// A stream brought an event.
    pub(super) fn live(&mut self, client: usize, event: &wire::Event) {
        self.tally.delivered += 1;
        match self.streams.get_mut(&(client, event.room)) {
            Some(stream) => {
                if let Err((kind, what)) = stream.take(event) {
                    self.fault(kind, || format!("client {client}, room {}: {what}", event.room));
                }
            }
            None => self.fault(Kind::Protocol, || format!("client {client} did not subscribe {}", event.room)),
        }
        self.shown_to(client, event);
        self.saw(event);
    }

    /// A page showed events. `known`: what the reader was told before it asked, which the newest page must reach.
    pub(super) fn page(&mut self, events: &[wire::Event], known: Option<Position>) {
        for pair in events.windows(2) {
            if let [earlier, later] = pair
                && earlier.seq >= later.seq
            {
                self.fault(Kind::Order, || format!("a page of room {} is out of order", earlier.room));
            }
        }
        if let (Some(known), Some(last)) = (known, events.last())
            && place(last) < known
        {
            // Whether the log had lost it meanwhile shows in the end.
            let op = self.now;
            self.rooms.entry(last.room).or_default().stale.push((known, place(last), op));
        }
        events.iter().for_each(|event| self.saw(event));
    }

    /// One position, one event, whoever looks.
    fn saw(&mut self, event: &wire::Event) {
        let (place, now) = (place(event), self.now);
        let seen = self.rooms.entry(event.room).or_default();
        match seen.events.get(&place) {
            None => drop(seen.events.insert(place, (event.clone(), now))),
            Some((before, _)) if before == event => {}
            Some((before, _)) => {
                let before = format!("{before:?}");
                self.fault(Kind::Disagreement, || {
                    format!("room {} has two events at {}: {before} and {event:?}", event.room, say(place))
                });
            }
        }
    }

    /// A client is about to send a message for the first time.
    pub(super) fn sending(&mut self, room: u64, author: u64, key: &str, text: &str) {
        self.tally.sent += 1;
        self.sent.insert(key.to_owned(), Sent::new(room, author, text, self.now));
    }

    /// A message was acknowledged, for the first time or again.
    pub(super) fn acked(&mut self, key: &str, ack: &wire::MessageSendOk) {
        self.acked_by(None, key, ack);
    }

    /// The same, of a node that is known.
    pub(super) fn acked_by(&mut self, node: Option<usize>, key: &str, ack: &wire::MessageSendOk) {
        let now = self.now;
        let Some(sent) = self.sent.get_mut(key) else {
            return self.fault(Kind::Ack, || format!("{key} was never sent and is acknowledged"));
        };
        if sent.acks.is_empty() {
            self.tally.acked += 1;
        }
        if let Err(what) = sent.take(ack, now, node) {
            self.fault(Kind::Ack, || format!("{key}: {what}"));
        }
    }

    /// A client heard that a message was surely not added, and gave it up.
    pub(super) fn abandoned(&mut self, key: &str) {
        if let Some(sent) = self.sent.get_mut(key) {
            sent.abandoned = true;
        }
    }

    /// A client gave a message up that may or may not stand.
    pub(super) fn left_open(&mut self, key: &str) {
        if let Some(sent) = self.sent.get_mut(key) {
            sent.left_open = true;
        }
    }

    /// Everybody who held a message is gone.
    pub(super) fn excused(&mut self, key: &str) {
        self.excused.insert(key.to_owned());
    }

    fn is_excused(&self, event: &wire::Event) -> bool {
        event.key.as_deref().is_some_and(|key| self.excused.contains(key))
    }
}

#[cfg(test)]
mod tests;
