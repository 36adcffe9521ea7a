use async_trait::async_trait;
use bobchat_actors::ports::{EventStore, Head, LogRow, Raised, Raiser, Span, StoredEvent, StoredKey, Unavailable};
use bobchat_actors::traces::{self, TRACE};
use bobchat_proto::ids::{Epoch, Position, RoomId, Sequence};
use tracing::Instrument as _;

use super::CassandraStore;

#[async_trait]
impl EventStore for CassandraStore {
    async fn log_row(&self, room: RoomId, serial: bool) -> Result<Option<LogRow>, Unavailable> {
        Ok(self.read_log_row(room, serial).await?)
    }

    async fn raise(&self, room: RoomId, from: Option<Epoch>, raiser: Raiser) -> Result<Raised, Unavailable> {
        self.raise_epoch(room, from, raiser).await
    }

    async fn begin(&self, room: RoomId, span: Span, raiser: Raiser) -> Result<bool, Unavailable> {
        self.begin_span(room, span, raiser).await
    }

    async fn store(&self, room: RoomId, events: Vec<StoredEvent>) -> Result<(), Unavailable> {
        let span = traces::below([&traces::present()], |parent| {
            let events = events.len();
            tracing::debug_span!(target: TRACE, parent: parent, "cassandra.store", room.id = %room, events)
        });
        Ok(self.store_events(room, events).instrument(span).await?)
    }

    async fn stored(&self, room: RoomId, from: Sequence, limit: usize) -> Result<Vec<StoredEvent>, Unavailable> {
        Ok(self.stored_events(room, from, limit).await?)
    }

    async fn mark_renumbered(&self, room: RoomId, orphans: &[Position]) -> Result<(), Unavailable> {
        Ok(self.mark(room, orphans).await?)
    }

    async fn keys(&self, room: RoomId, author: u64, key: &str) -> Result<Vec<StoredKey>, Unavailable> {
        Ok(self.stored_keys(room, author, key).await?)
    }

    async fn noted_head(&self, room: RoomId) -> Result<Option<Head>, Unavailable> {
        Ok(self.read_head(room).await?)
    }

    /// What the head says is folded before it is said.
    async fn note_head(&self, room: RoomId, head: Head) -> Result<(), Unavailable> {
        self.fold_up_to(room, head).await?;
        Ok(self.write_head(room, head).await?)
    }
}
