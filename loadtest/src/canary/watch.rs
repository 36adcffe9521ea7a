use std::collections::BTreeMap;
use std::rc::Rc;
use std::time::Duration;

use anyhow::Context as _;
use bobchat_proto::wire;
use tokio::time::Instant;

use super::metrics::{CanaryMetrics, is_promise};
use crate::check::{Checker, Head, Kind, Receiver, RoomSlot};
use crate::dialect::{Delivery, Names, Placed};
use crate::message::Messages;
use crate::time::{Nanos, nanos};

/// Bytes of a message's text: as long as people's.
const TEXT_BYTES: usize = 120;

/// Messages of a chapter: what the checker keeps in memory of a room. While one of the two is away, nothing more is said than
/// this: a tenth of what a server replays to whoever comes back.
const CHAPTER_MESSAGES: u64 = 1_000;

/// Messages of one person without an ack, beyond which they say nothing more until one comes.
const UNANSWERED_MAX: usize = 32;

/// A message that the other one has not got by then is late.
const LATE_AFTER: Duration = Duration::from_secs(10);

/// One that they have not got by then, both being there all the while, is lost.
const LOST_AFTER: Duration = Duration::from_secs(60);

/// A message on its way.
#[derive(Debug)]
struct Pending {
    from: usize,
    sent_at: Nanos,
    is_acked: bool,
    seen_by: [bool; 2],
    is_late: bool,
}

/// One room and its two people: what was said, who has heard it, and the checker of the harness.
///
/// It goes by chapters, so that it needs the same memory after a year: so many messages are said in one, and when all of them
/// have arrived, the checker draws its conclusions and another begins where the two stand.
pub(super) struct Watch {
    pub(super) room: u64,
    /// The nodes of the two, as they are told of.
    names: Vec<String>,
    metrics: Rc<CanaryMetrics>,
    /// Times are counted from here.
    began: Instant,
    pub(super) messages: Messages,
    /// Rooms have no names of their own in this dialect; what writes messages wants to be given them.
    pub(super) room_names: Rc<Names>,
    checker: Checker,
    slot: RoomSlot,
    receivers: [Option<Receiver>; 2],
    pending: BTreeMap<u64, Pending>,
    sent: u64,
    /// The newest message that somebody has.
    newest: u64,
    told: BTreeMap<Kind, u64>,
    /// Examples of the last chapter in which a promise was broken.
    examples: Vec<String>,
    here: [Option<Nanos>; 2],
    /// Counts chapters that ended with something missing, or with a stream that broke off: connections of before say nothing
    /// that counts.
    pub(super) begun_anew: u64,
}

impl Watch {
    /// Nobody has come or said anything.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn new(room: u64, names: Vec<String>, metrics: Rc<CanaryMetrics>) -> anyhow::Result<Self> {
        let messages = Messages::new(TEXT_BYTES)?;
        let mut checker = Checker::new(messages.clone())?;
        let slot = checker.room(room);
        Ok(Self {
            room,
            names,
            metrics,
            began: Instant::now(),
            messages,
            room_names: Rc::default(),
            checker,
            slot,
            receivers: [None, None],
            pending: BTreeMap::new(),
            sent: 0,
            newest: 0,
            told: BTreeMap::new(),
            examples: Vec::new(),
            here: [None, None],
            begun_anew: 0,
        })
    }

    fn name(&self, who: usize) -> &str {
        self.names.get(who).map_or("unknown", String::as_str)
    }

    fn now(&self) -> Nanos {
        nanos(self.began.elapsed())
    }

    fn since(&self, moment: Nanos) -> Duration {
        Duration::from_nanos(self.now().saturating_sub(moment))
    }

    /// Where somebody goes on.
    pub(super) fn cursor(&self, who: usize) -> Option<wire::Cursor> {
        let at = self.receivers.get(who)?.as_ref()?.cursor();
        Some(wire::Cursor { room: self.room, epoch: at.epoch, seq: at.seq })
    }

    /// Somebody is signed in, after so long without.
    pub(super) fn came(&mut self, who: usize, without: Duration) {
        self.metrics.come(self.name(who), 1);
        self.metrics.reconnected(self.name(who), without);
        let now = self.now();
        if let Some(here) = self.here.get_mut(who) {
            *here = Some(now);
        }
    }

    /// Somebody's connection ended, or came to nothing.
    pub(super) fn left(&mut self, who: usize) {
        if self.here.get_mut(who).and_then(Option::take).is_some() {
            self.metrics.come(self.name(who), -1);
        } else {
            self.metrics.not_connected(self.name(who));
        }
    }

    /// Begins a message of somebody; nothing before both receive the room, while too many of theirs are not acked, or while
    /// the chapter is full and not everything has arrived.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn begin(&mut self, who: usize) -> anyhow::Result<Option<u64>> {
        if self.receivers.iter().any(Option::is_none) {
            return Ok(None);
        }
        if self.is_settled(CHAPTER_MESSAGES) {
            self.end_chapter()?;
        }
        if self.sent >= CHAPTER_MESSAGES || self.unanswered(who).count() >= UNANSWERED_MAX {
            self.metrics.sent(self.name(who), "skipped");
            return Ok(None);
        }
        let sent_at = self.now();
        let index = self.checker.sending(self.slot, sent_at);
        self.sent += 1;
        let pending = Pending { from: who, sent_at, is_acked: false, seen_by: [false, false], is_late: false };
        self.pending.insert(index, pending);
        Ok(Some(index))
    }

    /// Messages of somebody that are not acked.
    pub(super) fn unanswered(&self, who: usize) -> impl Iterator<Item = u64> {
        self.pending
            .iter()
            .filter(move |(_, pending)| pending.from == who && !pending.is_acked)
            .map(|(index, _)| *index)
    }

    /// Whether one of them has waited for too long: the node hangs.
    pub(super) fn is_stuck(&self, who: usize) -> bool {
        let since = self.here.get(who).copied().flatten().unwrap_or_default();
        self.unanswered(who)
            .filter_map(|index| self.pending.get(&index))
            .any(|pending| self.since(pending.sent_at.max(since)) > LATE_AFTER)
    }

    /// A message is sent again.
    pub(super) fn repeated(&self, who: usize) {
        self.metrics.sent(self.name(who), "repeated");
    }

    pub(super) fn acked(&mut self, index: u64, placed: Option<Placed>) {
        let now = self.now();
        self.checker.ack(index, placed, now);
        if let Some(pending) = self.pending.get_mut(&index) {
            pending.is_acked = true;
            let (from, sent_at) = (pending.from, pending.sent_at);
            self.metrics.acked(self.name(from), self.since(sent_at));
        }
        self.forget(index);
    }

    /// A message was refused for good.
    pub(super) fn refused(&mut self, index: u64, error: &wire::Error) {
        self.checker.refused(index, || format!("{}: {}", error.code, error.message));
        if let Some(pending) = self.pending.remove(&index) {
            self.metrics.sent(self.name(pending.from), "refused");
        }
    }

    /// Somebody receives the room.
    ///
    /// # Errors
    /// When the answer says not from where, or the system gives no random bytes.
    pub(super) fn subscribed(&mut self, who: usize, subscribed: &wire::SubscribeOk) -> anyhow::Result<()> {
        let head = subscribed.head.context("a subscription without a head")?;
        let head = Head { epoch: head.epoch, seq: head.seq };
        match self.receivers.get_mut(who) {
            Some(receiver @ None) => *receiver = Some(self.checker.subscribed(self.slot, head)),
            Some(Some(_)) if subscribed.reset.is_some() => self.reset(who, Some(head))?,
            _ => {}
        }
        Ok(())
    }

    /// Somebody's stream broke off; it goes on after `head`, or has to be asked for without a cursor.
    ///
    /// That is the one promise that was broken. After a restored backup the log goes on with another epoch, in which
    /// sequences are given again and messages are added that were acked before: what was said and heard until now
    /// contradicts it and says nothing more, so another chapter begins without conclusions about this one.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn reset(&mut self, who: usize, head: Option<Head>) -> anyhow::Result<()> {
        let room = self.room;
        self.checker.fault(Kind::Reset, || format!("the stream of room {room} broke off"));
        if let Some(receiver) = self.receivers.get_mut(who) {
            match (receiver.as_mut(), head) {
                (Some(receiver), Some(head)) => receiver.reset(head),
                _ => *receiver = None,
            }
        }
        self.newest = 0;
        self.begun_anew += 1;
        self.begin_chapter()
    }

    pub(super) fn delivered(&mut self, who: usize, delivery: &Delivery, payload: &[u8]) {
        let now = self.now();
        match self.receivers.get_mut(who) {
            Some(Some(receiver)) => self.checker.take(receiver, delivery, payload, now),
            _ => return self.checker.fault(Kind::Protocol, || "an event before any subscription".to_owned()),
        }
        let Some(index) = delivery.said.as_ref().and_then(|said| said.index) else { return };
        self.newest = self.newest.max(delivery.seq);
        let Some(pending) = self.pending.get_mut(&index) else { return };
        let is_first = pending.seen_by.get_mut(who).is_some_and(|seen| !std::mem::replace(seen, true));
        let (from, sent_at, is_late) = (pending.from, pending.sent_at, pending.is_late);
        if is_first && who != from {
            self.metrics.delivered(self.name(from), self.name(who), self.since(sent_at), !is_late);
        }
        self.forget(index);
    }

    /// A message that is acked and heard by both is done with.
    fn forget(&mut self, index: u64) {
        let is_done = |pending: &Pending| pending.is_acked && pending.seen_by == [true, true];
        if self.pending.get(&index).is_some_and(is_done) {
            self.pending.remove(&index);
        }
    }

    /// The newest message that somebody has, if anybody has one.
    pub(super) fn newest(&self) -> Option<u64> {
        Some(self.newest).filter(|newest| *newest > 0)
    }

    /// Somebody read the newest page.
    pub(super) fn read(&self, who: usize, is_found: bool, taken: Duration) {
        self.metrics.read(self.name(who), is_found, taken);
    }

    /// The node said what nobody may.
    pub(super) fn broke_protocol(&mut self, error: &anyhow::Error) {
        self.checker.fault(Kind::Protocol, || format!("{error:#}"));
    }

    /// Whether so much was said in this chapter, and everything has arrived.
    pub(super) fn is_settled(&self, said: u64) -> bool {
        self.sent >= said && self.pending.is_empty()
    }

    /// Counts what is late and what went wrong, and ends a chapter in which something was lost.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(super) fn look(&mut self) -> anyhow::Result<()> {
        let now = self.now();
        for pending in self.pending.values_mut() {
            let is_late = now.saturating_sub(pending.sent_at) > nanos(LATE_AFTER);
            if is_late && !pending.is_late && pending.seen_by.get(1 - pending.from) == Some(&false) {
                pending.is_late = true;
                let name = |who: usize| self.names.get(who).map_or("unknown", String::as_str);
                self.metrics.undelivered(name(pending.from), name(1 - pending.from), "late");
            }
        }
        // Whoever was away may still be about to get what they missed.
        let since = |here: Option<Nanos>| here.map(|here| now.saturating_sub(here));
        let both_since = self.here.iter().copied().map(since).min().flatten().unwrap_or_default();
        let is_lost = |pending: &Pending| {
            both_since > nanos(LOST_AFTER) && now.saturating_sub(pending.sent_at) > nanos(LOST_AFTER)
        };
        let lost: Vec<usize> = self.pending.values().filter(|one| is_lost(one)).map(|one| one.from).collect();
        if !lost.is_empty() {
            for from in lost {
                self.metrics.undelivered(self.name(from), self.name(1 - from), "never");
            }
            self.end_chapter()?;
            self.begun_anew += 1;
        }
        self.tell();
        Ok(())
    }

    /// Draws the conclusions and begins another chapter where the two stand.
    fn end_chapter(&mut self) -> anyhow::Result<()> {
        self.conclude();
        self.begin_chapter()
    }

    fn begin_chapter(&mut self) -> anyhow::Result<()> {
        self.tell();
        if let Some(examples) = self.broken() {
            self.examples = examples;
        }
        self.messages = Messages::new(TEXT_BYTES)?;
        self.checker = Checker::new(self.messages.clone())?;
        self.slot = self.checker.room(self.room);
        for receiver in self.receivers.iter_mut().flatten() {
            *receiver = self.checker.subscribed(self.slot, receiver.cursor());
        }
        (self.sent, self.told) = (0, BTreeMap::new());
        self.pending.clear();
        Ok(())
    }

    fn conclude(&mut self) {
        for receiver in &self.receivers {
            self.checker.finish_receiver(receiver.as_ref());
        }
        self.checker.finish(false);
    }

    /// Tells what went wrong since the last time.
    fn tell(&mut self) {
        for (kind, count) in &self.checker.violations().counts {
            let told = self.told.entry(*kind).or_default();
            self.metrics.broken(*kind, count.saturating_sub(*told));
            *told = *count;
        }
    }

    /// The end: what promises were broken, with examples.
    pub(super) fn finish(&mut self) -> Vec<String> {
        self.conclude();
        let before = std::mem::take(&mut self.examples);
        before.into_iter().chain(self.broken().unwrap_or_default()).collect()
    }

    /// Examples of this chapter, if a promise was broken.
    fn broken(&self) -> Option<Vec<String>> {
        let violations = self.checker.violations();
        let is_broken = violations.counts.keys().any(|kind| is_promise(*kind));
        is_broken.then(|| violations.examples.clone())
    }
}

/// Whoever is dropped in the middle of a talk leaves too.
impl Drop for Watch {
    fn drop(&mut self) {
        for (name, here) in self.names.iter().zip(&self.here) {
            if here.is_some() {
                self.metrics.come(name, -1);
            }
        }
    }
}

#[cfg(test)]
mod tests;
