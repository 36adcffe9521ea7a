use std::ops::RangeInclusive;

use async_trait::async_trait;
use bobchat_proto::ids::{RoomId, Sequence};
use bobchat_proto::wire;

use super::Unavailable;

/// The stretches of a room's log that a reader may see: ascending, not overlapping, not touching.
pub type Visible = Vec<RangeInclusive<Sequence>>;

/// Where a page of messages stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Anchor {
    /// At the end: the newest messages.
    Newest,
    /// Just before this seq.
    Before(Sequence),
    /// Just after this seq.
    After(Sequence),
    /// On both sides of this seq: half of the page at or before it, and the odd one; half after; what one
    /// side does not fill, the other takes.
    Around(Sequence),
}

/// A page of messages, in ascending order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct MessagePage {
    /// Events with a message as their body.
    pub messages: Vec<wire::Event>,
    /// Whether a visible message stands before the first one. Exact. On an empty page: before the anchor.
    pub has_more_before: bool,
    /// Whether a visible message stands after the last one. Exact. On an empty page: after the anchor.
    pub has_more_after: bool,
}

/// A page of events, in ascending order.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct EventPage {
    /// The events, of all kinds.
    pub events: Vec<wire::Event>,
    /// Whether a visible event stands after the last one. Exact.
    pub has_more: bool,
}

/// Reads what rooms have been through. Cost grows with the page, not with the room's length.
///
/// Every page also ends, with `has_more` set, where it would pass `PAGE_BYTES_MAX` of encoded events, but
/// never before its first item.
#[async_trait]
pub trait History: Send + Sync {
    /// Reads a page of at most `limit` messages whose seq lies in `visible`.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn page(
        &self,
        room: RoomId,
        anchor: Anchor,
        limit: usize,
        visible: &Visible,
    ) -> Result<MessagePage, Unavailable>;

    /// Reads at most `limit` events with a seq above `after` that lies in `visible`.
    ///
    /// # Errors
    /// [`Unavailable`].
    async fn events(
        &self,
        room: RoomId,
        after: Sequence,
        limit: usize,
        visible: &Visible,
    ) -> Result<EventPage, Unavailable>;
}
