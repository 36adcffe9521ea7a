use bobchat_proto::ids::Position;
use bobchat_proto::wire::{self, event::Body};

use super::schedule::Fault;
use super::world::{BOBS, ROOM, Sending, View, Who, World, author, body, key, now};
use crate::log::{
    Archive, ArchiveEnd, Attempt, Job as _, Need, Outgoing, Raise, Salvage, SalvageEnd, Send, SendEnd, SendJob, Step,
    asks_the_table, runs,
};
use crate::ports::{Head, LiveBounds, NewEvent, Outcome, projection};
use crate::room::body_hash;

/// How long the live log may take an append.
const DEADLINE_MICROS: i64 = 10_000_000;

/// How long a new epoch takes only salvage.
pub(super) const SALVAGE_FOR: std::time::Duration = std::time::Duration::from_secs(1);

const BOUNDS: LiveBounds = LiveBounds { events: 1_000, bytes: 1 << 20 };

/// How often a node decides a batch again.
const TRIES_MAX: u32 = 8;

/// What a node does around its jobs: it loads the room, decides, follows the log, and starts the next job. The
/// room's actor and the node's beat will do the same.
impl World {
    pub(super) fn start(&mut self, at: usize, ops: Vec<usize>) -> bool {
        let in_flight = |op: &usize| self.nodes[at].sends.iter().any(|sending| sending.ops.contains(op));
        let done = |op: &usize| self.ops[*op].acked || (self.ops[*op].attempts >= 3 && !self.at_rest);
        if ops.iter().any(|op| in_flight(op) || done(op)) {
            return false;
        }
        let mut ask = false;
        for op in &ops {
            let now = self.now();
            let op = &mut self.ops[*op];
            ask |= op.attempts > 0;
            if op.attempts == 0 {
                op.made_at = now;
            }
            op.attempts += 1;
        }
        self.nodes[at].sends.push(Sending { ops, job: None, permit: None, ask, in_doubt: false, tries: 0 });
        true
    }

    pub(super) fn step(&mut self, at: usize, who: Who, fault: Fault) -> bool {
        match who {
            Who::Send(op) => self.step_send(at, op, fault),
            Who::Raise => self.step_raise(at, fault),
            Who::Archive => self.step_archive(at, fault),
            Who::Salvage => self.step_salvage(at, fault),
        }
    }

    fn step_send(&mut self, at: usize, op: usize, fault: Fault) -> bool {
        let position = self.nodes[at].sends.iter().position(|sending| sending.ops[0] == op);
        let Some(index) = position else { return false };
        let mut sending = self.nodes[at].sends.remove(index);
        let Some(job) = &mut sending.job else {
            if self.nodes[at].raise.is_some() {
                self.nodes[at].sends.push(sending);
                return false;
            }
            if self.decide(at, &mut sending) {
                self.nodes[at].sends.push(sending);
            }
            return true;
        };
        match job.next() {
            Step::Call(call) => {
                self.say(|| format!("N{at} send {:?}: {call:?} {fault:?}", sending.ops));
                let reply = self.perform(at, call, &mut sending.permit, fault);
                if let Some(job) = &mut sending.job {
                    job.on(reply);
                }
                self.nodes[at].sends.push(sending);
            }
            Step::Done(end) => self.sent(at, sending, end),
        }
        true
    }

    /// Decides what is to be sent, on what the node knows; returns whether the send goes on.
    fn decide(&mut self, at: usize, sending: &mut Sending) -> bool {
        sending.tries += 1;
        if sending.tries > TRIES_MAX && !self.at_rest {
            return false;
        }
        if !self.is_loaded(at) {
            self.load(at);
        }
        let Some(view) = self.nodes[at].view.clone() else { return true };
        if !view.row.is_loaded() {
            // Rule 2: an epoch without a base is not loaded: it is raised again.
            sending.ask = true;
            self.start_raise(at);
            return true;
        }
        if view.bob_removed {
            sending.ops.retain(|op| author(*op) != author(BOBS));
        }
        if sending.ops.is_empty() {
            return false;
        }
        let opened_at = self.opened_at.get(&view.row.epoch).copied();
        let events: Vec<Outgoing> =
            sending.ops.clone().iter().map(|op| self.outgoing(*op, sending.ask, opened_at)).collect();
        let history = sending.ops.iter().any(|op| self.ops[*op].history);
        sending.job = Some(Send::new(SendJob {
            room: ROOM,
            epoch: view.row.epoch,
            known_seq: view.head.position.seq,
            state_seq: view.head.state_seq,
            events,
            deadline: self.now() + DEADLINE_MICROS,
            bounds: BOUNDS,
            history,
            in_doubt: sending.in_doubt,
        }));
        true
    }

    fn outgoing(&mut self, op: usize, ask: bool, opened_at: Option<i64>) -> Outgoing {
        let attempt = if ask { Attempt::Repeat } else { Attempt::First { made_at: self.ops[op].made_at } };
        let body = body(op);
        let body_hash = body_hash(&body);
        let event = wire::Event {
            room: ROOM.get(),
            id: self.next_id(),
            author: author(op),
            key: Some(key(op)),
            body: Some(body),
            ..wire::Event::default()
        };
        // One clock for all: without the skew, so that schedules need not last for minutes.
        let opened_at = opened_at.map(|opened| opened - 120_000_000);
        Outgoing {
            new: NewEvent { event, body_hash, made_at: None },
            ask: asks_the_table(attempt, opened_at, self.now()),
        }
    }

    fn sent(&mut self, at: usize, mut sending: Sending, end: SendEnd) {
        self.say(|| format!("N{at} sent {:?}: {end:?}", sending.ops));
        let answered = !matches!(end, SendEnd::Again { .. });
        match end {
            SendEnd::Placed { outcomes } => {
                for (op, outcome) in sending.ops.iter().zip(outcomes) {
                    self.ack(at, *op, &outcome);
                }
                return;
            }
            SendEnd::Again { need, in_doubt } => {
                sending.in_doubt = in_doubt;
                sending.ask |= need != Need::CatchUp;
                self.meet(at, need);
            }
            SendEnd::Busy { .. } | SendEnd::Closed => {
                self.check_surely_not(&sending.ops);
                sending.ask = true;
                if self.at_rest {
                    self.clock.advance(std::time::Duration::from_secs(1));
                }
            }
            SendEnd::Unknown => sending.ask = true,
        }
        // A client that was told to come back does so by itself, unless the end is near.
        if answered && !self.at_rest {
            return;
        }
        if answered {
            sending.ops.iter().for_each(|op| self.ops[*op].attempts += 1);
        }
        sending.job = None;
        sending.permit = None;
        self.nodes[at].sends.push(sending);
    }

    fn ack(&mut self, at: usize, op: usize, outcome: &Outcome) {
        if *outcome == Outcome::Conflict {
            self.violate("B", format!("message {op} conflicts with itself"));
        }
        self.check_ack(at, op);
        self.ops[op].acked = true;
    }

    fn meet(&mut self, at: usize, need: Need) {
        match need {
            Need::Raise => self.start_raise(at),
            Need::Reload => self.load(at),
            Need::CatchUp => {
                self.catch_up(at);
            }
        }
    }

    /// Rule 13: single flight for a room and node; it starts from the epoch that is known here.
    pub(super) fn start_raise(&mut self, at: usize) {
        let Some(view) = &self.nodes[at].view else { return };
        if self.nodes[at].raise.is_none() {
            let from = Some(view.row.epoch);
            let raiser = self.next_raiser();
            self.nodes[at].raise = Some(Raise::new(ROOM, from, raiser).salvage_for(SALVAGE_FOR));
        }
    }

    fn step_raise(&mut self, at: usize, fault: Fault) -> bool {
        let Some(mut job) = self.nodes[at].raise.take() else { return false };
        match job.next() {
            Step::Call(call) => {
                self.say(|| format!("N{at} raise: {call:?} {fault:?}"));
                let reply = self.perform(at, call, &mut None, fault);
                self.say(|| format!("   {reply:?}"));
                job.on(reply);
                self.nodes[at].raise = Some(job);
            }
            Step::Done(end) => {
                self.say(|| format!("N{at} raised: {end:?}"));
                self.load(at);
            }
        }
        true
    }

    pub(super) fn start_archive(&mut self, at: usize) -> bool {
        let idle = self.nodes[at].archive.is_none();
        if idle {
            self.nodes[at].archive = Some(Archive::new(ROOM));
        }
        idle
    }

    fn step_archive(&mut self, at: usize, fault: Fault) -> bool {
        let Some(mut job) = self.nodes[at].archive.take() else { return false };
        match job.next() {
            Step::Call(call) => {
                self.say(|| format!("N{at} archive: {call:?} {fault:?}"));
                let reply = self.perform(at, call, &mut None, fault);
                job.on(reply);
                self.nodes[at].archive = Some(job);
            }
            // Rule 19: whoever finds the epoch changed loads the room.
            Step::Done(ArchiveEnd::Reload) => self.load(at),
            Step::Done(_) => {}
        }
        true
    }

    pub(super) fn start_salvage(&mut self, at: usize) -> bool {
        let deadline = self.now() + DEADLINE_MICROS;
        let node = &mut self.nodes[at];
        let Some(view) = node.view.as_ref().filter(|view| view.row.is_loaded()) else { return false };
        let lost = node.ports.unarchived.lost(ROOM);
        if lost.is_empty() || node.salvage.is_some() || crate::log::Plant::NoSalvage.is_planted() {
            return false;
        }
        node.salvage = Some(Salvage::new(ROOM, view.row.epoch, lost, deadline, BOUNDS));
        true
    }

    fn step_salvage(&mut self, at: usize, fault: Fault) -> bool {
        let Some(mut job) = self.nodes[at].salvage.take() else { return false };
        match job.next() {
            Step::Call(call) => {
                self.say(|| format!("N{at} salvage: {call:?} {fault:?}"));
                let reply = self.perform(at, call, &mut None, fault);
                job.on(reply);
                self.nodes[at].salvage = Some(job);
            }
            Step::Done(SalvageEnd::Again(need)) => self.meet(at, need),
            Step::Done(SalvageEnd::Saved(_) | SalvageEnd::Later) => {}
        }
        true
    }

    fn is_loaded(&self, at: usize) -> bool {
        self.nodes[at].view.as_ref().is_some_and(|view| view.row.is_loaded())
    }

    /// Loads the room: room_log, what is stored, what the live log has.
    pub(super) fn load(&mut self, at: usize) {
        let ports = self.nodes[at].ports.clone();
        let Ok(Some(row)) = now(ports.store.log_row(ROOM, false)) else { return };
        let before = ports.unarchived.of(ROOM);
        ports.unarchived.learn(ROOM, &row);
        self.check_release(at, &before);
        let rows = self.rows();
        let head = runs::contiguous(&row, Head::default(), &rows);
        let owned = |stored: &&crate::ports::StoredEvent| {
            row.owns(stored.event.position()) && stored.event.seq <= head.position.seq.0
        };
        let bob_removed = rows.values().filter(owned).any(|stored| is_removal(&stored.event));
        self.say(|| format!("N{at} loads {:?} {:?}, head {:?}", row.epoch, row.spans, head.position));
        self.nodes[at].view = Some(View { row, head, bob_removed });
        self.follow(at);
    }

    /// Applies what the live log has, and loads the room when that has a newer epoch.
    pub(super) fn catch_up(&mut self, at: usize) -> bool {
        if self.nodes[at].view.is_none() || self.follow(at) {
            self.load(at);
        }
        true
    }

    /// Returns whether the live log has a newer epoch.
    fn follow(&mut self, at: usize) -> bool {
        let ports = self.nodes[at].ports.clone();
        let Some(mut view) = self.nodes[at].view.clone() else { return true };
        let Ok(Some(tail)) = now(ports.live.tail(ROOM, view.head.position.seq, usize::MAX)) else { return false };
        let epoch = tail.head.head.position.epoch;
        if epoch != view.row.epoch {
            return epoch > view.row.epoch;
        }
        let rows = self.rows();
        while view.head.position.seq < tail.head.head.position.seq {
            let seq = view.head.position.seq.next();
            let live = tail.events.iter().find(|event| event.seq == seq.0);
            let stored = || view.row.owner(seq).and_then(|owner| Some(&rows.get(&(seq, owner))?.event));
            let Some(event) = live.or_else(stored) else { break };
            view.bob_removed |= is_removal(event);
            view.head = projection::advance(view.head, event);
        }
        self.nodes[at].view = Some(view);
        let before = ports.unarchived.of(ROOM);
        ports.unarchived.archived(ROOM, Position { epoch, seq: tail.head.archived });
        self.check_release(at, &before);
        false
    }

    /// Rules 13 and 25: a node that holds events compares what it knows with the live log.
    pub(super) fn beat(&mut self, at: usize) -> bool {
        let ports = self.nodes[at].ports.clone();
        if ports.unarchived.of(ROOM).is_empty() {
            return false;
        }
        if !self.is_loaded(at) {
            self.load(at);
            if !self.is_loaded(at) {
                self.start_raise(at);
            }
            return true;
        }
        let Some(row) = self.nodes[at].view.as_ref().map(|view| view.row.clone()) else { return false };
        let epoch = row.epoch;
        // Rule 11: answers that came after the room was loaded are judged now.
        ports.unarchived.learn(ROOM, &row);
        match now(ports.live.head(ROOM)) {
            Err(_) => false,
            Ok(Some(live)) if live.head.position.epoch == epoch => {
                self.follow(at);
                true
            }
            Ok(Some(live)) if live.head.position.epoch > epoch => {
                self.load(at);
                true
            }
            Ok(_) => {
                self.load(at);
                let newer = self.nodes[at].view.as_ref().is_some_and(|view| view.row.epoch > epoch);
                if !newer {
                    self.start_raise(at);
                }
                true
            }
        }
    }
}

fn is_removal(event: &wire::Event) -> bool {
    matches!(event.body, Some(Body::Left(_)))
}
