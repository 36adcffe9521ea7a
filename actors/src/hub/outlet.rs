use std::cell::{Cell, RefCell};
use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Waker};

use bobchat_proto::codec::Format;
use bobchat_proto::error::CloseCode;
use bobchat_proto::ids::UserId;
use bytes::{Buf as _, Bytes};
use prometheus_client::metrics::counter::Counter;

use super::{SessionId, Wire};
use crate::session::frame;

/// Slices handed to one vectored write: what Linux takes at once is 1024 (`IOV_MAX`), and a queue that
/// long is rare.
const SLICES_MAX: usize = 64;

/// What waits for all clients of this node together.
#[derive(Debug)]
pub struct OutboundBudget {
    waiting: AtomicUsize,
    /// The threads that share it.
    threads: AtomicUsize,
    /// The bound on it: over it, the largest backlogs are cut.
    total_max: AtomicUsize,
    /// The bound for one client.
    each_max: AtomicUsize,
    /// Counts the connections that are closed for it.
    slow_consumers: Counter,
}

impl OutboundBudget {
    /// A budget of which nothing is used.
    #[must_use]
    pub fn new(each_max: usize, total_max: usize, slow_consumers: Counter) -> Self {
        Self {
            waiting: AtomicUsize::new(0),
            threads: AtomicUsize::new(0),
            total_max: AtomicUsize::new(total_max),
            each_max: AtomicUsize::new(each_max),
            slow_consumers,
        }
    }

    /// Has other bounds hold for what waits from now on.
    pub(crate) fn set_bounds(&self, each_max: usize, total_max: usize) {
        self.each_max.store(each_max, Ordering::Relaxed);
        self.total_max.store(total_max, Ordering::Relaxed);
    }

    /// Bytes that wait for all clients.
    pub fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    /// Takes in another thread.
    pub(super) fn add_thread(&self) {
        self.threads.fetch_add(1, Ordering::Relaxed);
    }

    /// What may wait on each thread whatever waits on the others: where more waits than may in all, more than this
    /// waits on one of them at least.
    pub(super) fn share(&self) -> usize {
        self.total_max.load(Ordering::Relaxed) / self.threads.load(Ordering::Relaxed).max(1)
    }

    /// Whether more waits than may.
    pub fn is_exceeded(&self) -> bool {
        self.waiting() > self.total_max.load(Ordering::Relaxed)
    }
}

/// Where a connection is on its way to its end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Takes frames.
    Open,
    /// The close frame is queued; nothing comes after it.
    Closing,
    /// The close frame is out and the writing half is shut: what the client still sends is read and thrown
    /// away, since closing a socket with unread bytes resets it and takes the close frame along (RFC 1122
    /// section 4.2.2.13).
    Shut,
    /// The socket is of no use any more.
    Dead,
}

/// The way out of one connection.
///
/// Bytes leave in the order in which they were pushed. While the queue is empty they are written at once,
/// by whoever pushes them; what does not fit waits in the queue, bounded in bytes, and is written by the
/// session's own task when the socket can take more. Over the bound the connection is closed as a slow
/// consumer: what waited is dropped, and the client resumes from its cursor.
///
/// Belongs to one thread. Pushing never runs foreign code: closing only marks the outlet and wakes its
/// task, so a sweep over many outlets may push to each (log protocol, rule 37).
///
/// The socket stands in the same piece of memory, behind what a write looks at: a delivery to a big room meets
/// each of its outlets cold, and every pointer that it follows is a cache miss (docs/decisions/dyn-wire.md).
#[repr(C)]
pub struct Outlet<W: Wire + ?Sized = dyn Wire> {
    /// Seconds of the hub's clock at which the connection ends, and why.
    deadline: Cell<(u32, CloseCode)>,
    lingers_until: Cell<Option<u32>>,
    /// The second of the hub's clock at which the client was last heard.
    heard: Cell<u32>,
    budget: Arc<OutboundBudget>,
    /// The session's task.
    waker: RefCell<Option<Waker>>,
    queue: RefCell<VecDeque<Bytes>>,
    /// Names the connection.
    pub session: SessionId,
    user: Cell<Option<UserId>>,
    /// Whether something in the session's task waits for the queue to shrink.
    awaited: Cell<bool>,
    /// The format of its frames.
    pub format: Format,
    state: Cell<State>,
    waiting: Cell<usize>,
    /// Of what waits, what the wire holds and the queue does not.
    held: Cell<usize>,
    wire: W,
}

impl Outlet {
    /// A way out over `wire` with an empty queue.
    pub fn over<W: Wire + 'static>(
        wire: W,
        session: SessionId,
        format: Format,
        budget: Arc<OutboundBudget>,
        now: u32,
    ) -> Rc<Self> {
        Rc::new(Outlet {
            deadline: Cell::new((u32::MAX, CloseCode::Normal)),
            lingers_until: Cell::new(None),
            heard: Cell::new(now),
            budget,
            waker: RefCell::new(None),
            queue: RefCell::new(VecDeque::new()),
            session,
            user: Cell::new(None),
            awaited: Cell::new(false),
            format,
            state: Cell::new(State::Open),
            waiting: Cell::new(0),
            held: Cell::new(0),
            wire,
        })
    }

    /// The socket, to read from: what is written goes through the outlet.
    pub fn wire(&self) -> &dyn Wire {
        &self.wire
    }

    /// Who is signed in on the connection.
    pub fn user(&self) -> Option<UserId> {
        self.user.get()
    }

    /// Notes who signed in.
    pub fn sign_in(&self, user: UserId) {
        self.user.set(Some(user));
    }

    /// Sets when the connection ends by itself, in seconds of the hub's clock, and why.
    pub fn set_deadline(&self, second: u32, code: CloseCode) {
        self.deadline.set((second, code));
    }

    /// When the connection ends by itself, and why.
    pub fn deadline(&self) -> (u32, CloseCode) {
        self.deadline.get()
    }

    /// Notes that the client was heard.
    pub fn hear(&self, second: u32) {
        self.heard.set(second);
    }

    /// When the client was last heard.
    pub fn heard(&self) -> u32 {
        self.heard.get()
    }

    /// Sets when a connection that was closed is given up on, whatever the client does.
    pub fn linger_until(&self, second: u32) {
        self.lingers_until.set(Some(second));
    }

    /// When a connection that was closed is given up on.
    pub fn lingers_until(&self) -> Option<u32> {
        self.lingers_until.get()
    }

    /// Bytes that wait for the client.
    pub fn waiting(&self) -> usize {
        self.waiting.get()
    }

    /// Whether the outlet takes frames.
    pub fn is_open(&self) -> bool {
        self.state.get() == State::Open
    }

    /// Writes `bytes`, whole frames, now if nothing waits and they fit; else after what waits.
    pub fn push(&self, bytes: &Bytes) {
        if self.state.get() != State::Open {
            return;
        }
        if self.waiting.get() > 0 {
            return self.enqueue(bytes.clone());
        }
        match self.wire.try_write(bytes) {
            Ok(written) if written == bytes.len() => self.count_held(),
            Ok(written) => {
                self.count_held();
                self.enqueue(bytes.slice(written..));
            }
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                self.count_held();
                self.enqueue(bytes.clone());
            }
            Err(_) => self.die(),
        }
    }

    /// Writes `bytes` when the session's task runs next, together with whatever else waits then: one write
    /// for the answers to a burst of requests.
    pub fn push_soon(&self, bytes: Bytes) {
        if self.state.get() == State::Open {
            self.enqueue(bytes);
        }
    }

    /// Writes a signal, which may be lost: dropped while anything waits. Returns whether it was taken.
    pub fn push_signal(&self, bytes: &Bytes) -> bool {
        let idle = self.waiting.get() == 0;
        if idle {
            self.push(bytes);
        }
        idle
    }

    /// Ends the connection with a close frame, behind what waits. Of what waits for a slow consumer, only
    /// the piece that is partly written still goes out, and what the wire holds of it, so that the client sees whole
    /// frames.
    pub fn close(&self, code: CloseCode) {
        if self.state.get() != State::Open {
            return;
        }
        if code == CloseCode::SlowConsumer {
            self.budget.slow_consumers.inc();
            let mut queue = self.queue.borrow_mut();
            let keep = queue.front().map_or(0, Bytes::len);
            queue.truncate(1);
            drop(queue);
            self.settle(self.waiting.get().saturating_sub(keep + self.held.get()));
        }
        self.enqueue_unbounded(frame::close(code));
        self.state.set(State::Closing);
        self.wake();
    }

    /// Ends the connection because too much waits for all clients. If what is left of it, the piece that is partly
    /// written, is still too much, it goes too, and with it the close frame that could only stand behind it.
    pub(super) fn cut(&self) {
        self.close(CloseCode::SlowConsumer);
        if self.budget.is_exceeded() {
            self.die();
        }
    }

    /// Gives up on the socket.
    pub fn die(&self) {
        self.state.set(State::Dead);
        self.queue.replace(VecDeque::new());
        self.held.set(0);
        self.settle(self.waiting.get());
        self.wake();
    }

    /// Writes what waits, from the session's task. Ready when the connection is dead.
    pub fn poll_flush(&self, context: &mut Context<'_>) -> Poll<()> {
        self.remember(context);
        while self.waiting.get() > 0 {
            match self.wire.poll_writable(context) {
                Poll::Pending => return Poll::Pending,
                Poll::Ready(Err(_)) => self.die(),
                Poll::Ready(Ok(())) => self.write_queue(),
            }
        }
        if self.state.get() == State::Closing {
            self.wire.shutdown();
            self.state.set(State::Shut);
        }
        if self.state.get() == State::Dead { Poll::Ready(()) } else { Poll::Pending }
    }

    /// Ready once no more than `bytes` wait, or the connection has ended. Polled from the session's task,
    /// which runs whenever the queue moves.
    pub fn poll_below(&self, bytes: usize, context: &mut Context<'_>) -> Poll<()> {
        self.remember(context);
        let ready = self.waiting.get() <= bytes || !self.is_open();
        self.awaited.set(!ready);
        if ready { Poll::Ready(()) } else { Poll::Pending }
    }

    fn write_queue(&self) {
        let written = {
            let queue = self.queue.borrow();
            let mut slices = [IoSlice::new(&[]); SLICES_MAX];
            let mut used = 0;
            for (slice, bytes) in slices.iter_mut().zip(queue.iter()) {
                *slice = IoSlice::new(bytes);
                used += 1;
            }
            self.wire.try_write_vectored(slices.get(..used).unwrap_or_default())
        };
        match written {
            Ok(written) => self.dequeue(written),
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {}
            Err(_) => return self.die(),
        }
        self.count_held();
        if self.awaited.get() {
            self.wake();
        }
    }

    fn dequeue(&self, written: usize) {
        let mut queue = self.queue.borrow_mut();
        let mut left = written;
        while let Some(front) = queue.front_mut() {
            if front.len() > left {
                front.advance(left);
                break;
            }
            left -= front.len();
            queue.pop_front();
        }
        if queue.is_empty() {
            // An idle connection holds no buffer.
            *queue = VecDeque::new();
        }
        drop(queue);
        self.settle(written);
    }

    /// Counts what the wire holds among what waits. It is one record at most, taken when nothing waited or what waited
    /// was within its bound, so it is not held to that bound itself.
    fn count_held(&self) {
        let (before, now) = (self.held.get(), self.wire.held());
        if before != now {
            self.recount_held(before, now);
        }
    }

    #[cold]
    fn recount_held(&self, before: usize, now: usize) {
        let was_empty = self.waiting.get() == 0;
        self.held.set(now);
        self.settle(before);
        self.waiting.set(self.waiting.get() + now);
        self.budget.waiting.fetch_add(now, Ordering::Relaxed);
        if was_empty {
            self.wake();
        }
    }

    #[cold]
    fn enqueue(&self, bytes: Bytes) {
        if self.waiting.get() + bytes.len() > self.budget.each_max.load(Ordering::Relaxed) {
            return self.close(CloseCode::SlowConsumer);
        }
        let was_empty = self.waiting.get() == 0;
        self.enqueue_unbounded(bytes);
        if was_empty {
            self.wake();
        }
    }

    fn enqueue_unbounded(&self, bytes: Bytes) {
        self.waiting.set(self.waiting.get() + bytes.len());
        self.budget.waiting.fetch_add(bytes.len(), Ordering::Relaxed);
        self.queue.borrow_mut().push_back(bytes);
    }

    fn remember(&self, context: &Context<'_>) {
        let mut waker = self.waker.borrow_mut();
        if !waker.as_ref().is_some_and(|known| known.will_wake(context.waker())) {
            *waker = Some(context.waker().clone());
        }
    }

    fn wake(&self) {
        if let Some(waker) = self.waker.borrow().as_ref() {
            waker.wake_by_ref();
        }
    }
}

impl<W: Wire + ?Sized> Outlet<W> {
    fn settle(&self, bytes: usize) {
        self.waiting.set(self.waiting.get().saturating_sub(bytes));
        self.budget.waiting.fetch_sub(bytes, Ordering::Relaxed);
    }
}

impl<W: Wire + ?Sized> Drop for Outlet<W> {
    fn drop(&mut self) {
        self.settle(self.waiting.get());
    }
}
