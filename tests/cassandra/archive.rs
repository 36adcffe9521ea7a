use std::sync::Arc;

use async_trait::async_trait;
use bobchat::adapters::cassandra::CassandraStore;
use bobchat_actors::ports::{
    Append, AppendError, EventStore, Head, Outcome, Raised, Raiser, RoomLog, Span, StoredEvent, Unavailable,
};
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

/// The reference's log, from which every batch is archived to Cassandra before it is acknowledged.
pub(crate) struct ArchivedLog {
    pub(crate) log: Arc<dyn RoomLog>,
    pub(crate) store: Arc<CassandraStore>,
}

#[async_trait]
impl RoomLog for ArchivedLog {
    async fn open(&self, room: RoomId) -> Result<Head, Unavailable> {
        if self.store.raise(room, None, Raiser(1)).await? == Raised::Won {
            assert!(self.store.begin(room, Span::FIRST, Raiser(1)).await?);
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
        let stored = events.into_iter().map(|event| StoredEvent { event, body_hash: 1, renumbered: false });
        self.store.store(room, stored.collect()).await?;
        // A hint may be late: it is noted now and then.
        match self.log.head(room).await? {
            Some(head) if head.position.seq.0 % 4 == 0 => self.store.note_head(room, head).await,
            _ => Ok(()),
        }
    }
}
