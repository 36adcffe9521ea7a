use std::collections::BTreeMap;

use bobchat_proto::ids::{Position, Sequence};
use bobchat_proto::wire::{self, event::Body};

use super::world::{BOBS, NODES, OPS, PROBE, REMOVAL, ROOM, World, author, now, op_of};
use crate::log::runs;
use crate::ports::{Head, LiveLog as _};

/// What must never be: see the list of classes in [`super`].
impl World {
    /// Whether a message is stored at a position that the log owns.
    fn is_stored(&self, op: usize) -> bool {
        let row = self.row();
        self.rows().values().any(|stored| op_of(&stored.event) == op && row.owns(stored.event.position()))
    }

    fn is_held(&self, at: usize, op: usize) -> bool {
        self.nodes[at].ports.unarchived.of(ROOM).iter().any(|event| op_of(event) == op)
    }

    /// An event is given a position: by the live log, or by a raiser that renumbers it.
    pub(super) fn stands(&mut self, event: &wire::Event) {
        let (position, op) = (event.position(), op_of(event));
        let other = *self.stood.entry(position).or_insert(op);
        if other != op {
            self.violate("C", format!("{position:?} is message {other} and message {op}"));
        }
        let (says, first) = (event.first.map(Position::from), *self.first.entry(event.id).or_insert(position));
        if says.unwrap_or(position) != first {
            self.violate("G", format!("message {op} at {position:?} stood at {first:?} first, and says {says:?}"));
        }
    }

    /// A live log takes an event.
    pub(super) fn taken(&mut self, event: &wire::Event, salvage: bool) {
        self.stands(event);
        let op = op_of(event);
        self.ops[op].accepted = true;
        let removed_before = |(position, other): (&Position, &usize)| {
            *other == REMOVAL && position.epoch.0 == event.epoch && position.seq.0 < event.seq
        };
        let removed = self.stood.iter().any(removed_before) || self.ops[REMOVAL].acked;
        if author(op) == author(BOBS) && removed && !salvage {
            self.violate("D", format!("Bob's message at {:?} after his removal", event.position()));
        }
    }

    /// After a node let go of something: it is stored for good, or held elsewhere in the node.
    pub(super) fn check_release(&mut self, at: usize, before: &[wire::Event]) {
        for op in before.iter().map(op_of) {
            if !self.is_held(at, op) && !self.is_stored(op) {
                self.violate("E", format!("node {at} released message {op}, which is not stored"));
            }
        }
    }

    /// After a live log let go of something.
    pub(super) fn check_trim(&mut self, server: usize, before: &[wire::Event]) {
        let after = self.servers[server].image().events(ROOM);
        let gone = before.iter().map(op_of).filter(|op| !after.iter().any(|event| op_of(event) == *op));
        for op in gone.collect::<Vec<_>>() {
            let held = (0..NODES).any(|at| self.is_held(at, op));
            if !held && !self.ops[op].redis_lost && !self.is_stored(op) {
                self.violate("E", format!("server {server} trimmed message {op}, which is neither stored nor held"));
            }
        }
    }

    /// A client is told that its message has its place.
    pub(super) fn check_ack(&mut self, at: usize, op: usize) {
        if !self.is_held(at, op) && !self.is_stored(op) {
            self.violate("A", format!("message {op} was acked by node {at} but is neither stored nor held there"));
        }
    }

    /// A client is told that surely nothing was appended.
    pub(super) fn check_surely_not(&mut self, ops: &[usize]) {
        for op in ops {
            if self.ops[*op].attempts == 1 && self.ops[*op].accepted {
                self.violate("U", format!("message {op} was called busy and is in the log"));
            }
        }
    }

    /// After each act: who holds what, and what the servers have lost.
    pub(super) fn look_around(&mut self) {
        for at in 0..NODES {
            let life = (at, self.nodes[at].life);
            for event in self.nodes[at].ports.unarchived.of(ROOM) {
                self.ops[op_of(&event)].holders.insert(life);
            }
        }
        let live = self.servers[self.master].image().events(ROOM);
        for op in 0..OPS {
            let Self { ops, .. } = self;
            if ops[op].accepted && !ops[op].redis_lost {
                let there = live.iter().any(|event| op_of(event) == op) || self.is_stored(op);
                self.ops[op].redis_lost = !there;
            }
        }
    }

    /// The log as everybody reads it: what is stored and owned, then what the live log has above.
    fn log(&mut self) -> Vec<(Position, wire::Event)> {
        let (row, rows) = (self.row(), self.rows());
        let end = runs::contiguous(&row, Head::default(), &rows).position.seq;
        let owned = rows.values().filter(|stored| row.owns(stored.event.position()) && stored.event.seq <= end.0);
        let mut log: Vec<wire::Event> = owned.map(|stored| stored.event.clone()).collect();
        let shown = self.store.message_rows(ROOM);
        for event in &log {
            if matches!(event.body, Some(Body::Message(_))) && !shown.contains(&event.position()) {
                self.violate("M", format!("{:?} has no message row", event.position()));
            }
        }
        let live = now(self.servers[self.master].tail(ROOM, end, usize::MAX)).ok().flatten();
        if let Some(live) = live.filter(|live| live.head.head.position.epoch == row.epoch) {
            log.extend(live.events);
            if live.head.head.position.seq > Sequence(log.len() as u64) {
                self.violate("Cd", format!("the log ends at {:?} and has {} events", live.head.head, log.len()));
            }
        }
        log.into_iter().map(|event| (event.position(), event)).collect()
    }

    /// When all is at rest.
    pub(super) fn check_end(&mut self, came_to_rest: bool) {
        if !self.ops[PROBE].acked {
            self.violate("F", "the last message was never acked".to_owned());
        } else if !came_to_rest {
            let held: Vec<_> = (0..NODES).map(|at| self.nodes[at].ports.unarchived.of(ROOM)).collect();
            self.violate("F", format!("never at rest; held: {held:?}"));
        }
        let log = self.log();
        for (index, (position, _)) in log.iter().enumerate() {
            if position.seq.0 != index as u64 + 1 {
                self.violate("Cd", format!("{position:?} is event number {}", index + 1));
            }
        }
        let mut times: BTreeMap<usize, usize> = BTreeMap::new();
        for (_, event) in &log {
            *times.entry(op_of(event)).or_default() += 1;
        }
        for op in 0..OPS {
            match times.get(&op).copied().unwrap_or(0) {
                0 => self.check_lost(op),
                1 => {}
                times => self.violate("B", format!("message {op} stands {times} times in {:?}", places(&log))),
            }
        }
        if log.windows(2).any(|pair| pair[0].1.at >= pair[1].1.at) {
            self.violate("T", format!("time stands still or goes back in {:?}", places(&log)));
        }
    }

    /// Rule 16: acked and lost only if the live log lost it and every node that held it died, before it was
    /// stored.
    fn check_lost(&mut self, op: usize) {
        let state = self.ops[op].clone();
        let all_dead = !state.holders.is_empty() && state.holders.iter().all(|life| self.dead.contains(life));
        if !state.acked {
            return;
        }
        if state.history {
            self.violate("H", format!("message {op}, acked as history, is lost"));
        } else if !(state.redis_lost && all_dead) {
            self.violate("A", format!("message {op} is lost: {state:?}, dead: {:?}", self.dead));
        }
    }
}

fn places(log: &[(Position, wire::Event)]) -> Vec<(u64, u64, usize)> {
    log.iter().map(|(position, event)| (position.epoch.0, position.seq.0, op_of(event))).collect()
}
