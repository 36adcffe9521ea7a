//! How the suites are run on stores that only keep what live logs let go of.

use std::sync::Arc;

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use crate::log::as_stored;
use crate::ports::{Append, AppendError, EventStore, Head, Outcome, Raised, Raiser, RoomLog, Span, Unavailable};

/// The reference's log, from which every batch is stored before it is acknowledged.
pub struct ArchivedLog {
    /// Gives events their order.
    pub log: Arc<dyn RoomLog>,
    /// What is tested.
    pub store: Arc<dyn EventStore>,
    /// The head is noted at every so manieth event: it may be late.
    pub note_every: u64,
}

#[async_trait]
impl RoomLog for ArchivedLog {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        if self.store.raise(room, None, Raiser(1)).await? == Raised::Won {
            assert!(self.store.begin(room, Span::FIRST, Raiser(1)).await?, "the epoch is its raiser's");
        }
        self.log.open(room).await
    }

    async fn append(&self, append: Append) -> Result<Vec<Outcome>, AppendError> {
        let (room, known) = (append.room, append.known_seq);
        let outcomes = self.log.append(append).await?;
        let added = self.log.tail(room, known, usize::MAX).await.map_err(AppendError::Unknown)?;
        self.archive(room, added).await.map_err(AppendError::Unknown)?;
        Ok(outcomes)
    }

    async fn head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        self.log.head(room).await
    }

    async fn tail(&self, room: RoomId, after: Sequence, limit: usize) -> Result<Vec<wire::Event>, Unavailable> {
        self.log.tail(room, after, limit).await
    }
}

impl ArchivedLog {
    async fn archive(&self, room: RoomId, events: Vec<wire::Event>) -> Result<(), Unavailable> {
        self.store.store(room, events.into_iter().map(as_stored).collect()).await?;
        match self.log.head(room).await? {
            Some(head) if head.position.seq.0 % self.note_every == 0 => self.store.note_head(room, head).await,
            _ => Ok(()),
        }
    }
}
