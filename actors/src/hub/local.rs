use std::cell::{Cell, RefCell};
use std::cmp::Reverse;
use std::collections::{HashMap, HashSet, VecDeque};
use std::ops::Range;
use std::rc::Rc;
use std::sync::{Arc, Weak};

use bobchat_proto::codec::Format;
use bobchat_proto::error::CloseCode;
use bobchat_proto::ids::{RoomId, Sequence, UserId};
use bytes::Bytes;
use tokio::time::Instant;

use super::{OutboundBudget, Outlet, SessionId, Writing};
use crate::metrics::Metrics;
use crate::random::RandomState;
use crate::room::Frames;

/// Receivers written to before other work on the thread gets its turn: at 5 µs a write, about 2.5 ms.
const CHUNK: usize = 512;

/// Receivers that are looked at before the first of them is written to: enough to keep the memory busy, few
/// enough to stay in the first cache.
const LOOK_AHEAD: usize = 16;

/// A connection that receives a room.
#[derive(Debug, Clone, Copy)]
pub struct Subscriber {
    /// The connection.
    pub session: SessionId,
    /// Who is signed in on it.
    pub user: UserId,
    /// The format of its frames.
    pub format: Format,
}

/// One thing to do for one room. Jobs of a room are done in the order in which they were handed over, so
/// that nobody who was removed gets what came later, and nobody who was attached gets anything twice.
#[derive(Debug, Clone)]
pub enum Job {
    /// Writes events to everybody who receives the room and may see them.
    Deliver {
        /// The events, encoded.
        frames: Frames,
        /// Who may not.
        hidden_from: HiddenFrom,
        /// The seq of the last one.
        last: Sequence,
        /// Since when.
        writing: Writing,
    },
    /// Writes `backlog` to one connection, and lets it receive the room from there on.
    Attach {
        /// The connection.
        subscriber: Subscriber,
        /// Gone when the connection gave this up or began anew since it asked: then nothing is written.
        wanted: Weak<()>,
        /// The events up to the room's head that it has not seen, encoded.
        backlog: Bytes,
        /// The seq of the room's head.
        last: Sequence,
    },
    /// Lets one connection receive the room no more.
    Detach {
        /// The connection.
        session: SessionId,
        /// The format of its frames.
        format: Format,
    },
    /// Lets nobody who is signed in as `user` receive the room any more.
    Remove {
        /// The user.
        user: UserId,
    },
    /// Writes a signal to everybody but one user; lost for those who are behind.
    Signal {
        /// The signal, encoded.
        frames: Frames,
        /// Whose it is.
        except: UserId,
    },
}

/// Who receives a room and may not see some of its events: nearly always nobody.
pub type HiddenFrom = Option<Arc<HashSet<UserId, RandomState>>>;

#[derive(Default)]
struct RoomHere {
    json: Vec<Rc<Outlet>>,
    protobuf: Vec<Rc<Outlet>>,
    /// The seq of the last event that was written to them.
    delivered: Sequence,
    /// What waits behind a delivery that is not through yet.
    jobs: VecDeque<Job>,
    /// How far the delivery at the front of `jobs` has come.
    progress: usize,
}

impl RoomHere {
    fn list(&mut self, format: Format) -> &mut Vec<Rc<Outlet>> {
        match format {
            Format::Json => &mut self.json,
            Format::Protobuf => &mut self.protobuf,
        }
    }

    fn len(&self) -> usize {
        self.json.len() + self.protobuf.len()
    }

    /// Writes to some of the receivers.
    ///
    /// In a big room each of them has left the caches since the last time. Looking at a few of them before the
    /// first is written to brings them back together, instead of one wait for memory after another.
    fn deliver(&self, frames: &Frames, hidden_from: &HiddenFrom, receivers: Range<usize>) {
        let may_see = |outlet: &Outlet| match hidden_from {
            None => true,
            Some(hidden) => !outlet.user().is_some_and(|user| hidden.contains(&user)),
        };
        let json = receivers.start.min(self.json.len())..receivers.end.min(self.json.len());
        let protobuf = receivers.start - json.start..receivers.end - json.end;
        for (format, list, range) in [(Format::Json, &self.json, json), (Format::Protobuf, &self.protobuf, protobuf)] {
            let (Some(bytes), Some(outlets)) = (frames.of(format), list.get(range)) else { continue };
            for near in outlets.chunks(LOOK_AHEAD) {
                if near.iter().filter(|outlet| outlet.is_open()).count() > 0 {
                    near.iter().filter(|outlet| may_see(outlet)).for_each(|outlet| outlet.push(bytes));
                }
            }
        }
    }

    /// Takes a connection out, also in the middle of a delivery, which goes on with the one that came after it.
    fn take_out(&mut self, session: SessionId, format: Format) {
        let Some(index) = self.list(format).iter().position(|outlet| outlet.session == session) else { return };
        self.list(format).remove(index);
        let before = match format {
            Format::Json => index,
            Format::Protobuf => self.json.len() + index,
        };
        if before < self.progress {
            self.progress -= 1;
        }
    }

    fn receivers(&self) -> impl Iterator<Item = &Rc<Outlet>> {
        self.json.iter().chain(&self.protobuf)
    }
}

/// The connections of one thread and the rooms they receive.
///
/// Everything here is done by whoever has something to deliver on this thread, without a message: a room
/// writes to the members of its own thread directly. Writing to an [`Outlet`] never calls back, so a list
/// cannot change while it is walked.
pub struct LocalHub {
    rooms: RefCell<HashMap<RoomId, RoomHere, RandomState>>,
    sessions: RefCell<HashMap<SessionId, Rc<Outlet>, RandomState>>,
    /// Rooms with a delivery that is not through yet.
    unfinished: RefCell<VecDeque<RoomId>>,
    wake: RefCell<Option<Box<dyn Fn()>>>,
    started_at: Instant,
    draining: Cell<bool>,
    /// What waits for all clients of the node.
    pub budget: Arc<OutboundBudget>,
    metrics: Metrics,
}

impl LocalHub {
    /// A hub without connections.
    #[must_use]
    pub fn new(budget: Arc<OutboundBudget>, metrics: Metrics) -> Self {
        budget.add_thread();
        Self {
            rooms: RefCell::default(),
            sessions: RefCell::default(),
            unfinished: RefCell::default(),
            wake: RefCell::default(),
            started_at: Instant::now(),
            draining: Cell::new(false),
            budget,
            metrics,
        }
    }

    /// Sets what is called when a delivery has to go on later: the actor notifies itself.
    pub(super) fn on_unfinished(&self, wake: Box<dyn Fn()>) {
        self.wake.replace(Some(wake));
    }

    /// The hub's clock: whole seconds since it started. Coarse, so that a connection's times take little
    /// memory and no timer.
    pub fn second(&self) -> u32 {
        u32::try_from(self.started_at.elapsed().as_secs()).unwrap_or(u32::MAX)
    }

    /// Takes a connection.
    pub fn admit(&self, outlet: Rc<Outlet>) {
        if self.draining.get() {
            outlet.close(CloseCode::Draining);
        }
        self.metrics.sessions.inc();
        self.sessions.borrow_mut().insert(outlet.session, outlet);
    }

    /// Forgets a connection that has ended.
    pub fn release(&self, session: SessionId) {
        if self.sessions.borrow_mut().remove(&session).is_some() {
            self.metrics.sessions.dec();
        }
    }

    /// The way out of a connection of this thread.
    pub fn outlet(&self, session: SessionId) -> Option<Rc<Outlet>> {
        self.sessions.borrow().get(&session).cloned()
    }

    /// Every connection of this thread.
    pub fn outlets(&self) -> Vec<Rc<Outlet>> {
        self.sessions.borrow().values().cloned().collect()
    }

    /// How many connections this thread has.
    pub fn len(&self) -> usize {
        self.sessions.borrow().len()
    }

    /// Whether this thread has no connection.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Tells new connections to come back elsewhere. Returns the others, which are still to be told.
    pub(super) fn begin_drain(&self) -> Vec<Rc<Outlet>> {
        self.draining.set(true);
        self.outlets()
    }

    /// What a room that comes back has to know: the seq up to which this thread's subscribers have been
    /// written to, and who they are. Jobs that were not through are.
    pub fn recover(&self, room: RoomId) -> (Sequence, Vec<Subscriber>) {
        while self.step(room) {}
        let rooms = self.rooms.borrow();
        let Some(here) = rooms.get(&room) else { return (Sequence::ZERO, Vec::new()) };
        let subscribers = here.receivers().filter_map(|outlet| {
            let user = outlet.user()?;
            Some(Subscriber { session: outlet.session, user, format: outlet.format })
        });
        (here.delivered, subscribers.collect())
    }

    /// Does a job, or puts it behind the ones of the same room that are not through.
    pub fn perform(&self, room: RoomId, job: Job) {
        let mut rooms = self.rooms.borrow_mut();
        let here = match (rooms.get_mut(&room), &job) {
            (Some(here), _) => here,
            (None, Job::Attach { .. }) => rooms.entry(room).or_default(),
            (None, _) => return,
        };
        here.jobs.push_back(job);
        let alone = here.jobs.len() == 1;
        drop(rooms);
        if alone && self.step(room) {
            self.unfinished.borrow_mut().push_back(room);
            if let Some(wake) = self.wake.borrow().as_ref() {
                wake();
            }
        }
    }

    /// Lets a connection of this thread receive the room no more, at once: nothing of what waits is written to it.
    pub fn detach(&self, room: RoomId, session: SessionId, format: Format) {
        let mut rooms = self.rooms.borrow_mut();
        let Some(here) = rooms.get_mut(&room) else { return };
        here.take_out(session, format);
        if here.len() == 0 && here.jobs.is_empty() {
            rooms.remove(&room);
        }
    }

    /// Goes on with one delivery; `true` while there is another.
    pub(super) fn go_on(&self) -> bool {
        let Some(room) = self.unfinished.borrow_mut().pop_front() else { return false };
        if self.step(room) {
            self.unfinished.borrow_mut().push_back(room);
        }
        !self.unfinished.borrow().is_empty()
    }

    /// Does up to one chunk of a room's jobs; `true` when something is left.
    fn step(&self, room: RoomId) -> bool {
        let mut rooms = self.rooms.borrow_mut();
        let Some(here) = rooms.get_mut(&room) else { return false };
        let mut budget = CHUNK;
        while let Some(mut job) = here.jobs.pop_front() {
            let started_at = here.progress;
            here.progress = 0;
            match &mut job {
                Job::Deliver { frames, hidden_from, last, writing } => {
                    writing.enter();
                    let end = (started_at + budget).min(here.len());
                    here.deliver(frames, hidden_from, started_at..end);
                    self.metrics.deliveries.inc_by(frames.events * (end - started_at) as u64);
                    budget -= end - started_at;
                    if end < here.len() {
                        here.progress = end;
                        here.jobs.push_front(job);
                        return true;
                    }
                    writing.end(&self.metrics.stages.write);
                    here.delivered = *last;
                }
                Job::Attach { subscriber, wanted, backlog, last } => {
                    if wanted.strong_count() > 0 {
                        self.attach(here, subscriber, backlog);
                    }
                    here.delivered = *last;
                }
                Job::Detach { session, format } => here.take_out(*session, *format),
                Job::Remove { user } => {
                    here.json.retain(|outlet| outlet.user() != Some(*user));
                    here.protobuf.retain(|outlet| outlet.user() != Some(*user));
                }
                Job::Signal { frames, except } => self.signal(here, frames, *except),
            }
        }
        if here.len() == 0 {
            rooms.remove(&room);
        }
        drop(rooms);
        if self.budget.is_exceeded() {
            self.cut_largest();
        }
        false
    }

    fn attach(&self, here: &mut RoomHere, subscriber: &Subscriber, backlog: &Bytes) {
        let Some(outlet) = self.outlet(subscriber.session) else { return };
        if !backlog.is_empty() {
            outlet.push(backlog);
        }
        here.list(subscriber.format).push(outlet);
    }

    fn signal(&self, here: &RoomHere, frames: &Frames, except: UserId) {
        for outlet in here.receivers().filter(|outlet| outlet.user() != Some(except)) {
            let taken = frames.of(outlet.format).is_none_or(|bytes| outlet.push_signal(bytes));
            if !taken {
                self.metrics.signals_dropped.inc();
            }
        }
    }

    pub(super) fn count_silent(&self) {
        self.metrics.silent_sessions.inc();
    }

    pub(super) fn show_waiting(&self) {
        self.metrics.outbound_bytes.set(i64::try_from(self.budget.waiting()).unwrap_or(i64::MAX));
    }

    /// Cuts the connections of this thread for which most bytes wait, as long as too much waits for all and more than
    /// the thread's share of it here: nobody is cut for what waits elsewhere. Of several with about as many bytes the
    /// one goes first that has been silent longest. One that is ending already counts like the others.
    pub(super) fn cut_largest(&self) {
        let now = self.second();
        let sessions = self.sessions.borrow();
        let mut waiting: Vec<_> = sessions.values().filter(|outlet| outlet.waiting() > 0).collect();
        waiting.sort_by_cached_key(|outlet| {
            let silence = now.saturating_sub(outlet.heard());
            Reverse((outlet.waiting().checked_ilog2(), silence, outlet.waiting()))
        });
        let mut here: usize = waiting.iter().map(|outlet| outlet.waiting()).sum();
        for outlet in waiting {
            if !self.budget.is_exceeded() || here <= self.budget.share() {
                return;
            }
            let before = outlet.waiting();
            outlet.cut();
            here = here.saturating_sub(before.saturating_sub(outlet.waiting()));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::task::{Context, Poll};

    use bobchat_proto::wire;
    use prometheus_client::registry::Registry;

    use super::*;
    use crate::hub::Wire;

    /// Counts what is written to it.
    struct Counting(Rc<Cell<usize>>);

    impl Wire for Counting {
        fn try_read(&self, _: &mut [u8]) -> io::Result<usize> {
            Err(io::ErrorKind::WouldBlock.into())
        }

        fn poll_readable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }

        fn try_write(&self, bytes: &[u8]) -> io::Result<usize> {
            self.0.set(self.0.get() + 1);
            Ok(bytes.len())
        }

        fn try_write_vectored(&self, slices: &[io::IoSlice<'_>]) -> io::Result<usize> {
            Ok(slices.iter().map(|slice| slice.len()).sum())
        }

        fn shutdown(&self) {}

        fn poll_writable(&self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
            Poll::Pending
        }
    }

    #[test]
    fn who_leaves_in_the_middle_of_a_delivery_hears_no_more_and_all_others_hear_it_once() {
        let metrics = Metrics::register(&mut Registry::default());
        let budget = Arc::new(OutboundBudget::new(1 << 20, 1 << 20, metrics.slow_consumers.clone()));
        let (hub, room) = (LocalHub::new(budget.clone(), metrics), RoomId::new(7).unwrap());
        let wanted = Arc::new(());
        let formats = [Format::Json, Format::Protobuf];
        let format = |number: usize| formats[number % 2];
        let written: Vec<Rc<Cell<usize>>> = (0..CHUNK + 100).map(|_| Rc::default()).collect();
        for (number, written) in written.iter().enumerate() {
            let session = SessionId(number as u64);
            hub.admit(Outlet::over(Counting(written.clone()), session, format(number), budget.clone(), 0));
            let subscriber = Subscriber { session, user: UserId::new(1).unwrap(), format: format(number) };
            let wanted = Arc::downgrade(&wanted);
            hub.perform(room, Job::Attach { subscriber, wanted, backlog: Bytes::new(), last: Sequence::ZERO });
        }
        let frames = Frames::of_events(vec![wire::Event { seq: 1, ..wire::Event::default() }], |_| true);
        let writing = Writing::untraced();
        hub.perform(room, Job::Deliver { frames, hidden_from: None, last: Sequence(1), writing });
        let heard = || written.iter().map(|written| written.get()).collect::<Vec<_>>();
        assert_eq!(heard().iter().sum::<usize>(), CHUNK, "the rest gets its turn later");
        // Of each list the first, who has heard it; and the last of all, who has not.
        let last = CHUNK + 99;
        for number in [0, 1, last] {
            hub.detach(room, SessionId(number as u64), format(number));
        }
        while hub.go_on() {}
        let expected: Vec<usize> = (0..=last).map(|number| usize::from(number != last)).collect();
        assert_eq!(heard(), expected);
    }
}
