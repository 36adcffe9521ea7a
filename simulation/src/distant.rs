//! The live log and the store, as far away from a node as servers are: they take their time, may be out of reach, and
//! what was done is not always heard.

mod reading;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use bobchat_actors::ports::{
    AdvanceError, EventStore, FenceError, Fenced, Head, Incarnation, LiveAppend, LiveAppended, LiveHead, LiveLog,
    LiveRefusal, LiveTail, LogRow, Opening, Raised, Raiser, Span, StoredEvent, StoredKey, Unavailable,
};
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};

use crate::random::Random;

/// One answer in so many is not heard while answers are lost.
const LOST_ONCE_IN: usize = 3;

/// One way in so many takes long.
const SLOW_ONCE_IN: usize = 16;

/// Of what does not get through, one in so many is only found out when the driver gives up.
const UNNOTICED_ONCE_IN: usize = 4;

/// When a driver gives up, at the latest: Redis' does after so long.
const GIVEN_UP_MILLIS: u64 = 2_000;

/// What lies between a node and the servers.
pub struct Link {
    /// Nothing gets through.
    pub apart: AtomicBool,
    /// Answers may not get through.
    pub loses_answers: AtomicBool,
    random: Mutex<Random>,
}

impl Link {
    /// A good one.
    #[must_use]
    pub fn new(random: Random) -> Arc<Self> {
        let (apart, loses_answers) = (AtomicBool::new(false), AtomicBool::new(false));
        Arc::new(Self { apart, loses_answers, random: Mutex::new(random) })
    }

    fn draw<T>(&self, draw: impl FnOnce(&mut Random) -> T) -> T {
        draw(&mut self.random.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn delay(&self) -> Duration {
        self.draw(|random| if random.once_in(SLOW_ONCE_IN) { random.millis(20, 90) } else { random.millis(1, 6) })
    }

    /// The way there: an error says that nothing was done.
    async fn there(&self) -> Result<(), Unavailable> {
        tokio::time::sleep(self.delay()).await;
        if self.apart.load(Ordering::Relaxed) {
            self.give_up().await;
            return Err(Unavailable::new("simulated: out of reach"));
        }
        Ok(())
    }

    /// The way back: an error says nothing of what was done.
    async fn back(&self) -> Result<(), Unavailable> {
        tokio::time::sleep(self.delay()).await;
        let loses = self.loses_answers.load(Ordering::Relaxed) && self.draw(|random| random.once_in(LOST_ONCE_IN));
        if loses || self.apart.load(Ordering::Relaxed) {
            self.give_up().await;
            return Err(Unavailable::new("simulated: the answer was lost"));
        }
        Ok(())
    }

    /// A connection that broke is noticed at once; silence is not.
    async fn give_up(&self) {
        let unnoticed =
            self.draw(|random| random.once_in(UNNOTICED_ONCE_IN).then(|| random.millis(500, GIVEN_UP_MILLIS)));
        if let Some(wait) = unnoticed {
            tokio::time::sleep(wait).await;
        }
    }
}

impl Link {
    /// Asks there, and hears the answer.
    async fn around<T, E: From<Unavailable>>(&self, asked: impl Future<Output = Result<T, E>>) -> Result<T, E> {
        self.there().await?;
        let answer = asked.await;
        self.back().await?;
        answer
    }
}

/// A server at the other end of a link.
pub struct Distant<P> {
    /// The server.
    pub port: Arc<P>,
    /// What lies between.
    pub link: Arc<Link>,
}

#[async_trait]
impl<P: LiveLog> LiveLog for Distant<P> {
    async fn append(&self, append: LiveAppend) -> Result<LiveAppended, LiveRefusal> {
        self.link.there().await.map_err(LiveRefusal::Unknown)?;
        let answer = self.port.append(append).await;
        self.link.back().await.map_err(LiveRefusal::Unknown)?;
        answer
    }

    async fn fence(&self, room: RoomId, epoch: Epoch) -> Result<Fenced, FenceError> {
        self.link.around(self.port.fence(room, epoch)).await
    }

    async fn open(&self, opening: Opening) -> Result<(), FenceError> {
        self.link.around(self.port.open(opening)).await
    }

    async fn advance(&self, room: RoomId, through: Position) -> Result<(), AdvanceError> {
        self.link.around(self.port.advance(room, through)).await
    }

    async fn head(&self, room: RoomId) -> Result<Option<LiveHead>, Unavailable> {
        self.link.around(self.port.head(room)).await
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Option<LiveTail>, Unavailable> {
        self.link.around(self.port.tail(room, after, limit)).await
    }

    async fn unarchived(&self, limit: usize) -> Result<Vec<RoomId>, Unavailable> {
        self.link.around(self.port.unarchived(limit)).await
    }

    async fn claim(&self, room: RoomId, holder: u64, lasts: Duration) -> Result<bool, Unavailable> {
        self.link.around(self.port.claim(room, holder, lasts)).await
    }

    async fn incarnation(&self) -> Result<Incarnation, Unavailable> {
        self.link.around(self.port.incarnation()).await
    }

    async fn time(&self) -> Result<i64, Unavailable> {
        self.link.around(self.port.time()).await
    }
}

#[async_trait]
impl<P: EventStore> EventStore for Distant<P> {
    async fn log_row(&self, room: RoomId, serial: bool) -> Result<Option<LogRow>, Unavailable> {
        self.link.around(self.port.log_row(room, serial)).await
    }

    async fn raise(&self, room: RoomId, from: Option<Epoch>, raiser: Raiser) -> Result<Raised, Unavailable> {
        self.link.around(self.port.raise(room, from, raiser)).await
    }

    async fn begin(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Unavailable> {
        self.link.around(self.port.begin(room, span, raiser)).await
    }

    async fn store(&self, room: RoomId, events: Vec<StoredEvent>) -> Result<(), Unavailable> {
        self.link.around(self.port.store(room, events)).await
    }

    async fn stored(&self, room: RoomId, from: Sequence, limit: usize) -> Result<Vec<StoredEvent>, Unavailable> {
        self.link.around(self.port.stored(room, from, limit)).await
    }

    async fn mark_renumbered(&self, room: RoomId, orphans: &[Position]) -> Result<(), Unavailable> {
        self.link.around(self.port.mark_renumbered(room, orphans)).await
    }

    async fn keys(&self, room: RoomId, author: u64, key: &str) -> Result<Vec<StoredKey>, Unavailable> {
        self.link.around(self.port.keys(room, author, key)).await
    }

    async fn noted_head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        self.link.around(self.port.noted_head(room)).await
    }

    async fn note_head(&self, room: RoomId, head: Head) -> Result<(), Unavailable> {
        self.link.around(self.port.note_head(room, head)).await
    }
}
