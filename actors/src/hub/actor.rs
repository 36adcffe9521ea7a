use std::rc::Rc;
use std::time::Duration;

use actix::{Actor, AsyncContext as _, Context, Handler, Message, MessageResult};
use bobchat_proto::error::CloseCode;
use bobchat_proto::ids::{RoomId, Sequence};
use tokio::time::Instant;

use super::sweep::SWEEP_EVERY;
use super::{Job, Outlet, SessionId, Subscriber};
use crate::room::Frames;
use crate::worker::Worker;

/// Batches and hints that may wait for a hub. A room that finds it full keeps what did not fit and hands it over
/// later, so the bound costs time, not events (log protocol, rule 29).
const MAILBOX_MAX: usize = 4096;

/// Between two portions of those who are told to come back elsewhere.
const DISMISS_EVERY: Duration = Duration::from_millis(50);

/// Connections in such a portion, at least: 1000 a second, of which a thread elsewhere takes in several times as many.
const DISMISSED_AT_ONCE_MIN: usize = 50;

/// The actor of one worker thread's connections. See [`super::LocalHub`] for what it does: the actor only
/// lets other threads ask for it, and keeps time.
pub struct Hub {
    worker: Rc<Worker>,
    /// When the next sweep is due.
    sweep_at: Instant,
    /// Connections that are still to be told to come back elsewhere.
    leaving: Vec<Rc<Outlet>>,
}

impl Hub {
    /// The hub of `worker`'s thread.
    #[must_use]
    pub fn new(worker: Rc<Worker>) -> Self {
        Self { worker, sweep_at: Instant::now() + SWEEP_EVERY, leaving: Vec::new() }
    }

    /// Whatever else is due on this thread waits as long as the sweep did.
    fn sweep(&mut self) {
        let now = Instant::now();
        let delay = now.saturating_duration_since(self.sweep_at);
        self.worker.core.metrics.stages.worker_delay.observe(delay.as_secs_f64());
        self.sweep_at = now + SWEEP_EVERY;
        self.worker.hub.sweep();
    }

    /// Tells so many that they are to come back elsewhere, and the others later.
    fn dismiss(&mut self, at_once: usize, context: &mut Context<Self>) {
        let rest = self.leaving.len().saturating_sub(at_once);
        for outlet in self.leaving.drain(rest..) {
            outlet.close(CloseCode::Draining);
        }
        if rest > 0 {
            context.run_later(DISMISS_EVERY, move |hub, context| hub.dismiss(at_once, context));
        }
    }
}

impl Actor for Hub {
    type Context = Context<Self>;

    fn started(&mut self, context: &mut Self::Context) {
        context.set_mailbox_capacity(MAILBOX_MAX);
        self.sweep_at = Instant::now() + SWEEP_EVERY;
        context.run_interval(SWEEP_EVERY, |hub, _| hub.sweep());
        let address = context.address().downgrade();
        self.worker.hub.on_unfinished(Box::new(move || {
            if let Some(address) = address.upgrade() {
                // To itself, at most one at a time: the mailbox bound cannot be what stands in the way.
                address.do_send(GoOn);
            }
        }));
    }
}

/// Goes on with deliveries that are not through.
#[derive(Message)]
#[rtype(result = "()")]
struct GoOn;

impl Handler<GoOn> for Hub {
    type Result = ();

    fn handle(&mut self, _: GoOn, context: &mut Self::Context) {
        if self.worker.hub.go_on() {
            context.notify(GoOn);
        }
    }
}

/// Does something for a room, from another thread.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Perform {
    /// The room.
    pub room: RoomId,
    /// What to do.
    pub job: Job,
}

impl Handler<Perform> for Hub {
    type Result = ();

    fn handle(&mut self, perform: Perform, _: &mut Self::Context) {
        self.worker.hub.perform(perform.room, perform.job);
    }
}

/// Writes frames to one connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Push {
    /// The connection.
    pub session: SessionId,
    /// The frames, in both formats.
    pub frames: Frames,
}

impl Handler<Push> for Hub {
    type Result = ();

    fn handle(&mut self, push: Push, _: &mut Self::Context) {
        if let Some(outlet) = self.worker.hub.outlet(push.session)
            && let Some(bytes) = push.frames.of(outlet.format)
        {
            outlet.push(bytes);
        }
    }
}

/// Closes one connection.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Close {
    /// The connection.
    pub session: SessionId,
    /// Why.
    pub code: CloseCode,
}

impl Handler<Close> for Hub {
    type Result = ();

    fn handle(&mut self, close: Close, _: &mut Self::Context) {
        if let Some(outlet) = self.worker.hub.outlet(close.session) {
            outlet.close(close.code);
        }
    }
}

/// Asks what a room that comes back has to know of this thread (log protocol, rule 39).
#[derive(Debug, Message)]
#[rtype(result = "Recovered")]
pub struct Recover {
    /// The room.
    pub room: RoomId,
}

/// What a room that comes back has to know of a thread.
#[derive(Debug)]
pub struct Recovered {
    /// The seq up to which the thread's subscribers have been written to.
    pub delivered: Sequence,
    /// Who receives the room there.
    pub subscribers: Vec<Subscriber>,
}

impl Handler<Recover> for Hub {
    type Result = MessageResult<Recover>;

    fn handle(&mut self, recover: Recover, _: &mut Self::Context) -> Self::Result {
        let (delivered, subscribers) = self.worker.hub.recover(recover.room);
        MessageResult(Recovered { delivered, subscribers })
    }
}

/// Says that a room's actor died on this thread: somebody has to start it again, or its subscribers would
/// hear nothing until the next one asks for it.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct RoomDied {
    /// The room.
    pub room: RoomId,
}

impl Handler<RoomDied> for Hub {
    type Result = ();

    fn handle(&mut self, died: RoomDied, _: &mut Self::Context) {
        self.worker.room(died.room);
    }
}

/// Tells every connection to come back elsewhere: not all at once, for each comes as a handshake, a token to be judged and
/// rooms to be resumed to whoever takes it. Those that are not told yet are served as before.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub struct Drain {
    /// The time until all are told.
    pub within: Duration,
}

impl Handler<Drain> for Hub {
    type Result = ();

    fn handle(&mut self, drain: Drain, context: &mut Self::Context) {
        self.leaving = self.worker.hub.begin_drain();
        self.dismiss(portion(self.leaving.len(), drain.within), context);
    }
}

/// How many of these connections are told at once, so that all of them are within this time.
fn portion(connections: usize, within: Duration) -> usize {
    let steps = (within.as_millis() / DISMISS_EVERY.as_millis()).max(1);
    connections.div_ceil(usize::try_from(steps).unwrap_or(usize::MAX)).max(DISMISSED_AT_ONCE_MIN)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn portions_are_as_large_as_the_time_asks_for_and_no_smaller_than_is_worth_it() {
        let seconds = Duration::from_secs;
        for (connections, within, expected) in [
            (0, seconds(5), 50),
            (120, seconds(5), 50),
            (5_000, seconds(5), 50),
            (5_001, seconds(5), 51),
            (10_000, seconds(5), 100),
            (10_000, seconds(1), 500),
            (400, Duration::from_millis(200), 100),
            (400, Duration::from_millis(49), 400),
            (400, Duration::ZERO, 400),
        ] {
            assert_eq!(portion(connections, within), expected, "{connections} within {within:?}");
        }
    }
}
