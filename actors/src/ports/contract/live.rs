//! The contract of the live log: the rules of the log protocol that one server can show.

mod append;
mod archive;
mod epoch;
mod keys;
mod loss;
mod refuse;
mod scenario;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use bobchat_proto::ids::RoomId;
use futures_util::FutureExt as _;
use futures_util::future::LocalBoxFuture;

use super::BEGIN_MICROS;
use crate::ports::LiveLog;
use crate::ports::memory::{ManualClock, MemoryLiveLog};

/// What the suite is run on: a server that is empty at first.
#[async_trait(?Send)]
pub trait LiveSubject {
    /// The log as it is reached now.
    fn log(&self) -> Arc<dyn LiveLog>;

    /// Loses something, and returns when the server answers again. Handles from before are not used any more.
    async fn lose(&mut self, loss: LiveLoss);

    /// Has some of the server's time pass.
    async fn pass(&self, time: Duration);

    /// Closes a room. No event does this yet.
    async fn close(&self, room: RoomId);
}

/// What happens to a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum LiveLoss {
    /// It is killed, and starts with what it held.
    Restart,
    /// It is killed, and starts empty.
    RestartEmpty,
    /// It forgets everything while it runs.
    Flush,
    /// It forgets one room while it runs.
    Room(RoomId),
}

/// Makes an empty subject for each case.
pub type MakeLive<'a> = &'a dyn Fn() -> LocalBoxFuture<'a, Box<dyn LiveSubject>>;

/// Checks what [`LiveLog`] promises.
pub async fn live_log(make: MakeLive<'_>) {
    append::cases(make).await;
    keys::cases(make).await;
    refuse::cases(make).await;
    epoch::cases(make).await;
    archive::cases(make).await;
    loss::cases(make).await;
}

/// The reference as a subject.
pub struct MemoryLiveSubject(Arc<MemoryLiveLog>, Arc<ManualClock>);

impl MemoryLiveSubject {
    /// Makes an empty one.
    #[must_use]
    pub fn boxed() -> LocalBoxFuture<'static, Box<dyn LiveSubject>> {
        let clock = Arc::new(ManualClock::new(BEGIN_MICROS));
        let subject: Box<dyn LiveSubject> = Box::new(Self(MemoryLiveLog::new(Arc::clone(&clock) as _), clock));
        async { subject }.boxed_local()
    }
}

#[async_trait(?Send)]
impl LiveSubject for MemoryLiveSubject {
    fn log(&self) -> Arc<dyn LiveLog> {
        Arc::clone(&self.0) as _
    }

    async fn lose(&mut self, loss: LiveLoss) {
        match loss {
            LiveLoss::Restart => self.0.restart(),
            LiveLoss::RestartEmpty => self.0.restart_empty(),
            LiveLoss::Flush => self.0.flush_all(),
            LiveLoss::Room(room) => self.0.forget(room),
        }
    }

    async fn pass(&self, time: Duration) {
        self.1.advance(time);
    }

    async fn close(&self, room: RoomId) {
        self.0.close(room);
    }
}
